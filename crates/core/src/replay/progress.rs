//! ○ Progress of a replay in one partition.
//!
//! **Invariant:** everything below [`ReplayProgress::next`] is settled or a gap, and the counts are of exactly that:
//! written down together, they are true whenever the process ends.

use std::collections::BTreeMap;

use crate::model::receipt::Settlement;

/// Counts of the events below `next`. Gaps are counted in offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    pub delivered: i64,
    pub backlogged: i64,
    pub dead_lettered: i64,
    pub gap_offsets: i64,
}

/// One partition's part of a replay, from `next` to before `end`.
#[derive(Debug)]
pub struct ReplayProgress {
    end: i64,
    /// Everything below was read; it passes offsets that hold nothing for the endpoint.
    read_next: i64,
    /// At or above `next`, in the order of offsets.
    held: BTreeMap<i64, Held>,
    unsettled: usize,
    counts: ReplayCounts,
}

#[derive(Clone, Copy, Debug)]
enum Held {
    Unsettled,
    Settled(Settlement),
    Gap(i64),
}

impl ReplayProgress {
    #[must_use]
    pub fn new(next: i64, end: i64, counts: ReplayCounts) -> Self {
        ReplayProgress { end, read_next: next.min(end), held: BTreeMap::new(), unsettled: 0, counts }
    }

    /// The first offset that is not done with, where a restart begins; `end` when all is done.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.held.first_key_value().map_or(self.read_next, |(offset, _)| *offset)
    }

    /// The first offset still to be read.
    #[must_use]
    pub fn read_next(&self) -> i64 {
        self.read_next
    }

    #[must_use]
    pub fn end(&self) -> i64 {
        self.end
    }

    #[must_use]
    pub fn counts(&self) -> ReplayCounts {
        self.counts
    }

    /// Number of events in flight.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// Number of offsets that are remembered: events on their way, and those settled behind one of them.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next() >= self.end
    }

    /// Was read up to before `to`, the records there belong to someone else or do not exist.
    pub fn pass(&mut self, to: i64) {
        self.read_next = self.read_next.max(to.min(self.end));
    }

    /// The record at this offset was read and is on its way; false when that is not to be, for it was read before or does
    /// not belong here.
    #[must_use]
    pub fn track(&mut self, offset: i64) -> bool {
        if offset < self.read_next || offset >= self.end {
            return false;
        }
        self.held.insert(offset, Held::Unsettled);
        self.unsettled += 1;
        self.read_next = offset + 1;
        true
    }

    /// Kafka no longer has what is still to be read below `to`. Returns how many offsets that are.
    pub fn gap(&mut self, to: i64) -> i64 {
        let to = to.min(self.end);
        let lost = to - self.read_next;
        if lost <= 0 {
            return 0;
        }
        self.held.insert(self.read_next, Held::Gap(lost));
        self.read_next = to;
        self.advance();
        lost
    }

    /// Settles an event that was on its way. A second time, or an offset that never was, is of no effect.
    pub fn settle(&mut self, offset: i64, how: Settlement) {
        let Some(held @ Held::Unsettled) = self.held.get_mut(&offset) else { return };
        *held = Held::Settled(how);
        self.unsettled -= 1;
        self.advance();
    }

    fn advance(&mut self) {
        while let Some(first) = self.held.first_entry() {
            match *first.get() {
                Held::Unsettled => return,
                Held::Settled(Settlement::Delivered) => self.counts.delivered += 1,
                Held::Settled(Settlement::Backlogged) => self.counts.backlogged += 1,
                Held::Settled(Settlement::DeadLettered) => self.counts.dead_lettered += 1,
                Held::Settled(Settlement::Cancelled | Settlement::Skipped) => {}
                Held::Gap(offsets) => self.counts.gap_offsets += offsets,
            }
            first.remove();
        }
    }
}

#[cfg(test)]
#[path = "progress/tests.rs"]
mod tests;
