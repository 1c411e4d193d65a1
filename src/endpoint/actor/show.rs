//! ● What others see of an endpoint actor: written at the end of each turn.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use super::EndpointActor;

const OLDEST_EVERY: Duration = Duration::from_secs(1);

impl EndpointActor {
    pub(super) fn show_health(&mut self, now: Instant) {
        self.queue.caught_up_if_empty(self.delivery.queued_events());
        let health = &self.queue.health;
        health.queued_events.store(self.delivery.queued_events(), Relaxed);
        health.queued_bytes.store(self.delivery.queued_bytes(), Relaxed);
        health.held_events.store(self.delivery.held_events(), Relaxed);
        health.in_flight.store(u32::try_from(self.delivery.in_flight()).unwrap_or(u32::MAX), Relaxed);
        self.core.report.breaker(health, self.delivery.breaker_state());
        health.off.store(self.delivery.sends_nothing(), Relaxed);
        let silent_until = self.delivery.silent_until(now);
        if silent_until != self.shown_silent_until {
            self.shown_silent_until = silent_until;
            *health.silent_until.lock() = silent_until;
        }
        self.show_oldest(now);
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
