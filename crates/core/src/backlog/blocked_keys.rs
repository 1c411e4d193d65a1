//! ○ Keys that are passed over while a head is read in the order of its keys: each of them waits for one row of its own,
//! and the others go on.
//!
//! **Invariant:** of a key, no row is taken while an earlier one is not due, or was tried before and has not ended yet.
//! The first would be out of order; behind the second, all that a failing event holds back would fill the memory.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{page_read::PageEnd, rows::BacklogRow};
use crate::model::settings::OrderBy;

/// Keys that one reading of a head, from its beginning to its end, passes over. Bounded: where too many keys wait, all
/// behind them wait as well.
#[derive(Debug, Default)]
pub struct BlockedKeys {
    keys: HashMap<Option<Box<[u8]>>, Passed>,
    /// Since when it may be asked again whether it is over.
    asked_at: Option<Instant>,
    began_at: Option<Instant>,
}

#[derive(Debug)]
struct Passed {
    /// The row that is waited for.
    offset: i64,
    until: Until,
    /// Number of rows behind the one that is waited for.
    rows: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Due(Instant),
    /// The row is in memory no more.
    Ended,
    /// The key has left memory.
    Left,
}

/// Rows that may be sent now, of a page.
#[derive(Debug)]
pub struct SendableRows {
    pub rows: Vec<BacklogRow>,
    /// Offset and record time up to which the page needs no other look.
    pub last: Option<(i64, i64)>,
    /// Unless it was looked at to its end: what stopped it.
    pub end: PageEnd,
}

/// Time at which a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct PageTime {
    pub now: Instant,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
    /// The highest offset that may be sent.
    pub up_to: i64,
    /// An end of the partition's log, where it is known.
    pub log_end: Option<LogEnd>,
}

/// An end that a log had at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    pub offset: i64,
    /// Time before which nothing was read of this log that lies beyond the end; milliseconds since 1970.
    pub read_before_ms: i64,
}

impl PageTime {
    /// The row may be sent, as far as others of its partition are concerned: they have ended, or it is of a log that is gone
    /// (its topic was made again, or the log was cut), which nothing comes of any more.
    fn has_come_to(&self, row: &BacklogRow) -> bool {
        let is_of_this_log = |end: LogEnd| row.offset < end.offset || row.received_ms >= end.read_before_ms;
        row.offset <= self.up_to || self.log_end.is_some_and(|end| !is_of_this_log(end))
    }

    fn is_due(&self, row: &BacklogRow) -> bool {
        row.not_before_ms <= self.wall_ms
    }

    fn due(&self, row: &BacklogRow) -> Instant {
        self.now + Duration::from_millis(row.not_before_ms.abs_diff(self.wall_ms))
    }
}

impl BlockedKeys {
    /// The rows of a page that may be sent, without the keys that leave memory.
    pub fn sendable(
        &mut self,
        page: Vec<BacklogRow>,
        by: OrderBy,
        at: PageTime,
        is_leaving: impl Fn(Option<&[u8]>) -> bool,
    ) -> SendableRows {
        self.began_at.get_or_insert(at.now);
        let mut sendable = SendableRows { rows: Vec::with_capacity(page.len()), last: None, end: PageEnd::More };
        let mut is_any_ahead = false;
        for row in page {
            if !at.has_come_to(&row) {
                is_any_ahead = true;
                continue;
            }
            let place = (row.offset, row.record_ms);
            let goes = match by {
                OrderBy::Partition => at.is_due(&row).then_some(true),
                OrderBy::Key => self.goes(&row, at, &is_leaving),
            };
            match goes {
                None => {
                    sendable.end = PageEnd::Reached;
                    break;
                }
                Some(true) => sendable.rows.push(row),
                Some(false) => {}
            }
            if !is_any_ahead {
                sendable.last = Some(place);
            }
        }
        if is_any_ahead {
            sendable.end = PageEnd::Ahead;
        }
        sendable
    }

