//! ○ The contiguous settled prefix of a partition: which offset may be committed.
//!
//! **Invariant (I1):** an offset is committable only when every lower offset that was seen is settled.
//! **Invariant (I2):** the committable offset never decreases.

/// The furthest that the last seen offset may be ahead of the oldest unsettled one: a bit each, 128 KiB at most. The
/// window slides by whole words, so the refusal may come up to 63 offsets earlier.
pub const SPAN_MAX: u64 = 1 << 20;

/// The offsets of one partition, in one assignment, that are owed.
///
/// A ring of bits over `oldest..next`, at `offset / 64` modulo its length: 1 is seen and unsettled; 0 is settled, or
/// was never there (compaction and transaction markers leave gaps). Settling is O(1); the prefix moves by words.
#[derive(Debug)]
pub struct OffsetTracker {
    /// The length is a power of two. Bits outside of `oldest..next` are 0.
    words: Vec<u64>,
    /// The oldest unsettled offset; equal to `next` when nothing is outstanding.
    oldest: i64,
    /// One above the last offset seen.
    next: i64,
    outstanding: u64,
    seen_any: bool,
}

/// The reason why an offset was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrackError {
    /// Offsets of a partition only grow: this record was read before, and is owed or settled already.
    #[error("track: offset {offset} was passed already, expected {next} or higher")]
    Backwards { offset: i64, next: i64 },
    /// Pause the partition, and track this offset again when the oldest one has settled.
    #[error("track: offset {offset} is too far ahead of the oldest unsettled offset {oldest}")]
    SpanFull { offset: i64, oldest: i64 },
}

impl OffsetTracker {
    /// `start` is the position that the assignment begins at, where it is known.
    #[must_use]
    pub fn new(start: Option<i64>) -> Self {
        let start = start.unwrap_or(0).max(0);
        OffsetTracker { words: vec![0; WORDS_MIN], oldest: start, next: start, outstanding: 0, seen_any: false }
    }

    /// An event with this offset is owed from now on.
    ///
    /// # Errors
    /// [`TrackError`]; nothing has changed then.
    pub fn track(&mut self, offset: i64) -> Result<(), TrackError> {
        if offset < self.next {
            return Err(TrackError::Backwards { offset, next: self.next });
        }
        if self.outstanding == 0 {
            self.oldest = offset;
        }
        let words_needed = word_of(offset) - word_of(self.oldest) + 1;
        if words_needed > self.words.len() {
            if words_needed > WORDS_MAX {
                return Err(TrackError::SpanFull { offset, oldest: self.oldest });
            }
            self.grow(words_needed);
        }
        *self.word_mut(offset) |= bit_of(offset);
        // The highest offset there can be has no next; nothing is ever read there.
        self.next = offset.saturating_add(1);
        self.outstanding += 1;
        self.seen_any = true;
        Ok(())
    }

    /// The event with this offset is no longer owed. False when it was not: unknown, or settled before.
    pub fn settle(&mut self, offset: i64) -> bool {
        if offset < self.oldest || offset >= self.next {
            return false;
        }
        let bit = bit_of(offset);
        let word = self.word_mut(offset);
        if *word & bit == 0 {
            return false;
        }
        *word &= !bit;
        self.outstanding -= 1;
        if self.outstanding == 0 {
            self.oldest = self.next;
            self.shrink();
        } else if offset == self.oldest {
            self.oldest = self.first_unsettled();
        }
        true
    }

    /// The offset to commit: the next one to be read by whoever comes after. `None` before anything was seen.
    #[must_use]
    pub fn committable(&self) -> Option<i64> {
        self.seen_any.then_some(self.oldest)
    }

    /// One above the last offset seen, or passed as settled.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// Nothing below `offset` is an event any more. Without effect while anything is owed.
    pub fn skip_to(&mut self, offset: i64) {
        if self.outstanding == 0 && offset > self.next {
            (self.oldest, self.next, self.seen_any) = (offset, offset, true);
        }
    }

