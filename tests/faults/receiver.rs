//! ● Customers' servers that misbehave. Each row has one that does, and one beside it that must not notice.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::{
    harness::{
        Audit, Endpoint, Front, Hook, Misbehavior, Mode, Receiver, Record, TestApp, app::Preparation, eventually_holds,
    },
    row::Outcome,
    setup::{LANES, latency},
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
        Self::of(TestApp::named(name).set("DELIVERY_PARK_AFTER_MS", PARK_AFTER.as_millis()))
    }

    fn of(preparation: Preparation) -> Self {
        let app = preparation.lanes(LANES).start();
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

/// Row K2: a full endpoint holds nobody up, whatever time a producer writes on its events.
pub fn hangs_beside_a_clock_that_is_behind(_: &mut SmallRng) -> Outcome {
    const EVENTS: u32 = 800;
    const SPACING: Duration = Duration::from_millis(3);
    let park_after = Duration::from_secs(10);
    let app = TestApp::named("fault-k2").set("DELIVERY_PARK_AFTER_MS", park_after.as_millis());
    let app = app.set("INGEST_EVENT_BYTES_MAX", 64 * 1024).set("DELIVERY_ENDPOINT_BYTES_MAX", 256 * 1024);
    let ward = Ward::of(app);
    let hung = ward.sick("hung", Mode::Hang, json!({"mode": "stream", "request_timeout_ms": 20_000}));
    let audit = ward.audit(&[&hung]);
    let yesterday = jiff::Timestamp::now().as_millisecond() - 24 * 3_600_000;
    let began = Instant::now();
    for number in 0..EVENTS {
        let record = Record { lane: Some(number % LANES), timestamp_ms: Some(yesterday), ..Record::default() };
        ward.app.produce_one(&Record { size_bytes: 4 * 1024, ..record });
        thread::sleep((SPACING * number).saturating_sub(began.elapsed())); // its pace
    }
    eventually_holds("the healthy one has all", || ward.healthy.hook.accepted_count() == EVENTS as usize);
    let (half, most) = (latency(&ward.app, &[&ward.healthy], 0.5), latency(&ward.app, &[&ward.healthy], 0.99));
    let findings = audit.settle();
    assert!(hung.hook.waiting() > 0 || hung.hook.requests_count() > 0, "it was asked");
    assert!(most < park_after / 2, "the healthy one waited: half for {half:?}, 99 % for up to {most:?}");
    Outcome::of(findings).at_most(0).note(format!("healthy: p50 {half:.1?}, p99 {most:.1?}"))
}

/// Row 38
pub fn closes_kept_alive_connections(_: &mut SmallRng) -> Outcome {
    let ward = Ward::open("fault-38");
    let sick = ward.sick("closing", Mode::Misbehavior(Misbehavior::CloseAfter), json!({"mode": "stream"}));
    let audit = ward.audit(&[&sick]);
    ward.pass_by(1_000);
    let findings = audit.settle();
    assert_ids_are_kept(&ward.app, &sick.hook);
    assert_eq!(findings.dead_letters + findings.backlog, 0, "closing an idle connection is nobody's failure");
    // One for each connection that is closed in the moment in which it is used again.
    Outcome::of(findings).at_most(u64::from(1_000_u32 / 100))
}

/// Row 35
pub fn drips(_: &mut SmallRng) -> Outcome {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let ward = Ward::open("fault-35");
    let settings = json!({"mode": "stream", "request_timeout_ms": TIMEOUT.as_millis(), "in_flight_max": 2});
    let sick = [("head", Misbehavior::DripHead), ("body", Misbehavior::DripBody)]
        .map(|(name, misbehavior)| ward.sick(name, Mode::Misbehavior(misbehavior), settings.clone()));
    let audit = ward.audit(&[&sick[0], &sick[1]]);
    ward.pass_by(1_000);
    let findings = audit.settle();
    for endpoint in &sick {
        assert!(endpoint.hook.requests_count() >= 4, "a dripping answer is cut off, so there is a next attempt");
        assert_eq!(endpoint.hook.accepted_count(), 0);
    }
    Outcome::of(findings).at_most(0)
}

/// Row 36
pub fn pours(_: &mut SmallRng) -> Outcome {
    let ward = Ward::open("fault-36");
    let before = ward.app.rest().metric("postrider_resident_bytes");
    let body = ward.sick("body", Mode::Misbehavior(Misbehavior::EndlessBody), json!({"mode": "stream"}));
    let head = ward.sick("head", Mode::Misbehavior(Misbehavior::HugeHead), json!({"mode": "stream"}));
    let audit = ward.audit(&[&body, &head]);
    ward.pass_by(1_000);
    let grown = (ward.app.rest().metric("postrider_resident_bytes") - before) / 1_048_576.0;
    let findings = audit.settle();
    assert!(grown < 96.0, "it grew by {grown:.0} MiB");
    assert_eq!(head.hook.accepted_count(), 0, "a head that is too large is no answer");
    Outcome::of(findings).at_most(0).note(format!("memory grew by {grown:.0} MiB"))
}

/// Row 37: before the request is read, within an answer, and after a whole one.
pub fn resets(_: &mut SmallRng) -> Outcome {
    let ward = Ward::open("fault-37");
    let deaf = Receiver::start();
    let before = ward.app.subscribed_endpoint(&deaf.hook("before"), json!({"mode": "stream"}));
    deaf.meet(Front::Reset);
    let [in_head, in_body, after] = [
        ("in-head", Misbehavior::ResetInHead),
        ("in-body", Misbehavior::ResetInBody),
        ("after", Misbehavior::ResetAfter),
    ]
    .map(|(name, misbehavior)| ward.sick(name, Mode::Misbehavior(misbehavior), json!({"mode": "stream"})));
    let audit = ward.audit(&[&before, &in_head, &in_body, &after]);
    ward.pass_by(600);
    let findings = audit.settle();
    for sick in [&before, &in_head, &in_body] {
        assert_eq!(sick.hook.accepted_count(), 0, "half an answer is none: {:?}", sick.hook);
    }
    let sick = [&in_head, &in_body, &after];
    sick.iter().for_each(|endpoint| assert_ids_are_kept(&ward.app, &endpoint.hook));
    // A reset may overtake the answer that came before it.
    let most = after.hook.requests_count();
    Outcome::of(findings).at_most(most)
}

/// Row 39
pub fn never_reads(_: &mut SmallRng) -> Outcome {
    let ward = Ward::open("fault-39");
    let deaf = Receiver::start();
    let settings = json!({
        "mode": "batch", "batch": {"events_max": 1_000, "wait_ms_max": 500}, "request_timeout_ms": 1_000,
    });
    let sick = ward.app.subscribed_endpoint(&deaf.hook("deaf"), settings);
    deaf.meet(Front::NeverRead);
    let audit = ward.audit(&[&sick]);
    // More than the sockets hold: the request is never written whole.
    for _ in 0..100 {
        ward.app.produce_one(&Record { size_bytes: 100_000, ..Record::default() });
    }
    ward.pass_by(600);
    Outcome::of(audit.settle()).at_most(0)
}

/// Row 40: only a 2xx that answers this request is an acceptance, and any that a browser would take is one.
pub fn odd_answers(_: &mut SmallRng) -> Outcome {
    let ward = Ward::open("fault-40");
    let settings = json!({"mode": "stream", "request_timeout_ms": 1_000});
    let misbehavior =
        |(name, misbehavior): (&str, Misbehavior)| ward.sick(name, Mode::Misbehavior(misbehavior), settings.clone());
    let mut taken: Vec<Endpoint> =
        [204, 206].map(|status| ward.sick(&status.to_string(), Mode::Status(status), settings.clone())).into();
    taken.extend(
        [
            ("100-then-200", Misbehavior::ContinueThenOk),
            ("103-then-200", Misbehavior::HintsThenOk),
            ("97-headers", Misbehavior::ManyHeaders),
            ("folded", Misbehavior::FoldedHeader),
        ]
        .map(misbehavior),
    );
    let mut others: Vec<Endpoint> =
        [("only-100", Misbehavior::OnlyContinue), ("malformed", Misbehavior::Malformed)].map(misbehavior).into();
    others.push(ward.sick("199", Mode::Status(199), settings.clone()));
    let audit = ward.audit(&taken.iter().chain(&others).collect::<Vec<_>>());
    ward.pass_by(600);
    let findings = audit.settle();
    let all = ward.app.produced.count();
    for endpoint in &taken {
        assert_eq!(endpoint.hook.accepted_count(), all, "{:?} gave a 2xx", endpoint.hook);
        assert_eq!(endpoint.hook.duplicates(), 0, "{:?} was believed at once", endpoint.hook);
    }
    assert_eq!(findings.delivered, (1 + taken.len()) * all, "and only these");
    Outcome::of(findings).at_most(0)
}

/// Row 41
pub fn redirects(_: &mut SmallRng) -> Outcome {
    let ward = Ward::open("fault-41");
    let elsewhere = Receiver::start();
    let target = elsewhere.hook("target");
    let mut sick: Vec<Endpoint> = [301, 302, 303, 307, 308]
        .map(|status| {
            let mode = Mode::StatusWith(status, vec![("location", target.url().to_owned())]);
            ward.sick(&status.to_string(), mode, json!({"mode": "stream"}))
        })
        .into();
    let circle = ward.sick("loop", Mode::Hang, json!({"mode": "stream"}));
    circle.hook.set(Mode::StatusWith(302, vec![("location", circle.hook.url().to_owned())]));
    sick.push(circle);
    let audit = ward.audit(&sick.iter().collect::<Vec<_>>());
    ward.pass_by(600);
    let findings = audit.settle();
    assert_eq!(target.requests_count(), 0, "nobody is followed");
    assert!(sick.iter().all(|endpoint| endpoint.hook.requests_count() > 0 && endpoint.hook.accepted_count() == 0));
    Outcome::of(findings).at_most(0)
}

/// Row 43
pub fn asks_to_wait(_: &mut SmallRng) -> Outcome {
    let ward = Ward::open("fault-43");
    let waits = ["0", "1", "86400", "99999999999999999999", "soon", "-1", "Mon, 01 Jan 2024 00:00:00 GMT"];
    let retry = json!({"attempts_max": 50, "schedule_ms": [100]});
    let sick: Vec<Endpoint> = waits
        .iter()
        .enumerate()
        .map(|(index, wait)| {
            let mode = Mode::StatusWith(429, vec![("retry-after", (*wait).to_owned())]);
            let settings = json!({"mode": "stream", "retry": retry, "in_flight_max": 2});
            ward.sick(&format!("wait-{index}"), mode, settings)
        })
        .collect();
    let audit = ward.audit(&sick.iter().collect::<Vec<_>>());
    ward.pass_by(600);
    let findings = audit.settle();
    let requests: Vec<u64> = sick.iter().map(|endpoint| endpoint.hook.requests_count()).collect();
    for (wait, requests) in [(waits[2], requests[2]), (waits[3], requests[3])] {
        assert!(requests <= 2, "{requests} requests to one that wants none for {wait} s");
    }
    let note = waits.iter().zip(&requests).map(|(wait, requests)| format!("{wait}: {requests}"));
    Outcome::of(findings).at_most(0).note(format!("requests by Retry-After: {}", note.collect::<Vec<_>>().join(", ")))
}

/// Every request for an event carries the event's own id, however often it comes.
#[track_caller]
pub fn assert_ids_are_kept(app: &TestApp, hook: &Hook) {
    for request in hook.requests() {
        let [seq] = request.seqs[..] else { continue };
        assert_eq!(request.webhook_id, crate::harness::kafka::event_id(&app.topic, seq));
    }
}