    /// True if a row is sent, false if it waits with its key; `None` if it would have to and too many keys wait.
    fn goes(&mut self, row: &BacklogRow, at: PageTime, is_leaving: impl Fn(Option<&[u8]>) -> bool) -> Option<bool> {
        if !self.keys.is_empty()
            && let Some(passed) = self.keys.get_mut(&row.key().map(Box::from))
        {
            passed.rows += 1;
            return Some(false);
        }
        let until = match (at.is_due(row), is_leaving(row.key())) {
            (_, true) => Until::Left,
            (true, false) => Until::Ended,
            (false, false) => Until::Due(at.due(row)),
        };
        if until != Until::Ended || row.attempts > 0 {
            if self.keys.len() >= KEYS_MAX {
                return None;
            }
            self.keys.insert(row.key().map(Box::from), Passed { offset: row.offset, until, rows: 0 });
        }
        Some(until == Until::Ended)
    }

    /// True if the head is to be read from its beginning again: something that was waited for is due, or has ended as
    /// `is_held` says of its offset, or a key `has_left` memory, or it is long ago (a redrive brings rows that come before all
    /// others).
    pub fn is_over(&mut self, has_left: impl Fn() -> bool, is_held: impl Fn(i64) -> bool, now: Instant) -> bool {
        let spaced = |at: Option<Instant>, by| at.is_none_or(|at: Instant| now.saturating_duration_since(at) >= by);
        if !spaced(self.began_at, SPACING) || !spaced(self.asked_at, SPACING) {
            return false;
        }
        let has_left = has_left(); // looks at each key in memory
        if self.is_empty() && !has_left {
            return false;
        }
        self.asked_at = Some(now);
        has_left
            || spaced(self.began_at, AGAIN_AFTER)
            || self.keys.values().any(|passed| match passed.until {
                Until::Due(at) => at <= now,
                Until::Ended => !is_held(passed.offset),
                Until::Left => false,
            })
    }

    /// A row is gone, whenever it was due.
    pub fn gone(&mut self, offset: i64) {
        for passed in self.keys.values_mut().filter(|passed| passed.offset == offset) {
            passed.until = Until::Ended;
            self.asked_at = None;
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys of which many rows were passed over, for the next pages not to have them, and whether rows without a key are
    /// among them.
    #[must_use]
    pub fn crowded(&self) -> (Vec<&[u8]>, bool) {
        let crowded = self.keys.iter().filter(|(_, passed)| passed.rows >= CROWD_ROWS).map(|(key, _)| key.as_deref());
        let is_without = crowded.clone().any(|key| key.is_none());
        (crowded.flatten().take(CROWDS_MAX).collect(), is_without)
    }
}

/// Each in memory with its bytes.
const KEYS_MAX: usize = 1_000;
/// Reading from the beginning costs a look at all that was passed over.
const SPACING: Duration = Duration::from_millis(100);
const AGAIN_AFTER: Duration = Duration::from_secs(10);
const CROWD_ROWS: u64 = 100;
/// Postgres compares each row with each of them.
const CROWDS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ms, secs};

    const WALL_MS: i64 = 1_000_000;

    /// Offset, key, attempts before, and in how many milliseconds it is due.
    fn row((offset, key, attempts, due_ms): (i64, &str, i32, i64)) -> BacklogRow {
        BacklogRow::of(offset, key, attempts, WALL_MS + due_ms)
    }

    fn read(
        passed: &mut BlockedKeys,
        page: &[(i64, &str, i32, i64)],
        by: OrderBy,
        now: Instant,
    ) -> (Vec<i64>, SendableRows) {
        let page = page.iter().map(|row| self::row(*row)).collect();
        let at = PageTime { now, wall_ms: WALL_MS, up_to: 100, log_end: None };
        let sendable = passed.sendable(page, by, at, |key| key == Some(b"leaves"));
        (sendable.rows.iter().map(|row| row.offset).collect(), sendable)
    }

