//! ● Many topics with nothing to do: the CPU that they cost, and the latency of a few events among them.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    drain,
    options::Name,
    plan::Plan,
    process, producer,
    receiver::{Latency, Question, Report},
    role::Role,
    scenarios::{Bench, progress},
    sender::{Stage, Who},
    table::{Cell, Table, megabytes, percent},
};

struct Measured {
    /// Of one core.
    idle_cpu_share: f64,
    latency: Latency,
    rss_peak_bytes: u64,
    lost: u64,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Topics) {
        return Ok(None);
    }
    let mut columns = Vec::new();
    for (topics, partitions) in [(1, 8), (500, 4), (500, 20)] {
        let names: Vec<String> = (0..topics).map(|number| format!("topics-{partitions}-{number}")).collect();
        let names = bench.topics.create_all(&names, partitions)?;
        let plan = Plan { empty_topics: names[1..].to_vec(), ..Plan::stream(&names[0], partitions, 1) };
        let label = format!("{topics} x {partitions} partitions");
        let measured = measure(bench, plan)?;
        progress(&format!(
            "{label}: {} of a core idle, p50 {:.1} ms",
            percent(measured.idle_cpu_share),
            measured.latency.p50
        ));
        bench.lost += measured.lost;
        columns.push((label, measured));
        names.iter().for_each(|name| bench.topics.delete(name));
    }
    let title = format!("Topics with nothing to do, then {EVENTS_PER_SECOND} events/s to one of them");
    Ok(Some(Table::of_columns(&title, &columns, &ROWS)))
}

fn measure(bench: &mut Bench<'_>, plan: Plan) -> io::Result<Measured> {
    let lasts = bench.options.seconds_or(20);
    let mut stage = Stage::new(plan.clone(), &mut bench.topics, bench.options.cores())?;
    let mut run = stage.start(Who::Postrider, &drain::group(&plan, "topics"), &mut bench.topics)?;
    thread::sleep(SETTLE);
    let (cpu, started) = (process::cpu(run.pid()).unwrap_or_default(), Instant::now());
    thread::sleep(lasts);
    let idle_cpu = process::cpu(run.pid()).unwrap_or_default() - cpu;
    let idle_cpu_share = idle_cpu.as_secs_f64() / started.elapsed().as_secs_f64();

    let events = (EVENTS_PER_SECOND * (WARM_UP + lasts).as_secs_f64()) as u64;
    let arguments = producer::Arguments {
        rate: Some(EVENTS_PER_SECOND),
        ..producer::Arguments::new(bench.topics.brokers(), &plan.topic, plan.partitions, plan.tenants, events)
    };
    let mut producer = Role::start("producer", &arguments)?;
    thread::sleep(WARM_UP);
    let _: Report = run.receiver.ask(&Question::MeasureLatency)?;
    producer.hear()?;
    let report = run.wait_for(events)?;
    let rss_peak_bytes = run.rss_peak_bytes();
    run.stop()?;
    let lost = events.saturating_sub(report.events);
    Ok(Measured { idle_cpu_share, latency: report.latency, rss_peak_bytes, lost })
}

const ROWS: [(&str, Cell<Measured>, &str); 4] = [
    ("idle, of a core", |m| percent(m.idle_cpu_share), "≤ 2 %"),
    ("p50, ms", |m| format!("{:.1}", m.latency.p50), "≤ 4"),
    ("p99, ms", |m| format!("{:.1}", m.latency.p99), ""),
    ("RSS at most, MB", |m| megabytes(m.rss_peak_bytes), ""),
];

const EVENTS_PER_SECOND: f64 = 20.0;
/// The first round of assignments and look-ups.
const SETTLE: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(2);
