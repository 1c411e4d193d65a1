//! ● Customers that take all they can of what everybody shares, and beside each a customer that wants little.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::{
    harness::{Audit, Endpoint, Front, Names, Receiver, Record, TestApp, app::Preparation, eventually_holds},
    row::Outcome,
};

/// How long the victim is looked at, without the attack and in it.
const WATCHED: Duration = Duration::from_secs(20);
/// Its events.
const VICTIMS_PER_SECOND: u32 = 2;
/// Endpoints of the attacker.
const ATTACKERS: u32 = 64;
/// So late is what a probe of the orchestrator calls dead.
const LIVEZ_MAX: Duration = Duration::from_millis(100);

/// An app with a victim.
struct Beside {
    app: TestApp,
    victim: Endpoint,
    _receiver: Receiver,
}

/// What the victim and the probes saw for a while.
#[derive(Debug, Clone, Copy)]
struct Seen {
    p99: Duration,
    livez_max: Duration,
}

impl Beside {
    /// `host` stands for the receiver's address in the victim's URL.
    fn open(preparation: Preparation, host: &str) -> Self {
        let app = preparation.start();
        let receiver = Receiver::start();
        let hook = receiver.hook("victim");
        let url = hook.url().replace("127.0.0.1", host);
        let settings = json!({"customer_id": app.new_customer(), "url": url, "mode": "stream"});
        let victim = app.endpoint(&hook, settings);
        app.subscribe(&victim, json!({"level": "tenants", "tenants": ["victim"]}));
        app.await_settings();
        Beside { app, victim, _receiver: receiver }
    }

    /// Endpoints of one other customer, whose URL is `url` of their number. Each gets all events of the tenant `attack`.
    fn attackers(&self, count: u32, settings: &Value, url: impl Fn(u32) -> String) {
        let customer = self.app.new_customer();
        for n in 0..count {
            let mut body = settings.clone();
            body["customer_id"] = json!(customer);
            body["url"] = json!(url(n));
            let created = self.app.rest().post("/v1/endpoints", &body).ok().json();
            let scope = json!({"level": "tenants", "tenants": ["attack"]});
            let subscription = json!({"endpoint_id": created["id"], "topic": self.app.topic, "scope": scope});
            self.app.rest().post("/v1/subscriptions", &subscription).ok();
        }
        self.app.await_settings();
    }

    fn attack(&self, events: u32) {
        for _ in 0..events {
            self.app.kafka.send(&self.app.topic, &Record { tenant: Some("attack"), ..Record::default() });
        }
        self.app.kafka.flush();
    }

    /// Sends the victim's events, and asks whether the instance lives, for a while; then all of them have arrived.
    fn watch(&self) -> Seen {
        let (first, started) = (self.app.produced.count(), Instant::now());
        let (mut sent, mut livez_max) = (0, Duration::ZERO);
        while started.elapsed() < WATCHED {
            if started.elapsed() * VICTIMS_PER_SECOND >= Duration::from_secs(1) * sent {
                self.app.kafka.send(&self.app.topic, &Record { tenant: Some("victim"), ..Record::default() });
                sent += 1;
            }
            let asked = Instant::now();
            assert!(self.app.rest().try_get("/livez").is_some_and(|reply| reply.status == 200), "it lives");
            livez_max = livez_max.max(asked.elapsed());
            thread::sleep(Duration::from_millis(50)); // its pace
        }
        let all = |events: &mut Vec<Duration>| {
            events.clear();
            let order = self.victim.hook.order();
            self.app.produced.each_of(&order, |event, at| {
                if event.seq as usize >= first {
                    events.push(at.saturating_duration_since(event.at));
                }
            });
            events.len() == sent as usize
        };
        let mut latencies = Vec::new();
        eventually_holds("the victim has its events", || all(&mut latencies));
        latencies.sort_unstable();
        let p99 = latencies[(latencies.len() * 99 / 100).min(latencies.len() - 1)];
        Seen { p99, livez_max }
    }

    fn audit(&self) -> Audit {
        self.app.audit().expect(&self.victim, |sent| sent.tenant.as_deref() == Some("victim")).watch_commits()
    }

