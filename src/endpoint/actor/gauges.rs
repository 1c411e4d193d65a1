//! ● The view of an endpoint actor from outside: written at the end of each turn.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use super::EndpointActor;
use crate::{endpoint::stalls::Obstacle, model::receipt::Receipt};

const OLDEST_EVERY: Duration = Duration::from_secs(1);

impl EndpointActor {
    pub(super) fn show_health(&mut self, now: Instant) {
        self.show_waiting(self.delivery.window_events(now));
        self.show_lagging();
        let health = &self.queue.health;
        health.queued_events.store(self.delivery.queued_events(), Relaxed);
        health.queued_bytes.store(self.delivery.queued_bytes(), Relaxed);
        health.held_events.store(self.delivery.held_events(), Relaxed);
        health.in_flight.store(u32::try_from(self.delivery.in_flight()).unwrap_or(u32::MAX), Relaxed);
        health.in_flight_limit.store(self.delivery.in_flight_limit(now), Relaxed);
        self.core.report.breaker(health, self.delivery.breaker_state());
        health.off.store(self.delivery.sends_nothing(), Relaxed);
        let (before, obstacle) = (health.obstacle(), self.delivery.obstacle(now));
        if obstacle == Some(Obstacle::RateLimit) && before != obstacle {
            self.core.report.rate_limited();
        }
        health.show_obstacle(obstacle);
        health.stalled.store(self.delivery.is_stalled(), Relaxed);
        if self.delivery.is_lagging() {
            health.stored_wanted_events.store(self.delivery.stored_wanted_events(now), Relaxed);
        }
        let silent_until = self.delivery.silent_until(now);
        if silent_until != self.shown_silent_until {
            self.shown_silent_until = silent_until;
            *health.silent_until.lock() = silent_until;
        }
        self.show_oldest(now);
    }

    /// Shows the events that wait here and count in the read window.
    pub(super) fn show_waiting(&mut self, events: usize) {
        if events != self.shown_waiting {
            self.core.counters().waiting(events as i64 - self.shown_waiting as i64);
            self.shown_waiting = events;
        }
    }

    /// Counts events that ended for this endpoint, for the flow control: events of Kafka and of the backlog apart.
    pub(super) fn count_ended<'a>(&self, receipts: impl Iterator<Item = &'a Receipt>) {
        let (mut ended, mut drained) = (0, 0);
        for receipt in receipts {
            *if receipt.event().source.is_stored() { &mut drained } else { &mut ended } += 1;
        }
        if ended > 0 {
            self.core.counters().ended(ended);
        }
        if drained > 0 {
            self.core.counters().drained(drained);
        }
    }

    fn show_lagging(&self) {
        let is_lagging = self.delivery.is_lagging();
        if self.queue.show_lagging(is_lagging) {
            let id = &self.queue.id;
            if is_lagging {
                tracing::warn!(endpoint.id = %id, "endpoint {id} cannot keep up; its events go to the backlog");
            } else {
                tracing::info!(endpoint.id = %id, "endpoint {id} has caught up");
            }
        }
    }

    /// Looked for once a second at most: that looks at every event held.
    fn show_oldest(&mut self, now: Instant) {
        let (shown, looked_at) = self.shown_oldest;
        let is_idle = self.delivery.is_idle();
        if is_idle && shown.is_none() || !is_idle && now.duration_since(looked_at) < OLDEST_EVERY {
            return;
        }
        let oldest = if is_idle { None } else { self.delivery.oldest_received_at() };
        self.shown_oldest = (oldest, now);
        *self.queue.health.oldest_received_at.lock() = oldest;
    }
}
