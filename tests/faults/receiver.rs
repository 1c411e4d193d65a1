//! ● Customers' servers that misbehave. Each row has one that does, and one beside it that must not notice.

use std::time::Duration;

use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::{
    harness::{Audit, Endpoint, Hook, Mode, Receiver, Rude, TestApp, eventually_holds},
    row::Outcome,
    stage::LANES,
};

/// How long an event waits in memory for an endpoint.
const PARK_AFTER: Duration = Duration::from_secs(2);

/// An app with a healthy endpoint; the sick ones have a receiver of their own.
pub struct Ward {
    pub app: TestApp,
    pub receiver: Receiver,
    pub healthy: Endpoint,
    _healthy: Receiver,
}

impl Ward {
    pub fn open(name: &'static str) -> Self {
        let app = TestApp::named(name).lanes(LANES).set("DELIVERY_PARK_AFTER_MS", PARK_AFTER.as_millis()).start();
        let own = Receiver::start();
        let healthy = app.subscribed_endpoint(&own.hook("healthy"), json!({"mode": "stream"}));
        healthy.hook.keep_no_requests();
        Ward { app, receiver: Receiver::start(), healthy, _healthy: own }
    }

    pub fn sick(&self, name: &str, mode: Mode, settings: Value) -> Endpoint {
        let hook = self.receiver.hook(name);
        hook.set(mode);
        self.app.subscribed_endpoint(&hook, settings)
    }

    pub fn audit(&self, sick: &[&Endpoint]) -> Audit {
        let audit = self.app.audit().expect_all(&self.healthy);
        sick.iter().fold(audit, |audit, endpoint| audit.expect_all(endpoint)).watch_commits()
    }

    /// Sends events; returns when the healthy endpoint has all of them, each once.
    #[track_caller]
    pub fn pass_by(&self, events: u32) {
        let before = self.app.produced.count();
        let load = self.app.load(200);
        eventually_holds("events are sent", || self.app.produced.count() >= before + events as usize);
        load.stop();
        let (all, hook) = (self.app.produced.count(), &self.healthy.hook);
        eventually_holds("the healthy one has all", || hook.accepted_count() == all);
        assert_eq!(hook.duplicates(), 0, "the healthy one got each event once");
    }
}

/// Row 34
pub fn hangs_after_accept(_: &mut SmallRng) -> Outcome {
    let ward = Ward::open("fault-34");
    let sick = ward.sick("hung", Mode::Hang, json!({"mode": "stream", "request_timeout_ms": 1_000}));
    let audit = ward.audit(&[&sick]);
    ward.pass_by(1_000);
    let findings = audit.settle();
    assert!(sick.hook.waiting() > 0 || sick.hook.requests_count() > 0, "it was asked");
    Outcome::of(findings).at_most(0)
}

/// Row 38
pub fn closes_kept_alive_connections(_: &mut SmallRng) -> Outcome {
    let ward = Ward::open("fault-38");
    let sick = ward.sick("closing", Mode::Rude(Rude::CloseAfter), json!({"mode": "stream"}));
    let audit = ward.audit(&[&sick]);
    ward.pass_by(1_000);
    let findings = audit.settle();
    assert_ids_are_kept(&ward.app, &sick.hook);
    assert_eq!(findings.dead_letters + findings.backlog, 0, "closing an idle connection is nobody's failure");
    // One for each connection that is closed in the moment in which it is used again.
    Outcome::of(findings).at_most(u64::from(1_000_u32 / 100))
}

/// Every request for an event carries the event's own id, however often it comes.
#[track_caller]
pub fn assert_ids_are_kept(app: &TestApp, hook: &Hook) {
    for request in hook.requests() {
        let [seq] = request.seqs[..] else { continue };
        assert_eq!(request.webhook_id, crate::harness::kafka::event_id(&app.topic, seq));
    }
}
