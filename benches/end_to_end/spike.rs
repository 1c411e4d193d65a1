//! ● A spike: for a while twice what the machine can do is offered, then half of it. What cannot be delivered yet stays in
//! Kafka, and everything is as before once that is gone, with nobody's help.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    catch_up::{Shown, many_tenants},
    drain,
    kafka::Topics,
    options::Name,
    plan::Plan,
    producer::{self, Order},
    receiver::{Question, Report, wall_ns},
    role::Role,
    sampler::{Sampler, Worst},
    scenarios::{Bench, progress},
    sender::{Run, Stage, Who},
    table::{Cell, Table, megabytes, seconds, thousands},
    windows::{SECOND_NS, Window},
};

struct Measured {
    /// Of a full topic, while nothing is produced.
    alone_per_second: f64,
    /// Of what is produced meanwhile, faster than that: what the machine can do.
    machine_per_second: f64,
    spike: Spike,
    before_p99_ms: f64,
    worst_p99_ms: f64,
    /// Since the spike's end.
    lag_gone: Option<Duration>,
    p99_back: Option<Duration>,
    worst: Worst,
    duplicates: u64,
    lost: u64,
}

/// Of the spike itself.
#[derive(Clone, Copy)]
struct Spike {
    produced_per_second: f64,
    delivered_per_second: f64,
    /// When it ended.
    lag: u64,
    end_ns: u64,
}

pub fn run(bench: &mut Bench<'_>) -> io::Result<Option<Table>> {
    if !bench.options.wants(Name::Spike) {
        return Ok(None);
    }
    let lasts = bench.options.seconds_or(120);
    let mut columns = Vec::new();
    for round in 1..=bench.options.rounds_or(1) {
        let first = bench.options.events_or(FIRST_EVENTS);
        let topic = bench.full_topic(&format!("spike-{round}"), PARTITIONS, many_tenants(bench), first)?;
        let plan = Plan::many(&topic, PARTITIONS, bench.options.endpoints);
        let mut stage = Stage::new(plan, &mut bench.topics, bench.options.cores())?;
        let measured = measure(&mut stage, first, lasts, &mut bench.topics)?;
        bench.lost += measured.lost;
        columns.push((format!("round {round}"), measured));
        drop(stage);
        bench.topics.delete(&topic);
    }
    let title = format!("A spike of {} s, {} endpoints", lasts.as_secs(), bench.options.endpoints);
    Ok(Some(Table::of_columns(&title, &columns, &ROWS)))
}

fn measure(stage: &mut Stage, first: u64, lasts: Duration, topics: &mut Topics) -> io::Result<Measured> {
    let group = drain::group(stage.plan(), "spike");
    let mut run = stage.start(Who::Postrider, &group, topics)?;
    let watch = Question::Watch { pid: run.pid(), from: first / 20, to: first / 20 * 19, below: u64::MAX };
    let _: Report = run.receiver.ask(&watch)?;
    let report = run.wait_for(first)?;
    let alone_per_second = report.interval.map_or(0.0, |i| i.events as f64 / i.time.as_secs_f64());
    let arguments = producer::Arguments {
        first_sequence: first,
        rate: Some((alone_per_second * CALIBRATE_OFFER).max(1.0)),
        ..producer::Arguments::new(topics.brokers(), &stage.plan().topic, PARTITIONS, stage.plan().tenants, u64::MAX)
    };
    let producer = Role::start("producer", &arguments)?;
    let sampler = run.sampler()?;
    let mut play = Play { run, producer, sampler, first, patience: (lasts * 10).max(PATIENCE_MIN) };

    thread::sleep(SETTLE);
    let machine = play.pass("the machine's rate", CALIBRATE)?;
    let machine_per_second = machine.delivered_per_second;
    play.order(&Order::Rate(machine_per_second / 2.0))?;
    play.until_lag_is_gone("before", machine_per_second / 2.0)?;
    thread::sleep(SETTLE);
    let _: Report = play.run.receiver.ask(&Question::MeasureWindows)?;
    play.pass("before", BEFORE)?;
    let before = play.windows()?;

    play.order(&Order::Rate(machine_per_second * 2.0))?;
    let spike = play.pass("the spike", lasts)?;
    play.order(&Order::Rate(machine_per_second / 2.0))?;
    let lag_gone = play.until_lag_is_gone("after", machine_per_second / 2.0)?;
    play.pass("afterwards", AFTERWARDS)?;
    let windows = play.windows()?;
    let worst = play.sampler.worst();
    let produced = first + play.order(&Order::Stop)?;
    let report = play.run.wait_for(produced)?;
    play.run.stop()?;
    let before_p99_ms = median_p99(&before);
    Ok(Measured {
        alone_per_second,
        machine_per_second,
        spike,
        before_p99_ms,
        worst_p99_ms: windows.iter().map(|window| window.p99).fold(0.0, f64::max),
        lag_gone,
        p99_back: back_after(&windows, spike.end_ns, before_p99_ms * P99_BACK),
        worst,
        duplicates: report.duplicates,
        lost: produced.saturating_sub(report.events),
    })
}

