//! ○ The unsettled offsets of one assignment of a partition: what came, what has settled, and what may be committed.
//!
//! **Invariant:** every offset is tracked before its event is handed on, so it cannot settle unseen.

use std::time::{Duration, Instant};

use super::{
    arrivals::ArrivalTimes,
    gaps::Gaps,
    tracker::{OffsetTracker, TrackError},
};
use crate::model::receipt::Done;

/// The books of one assignment. Shared by those who read, who settle and who commit, so it is kept behind a lock.
#[derive(Debug)]
pub struct Ledger {
    start: Option<i64>,
    tracker: OffsetTracker,
    gaps: Gaps,
    arrivals: ArrivalTimes,
}

/// A chunk that could not be tracked whole. The offsets before the refused one are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error} (after {tracked} of the chunk)")]
pub struct ChunkRefused {
    /// Number of the chunk's offsets that are tracked.
    pub tracked: usize,
    pub error: TrackError,
}

/// Events that have ended, and their weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedEvents {
    pub events: u64,
    pub bytes: u64,
}

impl Ledger {
    /// `start` is the position that the assignment begins at, where it is known.
    #[must_use]
    pub fn new(start: Option<i64>) -> Self {
        let tracker = OffsetTracker::new(start);
        Ledger { start, tracker, gaps: Gaps::default(), arrivals: ArrivalTimes::default() }
    }

    /// These offsets are owed from now on.
    ///
    /// # Errors
    /// [`ChunkRefused`] names the first offset that was not taken and why; none after it was tried. Where the span is
    /// full, the rest of the chunk waits until the oldest event settles.
    pub fn track_chunk(&mut self, offsets: &[i64], received_at: Instant) -> Result<(), ChunkRefused> {
        let mut expected = self.next_offset();
        for (tracked, offset) in offsets.iter().enumerate() {
            if let Some(expected) = expected.filter(|expected| offset > expected) {
                self.gaps.record(expected, *offset);
            }
            expected = Some(offset + 1);
            self.tracker.track(*offset).map_err(|error| ChunkRefused { tracked, error })?;
            if tracked == 0 {
                self.arrivals.push(*offset, received_at);
            }
        }
        Ok(())
    }

    /// These events are done. What is not owed, or was settled before, does not count.
    pub fn settle(&mut self, done: &[Done]) -> EndedEvents {
        let mut ended = EndedEvents::default();
        for Done { offset, weight_bytes } in done {
            if self.tracker.settle(*offset) {
                ended.events += 1;
                ended.bytes += *weight_bytes as u64;
            }
        }
        self.arrivals.forget_before(self.tracker.oldest_unsettled());
        ended
    }

    /// With nothing owed, everything below `offset` is done: what was fetched up to there and is no record (transaction
    /// markers, aborted records) is nobody's.
    pub fn skip_to(&mut self, offset: i64) {
        if let Some(next) = self.next_offset().filter(|next| *next < offset) {
            self.gaps.record(next, offset);
        }
        self.tracker.skip_to(offset);
    }

    /// Offsets that the log, which begins at `begin`, had lost before they were read (the first and the last of each gap), as
    /// far as they were not told before.
    pub fn lost(&mut self, begin: i64) -> Vec<(i64, i64)> {
        let next = self.next_offset();
        self.gaps.lost(begin, next)
    }

    /// The position that the assignment begins at, where it is known.
    #[must_use]
    pub fn start(&self) -> Option<i64> {
        self.start
    }

    /// The offset that comes next, where it is known.
    #[must_use]
    pub fn next_offset(&self) -> Option<i64> {
        (self.start.is_some() || self.tracker.committable().is_some()).then(|| self.tracker.next_offset())
    }

    /// The offset to commit; `None` before anything was read.
    #[must_use]
    pub fn committable(&self) -> Option<i64> {
        self.tracker.committable()
    }

    /// Age of the oldest event that is not settled; zero when nothing is owed.
    #[must_use]
    pub fn uncommitted_age(&self, now: Instant) -> Duration {
        self.arrivals.age(now)
    }

    /// Offsets between the oldest unsettled one and the last one seen.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.tracker.span()
    }

    /// Offsets that are tracked and not settled.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.tracker.outstanding()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn settle(ledger: &mut Ledger, offsets: &[i64]) -> EndedEvents {
        let done: Vec<_> = offsets.iter().map(|offset| Done { offset: *offset, weight_bytes: 7 }).collect();
        ledger.settle(&done)
    }

    #[test]
    fn what_settles_twice_or_was_never_owed_counts_once_or_not_at_all() {
        let mut ledger = Ledger::new(Some(0));
        ledger.track_chunk(&[0, 1, 2], Instant::now()).expect("within the span");
        assert_eq!(settle(&mut ledger, &[1, 1, 9]), EndedEvents { events: 1, bytes: 7 });
        assert_eq!((ledger.committable(), ledger.outstanding()), (Some(0), 2));
        assert_eq!(settle(&mut ledger, &[0]), EndedEvents { events: 1, bytes: 7 });
        assert_eq!((ledger.committable(), ledger.outstanding()), (Some(2), 1));
    }

    #[test]
    fn the_age_is_that_of_the_oldest_unsettled_event() {
        let start = Instant::now();
        let mut ledger = Ledger::new(Some(0));
        for (offsets, at) in [(&[0, 1, 2][..], 0), (&[10, 11], 100), (&[20], 200)] {
            ledger.track_chunk(offsets, start + ms(at)).expect("within the span");
        }
        for (settled, age) in [(&[][..], 300), (&[0, 1, 11], 300), (&[2], 200), (&[10], 100), (&[20], 0)] {
            settle(&mut ledger, settled);
            assert_eq!(ledger.uncommitted_age(start + ms(300)), ms(age), "{settled:?}");
        }
    }

    #[test]
    fn what_is_remembered_of_arrivals_is_bounded() {
        let start = Instant::now();
        let mut ledger = Ledger::new(Some(0));
        for n in 1..3_000_i32 {
            ledger.track_chunk(&[i64::from(n) * 10], start + ms(5) * n.unsigned_abs()).expect("within the span");
        }
        assert_eq!(ledger.arrivals.remembered(), ArrivalTimes::REMEMBERED_MAX);
    }

    #[test]
    fn a_refused_chunk_says_how_much_of_it_is_tracked() {
        let now = Instant::now();
        let mut ledger = Ledger::new(Some(0));
        ledger.track_chunk(&[0, 1, 2], now).expect("within the span");
        let refused = ledger.track_chunk(&[3, 4, 5_000_000, 5_000_001], now).expect_err("too far ahead of 0");
        assert_eq!(refused.tracked, 2);
        assert_eq!(refused.error, TrackError::SpanFull { offset: 5_000_000, oldest: 0 });
        assert_eq!(ledger.span(), 5);
    }
}
