//! ○ Partitions that are looked at again in turn: each once in a while, a few at a time.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

/// See the module's page.
#[derive(Debug)]
pub struct Rotation {
    /// Time of a round.
    every: Duration,
    next: usize,
    /// Due partitions count from here.
    from: Instant,
}

impl Rotation {
    #[must_use]
    pub fn new(every: Duration, now: Instant) -> Self {
        Rotation { every, next: 0, from: now }
    }

    /// Places of the partitions that are due, of `count` in all; at most `at_once_max`. They are many enough to be worth a
    /// look, or none.
    pub fn due(&mut self, count: usize, at_once_max: usize, now: Instant) -> Range<usize> {
        if self.next >= count {
            self.next = 0;
        }
        let of_each = self.every.div_f64(count.max(1) as f64).max(Duration::from_nanos(1));
        let passed = now.saturating_duration_since(self.from);
        let due = (passed.div_duration_f64(of_each) as usize).min(count - self.next);
        if count == 0 || due < count.div_ceil(LOOKS_A_ROUND).min(count - self.next) {
            return 0..0;
        }
        let taken = due.min(at_once_max.max(1));
        let places = self.next..self.next + taken;
        self.next = places.end;
        // What could not be done in time is not made up for by more at once.
        self.from = if passed > self.every { now } else { self.from + of_each.mul_f64(taken as f64) };
        places
    }
}

/// At most, about.
const LOOKS_A_ROUND: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    /// Number of times that each was looked at, and of looks, within so many rounds.
    fn looked_at(count: usize, rounds: u32) -> (Vec<u32>, usize) {
        let start = Instant::now();
        let mut rotation = Rotation::new(EVERY, start);
        let (mut seen, mut looks) = (vec![0; count], 0);
        for ms in (5..=u64::from(rounds) * 30_000).step_by(5) {
            let due = rotation.due(count, 256, start + Duration::from_millis(ms));
            looks += usize::from(!due.is_empty());
            due.for_each(|place| seen[place] += 1);
        }
        (seen, looks)
    }

    #[test]
    fn each_has_its_turn_once_a_round() {
        for count in [1, 2, 7, 16, 17, 64, 2_000, 10_000] {
            let (seen, looks) = looked_at(count, 10);
            assert!(seen.iter().all(|times| (9..=11).contains(times)), "{count}: {seen:?}");
            assert!(looks <= 10 * (LOOKS_A_ROUND + 1).max(count.div_ceil(256) + 1), "{count}: {looks} looks");
        }
    }

    #[test]
    fn no_look_is_at_more_than_may_be_looked_at() {
        let start = Instant::now();
        let mut rotation = Rotation::new(EVERY, start);
        assert_eq!(rotation.due(2_000, 256, start + EVERY * 10).len(), 256, "after a pause");
    }

    #[test]
    fn with_fewer_partitions_than_before_the_first_is_next() {
        let start = Instant::now();
        let mut rotation = Rotation::new(EVERY, start);
        rotation.due(100, 256, start + EVERY / 2);
        assert_eq!(rotation.due(4, 256, start + EVERY).start, 0);
        assert!(rotation.due(0, 256, start + EVERY * 2).is_empty());
    }
}
