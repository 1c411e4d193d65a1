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

use crate::{addresses, connection::Connection, histogram::Histogram, payload, process, throttle::Throttle};

#[derive(Serialize, Deserialize)]
pub struct Arguments {
    pub port: u16,
    /// The addresses of these endpoints accept everything and answer nothing: those whose number this divides.
    pub hung_every: Option<usize>,
    /// All of them together answer no more often than this a second; what came meanwhile waits for its turn.
    pub answers_per_second: Option<f64>,
}

/// What a receiver is asked.
#[derive(Serialize, Deserialize)]
pub enum Question {
    /// Sample the process's CPU when so many different events have come, and again at so many.
    Watch {
        pid: u32,
        from: u64,
        to: u64,
    },
    /// Forget the latencies so far; count only events produced from now on.
    MeasureLatency,
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
    std::thread::spawn({
        let tally = Arc::clone(&tally);
        move || answer_questions(&tally)
    });
    let hung_every = arguments.hung_every;
    let throttle = Arc::new(Mutex::new(Throttle::new(arguments.answers_per_second)));
    runtime.block_on(async {
        loop {
            // Out of file handles: what is open goes on, and the next round may have one.
            let Ok((stream, peer)) = listener.accept().await else { continue };
            if !peer.ip().is_loopback() {
                continue;
            }
            let hangs = hung_every.is_some_and(|every| is_hung(&stream, every));
            let _ = stream.set_nodelay(true);
            tokio::spawn(Connection::new(stream, hangs, Arc::clone(&tally), Arc::clone(&throttle)).serve());
        }
    })
}

fn is_hung(stream: &TcpStream, every: usize) -> bool {
    match stream.local_addr().map(|address| address.ip()) {
        Ok(IpAddr::V4(ip)) => addresses::endpoint_of(ip).is_some_and(|endpoint| addresses::hangs(endpoint, every)),
        _ => false,
    }
}

fn answer_questions(tally: &Mutex<Tally>) {
    for line in io::stdin().lock().lines() {
        let Ok(question) = line.map_err(io::Error::other).and_then(|l| serde_json::from_str(&l).map_err(Into::into))
        else {
            break;
        };
        let answer = {
            let mut tally = tally.lock();
            match question {
                Question::Watch { pid, from, to } => tally.watch = Some(Watch { pid, from, to, started: None }),
                Question::MeasureLatency => {
                    tally.latency = Histogram::new();
                    tally.latency_since_ns = wall_ns();
                }
                Question::Report => {}
            }
            serde_json::to_string(&tally.report()).expect("a report is plain data")
        };
        println!("{answer}");
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
    watch: Option<Watch>,
    interval: Option<Interval>,
}

struct Watch {
    pid: u32,
    from: u64,
    to: u64,
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
            watch: None,
            interval: None,
        }
    }

    pub fn count(&mut self, body: &[u8]) {
        self.requests += 1;
        self.body_bytes += body.len() as u64;
        let now_ns = wall_ns();
        let mut scanner = std::mem::take(&mut self.scanner);
        scanner.scan(body, |sequence, at_ns| {
            if self.first_sight_of(sequence) {
                self.events += 1;
                if at_ns >= self.latency_since_ns {
                    self.latency.record(now_ns.saturating_sub(at_ns) / 1000);
                }
            } else {
                self.duplicates += 1;
            }
        });
        self.scanner = scanner;
        self.sample();
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
            None if self.events >= watch.from => {
                watch.started = process::cpu(watch.pid).map(|cpu| (Instant::now(), cpu, self.events));
            }
            Some((time, cpu, events)) if self.events >= watch.to => {
                self.interval = process::cpu(watch.pid).map(|now| Interval {
                    events: self.events - events,
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
            },
        }
    }
}
