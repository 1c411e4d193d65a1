//! ● What most rows begin with: one instance, an endpoint that gets events one by one, and one that gets batches.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Audit, Endpoint, Receiver, TestApp, app::Preparation, eventually_holds};

/// How long these deliveries took, from being handed to Kafka to being received: the share `part` of them at most so
/// long.
pub fn latency(app: &TestApp, endpoints: &[&Endpoint], part: f64) -> Duration {
    let mut all = Vec::new();
    for endpoint in endpoints {
        let order = endpoint.hook.order();
        app.produced.each_of(&order, |sent, at| all.push(at.saturating_duration_since(sent.at)));
    }
    all.sort_unstable();
    let index = (all.len() as f64 * part) as usize;
    all.get(index.min(all.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// An app and its two endpoints. Both get everything.
pub struct Setup {
    pub app: TestApp,
    pub receiver: Receiver,
    pub stream: Endpoint,
    pub batch: Endpoint,
}

/// Events in the hands of one endpoint's requests, at most.
const STREAM_IN_FLIGHT: u64 = 8;
const BATCH_IN_FLIGHT: u64 = 2 * 100;
/// What a crash may repeat beside what is delivered and not committed: requests that are answered after it.
pub const IN_FLIGHT: u64 = STREAM_IN_FLIGHT + BATCH_IN_FLIGHT;
/// Different keys.
pub const LANES: u32 = 64;

pub fn stream_settings() -> Value {
    json!({"mode": "stream", "in_flight_max": STREAM_IN_FLIGHT})
}

pub fn batch_settings() -> Value {
    json!({"mode": "batch", "batch": {"events_max": 100, "wait_ms_max": 100}, "in_flight_max": 2})
}

/// One attempt, and never left alone.
pub fn giving_up_at_once() -> Value {
    json!({
        "mode": "stream", "retry": {"attempts_max": 1, "schedule_ms": [50]},
        "breaker": {"consecutive_failures": 10_000, "requests_min": 100_000},
    })
}

impl Setup {
    pub fn set(name: &'static str) -> Self {
        Self::from(TestApp::named(name))
    }

    pub fn from(preparation: Preparation) -> Self {
        Self::of(preparation.lanes(LANES).start())
    }

    pub fn of(app: TestApp) -> Self {
        let receiver = Receiver::start();
        let stream = app.subscribed_endpoint(&receiver.hook("stream"), stream_settings());
        let batch = app.subscribed_endpoint(&receiver.hook("batch"), batch_settings());
        [&stream, &batch].iter().for_each(|endpoint| endpoint.hook.keep_no_requests());
        Setup { app, receiver, stream, batch }
    }

    /// Both endpoints' books, and every commit.
    pub fn audit(&self) -> Audit {
        self.app.audit().expect_all(&self.stream).expect_all(&self.batch).watch_commits()
    }

    /// Waits until both endpoints have so many more events.
    #[track_caller]
    pub fn flow(&self, events: usize) {
        let hooks = [&self.stream.hook, &self.batch.hook];
        let wanted = hooks.map(|hook| hook.accepted_count() + events);
        eventually_holds("events flow", || {
            hooks.iter().zip(wanted).all(|(hook, wanted)| hook.accepted_count() >= wanted)
        });
    }
}
