//! ○ At most so many a second, over any second. What is taken is known only afterwards (a record may be for nobody, or for
//! several), so it may be overdrawn by one taking, which is then waited for.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Pace {
    per_second_max: f64,
    left: f64,
    at: Instant,
}

impl Pace {
    #[must_use]
    pub fn new(per_second_max: u32, now: Instant) -> Self {
        Pace { per_second_max: per_second_max.into(), left: 0.0, at: now }
    }

    /// Whether one may be taken now.
    #[must_use]
    pub fn has_any(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        let most = (self.per_second_max * BURST.as_secs_f64()).max(1.0);
        self.left = (self.left + self.per_second_max * passed.as_secs_f64()).min(most);
        self.left >= 1.0
    }

    pub fn take(&mut self, count: usize) {
        self.left -= count as f64;
    }

    /// So many were taken and not there.
    pub fn give_back(&mut self, count: usize) {
        self.left += count as f64;
    }
}

/// What may be made up for after a pause.
const BURST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_its_share_and_none_is_wasted() {
        let start = Instant::now();
        let mut pace = Pace::new(1_000, start);
        let mut taken = 0;
        for ms in 0..5_000 {
            let now = start + Duration::from_millis(ms);
            while pace.has_any(now) {
                pace.take(3);
                taken += 3;
            }
        }
        assert!((4_950..=5_003).contains(&taken), "{taken}");
    }

    #[test]
    fn a_pause_is_made_up_for_only_a_little() {
        let start = Instant::now();
        let mut pace = Pace::new(1_000, start);
        let mut taken = 0;
        while pace.has_any(start + Duration::from_secs(60)) {
            pace.take(1);
            taken += 1;
        }
        assert_eq!(taken, 100);
    }
}
