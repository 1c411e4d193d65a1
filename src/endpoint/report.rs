//! ● What operators see of an attempt: a few counters, and one line when it failed (successes are sampled, because a
//! line costs as much as a delivery).

use std::{cell::Cell, sync::atomic::Ordering, time::Duration};

use super::{
    batch::Batch,
    breaker::BreakerState,
    delivery::StateChange,
    health::Health,
    outcome::{AttemptNote, Outcome},
    settings::{Mode, Settings},
};
use crate::telemetry::handles::{DeliveryMetrics, EndpointMetrics};

/// One a core.
pub struct Report {
    stream: DeliveryMetrics,
    batch: DeliveryMetrics,
    endpoints: EndpointMetrics,
    /// One delivered attempt in this many gets a line; 0 none.
    delivered_sample_every: u64,
    delivered: Cell<u64>,
}

impl Report {
    #[must_use]
    pub fn new(delivered_sample_every: u64) -> Self {
        Report {
            stream: DeliveryMetrics::new("stream"),
            batch: DeliveryMetrics::new("batch"),
            endpoints: EndpointMetrics::new(),
            delivered_sample_every,
            delivered: Cell::new(0),
        }
    }

    /// An attempt has ended.
    pub fn attempt(
        &self,
        settings: &Settings,
        batch: &Batch,
        outcome: &Outcome,
        note: &AttemptNote,
        took: Duration,
        wall_ms: i64,
    ) {
        let metrics = match settings.delivery.mode {
            Mode::Stream => &self.stream,
            Mode::Batch { .. } => &self.batch,
        };
        metrics.attempted(outcome, note.class, batch.len(), took);
        if *outcome == Outcome::Delivered {
            let oldest_ms = batch.events().next().map_or(wall_ms, |event| event.record.timestamp_ms);
            let age = Duration::from_millis(u64::try_from(wall_ms - oldest_ms).unwrap_or(0));
            metrics.delivered_at_age(age, batch.len());
            if !self.is_sampled() {
                return;
            }
        }
        let (events, attempt) = (batch.len(), batch.attempt_number());
        let (id, ms) = (&*settings.id, u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        if *outcome == Outcome::Delivered {
            tracing::info!(
                endpoint.id = id,
                attempt.number = attempt,
                attempt.duration_ms = ms,
                attempt.events = events,
                outcome = note.class,
                "delivered to endpoint {id}"
            );
        } else {
            tracing::warn!(
                endpoint.id = id,
                attempt.number = attempt,
                attempt.duration_ms = ms,
                attempt.events = events,
                outcome = note.class,
                status = note.status,
                "attempt failed at endpoint {id}"
            );
        }
    }

    /// The breaker moved, or the endpoint wants nothing more.
    pub fn state_change(&self, settings: &Settings, change: &StateChange) {
        let id = &*settings.id;
        match change {
            StateChange::Gone => tracing::warn!(endpoint.id = id, "endpoint {id} answered 410 Gone; it is disabled"),
            change => tracing::info!(endpoint.id = id, ?change, "breaker of endpoint {id} moved"),
        }
    }

    /// The breaker's state is this now: shown for the endpoint, and counted. An actor that ends shows it as closed.
    pub fn breaker(&self, health: &Health, state: BreakerState) {
        let before = health.breaker.swap(state as u32, Ordering::Relaxed);
        if before != state as u32 {
            self.count_breaker(before, -1.0);
            self.count_breaker(state as u32, 1.0);
        }
    }

    fn count_breaker(&self, state: u32, by: f64) {
        if state == BreakerState::Open as u32 {
            self.endpoints.breaker_open.increment(by);
        } else if state == BreakerState::HalfOpen as u32 {
            self.endpoints.breaker_half_open.increment(by);
        }
    }

    fn is_sampled(&self) -> bool {
        let delivered = self.delivered.get().wrapping_add(1);
        self.delivered.set(delivered);
        self.delivered_sample_every != 0 && delivered.is_multiple_of(self.delivered_sample_every)
    }
}
