//! ● What `/readyz` and `/v1/actors` say of this process.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::loader::Progress;
use crate::{
    clock,
    endpoint::queue::EndpointQueue,
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
    stopping: AtomicBool,
}

impl Health {
    #[must_use]
    pub fn new(table: Arc<RoutingTable>, settings: Arc<Progress>) -> Self {
        Health { table, settings, consumer: OnceLock::new(), stopping: AtomicBool::new(false) }
    }

    /// The consumer runs from now on.
    pub fn consuming(&self, consumer: Arc<ConsumerState>) {
        let _ = self.consumer.set(consumer);
    }

    /// The drain has begun.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Why this instance should not be counted on; empty when it is ready. Postgres being away alone is no reason, or
    /// a blip of the database would take every instance out at once.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
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
                }
            }
        }
        reasons
    }

    /// Every actor of this instance that has something to say: one per partition, one per endpoint.
    #[must_use]
    pub fn actors(&self) -> Vec<Value> {
        let now = clock::now();
        let mut actors = Vec::new();
        if let Some(consumer) = self.consumer.get() {
            actors.extend(consumer.assigned().iter().map(|ledger| ingest_actor(ledger, now)));
        }
        let endpoints = self.table.endpoints();
        actors.extend(endpoints.iter().map(|queue| endpoint_actor(queue)));
        actors
    }
}

fn ingest_actor(ledger: &PartitionLedger, now: std::time::Instant) -> Value {
    let seen = ledger.snapshot(now);
    json!({
        "kind": "ingest",
        "id": format!("{}/{}", ledger.topic(), ledger.partition()),
        "state": if ledger.has_failed() { "rereading" } else { "running" },
        "epoch": seen.epoch,
        "outstanding_events": seen.outstanding_events,
        "outstanding_bytes": seen.outstanding_bytes,
        "committable_offset": seen.committable,
        "uncommitted_age_ms": u64::try_from(seen.uncommitted_age.as_millis()).unwrap_or(u64::MAX),
        "abandoned": seen.abandoned,
        "stale_settles": seen.stale_settles,
    })
}

fn endpoint_actor(queue: &EndpointQueue) -> Value {
    let health = &queue.health;
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    json!({
        "kind": "endpoint",
        "id": &*queue.id,
        "state": if queue.has_actor() { "running" } else { "idle" },
        "settings_state": queue.settings().state,
        "waiting_events": queue.waiting_events(),
        "queued_events": health.queued_events.load(Ordering::Relaxed),
        "queued_bytes": health.queued_bytes.load(Ordering::Relaxed),
        "in_flight": health.in_flight.load(Ordering::Relaxed),
        "breaker": health.breaker_word(),
        "delivered": read(&health.delivered),
        "failed_attempts": read(&health.failed_attempts),
        "restarts": read(&health.restarts),
        "last_success_ms": read(&health.last_success_ms),
        "last_error": &*health.last_error.lock(),
    })
}
