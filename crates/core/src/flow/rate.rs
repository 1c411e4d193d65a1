//! ○ Events a second, smoothed: quick to rise, slower to fall, and falling also while nothing happens.

use std::time::{Duration, Instant};

/// See the module's page.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    per_second: f64,
    /// Events since `since`.
    counted: u64,
    since: Instant,
}

impl Rate {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Rate { per_second: 0.0, counted: 0, since: now }
    }

    /// Counts events that happened.
    pub fn add(&mut self, events: u64, now: Instant) {
        self.counted += events;
        self.close_interval(now);
    }

    /// Events a second by now.
    #[must_use]
    pub fn per_second(&self, now: Instant) -> f64 {
        let mut current = *self;
        current.close_interval(now);
        current.per_second
    }

    fn close_interval(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < INTERVAL {
            return;
        }
        let seen = self.counted as f64 / elapsed.as_secs_f64();
        let time_constant = if seen > self.per_second { RISES_WITHIN } else { FALLS_WITHIN };
        let part = 1.0 - (-elapsed.as_secs_f64() / time_constant.as_secs_f64()).exp();
        self.per_second += (seen - self.per_second) * part;
        (self.counted, self.since) = (0, now);
    }
}

/// Shorter intervals would measure the size of single chunks.
const INTERVAL: Duration = Duration::from_millis(100);
const RISES_WITHIN: Duration = Duration::from_millis(200);
const FALLS_WITHIN: Duration = Duration::from_millis(800);

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    fn fed(per_ms: u64, ms: std::ops::Range<u64>, rate: &mut Rate, start: Instant) {
        ms.for_each(|ms| rate.add(per_ms, after(start, ms)));
    }

    #[test]
    fn a_steady_rate_is_found_within_a_second() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        fed(5, 1..1_001, &mut rate, start);
        assert!((4_900.0..=5_100.0).contains(&rate.per_second(after(start, 1_000))));
    }

    #[test]
    fn silence_lets_it_fall_without_being_told() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        fed(5, 1..1_001, &mut rate, start);
        let (soon, late) = (rate.per_second(after(start, 1_800)), rate.per_second(after(start, 6_000)));
        assert!((1_000.0..3_000.0).contains(&soon), "{soon}");
        assert!(late < 20.0, "{late}");
    }

    #[test]
    fn it_rises_faster_than_it_falls() {
        let start = Instant::now();
        let (mut rising, mut falling) = (Rate::new(start), Rate::new(start));
        fed(1, 1..2_001, &mut rising, start);
        fed(9, 1..2_001, &mut falling, start);
        fed(9, 2_001..2_301, &mut rising, start);
        fed(1, 2_001..2_301, &mut falling, start);
        let now = after(start, 2_300);
        assert!(rising.per_second(now) - 1_000.0 > 9_000.0 - falling.per_second(now));
    }
}