    #[test]
    fn a_row_that_is_not_due_holds_back_its_key_and_no_other() {
        let (mut passed, now) = (BlockedKeys::default(), Instant::now());
        let page = [(1, "a", 0, 0), (2, "b", 3, 500), (3, "b", 0, 0), (4, "a", 0, 0), (5, "", 0, 0)];
        let (sent, sendable) = read(&mut passed, &page, OrderBy::Key, now);
        assert_eq!((sent, sendable.last, sendable.end), (vec![1, 4, 5], Some((5, 0)), PageEnd::More));
        let (sent, _) = read(&mut passed, &[(6, "b", 0, 0), (7, "c", 0, 0)], OrderBy::Key, now);
        assert_eq!(sent, [7], "nor on the next page");
        assert!(!passed.is_over(|| false, |_| false, now + ms(499)));
        assert!(passed.is_over(|| false, |_| false, now + ms(600)));
    }

    #[test]
    fn in_the_order_of_the_partition_it_holds_back_everything() {
        let (mut passed, now) = (BlockedKeys::default(), Instant::now());
        let page = [(1, "a", 2, 0), (2, "a", 0, 0), (3, "b", 1, 500), (4, "c", 0, 0)];
        let (sent, sendable) = read(&mut passed, &page, OrderBy::Partition, now);
        assert_eq!((sent, sendable.last, sendable.end), (vec![1, 2], Some((2, 0)), PageEnd::Reached));
        assert!(passed.is_empty());
    }

    #[test]
    fn behind_a_row_that_was_tried_before_its_key_waits_for_its_end() {
        let (mut passed, now) = (BlockedKeys::default(), Instant::now());
        let (sent, _) = read(&mut passed, &[(1, "", 1, 0), (2, "", 0, 0), (3, "b", 0, 0)], OrderBy::Key, now);
        assert_eq!(sent, [1, 3]);
        assert!(!passed.is_over(|| false, |offset| offset == 1, now + secs(1)));
        assert!(passed.is_over(|| false, |_| false, now + secs(2)));
    }

    #[test]
    fn a_key_that_leaves_memory_waits_until_it_has_left() {
        let (mut passed, now) = (BlockedKeys::default(), Instant::now());
        let page = [(1, "leaves", 0, 0), (2, "b", 0, 0), (3, "leaves", 0, 0)];
        let (sent, sendable) = read(&mut passed, &page, OrderBy::Key, now);
        assert_eq!((sent, sendable.last), (vec![2], Some((3, 0))));
        assert!(!passed.is_over(|| false, |_| false, now + secs(1)), "no row of it is waited for");
        assert!(passed.is_over(|| true, |_| false, now + secs(2)));
        let mut none = BlockedKeys::default();
        assert!(none.is_over(|| true, |_| false, now), "also where nothing was passed over for it");
    }

    #[test]
    fn a_row_that_is_gone_before_it_is_due_lets_its_key_go_on() {
        let (mut passed, now) = (BlockedKeys::default(), Instant::now());
        read(&mut passed, &[(1, "a", 1, 9_000), (2, "b", 1, 9_000)], OrderBy::Key, now);
        passed.gone(7);
        assert!(!passed.is_over(|| false, |_| false, now + ms(100)), "it was another row");
        passed.gone(2);
        assert!(passed.is_over(|| false, |_| false, now + ms(101)), "although somebody asked a moment ago");
    }

    #[test]
    fn it_is_asked_now_and_then_and_begins_anew_after_a_while_whatever_happens() {
        let (mut passed, now) = (BlockedKeys::default(), Instant::now());
        assert!(!passed.is_over(|| false, |_| false, now + secs(60)), "nothing is passed over");
        read(&mut passed, &[(1, "a", 1, 0)], OrderBy::Key, now);
        assert!(!passed.is_over(|| false, |_| false, now + ms(99)), "it has only begun");
        assert!(!passed.is_over(|| false, |_| true, now + ms(150)));
        assert!(!passed.is_over(|| false, |_| false, now + ms(249)), "it was asked a moment ago");
        assert!(passed.is_over(|| false, |_| true, now + secs(10)));
    }

