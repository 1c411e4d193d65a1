//! ○ At most so many a second, over any second, and fewer while the cores are late: what has waited already gives way to
//! what comes now. What is taken is known only afterwards (a record may be for nobody, or for several), so it may be
//! overdrawn by one taking, which is then waited for.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Pace {
    per_second_max: f64,
    /// As the cores allow it now.
    per_second: f64,
    left: f64,
    /// Beside it, for what does not count.
    allowed: f64,
    at: Instant,
    heard_at: Instant,
}

impl Pace {
    #[must_use]
    pub fn new(per_second_max: u32, now: Instant) -> Self {
        let per_second_max = f64::from(per_second_max);
        Pace { per_second_max, per_second: per_second_max, left: 0.0, allowed: 0.0, at: now, heard_at: now }
    }

    /// How late the cores were within the last [`HEARING`]: slower by a part when they were, faster by a step when not.
    pub fn hear_lag(&mut self, lag: Duration, now: Instant) {
        if now.saturating_duration_since(self.heard_at) < HEARING {
            return;
        }
        self.heard_at = now;
        self.per_second = if lag > LAG_MAX {
            (self.per_second * SLOWER).max(self.per_second_max * SLOWEST)
        } else {
            (self.per_second + self.per_second_max * FASTER).min(self.per_second_max)
        };
    }

    /// What may be taken a second, now.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Whether one may be taken now.
    #[must_use]
    pub fn has_any(&mut self, now: Instant) -> bool {
        self.has(now) > 0
    }

    /// How many may be taken now.
    #[must_use]
    pub fn has(&mut self, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        let most = (self.per_second * BURST.as_secs_f64()).max(1.0);
        self.left = (self.left + self.per_second * passed.as_secs_f64()).min(most);
        (self.left + self.allowed).max(0.0) as usize
    }

    /// So many do not count: they came just now. Not more than a second's are remembered.
    pub fn allow(&mut self, count: usize) {
        self.allowed = (self.allowed + count as f64).min(self.per_second_max);
    }

    pub fn take(&mut self, count: usize) {
        let count = count as f64;
        let allowed = self.allowed.min(count);
        self.allowed -= allowed;
        self.left -= count - allowed;
    }

    /// So many were taken and not there.
    pub fn give_back(&mut self, count: usize) {
        self.left += count as f64;
    }
}

/// What may be made up for after a pause.
const BURST: Duration = Duration::from_millis(50);
/// The cores say how late they were this often (`app/core_lag.rs`).
const HEARING: Duration = Duration::from_millis(100);
/// A core that is later than this has more to do than it can. A quiet one is late by the millisecond of its timer.
const LAG_MAX: Duration = Duration::from_millis(5);
const SLOWER: f64 = 0.8;
/// From the slowest to the quickest within two seconds: one late look among many must not hold the pace down.
const FASTER: f64 = 0.05;
/// Part of the most: what waits goes on whatever happens.
const SLOWEST: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken within so many seconds, three at a time.
    fn taken_within(pace: &mut Pace, start: Instant, seconds: u64, lag: Duration) -> u64 {
        let mut taken = 0;
        for ms in 0..seconds * 1_000 {
            let now = start + Duration::from_millis(ms);
            pace.hear_lag(lag, now);
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
        let mut pace = Pace::new(1_000, start);
        let taken = taken_within(&mut pace, start, 5, Duration::ZERO);
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
        assert_eq!(taken, 50);
    }

    #[test]
    fn late_cores_leave_it_a_quarter_and_cores_in_time_give_it_back() {
        let start = Instant::now();
        let mut pace = Pace::new(1_000, start);
        taken_within(&mut pace, start, 3, Duration::from_millis(20));
        let late = taken_within(&mut pace, start + Duration::from_secs(3), 5, Duration::from_millis(20));
        assert!((1_230..=1_260).contains(&late), "{late}");
        taken_within(&mut pace, start + Duration::from_secs(8), 10, Duration::from_millis(1));
        let in_time = taken_within(&mut pace, start + Duration::from_secs(18), 5, Duration::from_millis(1));
        assert!((4_950..=5_003).contains(&in_time), "{in_time}");
    }

    #[test]
    fn what_came_just_now_is_taken_beside_the_pace() {
        let start = Instant::now();
        let mut pace = Pace::new(1_000, start);
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
        let mut pace = Pace::new(1_000, start);
        pace.allow(300_000);
        let mut taken = 0;
        while pace.has_any(start + Duration::from_secs(60)) {
            pace.take(1);
            taken += 1;
        }
        assert_eq!(taken, 1_050);
    }
}
