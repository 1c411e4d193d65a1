//! ○ Consequences of other settings, or of another number of instances.

use std::{sync::Arc, time::Instant};

use super::{Delivery, refusals::Refusals};
use crate::{
    delivery::{buffer::BatchLimits, rate_limit::RateLimiter},
    model::settings::{Mode, Settings},
};

impl Delivery {
    /// Other settings: they hold for every attempt from now on.
    pub fn handle_settings(&mut self, settings: Arc<Settings>, now: Instant) {
        let before = std::mem::replace(&mut self.settings, settings);
        if before.delivery.rate_limit != self.settings.delivery.rate_limit
            || before.delivery.mode != self.settings.delivery.mode
        {
            self.renew_rate_limiter(now);
            self.take_apart_for_a_stream(now);
        }
        if before.url != self.settings.url {
            self.concurrency = None; // another receiver, of which nothing is known
        }
        self.renew_concurrency(now);
        self.renew_batch_limits();
        self.change_order(before.delivery.ordering, now);
        if self.settings.version > before.version {
            // What was changed may well have been the cause of the trouble: one probe tells.
            self.gone = false;
            self.refusals = Refusals::default();
            self.silent_until = None;
            let change = self.breaker.probe_now();
            self.report(change);
        }
        self.park_check_at = Some(now);
        self.advance(now);
    }

    /// Takes the number of instances that share the endpoint's rate limit.
    pub fn handle_instances(&mut self, instances: u32, now: Instant) {
        let instances = instances.max(1);
        if instances != self.instances {
            self.instances = instances;
            self.renew_rate_limiter(now);
            self.advance(now);
        }
    }

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
