//! ● One instance with a customer that attacks, and another one's calls, which are timed without and with the attack.

use std::{
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::{
    harness::{Receiver, TestApp, rest::Rest},
    row::Outcome,
    setup::stream_settings,
};

/// deploy/kubernetes gives an instance so much.
const RESIDENT_BYTES_MAX: f64 = 1_536.0 * 1_048_576.0;
const LIVEZ_MAX: Duration = Duration::from_millis(100);
/// Factor by which others may become slower, and the time that a busy machine adds by itself.
const SLOWER_MAX: f64 = 1.5;
const NOISE: Duration = Duration::from_millis(50);
const QUIET: Duration = Duration::from_secs(4);
/// Between two of the others' calls: a key has 100 a second (`admin.key_requests_per_second_max`).
const PACE: Duration = Duration::from_millis(20);
const UNDER_ATTACK: Duration = Duration::from_secs(8);
const STEPS_MIN: usize = 50;

/// One instance with a customer that attacks, and somebody else who wants an answer.
pub(super) struct Stand {
    pub(super) app: TestApp,
    pub(super) receiver: Receiver,
    /// A key of the attacker's customer, and its endpoint.
    pub(super) attacker: String,
    pub(super) endpoint: String,
    pub(super) victim: Rest,
    /// An attack that takes less memory of the API than this is none.
    held_bytes_min: f64,
}

impl Stand {
    pub(super) fn new(name: &'static str) -> Self {
        let app = TestApp::named(name).start();
        let receiver = Receiver::start();
        let hook = receiver.hook("attacker");
        let endpoint = app.endpoint(&hook, stream_settings()).id;
        let key = |role: &str, customer: Value| {
            let body = json!({"name": role, "role": role, "customer_id": customer});
            app.rest().post("/v1/api-keys", &body).ok().json()["token"].as_str().expect("a token").to_owned()
        };
        let attacker = key("customer", json!(app.customer()));
        let victim = app.rest().with_key(Some(&key("operator", Value::Null)));
        Stand { app, receiver, attacker, endpoint, victim, held_bytes_min: 0.0 }
    }

    /// For an attack that is to hold so much of the memory for bodies and answers at its best moment.
    pub(super) fn holding(mut self, bytes_min: f64) -> Self {
        self.held_bytes_min = bytes_min;
        self
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.app.rest().base().trim_start_matches("http://").parse().expect("an address")
    }

    /// A request's head, with the attacker's key.
    pub(super) fn head(&self, line: &str, length: usize) -> String {
        format!(
            "{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n",
            self.attacker
        )
    }

    /// Times others without and beside the attack, which goes on until it is told to stop.
    pub(super) fn compare(self, carry_out: impl Fn(&Stand, &Attack) + Sync) -> Outcome {
        let audit = self.app.audit();
        let quiet = self.timed(QUIET);
        let attack = Attack::default();
        let attacked = thread::scope(|scope| {
            scope.spawn(|| {
                give_way();
                carry_out(&self, &attack);
            });
            thread::sleep(Duration::from_secs(1)); // it gets going
            let attacked = self.timed(UNDER_ATTACK);
            attack.is_over.store(true, Ordering::Release);
            attacked
        });
        let steps = attack.steps.into_inner();
        assert!(steps >= STEPS_MIN, "an attack of {steps} steps is none");
        let resident = attacked.resident;
        let allowed = quiet.p99.mul_f64(SLOWER_MAX) + NOISE;
        let mut problems = Vec::new();
        if attacked.p99 > allowed || attacked.failed > 0 {
            problems.push(format!("others: p99 {:?}, at most {allowed:?}; {} failed", attacked.p99, attacked.failed));
        }
        if attacked.livez > LIVEZ_MAX {
            problems.push(format!("/livez took {:?}", attacked.livez));
        }
        if resident > RESIDENT_BYTES_MAX {
            problems.push(format!("{:.0} MB resident", resident / 1e6));
        }
        if attacked.held < self.held_bytes_min {
            problems.push(format!("the attack held {:.0} MB at most", attacked.held / 1e6));
        }
        assert!(problems.is_empty(), "{}", problems.join("; "));
        Outcome::of(audit.settle()).note(format!(
            "others: p99 {:.1?}, without it {:.1?}; /livez {:.1?} (p99); {:.0} MB resident, {:.0} MB for bodies and answers; {steps} steps",
            attacked.p99,
            quiet.p99,
            attacked.livez,
            resident / 1e6,
            attacked.held / 1e6
        ))
    }

    fn timed(&self, lasting: Duration) -> Timed {
        let until = Instant::now() + lasting;
        let (mut calls, mut probes, mut failed) = (Vec::new(), Vec::new(), 0);
        let (mut resident, mut held) = (0.0_f64, 0.0_f64);
        while Instant::now() < until {
            let begun = Instant::now();
            let answered = self.victim.try_get("/v1/endpoints?limit=10").is_some_and(|reply| reply.status == 200);
            calls.push(begun.elapsed());
            failed += usize::from(!answered);
            let begun = Instant::now();
            let lives = self.app.internal().try_get("/livez").is_some_and(|reply| reply.status == 200);
            probes.push(begun.elapsed());
            failed += usize::from(!lives);
            resident = resident.max(self.app.internal().metric("postrider_resident_bytes"));
            held = held.max(self.app.internal().metric("postrider_api_memory_bytes"));
            thread::sleep(PACE);
        }
        Timed { p99: p99(calls), livez: p99(probes), failed, resident, held }
    }
}

struct Timed {
    p99: Duration,
    livez: Duration,
    failed: usize,
    /// Bytes, at the most.
    resident: f64,
    held: f64,
}

fn p99(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() * 99 / 100).copied().unwrap_or_default()
}

/// An attacker is on a machine of its own: the cores that it uses itself are not what it takes from others. So it has
/// those of this machine that nobody else wants; so have the threads that it starts.
fn give_way() {
    rustix::process::setpriority_process(None, 19).expect("a lower priority is always allowed");
}

/// A connection from this address of the loopback.
pub(super) fn connect_from(source: &str, address: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&format!("{source}:0").parse::<SocketAddr>().ok()?.into()).ok()?;
    socket.connect(&address.into()).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(5))).ok()?;
    Some(stream)
}

/// An attack that goes on until it is over.
#[derive(Default)]
pub(super) struct Attack {
    is_over: AtomicBool,
    steps: AtomicUsize,
}

impl Attack {
    pub(super) fn repeat(&self, mut step: impl FnMut()) {
        while !self.is_over.load(Ordering::Acquire) {
            step();
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The same, no more often than so many times a second; each step has its number.
    pub(super) fn repeat_paced(&self, per_second: u32, mut step: impl FnMut(usize)) {
        let begun = Instant::now();
        let mut number = 0;
        self.repeat(|| {
            let due = begun + Duration::from_secs(1) * number / per_second;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            step(number as usize);
            number += 1;
        });
    }
}
