//! ● Out of the backlog: a million rows of endpoints that answer again, alone, and while others get live events.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    catch_up::Shown,
    drain,
    kafka::Topics,
    options::Name,
    plan::Plan,
    producer::{self, Order},
    receiver::{Interval, Latency, Question, Report},
    role::Role,
    sampler::{Sampler, Worst},
    scenarios::{Bench, progress},
    sender::{Run, Stage, Who},
    table::{Cell, Table, megabytes, seconds, thousands},
};

struct Measured {
    interval: Option<Interval>,
    live: Option<Live>,
    worst: Worst,
    duplicates: u64,
    lost: u64,
}

/// The others' latencies at the same rate.
struct Live {
    before: Latency,
    meanwhile: Latency,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Drain) {
        return Ok(None);
    }
    let (rows, endpoints) = (bench.options.events_or(1_000_000), bench.options.endpoints);
    let mut columns = Vec::new();
    for round in 1..=bench.options.rounds_or(1) {
        for (label, live) in [("alone", None), ("beside live", Some(LIVE_PER_SECOND))] {
            let name = format!("drain-{}-{round}", label.replace(' ', "-"));
            let topic = bench.full_topic(&name, PARTITIONS, endpoints, rows)?;
            // The second half of them are the others.
            let tenants = 2 * endpoints;
            let plan = Plan { tenants, paused: endpoints, ..Plan::many(&topic, PARTITIONS, tenants) };
            let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
            let label = format!("{label}, round {round}");
            let lasts = bench.options.seconds_or(20);
            let measured = measure(&mut stage, rows, live.map(|rate| (rate, lasts)), &label, &mut bench.topics)?;
            bench.lost += measured.lost;
            columns.push((label, measured));
            drop(stage);
            bench.topics.delete(&topic);
        }
    }
    let title = format!(
        "Out of the backlog: {} rows of {endpoints} endpoints in {PARTITIONS} partitions; live: {}/s to as many others",
        thousands(rows as f64),
        thousands(LIVE_PER_SECOND)
    );
    Ok(Some(Table::of_columns(&title, &columns, &ROWS)))
}

/// `live`: the rate of the others, and for how long their latency is measured before.
fn measure(
    stage: &mut Stage,
    rows: u64,
    live: Option<(f64, Duration)>,
    label: &str,
    topics: &mut Topics,
) -> io::Result<Measured> {
    let plan = stage.plan().clone();
    let mut run = stage.start(Who::Postrider, &drain::group(&plan, "drain"), topics)?;
    fill(&run, rows, label)?;
    let mut others = live.map(|(rate, lasts)| others(&mut run, &plan, rate, lasts, rows, topics)).transpose()?;
    let sampler = run.sampler()?;
    let _: Report = run.receiver.ask(&Question::Watch { pid: run.pid(), from: 1, to: rows, below: rows })?;
    let _: Report = run.receiver.ask(&Question::MeasureLatency)?;
    run.resume(&plan)?;
    let report = wait_for_rows(&mut run, label, &sampler)?;
    let worst = sampler.worst();
    drop(sampler);
    let produced = match &mut others {
        Some((producer, _)) => producer.ask(&Order::Stop)?,
        None => 0,
    };
    let end = run.wait_for(rows + produced)?;
    run.stop()?;
    Ok(Measured {
        interval: report.interval,
        live: others.map(|(_, before)| Live { before, meanwhile: report.latency }),
        worst,
        duplicates: end.duplicates,
        lost: (rows + produced).saturating_sub(end.events),
    })
}

/// Waits until all rows are stored.
fn fill(run: &Run, rows: u64, label: &str) -> io::Result<()> {
    let (mut last, mut grown_at, started) = (0, Instant::now(), Instant::now());
    while last < rows {
        let stored = run.metric("postrider_backlog_parked_total")? as u64;
        if stored > last {
            (last, grown_at) = (stored, Instant::now());
        }
        if grown_at.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("stuck at {last} of {rows} rows")));
        }
        thread::sleep(Duration::from_millis(200));
    }
    progress(&format!("{label}: {} rows stored within {} s", thousands(rows as f64), seconds(started.elapsed())));
    Ok(())
}

/// Live events to those with nothing in the backlog, and their latency while nothing else is done.
fn others(
    run: &mut Run,
    plan: &Plan,
    rate: f64,
    lasts: Duration,
    rows: u64,
    topics: &Topics,
) -> io::Result<(Role, Latency)> {
    let others = plan.endpoints - plan.paused;
    let arguments = producer::Arguments {
        first_tenant: plan.paused,
        first_sequence: rows,
        rate: Some(rate),
        ..producer::Arguments::new(topics.brokers(), &plan.topic, plan.partitions, others, u64::MAX)
    };
    let producer = run.begin_measuring(&arguments, WARM_UP)?;
    thread::sleep(lasts);
    Ok((producer, run.report()?.latency))
}

/// Until the last row has come, or none comes any more.
fn wait_for_rows(run: &mut Run, label: &str, sampler: &Sampler) -> io::Result<Report> {
    let (mut shown, mut last) = (Shown::new(label), (0, Instant::now()));
    run.wait_until(
        |report| {
            let left = sampler.latest().backlog_rows;
            if left != last.0 {
                last = (left, Instant::now());
            }
            report.interval.is_some() || last.1.elapsed() > PATIENCE
        },
        |report| shown.show(report, sampler),
    )
}

impl Measured {
    fn rows_per_second(&self) -> f64 {
        self.interval.map_or(0.0, |interval| interval.events as f64 / interval.time.as_secs_f64())
    }
}

fn of_live(measured: &Measured, number: fn(&Live) -> f64) -> String {
    measured.live.as_ref().map_or("–".to_owned(), |live| format!("{:.2}", number(live)))
}

const ROWS: [(&str, Cell<Measured>, &str); 10] = [
    ("rows/s, from the first to the last", |m| thousands(m.rows_per_second()), "alone ≥ 15,000, beside ≥ 5,000"),
    ("the others' p50 before, ms", |m| of_live(m, |live| live.before.p50), ""),
    ("meanwhile", |m| of_live(m, |live| live.meanwhile.p50), ""),
    ("the others' p99 before, ms", |m| of_live(m, |live| live.before.p99), ""),
    ("meanwhile", |m| of_live(m, |live| live.meanwhile.p99), ""),
    ("p99, ratio", |m| of_live(m, |live| live.meanwhile.p99 / live.before.p99), "≤ 1.2"),
    ("parked in all", |m| thousands(m.worst.parked as f64), "as many as rows"),
    ("oldest uncommitted, s", |m| seconds(m.worst.uncommitted), ""),
    ("RSS at most, MB", |m| megabytes(m.worst.rss_bytes), ""),
    ("twice", |m| m.duplicates.to_string(), ""),
];

const PARTITIONS: i32 = 8;
const LIVE_PER_SECOND: f64 = 2_000.0;
const WARM_UP: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(30);