    /// Seen and not settled.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Number of offsets between the oldest unsettled one and the last one seen, both counted.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.next.abs_diff(self.oldest)
    }

    #[must_use]
    pub fn oldest_unsettled(&self) -> Option<i64> {
        (self.outstanding > 0).then_some(self.oldest)
    }

    fn word_mut(&mut self, offset: i64) -> &mut u64 {
        let mask = self.words.len() - 1;
        &mut self.words[word_of(offset) & mask]
    }

    /// Called when the oldest offset has just settled and others are outstanding: they all stand above it.
    fn first_unsettled(&self) -> i64 {
        let mask = self.words.len() - 1;
        let first = word_of(self.oldest);
        for at in first..first + self.words.len() {
            let word = self.words[at & mask];
            if word != 0 {
                return ((at as u64) << 6 | u64::from(word.trailing_zeros())).cast_signed();
            }
        }
        debug_assert!(false, "{} offsets are outstanding, but no bit is set", self.outstanding);
        self.next
    }

    fn grow(&mut self, words_needed: usize) {
        // The next power of two, so at most WORDS_MAX, which is one.
        let mut words = vec![0; words_needed.next_power_of_two()];
        let (old_mask, new_mask) = (self.words.len() - 1, words.len() - 1);
        let first = word_of(self.oldest);
        for at in first..first + self.words.len() {
            words[at & new_mask] = self.words[at & old_mask];
        }
        self.words = words;
    }

    /// With nothing outstanding all bits are 0, so a large ring can simply be given back.
    fn shrink(&mut self) {
        if self.words.len() > WORDS_KEPT_MAX {
            self.words = vec![0; WORDS_MIN];
        }
    }
}

const WORDS_MIN: usize = 16;
/// 8 KiB, kept by an idle partition; what a stuck event made larger is given back.
const WORDS_KEPT_MAX: usize = 1024;
const WORDS_MAX: usize = (SPAN_MAX / 64) as usize;

/// Offsets are never negative here: `next` starts at 0 or above and `track` takes none below it.
fn word_of(offset: i64) -> usize {
    (offset.cast_unsigned() >> 6) as usize
}

