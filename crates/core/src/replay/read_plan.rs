//! ○ The next position of a partition's one reader, for all replays of that partition together.
//!
//! It reads on for those that are where it is. One that has no room is left behind, and fetched later: a slow endpoint's
//! replay holds up no other's.

/// One replay's part of the partition.
#[derive(Clone, Copy, Debug)]
pub struct View {
    pub read_next: i64,
    pub end: i64,
    /// Its endpoint takes more now.
    pub has_room: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStep {
    Read,
    /// Go to this offset, and read there.
    Seek(i64),
    /// Nobody can take anything.
    Rest,
}

/// A reader's position in its partition's log.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReaderPosition {
    /// The offset that comes next out of the reader, `None` when that is not known.
    at: Option<i64>,
    /// The end of the log when the reader went there.
    end_when_sought: i64,
}

impl ReaderPosition {
    /// It goes to an offset of a log that ends there by now.
    #[must_use]
    pub fn sought(to: i64, end: i64) -> Self {
        ReaderPosition { at: Some(to), end_when_sought: end }
    }

    #[must_use]
    pub fn at(self) -> Option<i64> {
        self.at
    }

    pub fn read(&mut self, offset: i64) {
        self.at = Some(offset + 1);
    }

    pub fn forget(&mut self) {
        self.at = None;
    }

    /// The reader came to the end of the log, and has to go somewhere before it reads on. Returns the offsets that have no
    /// record any more: those at the end are gone by compaction or an aborted transaction.
    ///
    /// The log may have grown since it said so, and even since it came there: the message waits in the reader's queue, and
    /// the records behind it. So only what was there when the reader went there is known to be gone.
    pub fn reached_end(&mut self) -> Option<std::ops::Range<i64>> {
        let at = self.at.take()?;
        Some(at..self.end_when_sought.max(at))
    }
}

/// `at` is the offset that comes next out of the reader, `None` when that is not known.
#[must_use]
pub fn step(at: Option<i64>, read_since_seek: u64, parts: &[View]) -> ReadStep {
    let wanted = || parts.iter().filter(|part| part.has_room && part.read_next < part.end).map(|part| part.read_next);
    let Some(lowest) = wanted().min() else { return ReadStep::Rest };
    match at {
        Some(at) if at == lowest => ReadStep::Read,
        // Someone was left behind: not for longer than this.
        Some(at) if read_since_seek < RECORDS_BEFORE_TURNING && wanted().any(|read_next| read_next == at) => {
            ReadStep::Read
        }
        _ => ReadStep::Seek(lowest),
    }
}

/// True if a part takes what was read between `at` and `offset`: one that was left behind does not.
#[must_use]
pub fn is_here(at: i64, offset: i64, read_next: i64) -> bool {
    (at..=offset).contains(&read_next)
}

/// A seek throws away what was fetched ahead.
const RECORDS_BEFORE_TURNING: u64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn part(read_next: i64, has_room: bool) -> View {
        View { read_next, end: 100_000, has_room }
    }

    #[test]
    fn parts_that_meet_share_the_reader() {
        assert_eq!(step(Some(5), 0, &[part(5, true), part(5, true)]), ReadStep::Read);
    }

    #[test]
    fn a_part_without_room_is_left_behind_and_fetched_when_it_has_room() {
        assert_eq!(step(Some(5), 9, &[part(5, true), part(2, false)]), ReadStep::Read);
        assert_eq!(step(Some(5), 9, &[part(5, false), part(2, false)]), ReadStep::Rest);
        assert_eq!(step(Some(5), 9, &[part(5, false), part(2, true)]), ReadStep::Seek(2));
    }

    #[test]
    fn one_that_was_left_behind_waits_for_a_bounded_number_of_records() {
        let parts = [part(50_000, true), part(2, true)];
        assert_eq!(step(Some(50_000), 9, &parts), ReadStep::Read);
        assert_eq!(step(Some(50_000), RECORDS_BEFORE_TURNING, &parts), ReadStep::Seek(2));
        assert_eq!(
            step(Some(2), RECORDS_BEFORE_TURNING, &parts),
            ReadStep::Read,
            "the lowest goes on for as long as it can"
        );
    }

    #[test]
    fn what_nobody_wants_is_not_read() {
        assert_eq!(step(Some(0), 0, &[part(500, true)]), ReadStep::Seek(500));
        assert_eq!(step(None, 0, &[part(500, true)]), ReadStep::Seek(500));
        assert_eq!(step(Some(7), 0, &[View { read_next: 7, end: 7, has_room: true }]), ReadStep::Rest);
    }

    #[test]
    fn what_was_appended_after_the_end_was_reached_is_not_passed_over() {
        let mut position = ReaderPosition::sought(260, 262);
        position.read(260);
        position.read(261);
        // The message that the end is reached waits until somebody replays offset 262, which is there by then.
        assert_eq!(position.reached_end(), Some(262..262), "nothing is known to be gone");
        assert_eq!(step(position.at(), 2, &[part(262, true)]), ReadStep::Seek(262));
    }

    #[test]
    fn what_has_no_record_at_the_end_of_the_log_is_passed_over() {
        let mut position = ReaderPosition::sought(262, 265);
        assert_eq!(position.reached_end(), Some(262..265));
        assert_eq!(position.reached_end(), None, "it is nowhere");
    }

    #[test]
    fn a_hole_in_the_log_leaves_nobody_behind() {
        // Offsets 5 to 8 are compacted away: the record at 9 comes next.
        assert!(is_here(5, 9, 5) && is_here(5, 9, 7) && is_here(5, 9, 9));
        assert!(!is_here(5, 9, 4) && !is_here(5, 9, 10));
    }
}
