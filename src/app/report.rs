//! ● What `/readyz` and `/v1/actors` say of this process.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::loader::Progress;
use crate::{
    admin::{
        actors::{ActorReport, ActorView},
        health::Readiness,
    },
    clock,
    endpoint::{own_trouble::OwnTrouble, queue::EndpointQueue, settings::State},
    ingest::{consumer::ConsumerState, ledger::PartitionLedger, receipt::Origin as _},
    router::table::RoutingTable,
};

/// A poll thread that has not polled for this long is in trouble: its group will put it out.
const POLL_GAP_MAX: Duration = Duration::from_secs(10);

/// What is known of the parts; written by them, read by REST.
pub struct Health {
    table: Arc<RoutingTable>,
    settings: Arc<Progress>,
    consumer: OnceLock<Arc<ConsumerState>>,
    own_trouble: OnceLock<Arc<OwnTrouble>>,
    stopping: AtomicBool,
    instance: String,
}

impl Health {
    #[must_use]
    pub fn new(table: Arc<RoutingTable>, settings: Arc<Progress>, instance: String) -> Self {
        let (consumer, own_trouble) = (OnceLock::new(), OnceLock::new());
        Health { table, settings, consumer, own_trouble, stopping: AtomicBool::new(false), instance }
    }

    /// The consumer runs from now on.
    pub fn consuming(&self, consumer: Arc<ConsumerState>, own_trouble: Arc<OwnTrouble>) {
        let _ = self.consumer.set(consumer);
        let _ = self.own_trouble.set(own_trouble);
    }

    /// The drain has begun.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Why this instance should not be counted on; empty when it is ready. Postgres being away alone is no reason, or
    /// a blip of the database would take every instance out at once.
    fn not_ready(&self) -> Vec<String> {
        let now = clock::now();
        let mut reasons = Vec::new();
        if self.stopping.load(Ordering::Acquire) {
            reasons.push("draining before exit".to_owned());
        }
        if self.settings.age(now).is_none() {
            reasons.push("waiting for Postgres: settings are not loaded yet".to_owned());
        }
        match self.consumer.get() {
            None => reasons.push("waiting for Kafka: not consuming yet".to_owned()),
            Some(consumer) => {
                let gap = consumer.poll_gap(now);
                if gap > POLL_GAP_MAX {
                    reasons.push(format!("Kafka was last polled {} s ago", gap.as_secs()));
                }
                let trouble = consumer.trouble.lock().clone();
                if !trouble.is_empty() && consumer.assigned().is_empty() {
                    reasons.push(format!("Kafka: {trouble}"));
                } else if !consumer.has_joined() {
                    reasons.push("waiting for Kafka: the group has not assigned partitions yet".to_owned());
                }
            }
        }
        reasons
    }
}

impl Readiness for Health {
    fn reasons(&self) -> Vec<String> {
        self.not_ready()
    }
}

impl ActorReport for Health {
    fn instance(&self) -> String {
        self.instance.clone()
    }

    /// One ingest actor per partition, and every endpoint that has an actor or had something to say.
    fn actors(&self) -> Vec<ActorView> {
        let now = clock::now();
        let mut actors = Vec::new();
        if let Some(consumer) = self.consumer.get() {
            actors.extend(consumer.assigned().iter().map(|ledger| ingest_actor(ledger, now)));
        }
        let held_back = self.own_trouble.get().is_some_and(|own_trouble| own_trouble.is_on());
        actors.extend(self.table.endpoints().iter().map(|queue| endpoint_actor(queue, held_back)));
        actors
    }
}

fn ingest_actor(ledger: &PartitionLedger, now: Instant) -> ActorView {
    let seen = ledger.snapshot(now);
    ActorView {
        kind: "ingest",
        id: format!("{}/{}", ledger.topic(), ledger.partition()),
        state: if ledger.has_failed() { "rereading" } else { "running" }.to_owned(),
        queue_events: seen.outstanding_events,
        queue_bytes: seen.outstanding_bytes,
        oldest_ms: u64::try_from(seen.uncommitted_age.as_millis()).ok(),
        ..ActorView::default()
    }
}

/// `held_back`: nobody can be reached, so whoever has something to send waits.
fn endpoint_actor(queue: &EndpointQueue, held_back: bool) -> ActorView {
    let health = &queue.health;
    let state = match (queue.settings().state, queue.has_actor()) {
        (State::Paused, _) => "paused",
        (State::Disabled, _) => "disabled",
        (State::Enabled, true) if held_back => "held_back",
        (State::Enabled, true) => "running",
        (State::Enabled, false) => "idle",
    };
    ActorView {
        kind: "endpoint",
        id: queue.id.to_string(),
        state: state.to_owned(),
        queue_events: (queue.waiting_events() + health.queued_events.load(Ordering::Relaxed)) as u64,
        queue_bytes: health.queued_bytes.load(Ordering::Relaxed) as u64,
        in_flight: u64::from(health.in_flight.load(Ordering::Relaxed)),
        breaker: Some(health.breaker_word()),
        restarts: health.restarts.load(Ordering::Relaxed),
        delivered: health.delivered.load(Ordering::Relaxed),
        failed_attempts: health.failed_attempts.load(Ordering::Relaxed),
        last_error: health.last_error.lock().clone(),
        oldest_ms: None,
    }
}