fn bit_of(offset: i64) -> u64 {
    1 << (offset & 63)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn tracking(offsets: impl IntoIterator<Item = i64>) -> OffsetTracker {
        let mut tracker = OffsetTracker::new(None);
        for offset in offsets {
            tracker.track(offset).expect("within the span");
        }
        tracker
    }

    #[test]
    fn nothing_is_committable_before_anything_was_seen() {
        assert_eq!(OffsetTracker::new(None).committable(), None);
        assert_eq!(OffsetTracker::new(Some(100)).committable(), None);
    }

    #[test]
    fn the_oldest_unsettled_event_holds_the_commit() {
        let mut tracker = tracking(10..20);
        for offset in 11..20 {
            assert!(tracker.settle(offset));
        }
        assert_eq!(tracker.committable(), Some(10));
        assert!(tracker.settle(10));
        assert_eq!(tracker.committable(), Some(20));
    }

    #[test]
    fn a_gap_in_the_offsets_does_not_hold_the_commit() {
        let mut tracker = tracking([5, 9, 3_000, 900_000]);
        assert!(tracker.settle(5));
        assert_eq!(tracker.committable(), Some(9));
        assert!(tracker.settle(9));
        assert_eq!(tracker.committable(), Some(3_000));
        assert!(tracker.settle(3_000));
        assert!(tracker.settle(900_000));
        assert_eq!(tracker.committable(), Some(900_001));
    }

    #[test]
    fn a_gap_before_the_first_event_is_committed_over() {
        let mut tracker = OffsetTracker::new(Some(100));
        tracker.track(105).expect("ahead of the start");
        assert_eq!(tracker.committable(), Some(105));
    }

    #[test]
    fn settling_twice_or_something_unknown_changes_nothing() {
        let mut tracker = tracking([1, 3]);
        assert!(!tracker.settle(0));
        assert!(!tracker.settle(2), "a gap");
        assert!(!tracker.settle(4), "not seen");
        assert!(!tracker.settle(-1));
        assert!(tracker.settle(3));
        assert!(!tracker.settle(3));
        assert_eq!(tracker.outstanding(), 1);
    }

    #[test]
    fn what_is_no_event_is_committed_over_when_nothing_is_owed() {
        let mut tracker = tracking([0, 1]);
        assert!(tracker.settle(0));
        tracker.skip_to(10);
        assert_eq!(tracker.committable(), Some(1), "an event is owed");
        assert!(tracker.settle(1));
        tracker.skip_to(10);
        assert_eq!((tracker.committable(), tracker.outstanding()), (Some(10), 0));
        tracker.skip_to(5);
        assert_eq!(tracker.committable(), Some(10), "it never goes back");
        tracker.track(10).expect("the next one");
        assert_eq!(tracker.committable(), Some(10));
    }

    #[test]
    fn an_offset_that_was_passed_is_refused() {
        let mut tracker = OffsetTracker::new(Some(50));
        assert_eq!(tracker.track(49), Err(TrackError::Backwards { offset: 49, next: 50 }));
        assert_eq!(tracker.track(-1), Err(TrackError::Backwards { offset: -1, next: 50 }));
        tracker.track(60).expect("ahead");
        assert_eq!(tracker.track(60), Err(TrackError::Backwards { offset: 60, next: 61 }));
    }

    #[test]
    fn a_full_span_is_refused_until_the_oldest_event_settles() {
        let mut tracker = tracking([0, 1]);
        let far = i64::try_from(SPAN_MAX).expect("fits");
        assert_eq!(tracker.track(far), Err(TrackError::SpanFull { offset: far, oldest: 0 }));
        tracker.track(far - 1).expect("the last offset within the span");
        assert!(tracker.settle(0));
        assert!(tracker.settle(1));
        tracker.track(far).expect("the window has moved");
        assert_eq!(tracker.outstanding(), 2);
    }

    #[test]
    fn a_gap_wider_than_the_span_is_fine_when_nothing_is_outstanding() {
        let mut tracker = tracking([0]);
        assert!(tracker.settle(0));
        tracker.track(1 << 40).expect("nothing is owed below");
        assert_eq!(tracker.committable(), Some(1 << 40));
    }

    #[test]
    fn a_ring_made_large_by_a_stuck_event_is_given_back() {
        let mut tracker = tracking(0..200_000);
        for offset in (0..200_000).rev() {
            tracker.settle(offset);
        }
        assert_eq!(tracker.words.len(), WORDS_MIN);
        assert_eq!(tracker.committable(), Some(200_000));
    }

    /// Remembers every offset there ever was.
    #[derive(Default)]
    struct Naive {
        seen: BTreeSet<i64>,
        owed: BTreeSet<i64>,
    }

    impl Naive {
        fn committable(&self) -> Option<i64> {
            self.owed.first().copied().or_else(|| self.seen.last().map(|last| last + 1))
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Track the offset this far above the last one.
        Track(i64),
        /// Settle the n-th of what is owed.
        Settle(usize),
        /// Settle the oldest n.
        SettleOldest(usize),
        /// Settle any offset, owed or not.
        SettleAny(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => Just(Step::Track(1)),
            2 => (1_i64..200).prop_map(Step::Track),
            1 => (1_i64..600_000).prop_map(Step::Track),
            1 => (-3_i64..1).prop_map(Step::Track),
            5 => any::<usize>().prop_map(Step::Settle),
            2 => (1_usize..8).prop_map(Step::SettleOldest),
            1 => (-2_i64..3_000).prop_map(Step::SettleAny),
        ]
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_of_all_offsets(start in prop::option::of(0_i64..1_000), steps in prop::collection::vec(step(), 1..400)) {
            let mut tracker = OffsetTracker::new(start);
            let mut naive = Naive::default();
            let mut last = start.map_or(-1, |start| start - 1);
            let mut committed = None;
            for step in steps {
                match step {
                    Step::Track(ahead) => {
                        let offset = last + ahead;
                        match tracker.track(offset) {
                            Ok(()) => {
                                prop_assert!(offset > last);
                                prop_assert!(naive.seen.insert(offset) && naive.owed.insert(offset));
                                last = offset;
                            }
                            Err(TrackError::Backwards { .. }) => prop_assert!(ahead <= 0),
                            Err(TrackError::SpanFull { oldest, .. }) => {
                                prop_assert_eq!(Some(oldest), naive.owed.first().copied());
                                prop_assert!((offset - oldest).unsigned_abs() > SPAN_MAX - 64);
                            }
                        }
                    }
                    Step::Settle(n) if !naive.owed.is_empty() => {
                        let offset = *naive.owed.iter().nth(n % naive.owed.len()).expect("not empty");
                        prop_assert!(tracker.settle(offset));
                        naive.owed.remove(&offset);
                    }
                    Step::Settle(_) => {}
                    Step::SettleOldest(n) => {
                        for offset in naive.owed.iter().copied().take(n).collect::<Vec<_>>() {
                            prop_assert!(tracker.settle(offset));
                            naive.owed.remove(&offset);
                        }
                    }
                    Step::SettleAny(offset) => prop_assert_eq!(tracker.settle(offset), naive.owed.remove(&offset)),
                }
                prop_assert_eq!(tracker.committable(), naive.committable());
                prop_assert!(tracker.committable() >= committed, "I2: the commit never decreases");
                committed = tracker.committable();
                prop_assert_eq!(tracker.outstanding(), naive.owed.len() as u64);
                prop_assert_eq!(tracker.oldest_unsettled(), naive.owed.first().copied());
                let span = naive.owed.first().map_or(0, |oldest| (last + 1 - oldest).unsigned_abs());
                prop_assert_eq!(tracker.span(), span);
                prop_assert!(tracker.words.len() <= WORDS_MAX);
            }
        }
    }
}
