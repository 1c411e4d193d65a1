//! ○ GCRA (generic cell rate algorithm): checked, never awaited, and told the time.

use std::time::{Duration, Instant};

use crate::model::settings::RateLimit;

/// Limit on the events that an endpoint gets a second.
///
/// **Invariant:** in any window of `w` seconds at most `events_per_second × w + burst_events` events pass; the interval
/// between events is rounded up, so rounding never adds one.
#[derive(Debug)]
pub struct RateLimiter {
    interval_ns: u64,
    burst_events: u32,
    started: Instant,
    /// Theoretical arrival time of the next event, if all came at the interval: nanoseconds since the start.
    arrival_ns: u64,
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
        let burst_events = u32::try_from(share).unwrap_or(u32::MAX).max(batch_events_max).max(1);
        let mut limiter = RateLimiter { interval_ns, burst_events, started: now, arrival_ns: 0 };
        limiter.arrival_ns = limiter.spacing_ns(burst_events);
        limiter
    }

    /// Takes room for `events`, or says when there may be room. More than the burst counts as the burst.
    pub fn take(&mut self, events: usize, now: Instant) -> Result<(), Instant> {
        let events = u32::try_from(events).unwrap_or(u32::MAX).min(self.burst_events);
        if events == 0 {
            return Ok(());
        }
        let since = now.saturating_duration_since(self.started);
        let now_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let last_ns = self.arrival_ns.saturating_add(self.spacing_ns(events));
        let earliest_ns = last_ns.saturating_sub(self.spacing_ns(self.burst_events));
        if now_ns < earliest_ns {
            let at = self.started + Duration::from_nanos(earliest_ns);
            // Never a time that is already there: the caller would spin.
            return Err(at.max(now + Duration::from_micros(1)));
        }
        self.arrival_ns = self.arrival_ns.max(now_ns).saturating_add(self.interval_ns * u64::from(events));
        Ok(())
    }

    /// Gives back the room of events that did not go: `taken` at this time, less those that were `sent`.
    pub fn give_back(&mut self, taken: usize, sent: usize) {
        let counted = |events: usize| u64::try_from(events).unwrap_or(u64::MAX).min(u64::from(self.burst_events));
        let unused_ns = self.interval_ns * counted(taken).saturating_sub(counted(sent));
        self.arrival_ns = self.arrival_ns.saturating_sub(unused_ns);
    }

    #[must_use]
    pub fn burst_events(&self) -> u32 {
        self.burst_events
    }

    /// Time between the first and the last of so many events.
    fn spacing_ns(&self, events: u32) -> u64 {
        self.interval_ns.saturating_mul(u64::from(events - 1))
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
    fn what_was_not_sent_leaves_its_room_to_others() {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(limit(10, 10), 1, 10, now);
        let later = now + Duration::from_secs(60);
        assert_eq!(limiter.take(20, later), Ok(()));
        limiter.give_back(20, 2);
        assert_eq!(limiter.take(8, later), Ok(()));
        assert_eq!(limiter.take(1, later), Err(later + ms(100)));
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
