//! ● The customers of the benchmark: one thread that answers POSTs at every address of 127.0.0.0/8 on one port, as
//! cheaply as it can, and counts what came. Told what to do by lines on its standard input.

use std::{
    io::{self, BufRead, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpSocket, TcpStream};

use crate::{
    addresses,
    authority::{Authority, Servers},
    connection::{Connection, Customer, Manner},
    plan::{Far, Slow},
    streams,
    tally::Tally,
    throttle::Throttle,
};

#[derive(Serialize, Deserialize)]
pub struct Arguments {
    pub port: u16,
    /// The addresses of these endpoints accept everything and answer nothing: those whose number this divides.
    pub hung_every: Option<usize>,
    /// All of them together answer no more often than this a second; what came meanwhile waits for its turn.
    pub answers_per_second: Option<f64>,
    pub slow: Option<Slow>,
    pub far: Option<Far>,
    /// So many of the first endpoints' latencies are not counted.
    pub untimed: usize,
    /// Of the endpoints' certificates; they speak plain HTTP without.
    pub authority: Option<Authority>,
    /// They speak HTTP/2.
    pub http2: bool,
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
    /// That were opened.
    pub connections: u64,
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
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // 0.0.0.0 so that one listener serves all of 127.0.0.0/8; peers from elsewhere are turned away below.
    socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, arguments.port)))?;
    let listener = socket.listen(4096)?;
    let tally = Arc::new(Mutex::new(Tally::new()));
    let slow_after = arguments.slow.map(|slow| slow.after);
    let throttle = Arc::new(Mutex::new(Throttle::new(arguments.answers_per_second, slow_after)));
    let servers = arguments.authority.as_ref().map(|authority| Servers::new(authority, arguments.http2)).transpose()?;
    println!("listening");
    std::thread::spawn({
        let (tally, throttle) = (Arc::clone(&tally), Arc::clone(&throttle));
        move || answer_questions(&tally, &throttle)
    });
    let mut customers = Customers { arguments, servers, tally, throttle };
    runtime.block_on(async {
        loop {
            // Out of file handles: what is open goes on, and the next round may have one.
            let Ok((stream, peer)) = listener.accept().await else { continue };
            if peer.ip().is_loopback() {
                customers.serve(stream)?;
            }
        }
    })
}

/// All of them, as somebody connects to one.
struct Customers<'a> {
    arguments: &'a Arguments,
    /// Without, they speak plain HTTP.
    servers: Option<Servers>,
    tally: Arc<Mutex<Tally>>,
    throttle: Arc<Mutex<Throttle>>,
}

impl Customers<'_> {
    fn serve(&mut self, stream: TcpStream) -> io::Result<()> {
        let Ok(address) = stream.local_addr().map(|address| address.ip()) else { return Ok(()) };
        let _ = stream.set_nodelay(true);
        let customer = self.customer(address);
        let (tally, throttle) = (Arc::clone(&self.tally), Arc::clone(&self.throttle));
        tally.lock().count_connection();
        let Some(servers) = &mut self.servers else {
            tokio::spawn(Connection::new(stream, customer, tally, throttle).serve());
            return Ok(());
        };
        let (handshake, http2) = (servers.at(address)?.accept(stream), self.arguments.http2);
        tokio::spawn(async move {
            match handshake.await {
                Ok(stream) if http2 => streams::serve(stream, customer, tally).await,
                Ok(stream) => Connection::new(stream, customer, tally, throttle).serve().await,
                Err(_) => {}
            }
        });
        Ok(())
    }

    fn customer(&self, address: IpAddr) -> Customer {
        let arguments = self.arguments;
        let endpoint = match address {
            IpAddr::V4(address) => addresses::endpoint_of(address),
            IpAddr::V6(_) => None,
        };
        let Some(endpoint) = endpoint else { return Customer { manner: Manner::Quick, timed: true } };
        let manner = if arguments.hung_every.is_some_and(|every| addresses::is_one_in(endpoint, every)) {
            Manner::Never
        } else if arguments.slow.is_some_and(|slow| addresses::is_one_in(endpoint, slow.every)) {
            Manner::Slow
        } else if let Some(far) = arguments.far {
            Manner::Far(far.of(endpoint))
        } else {
            Manner::Quick
        };
        Customer { manner, timed: manner != Manner::Slow && endpoint >= arguments.untimed }
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
