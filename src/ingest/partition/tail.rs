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
    /// Nothing was held back since.
    undisturbed: bool,
}

/// Counts of the poll thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecordsRead {
    /// Records of the partition.
    pub records: u64,
    /// Number of times that nothing waited in the client's queue, of any partition.
    pub queue_emptied: u64,
}

impl FetchedTail {
    /// Reading was held back: what had been fetched may have been thrown away, to be fetched again.
    pub(super) fn disturbed(&mut self) {
        self.undisturbed = false;
    }

    /// Up to where nothing is owed. Two reports of the same position, with no record and an empty queue in between:
    /// whatever was fetched below it had been handed on before the second. The reports alone do not say so, for they
    /// overtake the records that wait in the client's queue. `idle`: nothing is owed, and no record waits.
    pub(super) fn observe(
        &mut self,
        (report, fetched_to): (u64, Option<i64>),
        read: RecordsRead,
        idle: bool,
    ) -> Option<i64> {
        if report == self.report {
            return None;
        }
        let is_same = fetched_to == self.fetched_to && read.records == self.read.records && self.undisturbed;
        let is_handed_on = is_same && read.queue_emptied > self.read.queue_emptied;
        // The queue may have been empty since an earlier report of the same.
        let read = if is_same { self.read } else { read };
        *self = FetchedTail { report, fetched_to, read, undisturbed: true };
        fetched_to.filter(|_| is_handed_on && idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many records, and an empty queue after each report.
    fn observe(tail: &mut FetchedTail, report: u64, fetched_to: Option<i64>, records: u64, idle: bool) -> Option<i64> {
        tail.observe((report, fetched_to), RecordsRead { records, queue_emptied: report }, idle)
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
        assert_eq!(observe(&mut tail, 3, Some(11), 10, true), None, "what was fetched may have been thrown away");
        assert_eq!(observe(&mut tail, 4, Some(11), 10, true), Some(11));
        assert_eq!(observe(&mut tail, 5, None, 10, true), None);
    }

    #[test]
    fn records_that_wait_behind_those_of_other_partitions_are_not_passed() {
        let mut tail = FetchedTail::default();
        let busy = RecordsRead { records: 10, queue_emptied: 7 };
        for report in 1..=5 {
            assert_eq!(tail.observe((report, Some(111)), busy, true), None, "the queue was never empty");
        }
        let emptied = RecordsRead { queue_emptied: 8, ..busy };
        assert_eq!(tail.observe((6, Some(111)), emptied, true), Some(111));
    }
}