    /// The end of a row: what the victim had of the attack.
    fn judge(self, audit: Audit, before: Seen, during: Seen, note: &str) -> Outcome {
        let health = self.app.rest().get(&format!("/v1/endpoints/{}/stats", self.victim.id)).ok().json();
        assert_eq!(
            health["failed_attempts"]["since_start"], 0,
            "the victim is blamed for nothing: {}",
            health["last_error"]
        );
        let findings = audit.settle();
        assert_eq!((findings.backlog, findings.delivered), (0, findings.expected), "nothing of the victim waits");
        assert!(
            during.p99 <= before.p99.mul_f64(1.5) + NOISE,
            "the victim's p99 is {:.1?} in place of {:.1?}",
            during.p99,
            before.p99
        );
        assert!(during.livez_max <= LIVEZ_MAX + before.livez_max, "/livez took {:.1?}", during.livez_max);
        Outcome::of(findings).at_most(0).note(format!(
            "victim's p99 {:.1?}, {:.1?} without the attack; slowest /livez {:.1?}, {:.1?} without; {note}",
            during.p99, before.p99, during.livez_max, before.livez_max
        ))
    }
}

/// What a p99 of forty events varies by on a busy machine.
const NOISE: Duration = Duration::from_millis(100);

/// Never left alone, never given up.
fn attacking() -> Value {
    json!({
        "mode": "stream", "in_flight_max": 256, "request_timeout_ms": 120_000,
        "breaker": {"consecutive_failures": 10_000, "failure_ratio": 1.0, "requests_min": 100_000},
        "retry": {"attempts_max": 50, "schedule_ms": [1]},
    })
}

/// Row permits: 64 endpoints that accept and never answer want eight times the requests that may be under way.
pub fn receivers_that_never_answer(_: &mut SmallRng) -> Outcome {
    const IN_FLIGHT_MAX: u32 = 2_000;
    let row = Beside::open(TestApp::named("fault-permits").set("HTTP_IN_FLIGHT_MAX", IN_FLIGHT_MAX), "127.0.0.1");
    let audit = row.audit();
    let hung = Receiver::start();
    hung.meet(Front::NeverRead);
    row.attackers(ATTACKERS, &attacking(), |n| format!("http://{}/{n}", hung.address()));
    let before = row.watch();
    row.attack(300);
    let waiting = || row.app.rest().metric("postrider_requests_waiting_for_permit");
    eventually_holds("the attacker has its share, and wants more", || waiting() > f64::from(ATTACKERS) * 0.8);
    let during = row.watch();
    let connections = row.app.rest().metric("postrider_endpoint_connections");
    assert!(connections < f64::from(IN_FLIGHT_MAX), "the attacker has not all");
    let note = format!("{connections} connections of {IN_FLIGHT_MAX}, {} endpoints wait for a permit", waiting());
    row.judge(audit, before, during, &note)
}

/// Row names: a name server that says nothing of one customer's zone, and look-ups for each connection of the victim's.
pub fn names_that_nobody_answers_for(_: &mut SmallRng) -> Outcome {
    let names = Names::silent_for("hole.test");
    let app = TestApp::named("fault-names")
        .set("HTTP_DNS_SERVERS", names.address())
        .set("HTTP_DNS_STALE_MS_MAX", 0)
        .set("HTTP_KEEP_ALIVE_MS", 0);
    let row = Beside::open(app, "victim.test");
    let audit = row.audit();
    let mut settings = attacking();
    settings["retry"] = json!({"attempts_max": 50, "schedule_ms": [400]});
    row.attackers(ATTACKERS, &settings, |n| format!("http://x{n}.hole.test/"));
    let before = row.watch();
    row.attack(20);
    eventually_holds("its names are asked for", || names.silent_questions() > 10);
    let during = row.watch();
    let metric = |name: &str| row.app.rest().metric(name);
    let note = format!(
        "{} questions without an answer, {} look-ups wait for a share",
        names.silent_questions(),
        metric("postrider_name_lookups_waiting")
    );
    row.judge(audit, before, during, &note)
}
