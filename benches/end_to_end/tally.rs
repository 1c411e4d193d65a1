//! ● Counts of the benchmark's customers: every event once, by its sequence number, so that a loss cannot hide behind a
//! duplicate; and how long it took.

use std::time::{Duration, Instant};

use crate::{
    histogram::Histogram,
    payload, process,
    receiver::{Interval, Latency, Question, Report, wall_ns},
    windows::Windows,
};

/// The counts so far.
pub struct Tally {
    /// A bit for every sequence number.
    seen: Vec<u64>,
    events: u64,
    duplicates: u64,
    requests: u64,
    connections: u64,
    body_bytes: u64,
    scanner: payload::Scanner,
    latency: Histogram,
    latency_since_ns: u64,
    windows: Option<Windows>,
    watch: Option<Watch>,
    interval: Option<Interval>,
}

struct Watch {
    pid: u32,
    from: u64,
    to: u64,
    below: u64,
    /// Different events below that have come.
    events: u64,
    /// When `from` was passed: the time, the process's CPU and the events by then.
    started: Option<(Instant, Duration, u64)>,
}

impl Tally {
    pub fn new() -> Self {
        Tally {
            seen: vec![0; 1 << 16],
            events: 0,
            duplicates: 0,
            requests: 0,
            connections: 0,
            body_bytes: 0,
            scanner: payload::Scanner::default(),
            latency: Histogram::new(),
            latency_since_ns: 0,
            windows: None,
            watch: None,
            interval: None,
        }
    }

    /// The answer to a question, as a line.
    pub fn answer(&mut self, question: &Question) -> String {
        match *question {
            Question::Watch { pid, from, to, below } => {
                self.interval = None;
                self.watch = Some(Watch { pid, from, to, below, events: self.seen_below(below), started: None });
            }
            Question::MeasureLatency => {
                self.latency = Histogram::new();
                self.latency_since_ns = wall_ns();
            }
            Question::MeasureWindows => self.windows = Some(Windows::new(wall_ns())),
            Question::Windows => {
                let past = self.windows.as_mut().map_or(&[][..], |windows| windows.past(wall_ns()));
                return serde_json::to_string(past).expect("windows are plain data");
            }
            Question::LiftThrottle | Question::Report => {}
        }
        serde_json::to_string(&self.report()).expect("a report is plain data")
    }

    fn seen_below(&self, below: u64) -> u64 {
        if below == u64::MAX {
            return self.events;
        }
        let (words, bits) = ((below / 64) as usize, below % 64);
        let whole: u64 = self.seen.iter().take(words).map(|word| u64::from(word.count_ones())).sum();
        let part = self.seen.get(words).map_or(0, |word| (word & ((1 << bits) - 1)).count_ones());
        whole + u64::from(part)
    }

    pub fn count_connection(&mut self) {
        self.connections += 1;
    }

    /// Notes what a request brought; its latency only where the receiver is not what it waited for.
    pub fn count(&mut self, body: &[u8], timed: bool) {
        self.requests += 1;
        self.body_bytes += body.len() as u64;
        let now_ns = wall_ns();
        let mut scanner = std::mem::take(&mut self.scanner);
        scanner.scan(body, |sequence, at_ns| {
            if self.first_sight_of(sequence) {
                self.events += 1;
                if let Some(watch) = self.watch.as_mut().filter(|watch| sequence < watch.below) {
                    watch.events += 1;
                }
                if timed {
                    self.time(now_ns, at_ns);
                }
            } else {
                self.duplicates += 1;
            }
        });
        self.scanner = scanner;
        self.sample();
    }

    fn time(&mut self, now_ns: u64, at_ns: u64) {
        let micros = now_ns.saturating_sub(at_ns) / 1000;
        if at_ns >= self.latency_since_ns {
            self.latency.record(micros);
        }
        if let Some(windows) = &mut self.windows {
            windows.record(now_ns, micros);
        }
    }

    fn first_sight_of(&mut self, sequence: u64) -> bool {
        let (word, bit) = ((sequence / 64) as usize, 1 << (sequence % 64));
        if word >= self.seen.len() {
            self.seen.resize((word + 1).next_power_of_two(), 0);
        }
        let first = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        first
    }

    fn sample(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        match watch.started {
            None if watch.events >= watch.from => {
                watch.started = process::cpu(watch.pid).map(|cpu| (Instant::now(), cpu, watch.events));
            }
            Some((time, cpu, events)) if watch.events >= watch.to => {
                self.interval = process::cpu(watch.pid).map(|now| Interval {
                    events: watch.events - events,
                    time: time.elapsed(),
                    cpu: now - cpu,
                });
                self.watch = None;
            }
            _ => {}
        }
    }

    fn report(&self) -> Report {
        Report {
            events: self.events,
            duplicates: self.duplicates,
            requests: self.requests,
            connections: self.connections,
            body_bytes: self.body_bytes,
            interval: self.interval,
            latency: Latency {
                events: self.latency.count(),
                p50: self.latency.quantile_ms(0.5),
                p99: self.latency.quantile_ms(0.99),
                p999: self.latency.quantile_ms(0.999),
                max: self.latency.quantile_ms(1.0),
            },
        }
    }
}