/// Everything at work.
struct Play {
    run: Run,
    producer: Role,
    sampler: Sampler,
    /// Events that were there before the producer.
    first: u64,
    patience: Duration,
}

impl Play {
    /// How many the producer has produced.
    fn order(&mut self, order: &Order) -> io::Result<u64> {
        self.producer.ask(order)
    }

    fn lag(&mut self) -> io::Result<(u64, Report)> {
        let produced = self.first + self.order(&Order::Count)?;
        let report = self.run.report()?;
        Ok((produced.saturating_sub(report.events), report))
    }

    /// Lets time pass, and says what was produced and delivered in it.
    fn pass(&mut self, label: &str, time: Duration) -> io::Result<Spike> {
        let (started, mut shown) = (Instant::now(), Shown::new(label));
        let (produced, delivered) = (self.order(&Order::Count)?, self.run.report()?.events);
        while started.elapsed() < time {
            thread::sleep(LOOK_EVERY);
            shown.show(&self.run.report()?, &self.sampler);
        }
        let (lag, report) = self.lag()?;
        let passed = started.elapsed().as_secs_f64();
        let spike = Spike {
            produced_per_second: (self.order(&Order::Count)? - produced) as f64 / passed,
            delivered_per_second: (report.events - delivered) as f64 / passed,
            lag,
            end_ns: wall_ns(),
        };
        progress(&format!(
            "{label}: {}/s produced, {}/s delivered, {} behind",
            thousands(spike.produced_per_second),
            thousands(spike.delivered_per_second),
            thousands(lag as f64),
        ));
        Ok(spike)
    }

    /// How long it took until no more than a tenth of a second's events were on their way; none where that never came.
    fn until_lag_is_gone(&mut self, label: &str, rate: f64) -> io::Result<Option<Duration>> {
        let (started, mut shown) = (Instant::now(), Shown::new(label));
        while started.elapsed() < self.patience {
            let (lag, report) = self.lag()?;
            if lag as f64 <= (rate / 10.0).max(10.0) {
                progress(&format!("{label}: the lag was gone after {} s", seconds(started.elapsed())));
                return Ok(Some(started.elapsed()));
            }
            shown.show(&report, &self.sampler);
            thread::sleep(LOOK_EVERY);
        }
        Ok(None)
    }

    fn windows(&mut self) -> io::Result<Vec<Window>> {
        self.run.receiver.ask(&Question::Windows)
    }
}

/// When it begins that latencies are this good for a while, one bad second in it allowed for.
fn back_after(windows: &[Window], from_ns: u64, p99_ms: f64) -> Option<Duration> {
    let after = windows.iter().position(|window| window.start_ns + SECOND_NS > from_ns)?;
    let good = windows[after..].windows(BACK_WINDOWS).find(|several| median_p99(several) <= p99_ms)?;
    Some(Duration::from_nanos(good[0].start_ns.saturating_sub(from_ns)))
}

fn median_p99(windows: &[Window]) -> f64 {
    let mut all: Vec<f64> = windows.iter().map(|window| window.p99).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

fn or_never(time: Option<Duration>) -> String {
    time.map_or("never".to_owned(), seconds)
}

const ROWS: [(&str, Cell<Measured>, &str); 15] = [
    ("drained alone, events/s", |m| thousands(m.alone_per_second), ""),
    ("drained beside a producer of 1.25 × that: the machine's rate", |m| thousands(m.machine_per_second), ""),
    ("offered in the spike, events/s", |m| thousands(m.machine_per_second * 2.0), ""),
    ("produced in the spike, events/s", |m| thousands(m.spike.produced_per_second), ""),
    ("delivered in the spike, events/s", |m| thousands(m.spike.delivered_per_second), ""),
    ("behind at its end, events", |m| thousands(m.spike.lag as f64), ""),
    ("p99 before, ms (the median of its seconds)", |m| format!("{:.1}", m.before_p99_ms), ""),
    ("the worst second's p99, ms", |m| thousands(m.worst_p99_ms), ""),
    ("the lag was gone after, s", |m| or_never(m.lag_gone), ""),
    ("p99 was back (1.5 ×) after, s", |m| or_never(m.p99_back), "≤ 1.2 × the lag's"),
    ("parked", |m| thousands(m.worst.parked as f64), "0"),
    ("backlog, rows at most", |m| thousands(m.worst.backlog_rows as f64), ""),
    ("RSS at most, MB", |m| megabytes(m.worst.rss_bytes), ""),
    ("oldest uncommitted, s", |m| seconds(m.worst.uncommitted), ""),
    ("twice", |m| m.duplicates.to_string(), ""),
];

const PARTITIONS: i32 = 64;
const FIRST_EVENTS: u64 = 200_000;
const SETTLE: Duration = Duration::from_secs(3);
/// Of the rate without a producer: more than the machine can do with one.
const CALIBRATE_OFFER: f64 = 1.25;
const CALIBRATE: Duration = Duration::from_secs(15);
const BEFORE: Duration = Duration::from_secs(15);
const AFTERWARDS: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Of its value before, is as good as before.
const P99_BACK: f64 = 1.5;
/// In the median of so many seconds.
const BACK_WINDOWS: usize = 5;
const PATIENCE_MIN: Duration = Duration::from_secs(120);
