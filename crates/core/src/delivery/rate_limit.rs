//! ○ GCRA by governor: checked, never awaited, and told the time.

use std::{
    cell::Cell,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use governor::{
    Quota,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};

use crate::model::settings::RateLimit;

/// Limit on the events that an endpoint gets a second.
///
/// **Invariant:** in any window of `w` seconds at most `events_per_second × w + burst_events` events pass; the interval
/// between events is rounded up, so rounding never adds one.
pub struct RateLimiter {
    governor: governor::RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Nanos>>,
    started: Instant,
    burst_events: NonZeroU32,
}

impl RateLimiter {
    /// A share of the limit: one of `instances` that send to the same endpoint. Starts with a burst of one event only,
    /// or every restart of an actor would hand the endpoint another full burst.
    /// The burst is never smaller than `batch_events_max`, for a batch above it could never pass.
    #[must_use]
    pub fn new(limit: RateLimit, instances: u32, batch_events_max: u32, now: Instant) -> Self {
        let instances = u64::from(instances.max(1));
        let interval_ns = (NANOS_PER_SECOND * instances).div_ceil(u64::from(limit.events_per_second.max(1)));
        let share = u64::from(limit.burst_events) / instances;
        let burst = u32::try_from(share).unwrap_or(u32::MAX).max(batch_events_max);
        let burst_events = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_nanos(interval_ns)).expect("an interval is never zero");
        let governor = governor::RateLimiter::direct_with_clock(quota.allow_burst(burst_events), Told::default());
        let limiter = RateLimiter { governor, started: now, burst_events };
        if let Some(all_but_one) = NonZeroU32::new(burst_events.get() - 1) {
            let drained = limiter.governor.check_n(all_but_one);
            debug_assert!(matches!(drained, Ok(Ok(()))), "a new limiter is full");
        }
        limiter
    }

    /// Takes room for `events`, or says when there may be room. More than the burst counts as the burst.
    pub fn take(&mut self, events: usize, now: Instant) -> Result<(), Instant> {
        let events = u32::try_from(events).unwrap_or(u32::MAX).min(self.burst_events.get());
        let Some(events) = NonZeroU32::new(events) else {
            return Ok(());
        };
        self.governor.clock().tell(self.nanos(now));
        match self.governor.check_n(events).expect("at most the burst is asked for") {
            Ok(()) => Ok(()),
            Err(refused) => {
                let at = self.started + Duration::from(refused.earliest_possible());
                // Never a time that is already there: the caller would spin.
                Err(at.max(now + Duration::from_micros(1)))
            }
        }
    }

    #[must_use]
    pub fn burst_events(&self) -> u32 {
        self.burst_events.get()
    }

    fn nanos(&self, now: Instant) -> Nanos {
        Nanos::from(now.saturating_duration_since(self.started))
    }
}

/// The time as it was told last. Only the limiter that owns it sees it, so a `Cell` is enough.
#[derive(Default)]
pub struct Told(Cell<Nanos>);

impl Told {
    pub fn tell(&self, now: Nanos) {
        self.0.set(now);
    }
}

impl Clock for Told {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(events_per_second: u32, burst_events: u32) -> RateLimit {
        RateLimit { events_per_second, burst_events }
    }

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_new_limiter_lets_one_event_through_and_not_a_burst() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(limit(10, 100), 1, 1, now);
        assert_eq!(limiter.take(1, now), Ok(()));
        assert_eq!(limiter.take(1, now), Err(now + ms(100)));
        assert_eq!(limiter.take(1, now + ms(100)), Ok(()));
    }

    #[test]
    fn a_pause_earns_a_burst_and_no_more() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(limit(10, 5), 1, 1, now);
        let later = now + Duration::from_secs(60);
        assert_eq!(limiter.take(5, later), Ok(()));
        assert_eq!(limiter.take(1, later), Err(later + ms(100)));
    }

    #[test]
    fn a_batch_passes_whole_when_there_is_room_for_all_of_it() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(limit(10, 10), 1, 10, now);
        let at = limiter.take(10, now).unwrap_err();
        assert_eq!(at, now + ms(900));
        assert_eq!(limiter.take(10, at), Ok(()));
    }

    #[test]
    fn more_than_the_burst_counts_as_the_burst_and_does_not_wait_for_ever() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(limit(10, 10), 1, 10, now);
        assert_eq!(limiter.take(1_000, now + ms(900)), Ok(()));
    }

    #[test]
    fn an_instance_takes_its_share_and_can_still_pass_a_full_batch() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(limit(10, 40), 4, 20, now);
        assert_eq!(limiter.burst_events(), 20);
        assert_eq!(limiter.take(1, now), Ok(()));
        assert_eq!(limiter.take(1, now), Err(now + ms(400)));
    }

    proptest! {
        #[test]
        fn no_window_gets_more_than_its_rate_and_one_burst(
            events_per_second in 1_u32..5_000,
            burst_events in 1_u32..200,
            steps in prop::collection::vec((0_u64..2_000_000, 1_usize..50), 1..200),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut limiter = RateLimiter::new(limit(events_per_second, burst_events), 1, 1, now);
            let mut passed: Vec<(Instant, usize)> = Vec::new();
            for (step_us, events) in steps {
                now += Duration::from_micros(step_us);
                let events = events.min(burst_events as usize);
                match limiter.take(events, now) {
                    Ok(()) => passed.push((now, events)),
                    Err(at) => {
                        prop_assert!(at > now);
                        now = at;
                        prop_assert_eq!(limiter.take(events, now), Ok(()), "the time that was named is enough");
                        passed.push((now, events));
                    }
                }
            }
            for (first, (from, _)) in passed.iter().enumerate() {
                let mut sum = 0;
                for (to, events) in &passed[first..] {
                    sum += events;
                    let window = (*to - *from).as_secs_f64();
                    prop_assert!(sum as f64 <= f64::from(events_per_second) * window + f64::from(burst_events) + 1e-6);
                }
            }
        }
    }
}
