//! ● A million subscription entries beside a thousand: a full topic is drained, and then events come at a rate. Each event is
//! of another tenant, so that matches are looked up all over the index.

use std::{io, time::Duration};

use crate::{
    drain,
    kafka::Topics,
    options::Name,
    plan::Plan,
    producer,
    receiver::{Interval, Latency, Question, Report},
    scenarios::{Bench, progress},
    sender::{Stage, Who},
    table::{Cell, Table, megabytes, percent, thousands},
};

struct Measured {
    /// Of the drain, between 5 % and 95 % of its events.
    interval: Interval,
    latency: Latency,
    rss_peak_bytes: u64,
    duplicates: u64,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Subscriptions) {
        return Ok(None);
    }
    let endpoints = bench.options.endpoints;
    let mut sides = Vec::new();
    for entries in [endpoints, ENTRIES_MOST.max(endpoints)] {
        sides.push(Side::new(entries, bench)?);
    }
    let mut columns = Vec::new();
    let mut ratios = [["rate, of the few's".to_owned()], ["per CPU-second, of the few's".to_owned()]].map(Vec::from);
    for round in 1..=bench.options.rounds_or(2) {
        let mut both = Vec::new();
        for side in &mut sides {
            let label = format!("{}, round {round}", thousands(side.entries as f64));
            let measured = side.measure(&label, bench)?;
            both.push([measured.events_per_second(), measured.events_per_cpu_second()]);
            columns.push((label, measured));
        }
        for (number, row) in ratios.iter_mut().enumerate() {
            row.extend([String::new(), percent(both[1][number] / both[0][number])]);
        }
    }
    for side in sides {
        let topic = side.stage.plan().topic.clone();
        drop(side);
        bench.topics.delete(&topic);
    }
    let title = format!(
        "Subscription entries of {endpoints} endpoints: a drain, then {}/s",
        thousands(bench.options.rate.into())
    );
    let mut table = Table::of_columns(&title, &columns, &ROWS);
    ratios.into_iter().for_each(|row| table.row(row.into_iter().chain(["≥ 95 %".to_owned()])));
    Ok(Some(table))
}

/// A topic with as many tenants as there are entries.
struct Side {
    entries: usize,
    stage: Stage,
    /// Events that the topic holds by now.
    produced: u64,
}

impl Side {
    fn new(entries: usize, bench: &mut Bench<'_>) -> io::Result<Self> {
        let produced = bench.options.events_or(EVENTS);
        let topic = bench.full_topic(&format!("subscriptions-{entries}"), PARTITIONS, entries, produced)?;
        let plan = Plan { tenants: entries, ..Plan::many(&topic, PARTITIONS, bench.options.endpoints) };
        let stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
        Ok(Side { entries, stage, produced })
    }

    fn measure(&mut self, label: &str, bench: &mut Bench<'_>) -> io::Result<Measured> {
        let group = drain::group(self.stage.plan(), label);
        let mut run = self.stage.start(Who::Postrider, &group, &mut bench.topics)?;
        let (from, to) = (self.produced / 20, self.produced / 20 * 19);
        let _: Report = run.receiver.ask(&Question::Watch { pid: run.pid(), from, to, below: u64::MAX })?;
        let drained = run.wait_for(self.produced)?;
        let rate = f64::from(bench.options.rate);
        let events = (rate * (WARM_UP + bench.options.seconds_or(20)).as_secs_f64()) as u64;
        let mut producer = run.begin_measuring(&self.paced(rate, events, &bench.topics), WARM_UP)?;
        producer.hear()?;
        self.produced += events;
        let report = run.wait_for(self.produced)?;
        let rss_peak_bytes = run.rss_peak_bytes();
        run.stop()?;
        bench.lost += self.produced.saturating_sub(report.events);
        let interval = drained.interval.ok_or_else(|| io::Error::other("the topic was not drained"))?;
        let measured = Measured { interval, latency: report.latency, rss_peak_bytes, duplicates: report.duplicates };
        progress(&format!(
            "{label}: {}/s, p99 {:.1} ms, {} MB",
            thousands(measured.events_per_second()),
            measured.latency.p99,
            megabytes(rss_peak_bytes)
        ));
        Ok(measured)
    }

    fn paced(&self, rate: f64, events: u64, topics: &Topics) -> producer::Arguments {
        let plan = self.stage.plan();
        producer::Arguments {
            rate: Some(rate),
            first_sequence: self.produced,
            ..producer::Arguments::new(topics.brokers(), &plan.topic, plan.partitions, plan.tenants, events)
        }
    }
}

impl Measured {
    fn events_per_second(&self) -> f64 {
        self.interval.events as f64 / self.interval.time.as_secs_f64()
    }

    fn events_per_cpu_second(&self) -> f64 {
        self.interval.events as f64 / self.interval.cpu.as_secs_f64()
    }
}

const ROWS: [(&str, Cell<Measured>, &str); 7] = [
    ("drain, events/s", |m| thousands(m.events_per_second()), ""),
    ("drain, events per CPU-second", |m| thousands(m.events_per_cpu_second()), ""),
    ("at the rate, p50, ms", |m| format!("{:.1}", m.latency.p50), ""),
    ("p99, ms", |m| format!("{:.1}", m.latency.p99), ""),
    ("p99.9, ms", |m| format!("{:.1}", m.latency.p999), ""),
    ("RSS at most, MB", |m| megabytes(m.rss_peak_bytes), ""),
    ("twice", |m| m.duplicates.to_string(), ""),
];

const ENTRIES_MOST: usize = 1_000_000;
const EVENTS: u64 = 200_000;
const PARTITIONS: i32 = 8;
const WARM_UP: Duration = Duration::from_secs(6);
