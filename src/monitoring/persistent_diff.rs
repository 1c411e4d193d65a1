//! ○ A difference that lasts: what two counts, looked at one after the other, differ by all the time is no accident.

use std::collections::VecDeque;

/// Looks that a difference must last: a minute.
const LOOKS: usize = 12;

#[derive(Debug, Default)]
pub struct PersistentDiff(VecDeque<i64>);

impl PersistentDiff {
    /// The smallest difference of the last looks, when all of them had one in the same direction; else 0.
    pub fn observe(&mut self, difference: i64) -> u64 {
        if self.0.len() == LOOKS {
            self.0.pop_front();
        }
        self.0.push_back(difference);
        let is_lasting = self.0.len() == LOOKS
            && (self.0.iter().all(|difference| *difference > 0) || self.0.iter().all(|difference| *difference < 0));
        if is_lasting { self.0.iter().map(|difference| difference.unsigned_abs()).min().unwrap_or(0) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_is_no_difference() {
        let mut lasting = PersistentDiff::default();
        for difference in (0..100).map(|n| if n % 7 == 0 { 0 } else { n % 5 }) {
            assert_eq!(lasting.observe(difference), 0);
        }
        let mut lasting = PersistentDiff::default();
        assert!((0..100).all(|n| lasting.observe(if n % 2 == 0 { 3 } else { -3 }) == 0));
    }

    #[test]
    fn what_lasts_a_minute_is_told_by_its_smallest() {
        let mut lasting = PersistentDiff::default();
        let told: Vec<u64> = [4, 9, 2, 5, 7, 2, 3, 3, 8, 2, 2, 6, 3].into_iter().map(|n| lasting.observe(n)).collect();
        assert_eq!((&told[..11], told[11], told[12]), (&[0; 11][..], 2, 2));
        assert_eq!(lasting.observe(0), 0, "it is over at once");
    }
}
