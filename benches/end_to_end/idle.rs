//! ● Nothing happens: the CPU that a process costs with many endpoints that are only registered.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    addresses, drain,
    options::Name,
    plan::Plan,
    process,
    scenarios::{Bench, progress},
    sender::{Run, Stage, Who},
    table::{Cell, Table, megabytes, tenths_of_percent, thousands},
};

struct Measured {
    /// Of one core.
    cpu_share: f64,
    rss_peak_bytes: u64,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Idle) {
        return Ok(None);
    }
    let mut columns = Vec::new();
    let mut ratios = vec!["of the fewest".to_owned()];
    for round in 1..=bench.options.rounds_or(1) {
        let mut shares = Vec::new();
        for endpoints in [bench.options.endpoints, (10 * bench.options.endpoints).min(addresses::MAX)] {
            let topic = bench.topics.create(&format!("idle-{endpoints}-{round}"), PARTITIONS)?;
            let plan = Plan { tenants: endpoints, ..Plan::many(&topic, PARTITIONS, endpoints) };
            let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
            let measured = measure(&mut stage, bench)?;
            let label = format!("{} endpoints, round {round}", thousands(endpoints as f64));
            progress(&format!("{label}: {} of a core", tenths_of_percent(measured.cpu_share)));
            shares.push(measured.cpu_share);
            columns.push((label, measured));
            drop(stage);
            bench.topics.delete(&topic);
        }
        ratios.extend(shares.iter().map(|share| format!("{:.2} ×", share / shares[0])));
    }
    let title = format!("Nothing happens in {PARTITIONS} partitions");
    let mut table = Table::of_columns(&title, &columns, &ROWS);
    table.row(ratios.into_iter().chain(["≤ 1.2 ×".to_owned()]));
    Ok(Some(table))
}

fn measure(stage: &mut Stage, bench: &mut Bench<'_>) -> io::Result<Measured> {
    let run = stage.start(Who::Postrider, &drain::group(stage.plan(), "idle"), &mut bench.topics)?;
    wait_until_assigned(&run)?;
    thread::sleep(SETTLE);
    let cpu_share = process::cpu_share(run.pid(), bench.options.seconds_or(60));
    let rss_peak_bytes = run.rss_peak_bytes();
    run.stop()?;
    Ok(Measured { cpu_share, rss_peak_bytes })
}

fn wait_until_assigned(run: &Run) -> io::Result<()> {
    let started = Instant::now();
    while run.metric("postrider_partitions_assigned")? < f64::from(PARTITIONS) {
        if started.elapsed() > ASSIGNED_MAX {
            return Err(io::Error::other("the partitions are not assigned"));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

const ROWS: [(&str, Cell<Measured>, &str); 2] = [
    ("of a core", |m| tenths_of_percent(m.cpu_share), "≤ 2 %"),
    ("RSS at most, MB", |m| megabytes(m.rss_peak_bytes), ""),
];

const PARTITIONS: i32 = 8;
const ASSIGNED_MAX: Duration = Duration::from_secs(60);
/// The first round of look-ups and reports.
const SETTLE: Duration = Duration::from_secs(10);
