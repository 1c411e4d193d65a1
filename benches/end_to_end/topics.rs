//! ● Many topics with nothing to do: the CPU that they cost, and the latency of a few events among them. Beside it the bare
//! loop on the same topics: below what librdkafka itself costs nobody gets.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    drain,
    options::Name,
    plan::Plan,
    process, producer,
    receiver::Latency,
    role::Role,
    scenarios::{Bench, progress},
    sender::{Run, Stage, Who},
    table::{Cell, Table, megabytes, seconds, tenths_of_percent},
};

struct Measured {
    /// From the start of the process until an event of each partition was received.
    all_read: Duration,
    /// Of one core.
    idle_cpu_share: f64,
    latency: Latency,
    rss_peak_bytes: u64,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Topics) {
        return Ok(None);
    }
    let mut columns = Vec::new();
    let mut ratios = [["idle, of the bare loop's".to_owned()], ["p50, of the bare loop's".to_owned()]].map(Vec::from);
    for (topics, partitions) in [(1, 8), (500, 4), (500, 20)] {
        let label = format!("{topics} x {partitions}");
        let pair = of_both(bench, topics, partitions, &label)?;
        let [bare, postrider] = [Who::Bare, Who::Postrider].map(|who| pair.iter().find(|(of, _)| *of == who));
        if let (Some((_, bare)), Some((_, postrider))) = (bare, postrider) {
            let idle = postrider.idle_cpu_share / bare.idle_cpu_share;
            let p50 = postrider.latency.p50 / bare.latency.p50;
            for (row, ratio) in ratios.iter_mut().zip([idle, p50]) {
                row.extend([String::new(), format!("{ratio:.2} ×")]);
            }
        }
        columns.extend(pair.into_iter().map(|(who, measured)| (format!("{label}, {who}"), measured)));
    }
    let title = format!("Topics x partitions with nothing to do, then {EVENTS_PER_SECOND} events/s to one of them");
    let mut table = Table::of_columns(&title, &columns, &ROWS);
    ratios.into_iter().filter(|row| row.len() > 1).for_each(|row| table.row(row));
    Ok(Some(table))
}

fn of_both(bench: &mut Bench<'_>, topics: usize, partitions: i32, label: &str) -> io::Result<Vec<(Who, Measured)>> {
    let names: Vec<String> = (0..topics).map(|number| format!("topics-{partitions}-{number}")).collect();
    let names = bench.topics.create_all(&names, partitions)?;
    let plan = Plan { other_topics: names[1..].to_vec(), ..Plan::stream(&names[0], partitions, 1) };
    let mut produced = topics as u64 * partitions as u64;
    let first = producer::Arguments {
        topics: names.clone(),
        run_events: 1,
        ..producer::Arguments::new(bench.topics.brokers(), &plan.topic, partitions, plan.tenants, produced)
    };
    Role::start("producer", &first)?.hear()?;
    let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
    let mut pair = Vec::new();
    for who in bench.options.both() {
        let measured = measure(&mut stage, who, &mut produced, bench)?;
        progress(&format!(
            "{label}: {who:<9} reads all after {} s, {} of a core idle, p50 {:.1} ms",
            seconds(measured.all_read),
            tenths_of_percent(measured.idle_cpu_share),
            measured.latency.p50
        ));
        pair.push((who, measured));
    }
    drop(stage);
    names.iter().for_each(|name| bench.topics.delete(name));
    Ok(pair)
}

/// `produced`: events that the topics hold by now, one of each partition at least.
fn measure(stage: &mut Stage, who: Who, produced: &mut u64, bench: &mut Bench<'_>) -> io::Result<Measured> {
    let lasts = bench.options.seconds_or(20);
    let mut run = stage.start(who, &drain::group(stage.plan(), "topics"), &mut bench.topics)?;
    let all_read = wait_until_all_are_read(&mut run, *produced)?;
    thread::sleep(SETTLE);
    let idle_cpu_share = process::cpu_share(run.pid(), lasts);

    let plan = stage.plan();
    let events = (EVENTS_PER_SECOND * (WARM_UP + lasts).as_secs_f64()) as u64;
    let arguments = producer::Arguments {
        rate: Some(EVENTS_PER_SECOND),
        first_sequence: *produced,
        ..producer::Arguments::new(bench.topics.brokers(), &plan.topic, plan.partitions, plan.tenants, events)
    };
    let mut producer = run.begin_measuring(&arguments, WARM_UP)?;
    producer.hear()?;
    *produced += events;
    let report = run.wait_for(*produced)?;
    let rss_peak_bytes = run.rss_peak_bytes();
    run.stop()?;
    bench.lost += produced.saturating_sub(report.events);
    Ok(Measured { all_read, idle_cpu_share, latency: report.latency, rss_peak_bytes })
}

/// Assigned is not read: a partition whose start is not known yet costs nothing and delivers nothing.
fn wait_until_all_are_read(run: &mut Run, events: u64) -> io::Result<Duration> {
    let started = Instant::now();
    loop {
        let report = run.wait_for(events)?;
        if report.events >= events {
            return Ok(started.elapsed());
        }
        if started.elapsed() > ALL_READ_MAX {
            let came = report.events;
            return Err(io::Error::other(format!("some partitions are not read: {came} events of {events} came")));
        }
    }
}

const ROWS: [(&str, Cell<Measured>, &str); 5] = [
    ("all read after, s", |m| seconds(m.all_read), ""),
    ("idle, of a core", |m| tenths_of_percent(m.idle_cpu_share), "≤ 2 %"),
    ("p50, ms", |m| format!("{:.1}", m.latency.p50), "≤ 4"),
    ("p99, ms", |m| format!("{:.1}", m.latency.p99), ""),
    ("RSS at most, MB", |m| megabytes(m.rss_peak_bytes), ""),
];

const EVENTS_PER_SECOND: f64 = 20.0;
const ALL_READ_MAX: Duration = Duration::from_secs(180);
/// Time for what follows the first round of assignments and look-ups: commits of the first events.
const SETTLE: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(2);
