//! ● Some are slow: one endpoint in ten takes a tenth of what it is offered, and only its own events wait. Beside it the same
//! load where all are quick.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    addresses,
    catch_up::{Shown, many_tenants},
    drain,
    kafka::Topics,
    options::Name,
    plan::{Plan, Slow},
    producer,
    receiver::{Latency, Question, Report},
    rest::Caller,
    sampler::Worst,
    scenarios::{Bench, progress},
    sender::{Stage, Who},
    table::{Cell, Table, megabytes, seconds, thousands},
};

struct Measured {
    /// Of the quick ones.
    latency: Latency,
    /// Their rows in the backlog, at most of all looks.
    healthy_parked: u64,
    worst: Worst,
    /// At the beginning of what was measured, in its middle and at its end.
    rss_bytes: [u64; 3],
    duplicates: u64,
    lost: u64,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::SlowTenth) {
        return Ok(None);
    }
    let (rate, endpoints) = (f64::from(bench.options.rate), bench.options.endpoints);
    let mut columns: Vec<(String, Measured)> = Vec::new();
    let mut ratios = Vec::new();
    for round in 1..=bench.options.rounds_or(1) {
        let mut p99 = Vec::new();
        for (label, are_slow) in [("all quick", false), ("a tenth slow", true)] {
            let name = format!("{}-{round}", label.replace(' ', "-"));
            let topic = bench.topics.create(&name, PARTITIONS)?;
            let plan = Plan::many(&topic, PARTITIONS, endpoints);
            let slow = are_slow.then(|| slow(rate / endpoints as f64, plan.in_flight_max));
            let mut stage = Stage::new(Plan { slow, ..plan }, &mut bench.topics, bench.options.cores())?;
            let label = format!("{label}, round {round}");
            let measured = measure(&mut stage, rate, bench.options.seconds_or(60), &label, &mut bench.topics)?;
            bench.lost += measured.lost;
            p99.push(measured.latency.p99);
            columns.push((label, measured));
            drop(stage);
            bench.topics.delete(&topic);
        }
        ratios.push(format!("{:.2} ×", p99[1] / p99[0]));
    }
    let title = format!(
        "{}/s to {endpoints} endpoints, {} tenants; one in {SLOW_EVERY} takes a tenth of what it is offered",
        thousands(rate),
        many_tenants(bench)
    );
    let mut table = Table::of_columns(&title, &columns, &ROWS);
    let cells = ratios.into_iter().flat_map(|ratio| [String::new(), ratio]);
    table.row(["p99, ratio".to_owned()].into_iter().chain(cells).chain(["≤ 1.2 ×".to_owned()]));
    Ok(Some(table))
}

/// So slow that an endpoint takes a tenth of so many events a second.
fn slow(offered_per_second: f64, in_flight_max: usize) -> Slow {
    let after = Duration::from_secs_f64(in_flight_max as f64 / (offered_per_second / 10.0));
    progress(&format!("a slow one answers after {} s", seconds(after)));
    Slow { every: SLOW_EVERY, after }
}

fn measure(stage: &mut Stage, rate: f64, lasts: Duration, label: &str, topics: &mut Topics) -> io::Result<Measured> {
    let plan = stage.plan().clone();
    let mut run = stage.start(Who::Postrider, &drain::group(&plan, "slow"), topics)?;
    let events = (rate * (WARM_UP + lasts).as_secs_f64()) as u64;
    let arguments = producer::Arguments {
        rate: Some(rate),
        ..producer::Arguments::new(topics.brokers(), &plan.topic, plan.partitions, plan.tenants, events)
    };
    let mut producer = run.begin_measuring(&arguments, WARM_UP)?;
    let (sampler, caller) = (run.sampler()?, run.caller()?);
    let (started, mut shown, mut looked) = (Instant::now(), Shown::new(label), Instant::now());
    let mut healthy_parked = 0;
    while started.elapsed() < lasts {
        if looked.elapsed() > LOOK_EVERY {
            looked = Instant::now();
            healthy_parked = healthy_parked.max(healthy_backlog(&caller, plan.slow)?);
        }
        shown.show(&run.report()?, &sampler);
        thread::sleep(Duration::from_millis(100));
    }
    producer.hear()?;
    let latency = run.report()?.latency;
    let (worst, rss_bytes) = (sampler.worst(), [0.0, 0.5, 1.0].map(|part| sampler.rss_bytes_at(part)));
    // What waits for the slow ones shall come as well.
    let _: Report = run.receiver.ask(&Question::LiftThrottle)?;
    let report = run.wait_showing(events, |report| shown.show(report, &sampler))?;
    drop(sampler);
    run.stop()?;
    let (duplicates, lost) = (report.duplicates, events.saturating_sub(report.events));
    Ok(Measured { latency, healthy_parked, worst, rss_bytes, duplicates, lost })
}

/// Rows of the backlog whose endpoints are quick.
fn healthy_backlog(caller: &Caller, slow: Option<Slow>) -> io::Result<u64> {
    let is_slow = |uid: &str| {
        let number = uid.rsplit('-').next().and_then(|number| number.parse().ok());
        slow.zip(number).is_some_and(|(slow, number)| addresses::is_one_in(number, slow.every))
    };
    let (mut rows, mut path) = (0, PAGE.to_owned());
    loop {
        let page = caller.get(&path)?;
        for endpoint in page["data"].as_array().into_iter().flatten() {
            if !endpoint["uid"].as_str().is_some_and(is_slow) {
                rows += endpoint["health"]["backlog_events"].as_u64().unwrap_or(0);
            }
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{PAGE}&cursor={cursor}"),
            None => return Ok(rows),
        }
    }
}

const ROWS: [(&str, Cell<Measured>, &str); 9] = [
    ("the quick ones' p50, ms", |m| format!("{:.1}", m.latency.p50), ""),
    ("their p99, ms", |m| format!("{:.1}", m.latency.p99), ""),
    ("their p99.9, ms", |m| format!("{:.1}", m.latency.p999), ""),
    ("their rows in the backlog, at most", |m| thousands(m.healthy_parked as f64), "0"),
    ("parked, of all", |m| thousands(m.worst.parked as f64), ""),
    ("oldest uncommitted, s", |m| seconds(m.worst.uncommitted), "≤ 6"),
    ("RSS at the beginning, in the middle, at the end, MB", |m| m.rss_bytes.map(megabytes).join(" / "), "flat"),
    ("RSS at most, MB", |m| megabytes(m.worst.rss_bytes), ""),
    ("twice", |m| m.duplicates.to_string(), ""),
];

const PAGE: &str = "/endpoints?limit=250&include=health";
const PARTITIONS: i32 = 64;
const SLOW_EVERY: usize = 10;
const WARM_UP: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_secs(5);
