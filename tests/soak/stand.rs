//! ● What is there all the time: an instance, endpoints that must get everything, and wires to Kafka and PostgreSQL that
//! can be cut.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    harness::{Audit, Endpoint, Mode, Receiver, TestApp, link::Link, process::BUILD},
    plan::{Behavior, Fault, Victim},
};

/// Keys of the events.
const LANES: u32 = 64;
const PARTITIONS: i32 = 8;
/// Tenants of the events; the impatient endpoint gets those of the first two.
pub const TENANTS: u32 = 10;
const SLOW: Duration = Duration::from_millis(300);

pub struct Stand {
    pub app: TestApp,
    pub receiver: Receiver,
    pub kafka: Link,
    /// It never fails: its latency shows what the others' trouble costs it.
    pub steady: Endpoint,
    batch: Endpoint,
    ordered: Endpoint,
    pub impatient: Endpoint,
}

impl Stand {
    /// `binary`: another build than the one of these tests.
    pub fn start(binary: Option<&str>) -> Self {
        let kafka = Link::to_kafka();
        let app = TestApp::named("soak").partitions(PARTITIONS).lanes(LANES).tenants(TENANTS);
        let app = app.set("KAFKA_BROKERS", kafka.address());
        let app = binary.into_iter().fold(app, |app, binary| app.env(BUILD, binary)).start();
        let receiver = Receiver::start();
        let endpoint = |name: &str, settings: Value, scope: Value| {
            let endpoint = app.endpoint(&receiver.hook(name), settings);
            endpoint.hook.keep_no_requests();
            app.subscribe(&endpoint, scope);
            endpoint
        };
        let topic = json!({"level": "topic"});
        let steady = endpoint("steady", json!({"mode": "stream"}), topic.clone());
        let batches = json!({"mode": "batch", "batch": {"events_max": 100, "wait_ms_max": 100}});
        let batch = endpoint("batch", back_within_seconds(batches), topic.clone());
        let in_order = json!({"mode": "stream", "ordering": {"by": "key", "on_failure": "block"}});
        let ordered = endpoint("ordered", back_within_seconds(in_order), topic);
        let at_once = json!({
            "mode": "stream", "request_timeout_ms": 1_000, "retry": {"attempts_max": 1, "schedule_ms": [50]},
            "breaker": {"consecutive_failures": 10_000, "requests_min": 100_000},
        });
        let impatient = endpoint("impatient", at_once, json!({"level": "tenants", "tenants": ["1", "2"]}));
        app.await_settings();
        Stand { app, receiver, kafka, steady, batch, ordered, impatient }
    }

    /// The books of the endpoints that are there all the time, and every commit.
    pub fn audit(&self) -> Audit {
        let all = [&self.steady, &self.batch, &self.ordered];
        let audit = all.into_iter().fold(self.app.audit(), Audit::expect_all);
        audit.expect(&self.impatient, |sent| matches!(sent.tenant.as_deref(), Some("1" | "2"))).watch_commits()
    }

    /// A receiver or a wire fails, or is well again; instances are not its business.
    pub fn suffer(&self, fault: Fault, begins: bool) {
        match fault {
            Fault::Receiver(victim, behavior) => {
                let mode = if begins { mode(behavior) } else { Mode::Ok };
                self.victim(victim).hook.set(mode);
                if victim == Victim::Impatient && !begins {
                    self.redrive();
                }
            }
            Fault::KafkaAway if begins => self.kafka.go_away(),
            Fault::KafkaAway => self.kafka.come_back(),
            Fault::PostgresAway if begins => self.app.postgres.go_away(),
            Fault::PostgresAway => self.app.postgres.come_back(),
            Fault::Joins | Fault::Terminated | Fault::Killed => {}
        }
    }

    /// Asks for every letter of the impatient endpoint to be sent again, as an operator would after an outage.
    fn redrive(&self) {
        let path = format!("/v1/endpoints/{}/dead-letters/redrive", self.impatient.id);
        let all = json!({"all": true}).to_string();
        let more = || {
            self.app
                .rest()
                .try_call("POST", &path, Some(all.clone()))
                .is_some_and(|reply| reply.status == 202 && reply.json()["more"] == true)
        };
        while more() {}
    }

    fn victim(&self, victim: Victim) -> &Endpoint {
        match victim {
            Victim::Batch => &self.batch,
            Victim::Ordered => &self.ordered,
            Victim::Impatient => &self.impatient,
        }
    }
}

/// Whoever was down is asked again soon, so that a run ends within minutes.
fn back_within_seconds(mut settings: Value) -> Value {
    settings["request_timeout_ms"] = json!(3_000);
    settings["breaker"] = json!({"open_max_ms": 5_000});
    settings["retry"] = json!({"max_ms": 5_000});
    settings
}

fn mode(behavior: Behavior) -> Mode {
    match behavior {
        Behavior::Fails => Mode::Status(500),
        Behavior::Hangs => Mode::Hang,
        Behavior::BreaksOff => Mode::BreakOff,
        Behavior::Slow => Mode::Slow(SLOW),
    }
}
