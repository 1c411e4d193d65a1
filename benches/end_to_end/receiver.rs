//! ● The customers of the benchmark: one thread that answers POSTs at every address of 127.0.0.0/8 on one port, as
//! cheaply as it can, and counts what came. Told what to do by lines on its standard input.
//!
//! Every event is counted once by its sequence number, so a loss cannot hide behind a duplicate.

use std::{
    io::{self, BufRead, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpSocket, TcpStream};

use crate::{
    addresses,
    connection::{Connection, Manner},
    histogram::Histogram,
    payload,
    plan::Slow,
    process,
    throttle::Throttle,
    windows::Windows,
};

#[derive(Serialize, Deserialize)]
pub struct Arguments {
    pub port: u16,
    /// The addresses of these endpoints accept everything and answer nothing: those whose number this divides.
    pub hung_every: Option<usize>,
    /// All of them together answer no more often than this a second; what came meanwhile waits for its turn.
    pub answers_per_second: Option<f64>,
    pub slow: Option<Slow>,
}

/// What a receiver is asked.
#[derive(Serialize, Deserialize)]
pub enum Question {
    /// Sample the process's CPU when so many different events with sequence numbers below this have come, and again at
    /// so many.
    Watch {
        pid: u32,
        from: u64,
        to: u64,
        below: u64,
    },
    /// Forget the latencies so far; count only events produced from now on.
    MeasureLatency,
    /// From now on second by second as well.
    MeasureWindows,
    /// Answered with the seconds that are over.
    Windows,
    /// From now on everybody answers at once.
    LiftThrottle,
    Report,
}

/// What came until now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// Different events.
    pub events: u64,
    pub duplicates: u64,
    pub requests: u64,
    pub body_bytes: u64,
    /// Between the two marks of [`Question::Watch`], once both are passed.
    pub interval: Option<Interval>,
    pub latency: Latency,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Interval {
    pub events: u64,
    pub time: Duration,
    pub cpu: Duration,
}

/// From produce to receipt, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Latency {
    pub events: u64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Runs until its standard input ends; writes a line once it listens.
pub fn run(arguments: &Arguments) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // 0.0.0.0 so that one listener serves all of 127.0.0.0/8; peers from elsewhere are turned away below.
    socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, arguments.port)))?;
    let listener = socket.listen(4096)?;
    println!("listening");
    let tally = Arc::new(Mutex::new(Tally::new()));
    let slow_after = arguments.slow.map(|slow| slow.after);
    let throttle = Arc::new(Mutex::new(Throttle::new(arguments.answers_per_second, slow_after)));
    std::thread::spawn({
        let (tally, throttle) = (Arc::clone(&tally), Arc::clone(&throttle));
        move || answer_questions(&tally, &throttle)
    });
    runtime.block_on(async {
        loop {
            // Out of file handles: what is open goes on, and the next round may have one.
            let Ok((stream, peer)) = listener.accept().await else { continue };
            if !peer.ip().is_loopback() {
                continue;
            }
            let manner = manner(&stream, arguments);
            let _ = stream.set_nodelay(true);
            tokio::spawn(Connection::new(stream, manner, Arc::clone(&tally), Arc::clone(&throttle)).serve());
        }
    })
}

fn manner(stream: &TcpStream, arguments: &Arguments) -> Manner {
    let Ok(IpAddr::V4(ip)) = stream.local_addr().map(|address| address.ip()) else { return Manner::Quick };
    let Some(endpoint) = addresses::endpoint_of(ip) else { return Manner::Quick };
    if arguments.hung_every.is_some_and(|every| addresses::is_one_in(endpoint, every)) {
        Manner::Never
    } else if arguments.slow.is_some_and(|slow| addresses::is_one_in(endpoint, slow.every)) {
        Manner::Slow
    } else {
        Manner::Quick
    }
}

fn answer_questions(tally: &Mutex<Tally>, throttle: &Mutex<Throttle>) {
    for line in io::stdin().lock().lines() {
        let Ok(question) = line.map_err(io::Error::other).and_then(|l| serde_json::from_str(&l).map_err(Into::into))
        else {
            break;
        };
        if matches!(question, Question::LiftThrottle) {
            throttle.lock().lift();
        }
        println!("{}", tally.lock().answer(&question));
        let _ = io::stdout().flush();
    }
    // The driver is gone, or wants no more.
    std::process::exit(0);
}

pub fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// What was counted so far.
pub struct Tally {
    /// A bit for every sequence number.
    seen: Vec<u64>,
    events: u64,
    duplicates: u64,
    requests: u64,
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
    fn new() -> Self {
        Tally {
            seen: vec![0; 1 << 16],
            events: 0,
            duplicates: 0,
            requests: 0,
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
    fn answer(&mut self, question: &Question) -> String {
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