    #[test]
    fn what_lies_beyond_is_not_looked_at() {
        let mut passed = BlockedKeys::default();
        let page = [(99, "a", 0, 0), (101, "b", 0, 900)];
        let (sent, sendable) = read(&mut passed, &page, OrderBy::Key, Instant::now());
        assert_eq!((sent, sendable.last, sendable.end), (vec![99], Some((99, 0)), PageEnd::Ahead));
        assert!(passed.is_empty());
    }

    /// Sends what may go of rows that were received at 100 ms, where the rows below 5 have ended and the log ended at 8
    /// for all that was read before `read_before_ms`.
    #[track_caller]
    fn check_log_end(read_before_ms: Option<i64>, offsets: &[i64], sent: &[i64], last: Option<i64>, end: PageEnd) {
        for by in [OrderBy::Key, OrderBy::Partition] {
            let row = |offset: &i64| BacklogRow { received_ms: 100, ..row((*offset, "a", 0, 0)) };
            let log_end = read_before_ms.map(|read_before_ms| LogEnd { offset: 8, read_before_ms });
            let at = PageTime { now: Instant::now(), wall_ms: WALL_MS, up_to: 5, log_end };
            let page = offsets.iter().map(row).collect();
            let sendable = BlockedKeys::default().sendable(page, by, at, |_| false);
            let is: Vec<i64> = sendable.rows.iter().map(|row| row.offset).collect();
            assert_eq!((&is[..], sendable.last, sendable.end), (sent, last.map(|last| (last, 0)), end));
        }
    }

    #[test]
    fn rows_of_a_log_that_is_gone_wait_for_nothing_of_the_log_that_has_its_name_now() {
        check_log_end(Some(101), &[3, 7, 1_000], &[3, 1_000], Some(3), PageEnd::Ahead);
        check_log_end(Some(101), &[3, 8, 1_000], &[3, 8, 1_000], Some(1_000), PageEnd::More);
        check_log_end(Some(100), &[3, 7, 1_000], &[3], Some(3), PageEnd::Ahead); // it may have been read of this log
        check_log_end(None, &[3, 7, 1_000], &[3], Some(3), PageEnd::Ahead);
    }

    #[test]
    fn too_many_keys_hold_back_everything_behind_them() {
        let (mut passed, now) = (BlockedKeys::default(), Instant::now());
        for key in 0..KEYS_MAX {
            read(&mut passed, &[(1, &key.to_string(), 1, 900)], OrderBy::Key, now);
        }
        let (sent, sendable) =
            read(&mut passed, &[(2, "fine", 0, 0), (3, "x", 1, 0), (4, "y", 0, 0)], OrderBy::Key, now);
        assert_eq!((sent, sendable.last, sendable.end), (vec![2], Some((2, 0)), PageEnd::Reached));
    }

    #[test]
    fn a_key_with_many_rows_is_named_for_the_next_pages() {
        let (mut passed, now) = (BlockedKeys::default(), Instant::now());
        let page: Vec<_> = (0..=99).map(|offset| (offset, "a", 1, 0)).chain([(100, "b", 1, 0)]).collect();
        read(&mut passed, &page, OrderBy::Key, now);
        assert_eq!(passed.crowded(), (vec![], false), "it came first, and 99 behind it");
        read(&mut passed, &[(100, "a", 0, 0)], OrderBy::Key, now);
        assert_eq!(passed.crowded(), (vec![&b"a"[..]], false));
        (0..=100).for_each(|offset| drop(read(&mut passed, &[(offset, "", 1, 0)], OrderBy::Key, now)));
        assert!(passed.crowded().1);
    }
}
