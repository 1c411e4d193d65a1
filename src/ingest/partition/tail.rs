//! ○ The end of a log that no event stands at: transaction markers, records of aborted transactions.
//!
//! Nobody is ever handed such an offset, so nothing settles there, and without this the group's commit would stop before it
//! for ever: lag without anything to do.

/// The position that the client said it had fetched, and the number of events that had come by then.
#[derive(Debug, Default)]
pub(super) struct FetchedTail {
    /// The number of the client's report.
    report: u64,
    fetched_to: Option<i64>,
    /// Records that had been read.
    read: u64,
    /// Nothing was held back since.
    undisturbed: bool,
}

impl FetchedTail {
    /// Reading was held back: what had been fetched may have been thrown away, to be fetched again.
    pub(super) fn disturbed(&mut self) {
        self.undisturbed = false;
    }

    /// Up to where nothing is owed. Two reports of the same position, without a record in between: whatever was fetched
    /// below it had been handed on before the second. `idle`: nothing is owed, and no record waits.
    pub(super) fn observe(&mut self, (report, fetched_to): (u64, Option<i64>), read: u64, idle: bool) -> Option<i64> {
        if report == self.report {
            return None;
        }
        let is_same = fetched_to == self.fetched_to && read == self.read && self.undisturbed;
        *self = FetchedTail { report, fetched_to, read, undisturbed: true };
        fetched_to.filter(|_| is_same && idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_that_was_reported_twice_with_nothing_read_between_is_passed() {
        let mut tail = FetchedTail::default();
        assert_eq!(tail.observe((1, Some(11)), 10, true), None);
        assert_eq!(tail.observe((1, Some(11)), 10, true), None, "the same report says nothing new");
        assert_eq!(tail.observe((2, Some(11)), 10, true), Some(11));
        assert_eq!(tail.observe((3, Some(1_011)), 10, true), None, "records below it may be on their way");
        assert_eq!(tail.observe((4, Some(1_011)), 12, true), None, "they were");
        assert_eq!(tail.observe((5, Some(1_011)), 12, true), Some(1_011));
    }

    #[test]
    fn while_something_is_owed_or_was_held_back_nothing_is_passed() {
        let mut tail = FetchedTail::default();
        tail.observe((1, Some(11)), 10, true);
        assert_eq!(tail.observe((2, Some(11)), 10, false), None);
        tail.disturbed();
        assert_eq!(tail.observe((3, Some(11)), 10, true), None, "what was fetched may have been thrown away");
        assert_eq!(tail.observe((4, Some(11)), 10, true), Some(11));
        assert_eq!(tail.observe((5, None), 10, true), None);
    }
}
