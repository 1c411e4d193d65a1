//! ● The wide world: HTTPS to ten thousand endpoints, each at an address of its own, that answer after 50 to 200 ms. An event
//! is late by what passes until its request has arrived; what the endpoint does then is its own time.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    addresses,
    catch_up::Shown,
    drain,
    kafka::Topics,
    options::Name,
    plan::{Far, Plan},
    process,
    producer::{self, Order},
    receiver::{Latency, Question, Report},
    role::Role,
    sampler::Worst,
    scenarios::{Bench, progress},
    sender::{Run, Stage, Who},
    table::{Cell, Table, megabytes, percent, thousands},
};

struct Measured {
    latency: Latency,
    /// Of one core.
    cpu_share: f64,
    connections: Connections,
    /// Connections opened a second.
    opened_per_second: f64,
    worst: Worst,
    duplicates: u64,
    lost: u64,
}

/// As the instance counts them.
struct Connections {
    open: f64,
    /// Connections that its limit of file handles leaves.
    most: f64,
    closed_for_room: f64,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Wan) {
        return Ok(None);
    }
    let (rate, endpoints) = (f64::from(bench.options.rate), (10 * bench.options.endpoints).min(addresses::MAX));
    let mut columns = Vec::new();
    for round in 1..=bench.options.rounds_or(1) {
        let topic = bench.topics.create(&format!("wan-{round}"), PARTITIONS)?;
        let plan = Plan { https: true, far: Some(FAR), ..Plan::many(&topic, PARTITIONS, endpoints) };
        let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
        let label = format!("round {round}");
        let measured = measure(&mut stage, rate, bench.options.seconds_or(60), &label, &mut bench.topics)?;
        bench.lost += measured.lost;
        columns.push((label, measured));
        drop(stage);
        bench.topics.delete(&topic);
    }
    let title = format!(
        "HTTPS, {}/s to {} endpoints that answer after {} to {} ms",
        thousands(rate),
        thousands(endpoints as f64),
        FAR.least.as_millis(),
        FAR.most.as_millis()
    );
    Ok(Some(Table::of_columns(&title, &columns, &ROWS)))
}

fn measure(stage: &mut Stage, rate: f64, lasts: Duration, label: &str, topics: &mut Topics) -> io::Result<Measured> {
    let plan = stage.plan().clone();
    let mut run = stage.start(Who::Postrider, &drain::group(&plan, "wan"), topics)?;
    let sampler = run.sampler()?;
    let mut shown = Shown::new(label);
    let mut producer = ramp_up(&plan, rate, topics)?;
    let before: Report = run.receiver.ask(&Question::MeasureLatency)?;
    let (cpu, started) = (process::cpu(run.pid()).unwrap_or_default(), Instant::now());
    while started.elapsed() < lasts {
        shown.show(&run.report()?, &sampler);
        thread::sleep(Duration::from_millis(100));
    }
    let (after, took) = (run.report()?, started.elapsed().as_secs_f64());
    let cpu = process::cpu(run.pid()).unwrap_or_default().saturating_sub(cpu);
    let connections = connections(&run)?;
    let worst = sampler.worst();
    drop(sampler);
    let events = producer.ask(&Order::Stop)?;
    let report = run.wait_for(events)?;
    run.stop()?;
    Ok(Measured {
        latency: after.latency,
        cpu_share: cpu.as_secs_f64() / took,
        connections,
        opened_per_second: (after.connections - before.connections) as f64 / took,
        worst,
        duplicates: report.duplicates,
        lost: events.saturating_sub(report.events),
    })
}

/// Step by step, so that not everybody is connected to at once; then for a while at the rate.
fn ramp_up(plan: &Plan, rate: f64, topics: &Topics) -> io::Result<Role> {
    let arguments = producer::Arguments {
        rate: Some(rate / f64::from(STEPS)),
        zipf: Some(0.0), // as chance has it: an endpoint is sometimes asked before it has answered
        ..producer::Arguments::new(topics.brokers(), &plan.topic, plan.partitions, plan.tenants, u64::MAX)
    };
    let mut producer = Role::start("producer", &arguments)?;
    for step in 1..=STEPS {
        let _: u64 = producer.ask(&Order::Rate(rate * f64::from(step) / f64::from(STEPS)))?;
        thread::sleep(STEP);
    }
    thread::sleep(WARM_UP);
    Ok(producer)
}

fn connections(run: &Run) -> io::Result<Connections> {
    let connections = Connections {
        open: run.metric("postrider_endpoint_connections")?,
        most: run.metric("postrider_endpoint_connections_max")?,
        closed_for_room: run.metric("postrider_endpoint_connections_closed_for_room_total")?,
    };
    progress(&format!("{} connections of {}", thousands(connections.open), thousands(connections.most)));
    Ok(connections)
}

const ROWS: [(&str, Cell<Measured>, &str); 11] = [
    ("until a request has arrived, p50, ms", |m| format!("{:.1}", m.latency.p50), "≤ 3"),
    ("p99, ms", |m| format!("{:.1}", m.latency.p99), "≤ 15"),
    ("p99.9, ms", |m| format!("{:.1}", m.latency.p999), ""),
    ("CPU, of a core", |m| percent(m.cpu_share), ""),
    ("connections open", |m| thousands(m.connections.open), ""),
    ("as many as there may be", |m| thousands(m.connections.most), ""),
    ("closed for room", |m| thousands(m.connections.closed_for_room), "0"),
    ("opened a second", |m| thousands(m.opened_per_second), ""),
    ("parked", |m| thousands(m.worst.parked as f64), "0"),
    ("RSS at most, MB", |m| megabytes(m.worst.rss_bytes), ""),
    ("twice", |m| m.duplicates.to_string(), ""),
];

const FAR: Far = Far { least: Duration::from_millis(50), most: Duration::from_millis(200) };
const PARTITIONS: i32 = 64;
const STEPS: u32 = 10;
const STEP: Duration = Duration::from_secs(3);
/// Longer than a connection is kept unused.
const WARM_UP: Duration = Duration::from_secs(20);
