//! ○ Saturation, true while the endpoint is what limits: what comes for it, and the part of the last second in which something waited for a
//! limit of its own.

use std::time::{Duration, Instant};

use crate::flow::rate::Rate;

#[derive(Clone, Copy, Debug)]
pub(super) struct Saturation {
    /// Rate of events that come from Kafka.
    coming: Rate,
    share: f64,
    at: Instant,
    is_waited_for: bool,
}

impl Saturation {
    pub(super) fn new(now: Instant) -> Self {
        Saturation { coming: Rate::new(now), share: 0.0, at: now, is_waited_for: false }
    }

    /// Counts events that came from Kafka.
    pub(super) fn came(&mut self, events: u64, now: Instant) {
        self.coming.add(events, now);
    }

    /// It takes as much as comes, and is seldom waited for: what waits, waits for us.
    #[must_use]
    pub(super) fn waits_for_us(&self, takes_per_second: f64, now: Instant) -> bool {
        let keeps_up = takes_per_second > 0.0 && takes_per_second >= self.coming.per_second(now) * KEEPS_UP;
        keeps_up && self.share(now) < SATURATED
    }

    /// From now on something waits for it, or nothing does.
    pub(super) fn record(&mut self, is_waited_for: bool, now: Instant) {
        (self.share, self.at, self.is_waited_for) = (self.share(now), now, is_waited_for);
    }

    fn share(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at);
        let weight = 1.0 - (-passed.as_secs_f64() / REMEMBERED.as_secs_f64()).exp();
        let state = f64::from(u8::from(self.is_waited_for));
        self.share + (state - self.share) * weight
    }
}

const REMEMBERED: Duration = Duration::from_secs(1);
/// It takes as much as comes when it takes this part of it: both rates swing.
const KEEPS_UP: f64 = 0.9;
/// Waited for in this part of the time, an endpoint is what limits.
const SATURATED: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::machine::testing::{ms, secs};

    #[test]
    fn short_waits_are_a_small_share_and_a_long_one_is_all_of_it() {
        let start = Instant::now();
        let mut saturation = Saturation::new(start);
        for burst in 0..30 {
            saturation.record(true, start + ms(burst * 100));
            saturation.record(false, start + ms(burst * 100 + 20));
        }
        let share = saturation.share(start + secs(3));
        assert!((0.1..0.3).contains(&share), "{share}");
        saturation.record(true, start + secs(3));
        assert!(saturation.share(start + secs(8)) > 0.95);
        saturation.record(false, start + secs(8));
        assert!(saturation.share(start + secs(13)) < 0.05);
    }
}
