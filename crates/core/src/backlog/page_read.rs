//! ○ A read of a head: for whom, how much, from where, and what of it may be sent.

use std::time::Duration;

use super::{
    blocked_keys::{BlockedKeys, PageTime, SendableRows},
    rows::BacklogRow,
};
use crate::model::settings::OrderBy;

/// State of an endpoint, as far as its backlog is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointReadiness {
    /// It takes events: so many may be in memory.
    Takes(usize),
    /// The same, in the order of their offsets, within what makes a lane.
    TakesInOrder(usize, OrderBy),
    /// Not now: paused, disabled, its breaker open, told to be left alone.
    Waits,
    /// There is no such endpoint any more: what waits for it is cancelled.
    Gone,
}

/// Limits of memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    pub endpoint_bytes_max: usize,
    pub bytes_max: usize,
    /// Rows of one read.
    pub page_rows_max: usize,
    /// A head that was read to its end rests this long before it is read from its beginning again: what was passed over
    /// is due later, or was written meanwhile.
    pub rest: Duration,
}

impl MemoryLimits {
    /// Bytes that an endpoint that holds so many may read, with so many left for all. It never holds more than is left
    /// after that: however many are slow, whoever comes finds room, and soon about as much as each of them has.
    #[must_use]
    pub fn bytes_for(&self, held_bytes: usize, bytes_left: usize) -> usize {
        let own_bytes = self.endpoint_bytes_max.saturating_sub(held_bytes);
        let bytes = own_bytes.min(bytes_left.saturating_sub(held_bytes).div_ceil(2));
        if bytes < self.endpoint_bytes_max.min(bytes_left) / 4 { 0 } else { bytes }
    }
}

/// A head to be read: `H` is what holds its rows in memory.
#[derive(Debug)]
pub struct PageRead<H> {
    pub head: H,
    pub after: (i64, i64),
    pub rows_max: usize,
    /// Rows that wait and are not in memory, by the last count.
    pub rows_waiting: usize,
    pub bytes_max: usize,
    pub is_gone: bool,
    pub order: Option<OrderBy>,
    /// Keys that are left out.
    pub passed_over: BlockedKeys,
    /// Rows before it were passed over because nobody could judge them.
    pub is_behind_unjudged: bool,
}

impl<H> PageRead<H> {
    /// The end of it, by whether all its rows were judged and the topic is held.
    #[must_use]
    pub fn judged(&self, end: PageEnd, all_judged: bool, is_held: bool) -> PageEnd {
        match (all_judged, is_held) {
            (true, false) if self.is_behind_unjudged => PageEnd::Unjudged, // what was passed over can be judged
            (true, _) => end,
            (false, true) if self.order.is_none() && end == PageEnd::More => PageEnd::UnjudgedFull,
            (false, _) => PageEnd::Unjudged,
        }
    }

    /// No more rows than that; returns how many are likely to be found.
    pub fn limit(&mut self, rows_max: usize) -> usize {
        self.rows_max = self.rows_max.min(rows_max);
        self.rows_max.min(self.rows_waiting)
    }

    /// It sees everything that waits, whenever that is due: where it finds no row there is none.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.after == BEGINNING && (self.order.is_some() || self.is_gone)
    }

    /// Rows of the page that may be sent, without the keys that leave memory.
    pub fn sendable(
        &mut self,
        page: Vec<BacklogRow>,
        at: PageTime,
        is_leaving: impl Fn(Option<&[u8]>) -> bool,
    ) -> SendableRows {
        let bytes: usize = page.iter().map(BacklogRow::weight).sum();
        let is_last = page.len() < self.rows_max && bytes < self.bytes_max;
        let is_whole = self.passed_over.crowded() == (Vec::new(), false);
        let mut sendable = match self.order {
            Some(by) => self.passed_over.sendable(page, by, at, is_leaving),
            None => {
                let last = page.last().map(|row| (row.offset, row.record_ms));
                SendableRows { rows: page, last, end: PageEnd::More }
            }
        };
        if is_last && sendable.end == PageEnd::More {
            sendable.end = PageEnd::Reached;
            if !is_whole {
                // What the page left out lies before it.
                sendable.last = sendable.last.max(Some((at.up_to, i64::MAX)));
            }
        }
        sendable
    }
}

/// The end of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageEnd {
    /// There may be more.
    More,
    /// Nothing more is there that may be sent now.
    Reached,
    /// The same, and what follows may be sent when its partition's commit has come that far: in a moment.
    Ahead,
    /// Some of the rows cannot be matched yet (their topic is held): they are there at the next look as well.
    Unjudged,
    /// The same of a full page whose topic is held, and rows behind it may be sent in any order.
    UnjudgedFull,
}

/// Before every offset.
pub const BEGINNING: (i64, i64) = (i64::MIN, i64::MIN);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const WALL_MS: i64 = 1_000_000;

    /// The end of a read of at most three rows that finds these, where offsets below 10 may be sent.
    fn end_of(offsets: &[i64], order: Option<OrderBy>) -> PageEnd {
        let mut read = PageRead {
            head: (),
            after: BEGINNING,
            rows_max: 3,
            rows_waiting: 10,
            bytes_max: usize::MAX,
            is_gone: false,
            order,
            passed_over: BlockedKeys::default(),
            is_behind_unjudged: false,
        };
        let page = offsets.iter().map(|offset| BacklogRow::of(*offset, "key", 0, WALL_MS)).collect();
        let at = PageTime { now: Instant::now(), wall_ms: WALL_MS, up_to: 9, log_end: None };
        read.sendable(page, at, |_| false).end
    }

    #[test]
    fn an_endpoint_reads_what_its_own_limit_and_the_memory_left_for_all_allow_and_never_a_crumb() {
        let limits =
            MemoryLimits { endpoint_bytes_max: 1_000, bytes_max: 10_000, page_rows_max: 100, rest: Duration::ZERO };
        assert_eq!(limits.bytes_for(0, 10_000), 1_000, "its own limit");
        assert_eq!(limits.bytes_for(600, 10_000), 400, "less what it holds");
        assert_eq!(limits.bytes_for(800, 10_000), 0, "less than a quarter waits for more room");
        assert_eq!(limits.bytes_for(0, 1_200), 600, "half of what is left for all");
        assert_eq!(limits.bytes_for(700, 800), 0, "whoever has as much as is left leaves it to others");
    }

    #[test]
    fn a_full_page_may_be_followed_by_more_and_a_shorter_one_is_the_last() {
        for order in [None, Some(OrderBy::Key)] {
            assert_eq!(end_of(&[1, 2, 3], order), PageEnd::More);
            assert_eq!(end_of(&[1, 2], order), PageEnd::Reached);
            assert_eq!(end_of(&[], order), PageEnd::Reached);
        }
    }

    #[test]
    fn rows_ahead_of_their_partition_are_read_again_in_a_moment_however_short_the_page_is() {
        assert_eq!(end_of(&[1, 12], Some(OrderBy::Key)), PageEnd::Ahead);
        assert_eq!(end_of(&[1, 2, 12], Some(OrderBy::Key)), PageEnd::Ahead);
    }
}
