//! ○ At most so many a second, over any second. What is taken is known only afterwards (a record may be for nobody, or for
//! several), so it may be overdrawn by one taking, which is then waited for.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    left: f64,
    /// Beside it, for what does not count.
    allowed: f64,
    at: Instant,
}

impl TokenBucket {
    #[must_use]
    pub fn new(per_second: u32, now: Instant) -> Self {
        TokenBucket { per_second: f64::from(per_second), left: 0.0, allowed: 0.0, at: now }
    }

    /// Another rate from now on.
    pub fn set(&mut self, per_second: f64, now: Instant) {
        let _ = self.has(now); // what is due so far is due at the old rate
        self.per_second = per_second;
    }

    /// True if one may be taken now.
    #[must_use]
    pub fn has_any(&mut self, now: Instant) -> bool {
        self.has(now) > 0
    }

    /// Number that may be taken now.
    #[must_use]
    pub fn has(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        let most = (self.per_second * BURST.as_secs_f64()).max(1.0);
        self.left = (self.left + self.per_second * passed.as_secs_f64()).min(most);
        (self.left + self.allowed).max(0.0) as usize
    }

    /// Discounts this many: they came a moment ago. Not more than a second's are remembered.
    pub fn allow(&mut self, count: usize) {
        self.allowed = (self.allowed + count as f64).min(self.per_second.max(ALLOWED_MIN));
    }

    pub fn take(&mut self, count: usize) {
        let count = count as f64;
        let allowed = self.allowed.min(count);
        self.allowed -= allowed;
        self.left -= count - allowed;
    }

    /// Instead of what was taken, so many were there.
    pub fn correct(&mut self, taken: usize, found: usize) {
        self.left += taken as f64 - found as f64;
    }
}

/// Time that may be made up for after a pause.
const BURST: Duration = Duration::from_millis(50);
/// Events that do not count and are remembered, however low the rate.
const ALLOWED_MIN: f64 = 1_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Number taken within so many seconds, three at a time.
    fn taken_within(pace: &mut TokenBucket, start: Instant, seconds: u64) -> u64 {
        let mut taken = 0;
        for ms in 0..seconds * 1_000 {
            let now = start + Duration::from_millis(ms);
            while pace.has_any(now) {
                pace.take(3);
                taken += 3;
            }
        }
        taken
    }

    #[test]
    fn no_second_has_more_than_its_share_and_none_is_wasted() {
        let start = Instant::now();
        let mut pace = TokenBucket::new(1_000, start);
        let taken = taken_within(&mut pace, start, 5);
        assert!((4_950..=5_003).contains(&taken), "{taken}");
    }

    #[test]
    fn what_is_found_counts_and_not_what_was_taken_for_it() {
        let start = Instant::now();
        let mut pace = TokenBucket::new(1_000, start);
        let mut found = 0;
        for ms in 0..5_000 {
            while pace.has_any(start + Duration::from_millis(ms)) {
                pace.take(3);
                pace.correct(3, if found % 2 == 0 { 1 } else { 5 });
                found += if found % 2 == 0 { 1 } else { 5 };
            }
        }
        assert!((4_950..=5_005).contains(&found), "{found}");
    }

    #[test]
    fn a_pause_is_made_up_for_only_a_little() {
        let start = Instant::now();
        let mut pace = TokenBucket::new(1_000, start);
        let mut taken = 0;
        while pace.has_any(start + Duration::from_secs(60)) {
            pace.take(1);
            taken += 1;
        }
        assert_eq!(taken, 50);
    }

    #[test]
    fn another_rate_holds_from_then_on() {
        let start = Instant::now();
        let mut pace = TokenBucket::new(1_000, start);
        taken_within(&mut pace, start, 3);
        pace.set(250.0, start + Duration::from_secs(3));
        let slower = taken_within(&mut pace, start + Duration::from_secs(3), 5);
        assert!((1_230..=1_310).contains(&slower), "{slower}");
    }

    #[test]
    fn what_came_just_now_is_taken_beside_the_pace() {
        let start = Instant::now();
        let mut pace = TokenBucket::new(1_000, start);
        let mut taken = 0;
        for ms in 0..5_000 {
            if ms % 10 == 0 {
                pace.allow(20); // 2,000 a second
            }
            while pace.has_any(start + Duration::from_millis(ms)) {
                pace.take(1);
                taken += 1;
            }
        }
        assert!((14_950..=15_001).contains(&taken), "{taken}");
    }

    #[test]
    fn what_nobody_took_in_time_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = TokenBucket::new(1_000, start);
        pace.allow(300_000);
        let mut taken = 0;
        while pace.has_any(start + Duration::from_secs(60)) {
            pace.take(1);
            taken += 1;
        }
        assert_eq!(taken, 1_050);
    }
}
