//! ● A few tenants have most of the events, as Zipf's law has it: their neighbours do not notice. Beside it the same load
//! spread evenly.

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
    producer,
    receiver::Latency,
    sampler::Worst,
    scenarios::Bench,
    sender::{Stage, Who},
    spread,
    table::{Cell, Table, megabytes, percent, seconds, thousands},
};

struct Measured {
    /// Of the quiet ones.
    latency: Latency,
    worst: Worst,
    duplicates: u64,
    lost: u64,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Skew) {
        return Ok(None);
    }
    let (rate, endpoints) = (f64::from(bench.options.rate), bench.options.endpoints);
    let mut columns = Vec::new();
    let mut ratios = ["p50, of the even load's", "p99, of the even load's"].map(|label| vec![label.to_owned()]);
    for round in 1..=bench.options.rounds_or(1) {
        let mut both = Vec::new();
        for (label, exponent) in [("even", 0.0), ("skewed", ZIPF)] {
            let topic = bench.topics.create(&format!("{label}-{round}"), PARTITIONS)?;
            let plan = Plan::many(&topic, PARTITIONS, endpoints);
            let plan = Plan { tenants: TENANTS.max(endpoints), untimed: endpoints / 10, ..plan };
            let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
            let label = format!("{label}, round {round}");
            let lasts = bench.options.seconds_or(60);
            let measured = measure(&mut stage, rate, exponent, lasts, &label, &mut bench.topics)?;
            bench.lost += measured.lost;
            both.push([measured.latency.p50, measured.latency.p99]);
            columns.push((label, measured));
            drop(stage);
            bench.topics.delete(&topic);
        }
        for (number, row) in ratios.iter_mut().enumerate() {
            row.extend([String::new(), format!("{:.2} ×", both[1][number] / both[0][number])]);
        }
    }
    let mut table = Table::of_columns(&title(rate, endpoints), &columns, &ROWS);
    ratios.into_iter().for_each(|row| table.row(row.into_iter().chain(["≤ 1.2 ×".to_owned()])));
    Ok(Some(table))
}

fn title(rate: f64, endpoints: usize) -> String {
    let tenants = TENANTS.max(endpoints);
    let of_first = (0..tenants).step_by(endpoints).map(|tenant| spread::zipf_share(tenant, tenants, ZIPF)).sum();
    format!(
        "{}/s of {} tenants to {endpoints} endpoints, as Zipf's law has it ({ZIPF}): the busiest endpoint gets {}",
        thousands(rate),
        thousands(tenants as f64),
        percent(of_first)
    )
}

fn measure(
    stage: &mut Stage,
    rate: f64,
    exponent: f64,
    lasts: Duration,
    label: &str,
    topics: &mut Topics,
) -> io::Result<Measured> {
    let plan = stage.plan().clone();
    let mut run = stage.start(Who::Postrider, &drain::group(&plan, "skew"), topics)?;
    let events = (rate * (WARM_UP + lasts).as_secs_f64()) as u64;
    let arguments = producer::Arguments {
        rate: Some(rate),
        zipf: Some(exponent),
        ..producer::Arguments::new(topics.brokers(), &plan.topic, plan.partitions, plan.tenants, events)
    };
    let mut producer = run.begin_measuring(&arguments, WARM_UP)?;
    let sampler = run.sampler()?;
    let (started, mut shown) = (Instant::now(), Shown::new(label));
    while started.elapsed() < lasts {
        shown.show(&run.report()?, &sampler);
        thread::sleep(Duration::from_millis(100));
    }
    producer.hear()?;
    let report = run.wait_for(events)?;
    let worst = sampler.worst();
    drop(sampler);
    run.stop()?;
    let lost = events.saturating_sub(report.events);
    Ok(Measured { latency: report.latency, worst, duplicates: report.duplicates, lost })
}

const ROWS: [(&str, Cell<Measured>, &str); 8] = [
    ("the quietest 9 in 10: p50, ms", |m| format!("{:.1}", m.latency.p50), ""),
    ("their p99, ms", |m| format!("{:.1}", m.latency.p99), ""),
    ("their p99.9, ms", |m| format!("{:.1}", m.latency.p999), ""),
    ("parked, of all", |m| thousands(m.worst.parked as f64), "0"),
    ("backlog, rows at most", |m| thousands(m.worst.backlog_rows as f64), ""),
    ("oldest uncommitted, s", |m| seconds(m.worst.uncommitted), "≤ 6"),
    ("RSS at most, MB", |m| megabytes(m.worst.rss_bytes), ""),
    ("twice", |m| m.duplicates.to_string(), ""),
];

const TENANTS: usize = 30_000;
const ZIPF: f64 = 1.1;
const PARTITIONS: i32 = 64;
const WARM_UP: Duration = Duration::from_secs(10);
