//! ● Catching up: millions of events are there before Postrider starts, for many endpoints that answer at once. Nobody is
//! slow, so nothing belongs into the backlog, and it goes as fast as a drain that is over before anything grows old.

use std::{
    io,
    time::{Duration, Instant},
};

use crate::{
    drain,
    kafka::Topics,
    options::Name,
    plan::Plan,
    receiver::{Interval, Question, Report},
    sampler::{Sampler, Worst},
    scenarios::{Bench, progress},
    sender::{Stage, Who},
    table::{Cell, Table, megabytes, percent, seconds, thousands},
};

/// A whole drain, from the first event to the last.
#[derive(Debug, Clone)]
pub struct Caught {
    pub interval: Option<Interval>,
    pub worst: Worst,
    pub duplicates: u64,
    pub lost: u64,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::CatchUp) {
        return Ok(None);
    }
    let events = bench.options.events_or(2_000_000);
    let mut columns = Vec::new();
    for partitions in bench.options.partitions.clone() {
        let short = short_drain(bench, partitions)?;
        let topic = bench.full_topic(&format!("catch-up-{partitions}"), partitions, many_tenants(bench), events)?;
        let plan = Plan::many(&topic, partitions, bench.options.endpoints);
        let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
        for round in 1..=bench.options.rounds_or(1) {
            let label = format!("{partitions} partitions, round {round}");
            let caught = catch_up(&mut stage, events, &label, &mut bench.topics)?;
            bench.lost += caught.lost;
            columns.push((label, (short, caught)));
        }
        drop(stage);
        bench.topics.delete(&topic);
    }
    let title = format!("Catching up with {} events, {} endpoints", thousands(events as f64), bench.options.endpoints);
    Ok(Some(Table::of_columns(&title, &columns, &ROWS)))
}

/// The rate to compare with: over before an event could grow old.
fn short_drain(bench: &mut Bench<'_>, partitions: i32) -> io::Result<drain::Measured> {
    let events = SHORT_EVENTS.min(bench.options.events_or(SHORT_EVENTS));
    let topic = bench.full_topic(&format!("short-{partitions}"), partitions, many_tenants(bench), events)?;
    let plan = Plan::many(&topic, partitions, bench.options.endpoints);
    let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
    let measured = drain::run(&mut stage, Who::Postrider, events, "short", &mut bench.topics)?;
    bench.lost += measured.lost;
    progress(&format!("{partitions} partitions, short: {}/s", thousands(measured.events_per_second)));
    drop(stage);
    bench.topics.delete(&topic);
    Ok(measured)
}

pub fn many_tenants(bench: &Bench<'_>) -> usize {
    Plan::many("", 1, bench.options.endpoints).tenants
}

/// Delivers the whole topic, and says on the way how it goes.
pub fn catch_up(stage: &mut Stage, events: u64, label: &str, topics: &mut Topics) -> io::Result<Caught> {
    let group = drain::group(stage.plan(), label);
    let mut run = stage.start(Who::Postrider, &group, topics)?;
    let sampler = run.sampler()?;
    let _: Report = run.receiver.ask(&Question::Watch { pid: run.pid(), from: 1, to: events, below: u64::MAX })?;
    let mut shown = Shown::new(label);
    let report = run.wait_showing(events, |report| shown.show(report, &sampler))?;
    let mut worst = sampler.worst();
    worst.rss_bytes = worst.rss_bytes.max(run.rss_peak_bytes());
    drop(sampler);
    run.stop()?;
    Ok(Caught {
        interval: report.interval,
        worst,
        duplicates: report.duplicates,
        lost: events.saturating_sub(report.events),
    })
}

/// A line of progress every few seconds.
pub struct Shown<'a> {
    label: &'a str,
    started: Instant,
    last: Option<(Instant, u64)>,
}

impl<'a> Shown<'a> {
    pub fn new(label: &'a str) -> Self {
        Shown { label, started: Instant::now(), last: None }
    }

    pub fn show(&mut self, report: &Report, sampler: &Sampler) {
        let now = Instant::now();
        let Some((at, events)) = self.last else {
            self.last = Some((now, report.events));
            return;
        };
        let passed = now - at;
        if passed < SHOW_EVERY {
            return;
        }
        self.last = Some((now, report.events));
        let sample = sampler.latest();
        progress(&format!(
            "{}, {:>4.0} s: {:>10} delivered ({}/s), {} parked, {} in the backlog, {} MB, {} outstanding, {} s uncommitted {}",
            self.label,
            self.started.elapsed().as_secs_f64(),
            thousands(report.events as f64),
            thousands((report.events - events) as f64 / passed.as_secs_f64()),
            thousands(sample.parked as f64),
            thousands(sample.backlog_rows as f64),
            megabytes(sample.rss_bytes),
            thousands(sample.outstanding as f64),
            seconds(sample.uncommitted),
            sample.paused,
        ));
    }
}

impl Caught {
    pub fn events_per_second(&self) -> f64 {
        self.interval.map_or(0.0, |interval| interval.events as f64 / interval.time.as_secs_f64())
    }

    pub fn events_per_cpu_second(&self) -> f64 {
        self.interval.map_or(0.0, |interval| interval.events as f64 / interval.cpu.as_secs_f64())
    }
}

/// What came, and the short drain beside it.
type Column = (drain::Measured, Caught);

const ROWS: [(&str, Cell<Column>, &str); 11] = [
    ("events/s, from the first to the last", |(_, caught)| thousands(caught.events_per_second()), ""),
    ("events/s of a short drain", |(short, _)| thousands(short.events_per_second), ""),
    ("of it", |(short, caught)| percent(caught.events_per_second() / short.events_per_second), "≥ 90 %"),
    ("events per CPU-second", |(_, caught)| thousands(caught.events_per_cpu_second()), ""),
    ("of the short drain", |(short, _)| thousands(short.events_per_cpu_second), ""),
    ("parked", |(_, caught)| thousands(caught.worst.parked as f64), "0"),
    ("backlog, rows at most", |(_, caught)| thousands(caught.worst.backlog_rows as f64), ""),
    ("outstanding at most", |(_, caught)| thousands(caught.worst.outstanding as f64), ""),
    ("RSS at most, MB", |(_, caught)| megabytes(caught.worst.rss_bytes), "≤ 400"),
    ("oldest uncommitted, s", |(_, caught)| seconds(caught.worst.uncommitted), "≤ 3"),
    ("twice", |(_, caught)| caught.duplicates.to_string(), ""),
];

const SHORT_EVENTS: u64 = 200_000;
const SHOW_EVERY: Duration = Duration::from_secs(5);
