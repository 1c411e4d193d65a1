//! ● AttemptLog of an attempt to operators: a few counters, and one line when it failed (successes are sampled, because a
//! line costs as much as a delivery).

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    attempt_record::{AttemptEnd, record_of},
    batch::Batch,
    breaker::BreakerState,
    delivery::StateChange,
    delivery_metrics::DeliveryMetrics,
    request,
    stats::EndpointStats,
};
use crate::{
    attempts::AttemptWriter,
    clock,
    model::{
        attempt::AttemptRecord,
        disposition::{GivenUp, Next},
        event::Event,
        outcome::Outcome,
        settings::{Mode, Settings},
    },
    monitoring::core_counters::Flow,
    telemetry::handles::EndpointMetrics,
};

/// Told of each event that one endpoint took: so the canary is seen to arrive at a receiver that is not ours.
pub struct DeliveryObserver {
    pub endpoint_id: Arc<str>,
    /// Called on the endpoint's core: it must not wait.
    pub taken: Box<dyn Fn(&Event) + Send + Sync>,
}

/// One a core.
pub struct AttemptLog {
    stream: DeliveryMetrics,
    batch: DeliveryMetrics,
    endpoints: EndpointMetrics,
    /// One delivered attempt in this many gets a line; 0 none.
    delivered_sample_every: u64,
    delivered: Cell<u64>,
    /// For people to look at, later.
    attempts: AttemptWriter,
    first_delivered: Cell<u64>,
    flow: Arc<Flow>,
    observed: Option<Arc<DeliveryObserver>>,
}

impl AttemptLog {
    #[must_use]
    pub fn new(
        delivered_sample_every: u64,
        attempts: AttemptWriter,
        flow: Arc<Flow>,
        observed: Option<Arc<DeliveryObserver>>,
    ) -> Self {
        AttemptLog {
            stream: DeliveryMetrics::new("stream"),
            batch: DeliveryMetrics::new("batch"),
            endpoints: EndpointMetrics::new(),
            delivered_sample_every,
            delivered: Cell::new(0),
            attempts,
            first_delivered: Cell::new(0),
            flow,
            observed,
        }
    }

    /// An attempt has ended: counted, and logged when it failed. Most that went well leave no record.
    #[must_use]
    pub fn attempt(&self, settings: &Settings, batch: &Batch, ended: AttemptEnd<'_>) -> Option<AttemptRecord> {
        self.count_and_say(settings, batch, ended);
        if *ended.outcome == Outcome::Delivered
            && let Some(observed) = self.observed.as_ref().filter(|observed| observed.endpoint_id == settings.id)
        {
            batch.events().for_each(|event| (observed.taken)(event));
        }
        let went_well_at_once = *ended.outcome == Outcome::Delivered && batch.attempt_number() == 1;
        let stands_for = match went_well_at_once {
            false => 1,
            true => {
                let every = self.attempts.delivered_sample_every();
                every_so_many(&self.first_delivered, every).then_some(every)?
            }
        };
        Some(record_of(settings, batch, ended, stands_for))
    }

    /// An endpoint begins to wait for its rate limit.
    pub fn rate_limited(&self) {
        self.endpoints.rate_limited.increment(1);
    }

    /// Adds what becomes of the batch to the record of its attempt, and submits it.
    pub fn follows(&self, record: Option<AttemptRecord>, next: Next, now: Instant) {
        if let Some(record) = record {
            self.attempts.submit(record.followed_by(next, now));
        }
    }

