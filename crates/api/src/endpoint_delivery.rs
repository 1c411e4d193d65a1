//! ○ An endpoint's settings, as its delivery machine takes them.

use std::time::Duration;

use postrider_core::model::settings::{Breaker, DeliverySettings, Mode, RateLimit, Retry, Schedule};

use super::endpoint::{DeliveryMode, EndpointSettings, RetrySchedule};

impl EndpointSettings {
    /// Settings of delivery. A zero where it would stop delivery counts as one.
    #[must_use]
    pub fn delivery(&self) -> DeliverySettings {
        DeliverySettings {
            mode: match self.mode {
                DeliveryMode::Stream => Mode::Stream,
                DeliveryMode::Batch => Mode::Batch {
                    events_max: self.batch.events_max.max(1),
                    bytes_max: self.batch.bytes_max.max(1),
                    wait: ms(self.batch.wait_ms_max),
                },
            },
            format: self.format,
            batch_format: self.batch_format,
            ordering: self.ordering,
            in_flight: self.in_flight,
            in_flight_max: self.in_flight_max.max(1),
            rate_limit: self.rate_limit.map(|limit| RateLimit {
                events_per_second: limit.events_per_second.max(1),
                burst_events: limit.burst_events.max(1),
            }),
            retry: Retry {
                attempts_max: self.retry.attempts_max.map(|attempts| attempts.max(1)),
                schedule: match &self.retry.schedule {
                    RetrySchedule::Explicit { schedule_ms } => {
                        Schedule::Explicit(schedule_ms.iter().copied().map(ms).collect())
                    }
                    RetrySchedule::Exponential { base_ms, max_ms } => {
                        Schedule::Exponential { base: ms(*base_ms), max: ms(*max_ms) }
                    }
                },
            },
            breaker: Breaker {
                consecutive_failures: self.breaker.consecutive_failures.max(1),
                failure_ratio: self.breaker.failure_ratio,
                requests_min: self.breaker.requests_min.max(1),
                window: ms(self.breaker.window_ms),
                open_base: ms(self.breaker.open_base_ms),
                open_max: ms(self.breaker.open_max_ms),
            },
            request_timeout: ms(self.request_timeout_ms),
            http2: self.http2,
        }
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
