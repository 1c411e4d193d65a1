//! ○ Consequences of other settings, or of another number of instances.

use std::time::Instant;

use super::Delivery;
use crate::{
    delivery::{buffer::BatchLimits, rate_limit::RateLimiter},
    model::settings::Mode,
};

impl Delivery {
    pub(super) fn take_apart_for_a_stream(&mut self, now: Instant) {
        if self.settings.delivery.mode == Mode::Stream {
            for (due, batch) in self.waiting.take_out(|batch, _| batch.held_len() > 1) {
                self.wait_or_park(batch, due.saturating_duration_since(now), now);
            }
        }
    }

    pub(super) fn renew_rate_limiter(&mut self, now: Instant) {
        let delivery = &self.settings.delivery;
        let events_max = BatchLimits::new(delivery.mode, delivery.format, None, None).events_max;
        let events_max = u32::try_from(events_max).unwrap_or(u32::MAX);
        self.rate_limiter = delivery.rate_limit.map(|limit| RateLimiter::new(limit, self.instances, events_max, now));
        self.renew_batch_limits();
    }

    pub(super) fn renew_batch_limits(&mut self) {
        let delivery = &self.settings.delivery;
        let burst_events = self.rate_limiter.as_ref().map(RateLimiter::burst_events);
        self.batch_limits = BatchLimits::new(delivery.mode, delivery.format, burst_events, delivery.retry.attempts_max);
    }
}