    fn count_and_say(&self, settings: &Settings, batch: &Batch, ended: AttemptEnd<'_>) {
        let AttemptEnd { outcome, note, took, wall_ms } = ended;
        let metrics = match settings.delivery.mode {
            Mode::Stream => &self.stream,
            Mode::Batch { .. } => &self.batch,
        };
        metrics.attempted(outcome, note.class, batch.len(), took);
        metrics.batch_sent(batch.filled_by());
        if *outcome == Outcome::Delivered {
            match batch.attempt_number() {
                1 => drop(self.flow.delivered_at_once.fetch_add(1, Ordering::Relaxed)),
                attempts => metrics.delivered_after(attempts),
            }
            let age = batch.events().next().map_or(Duration::ZERO, |event| {
                metrics.events_were_old(since_ms(event.record.timestamp_ms, wall_ms), batch.len());
                in_our_hands(event, wall_ms)
            });
            metrics.delivered_at_age(age, batch.len());
            self.flow.delivered.fetch_add(batch.len() as u64, Ordering::Relaxed);
            self.flow.ages.add(age, u32::try_from(batch.len()).unwrap_or(u32::MAX));
            if !every_so_many(&self.delivered, self.delivered_sample_every) {
                return;
            }
        }
        let (events, attempt) = (batch.len(), batch.attempt_number());
        let (id, ms) = (&*settings.id, u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let (webhook_id, _) = request::ids(batch.events(), settings, 0);
        // Of a batch, its record has each.
        let event_id = batch.events().next().filter(|_| events == 1).and_then(|event| event.own_id());
        if *outcome == Outcome::Delivered {
            tracing::info!(
                endpoint.id = id,
                attempt.number = attempt,
                attempt.duration_ms = ms,
                attempt.events = events,
                outcome = note.class,
                webhook_id,
                event_id,
                "delivered to endpoint {id}"
            );
        } else {
            self.flow.failed_attempts.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                endpoint.id = id,
                attempt.number = attempt,
                attempt.duration_ms = ms,
                attempt.events = events,
                outcome = note.class,
                status = note.status,
                webhook_id,
                event_id,
                "attempt failed at endpoint {id}"
            );
        }
    }

    /// Events are given up after so many attempts.
    pub fn given_up(&self, given_up: &[GivenUp]) {
        given_up.iter().for_each(|given_up| self.stream.given_up_after(given_up.attempts));
    }

    /// A probe has ended, and left the breaker so.
    pub fn probed(&self, left: BreakerState) {
        match left {
            BreakerState::Closed => self.endpoints.probes_succeeded.increment(1),
            BreakerState::Open => self.endpoints.probes_failed.increment(1),
            BreakerState::HalfOpen => self.endpoints.probes_undecided.increment(1),
        }
    }

    /// The breaker moved, or the endpoint wants nothing more.
    pub fn state_change(&self, settings: &Settings, health: &EndpointStats, change: &StateChange) {
        let id = &*settings.id;
        if let StateChange::BreakerOpened { failures } = change {
            health.breaker_failures.store(*failures, Ordering::Relaxed);
            // What is shown is how it was before: a probe that failed opens it again, and is counted as that.
            if health.breaker.load(Ordering::Relaxed) == BreakerState::Closed as u32 {
                self.endpoints.breaker_trips.increment(1);
            }
        }
        match change {
            StateChange::Gone => tracing::warn!(endpoint.id = id, "endpoint {id} answered 410 Gone; it is disabled"),
            change => tracing::info!(endpoint.id = id, ?change, "the breaker of endpoint {id} changed its state"),
        }
    }

    /// The breaker's state is this now: shown for the endpoint, and counted. An actor that ends shows it as closed.
    pub fn breaker(&self, health: &EndpointStats, state: BreakerState) {
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
}

/// Since this service first received the event: nothing that a producer's clock says goes into how late we are.
fn in_our_hands(event: &Event, wall_ms: i64) -> Duration {
    match event.first_received_ms {
        Some(received_ms) => since_ms(received_ms.get(), wall_ms).unwrap_or_default(),
        None => clock::now().saturating_duration_since(event.received_at),
    }
}

/// `None` for a record without a time.
fn since_ms(at_ms: i64, wall_ms: i64) -> Option<Duration> {
    (at_ms > 0).then(|| Duration::from_millis(u64::try_from(wall_ms - at_ms).unwrap_or(0)))
}

/// True once in `every` calls; never for 0.
fn every_so_many(count: &Cell<u64>, every: u64) -> bool {
    let counted = count.get().wrapping_add(1);
    count.set(counted);
    every != 0 && counted.is_multiple_of(every)
}
