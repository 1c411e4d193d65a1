//! ● Instances that come and go while events come: the longest wait of any event, and those that were sent twice.

use std::{io, thread, time::Duration};

use crate::{
    drain,
    kafka::Topics,
    options::Name,
    plan::Plan,
    postrider::Instance,
    producer::{self, Order},
    receiver::{Latency, Question, Report},
    role::Role,
    scenarios::{Bench, progress},
    sender::{Stage, Who},
    table::{Cell, Table},
};

struct Measured {
    label: &'static str,
    latency: Latency,
    duplicates: u64,
    bar: &'static str,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Fleet) {
        return Ok(None);
    }
    let topic = bench.topics.create("fleet", PARTITIONS)?;
    let plan = Plan::many(&topic, PARTITIONS, ENDPOINTS);
    let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
    let (measured, lost) = measure(&mut stage, bench.options.rounds_or(1), &mut bench.topics)?;
    bench.lost += lost;
    drop(stage);
    bench.topics.delete(&topic);
    let mut table = Table::new(
        &format!(
            "Instances come and go, {EVENTS_PER_SECOND} events/s to {ENDPOINTS} endpoints, {PARTITIONS} partitions"
        ),
        &["", "p50 ms", "p99 ms", "longest wait s", "twice", "longest wait, bar"],
    );
    for one in &measured {
        let cells = CELLS.iter().map(|cell| cell(one));
        table.row([one.label.to_owned()].into_iter().chain(cells).chain([one.bar.to_owned()]));
    }
    Ok(Some(table))
}

fn measure(stage: &mut Stage, rounds: usize, topics: &mut Topics) -> io::Result<(Vec<Measured>, u64)> {
    let group = drain::group(stage.plan(), "fleet");
    let mut run = stage.start(Who::Postrider, &group, topics)?;
    let arguments = producer::Arguments {
        rate: Some(EVENTS_PER_SECOND),
        ..producer::Arguments::new(topics.brokers(), &stage.plan().topic, PARTITIONS, stage.plan().tenants, u64::MAX)
    };
    let mut producer = Role::start("producer", &arguments)?;
    let mut measured = Vec::new();
    for _ in 0..rounds {
        let second = stage.another(&group)?;
        thread::sleep(SETTLE);
        let mut steps = Steps { receiver: &mut run.receiver, measured: &mut measured };
        steps.take("two instances, nobody comes or goes", "", || Ok(()))?;
        let third = steps.take("a third one joins", "≤ 0.5", || stage.another(&group))?;
        steps.take("kill -9 of one of three", "≤ 7", || third.kill())?;
        let third = stage.another_with(&group, &SHORT_SESSION)?;
        thread::sleep(SETTLE);
        steps.take("kill -9 of one of three, its session 3 s", "≤ 4", || third.kill())?;
        steps.take("SIGTERM of one of two", "≤ 0.5", || second.stop())?;
        let others = [stage.another(&group)?, stage.another(&group)?];
        thread::sleep(SETTLE);
        let others = steps.take("two of three are replaced, one after the other", "≤ 0.5", || {
            others.into_iter().map(|old| replace(stage, &group, old)).collect::<io::Result<Vec<Instance>>>()
        })?;
        others.into_iter().try_for_each(Instance::stop)?;
    }
    let produced: u64 = producer.ask(&Order::Stop)?;
    let report = run.wait_for(produced)?;
    run.stop()?;
    Ok((measured, produced.saturating_sub(report.events)))
}

/// As a rolling update does it: the new one is ready before the old one is told to stop.
fn replace(stage: &Stage, group: &str, old: Instance) -> io::Result<Instance> {
    let new = stage.another(group)?;
    old.stop()?;
    Ok(new)
}

/// Things that happen, each with a time after it in which events may still be late for it.
struct Steps<'a> {
    receiver: &'a mut Role,
    measured: &'a mut Vec<Measured>,
}

impl Steps<'_> {
    fn take<T>(
        &mut self,
        label: &'static str,
        bar: &'static str,
        step: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let before: Report = self.receiver.ask(&Question::MeasureLatency)?;
        let done = step()?;
        thread::sleep(AFTER);
        let report: Report = self.receiver.ask(&Question::Report)?;
        let duplicates = report.duplicates - before.duplicates;
        let longest = report.latency.max / 1000.0;
        progress(&format!("{label}: the longest wait is {longest:.2} s, {duplicates} twice"));
        self.measured.push(Measured { label, latency: report.latency, duplicates, bar });
        Ok(done)
    }
}

const CELLS: [Cell<Measured>; 4] = [
    |m| format!("{:.1}", m.latency.p50),
    |m| format!("{:.1}", m.latency.p99),
    |m| format!("{:.2}", m.latency.max / 1000.0),
    |m| m.duplicates.to_string(),
];

const ENDPOINTS: usize = 100;
const PARTITIONS: i32 = 24;
const EVENTS_PER_SECOND: f64 = 500.0;
/// Brokers allow it where `group.min.session.timeout.ms` says so, as the benchmark's does. It is each member's own.
const SHORT_SESSION: [(&str, &str); 1] = [("POSTRIDER_KAFKA_SESSION_TIMEOUT_MS", "3000")];
const SETTLE: Duration = Duration::from_secs(5);
/// Longer than it takes until the group has noticed that a member is gone.
const AFTER: Duration = Duration::from_secs(12);
