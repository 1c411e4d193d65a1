//! ○ The end of a log that no event stands at: transaction markers, records of aborted transactions.
//!
//! Nobody is ever handed such an offset, so nothing settles there, and without this the group's commit would stop before it
//! for ever: lag without anything to do.

/// The position that the client said it had fetched, and what had been read by then.
#[derive(Debug, Default)]
pub(super) struct FetchedTail {
    /// The number of the client's report.
    report: u64,
    fetched_to: Option<i64>,
    read: RecordsRead,
    /// Something was thrown away since.
    disturbed: bool,
}

/// Place in the client's queue, in which records of all partitions stand in the order in which they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueuePosition {
    /// Records that were taken out of it, ever.
    pub taken: u64,
    /// The same count once all that waits in it now is taken out as well.
    pub end: u64,
}

/// Counts of the poll thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecordsRead {
    /// Records of the partition.
    pub records: u64,
    pub queue: QueuePosition,
}

impl FetchedTail {
    /// Reading was held back, or the group assigned partitions: what had been fetched may have been thrown away, to be
    /// fetched again. The next report may still be of before.
    pub(super) fn disturbed(&mut self) {
        self.disturbed = true;
    }

    /// Up to where nothing is owed. Two reports of the same position, with no record in between, although all was taken
    /// out of the client's queue that waited at the first: whatever was fetched below it had been handed on. The reports
    /// alone do not say so, for they overtake the records in the queue. `idle`: nothing is owed, and no record waits.
    pub(super) fn observe(
        &mut self,
        (report, fetched_to): (u64, Option<i64>),
        read: RecordsRead,
        idle: bool,
    ) -> Option<i64> {
        if report == self.report {
            return None;
        }
        if self.disturbed {
            *self = FetchedTail { report, ..FetchedTail::default() };
            return None;
        }
        let is_same = fetched_to == self.fetched_to && read.records == self.read.records;
        let is_handed_on = is_same && read.queue.taken >= self.read.queue.end;
        // Events that are no records end in the queue as well: of several ends the first one counts.
        let end = if is_same { self.read.queue.end.min(read.queue.end) } else { read.queue.end };
        let read = RecordsRead { queue: QueuePosition { end, ..read.queue }, ..read };
        *self = FetchedTail { report, fetched_to, read, disturbed: false };
        fetched_to.filter(|_| is_handed_on && idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observes this many records, and an empty queue.
    fn observe(tail: &mut FetchedTail, report: u64, fetched_to: Option<i64>, records: u64, idle: bool) -> Option<i64> {
        tail.observe((report, fetched_to), RecordsRead { records, queue: QueuePosition::default() }, idle)
    }

    #[test]
    fn a_position_that_was_reported_twice_with_nothing_read_between_is_passed() {
        let mut tail = FetchedTail::default();
        assert_eq!(observe(&mut tail, 1, Some(11), 10, true), None);
        assert_eq!(observe(&mut tail, 1, Some(11), 10, true), None, "the same report says nothing new");
        assert_eq!(observe(&mut tail, 2, Some(11), 10, true), Some(11));
        assert_eq!(observe(&mut tail, 3, Some(1_011), 10, true), None, "records below it may be on their way");
        assert_eq!(observe(&mut tail, 4, Some(1_011), 12, true), None, "they were");
        assert_eq!(observe(&mut tail, 5, Some(1_011), 12, true), Some(1_011));
    }

    #[test]
    fn while_something_is_owed_or_was_held_back_nothing_is_passed() {
        let mut tail = FetchedTail::default();
        observe(&mut tail, 1, Some(11), 10, true);
        assert_eq!(observe(&mut tail, 2, Some(11), 10, false), None);
        tail.disturbed();
        assert_eq!(observe(&mut tail, 3, Some(11), 10, true), None, "the report may be of before");
        assert_eq!(observe(&mut tail, 4, Some(11), 10, true), None, "what was fetched may have been thrown away");
        assert_eq!(observe(&mut tail, 5, Some(11), 10, true), Some(11));
        assert_eq!(observe(&mut tail, 6, None, 10, true), None);
    }

    #[test]
    fn records_that_wait_behind_those_of_other_partitions_are_not_passed() {
        let mut tail = FetchedTail::default();
        let read = |taken, end| RecordsRead { records: 10, queue: QueuePosition { taken, end } };
        assert_eq!(tail.observe((1, Some(111)), read(500, 20_500), true), None);
        assert_eq!(tail.observe((2, Some(111)), read(20_499, 40_000), true), None, "one may still wait");
        assert_eq!(tail.observe((3, Some(111)), read(20_500, 60_000), true), Some(111), "none can");
        tail.disturbed();
        assert_eq!(
            tail.observe((4, Some(111)), read(40_000, 40_000), true),
            None,
            "they were thrown away, and come again"
        );
    }
}
