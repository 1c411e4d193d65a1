//! ○ Heads of one endpoint: whose turn it is to be read, and each by its partition.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use super::Key;
use crate::{
    backlog::{
        blocked_keys::BlockedKeys,
        page_read::{BEGINNING, EndpointReadiness, PageEnd, PageRead},
        shard::Shard,
    },
    model::settings::OrderBy,
};

/// An endpoint may have thousands of them: one is found without a look at the others.
pub(super) struct HeadsInTurn<S> {
    by_partition: HashMap<Key, Entry<S>>,
    /// Each key of the map once.
    turns: VecDeque<Key>,
}

pub(super) struct Entry<S> {
    pub(super) head: Arc<S>,
    pub(super) events: i64,
    pub(super) bytes: i64,
    pub(super) oldest_ms: i64,
    pub(super) after: (i64, i64),
    pub(super) rests: Option<Rest>,
    /// The last note of it.
    pub(super) noted: u64,
    /// Rows came since it was last read.
    pub(super) grew: bool,
    pub(super) passed_over: BlockedKeys,
    /// Since then rows are passed over that nobody can judge, while their topic is held.
    pub(super) behind_unjudged_since: Option<Instant>,
    pub(super) is_being_read: bool,
    /// Rows that are gone although nobody had them in memory, since the read that goes on now began.
    pub(super) gone: Vec<i64>,
}

#[derive(Clone, Copy)]
pub(super) struct Rest {
    pub(super) from: Instant,
    pub(super) long: Duration,
}

/// Rest of a head in order: everybody behind waits for the last rows.
pub(super) const ORDERED_REST: Duration = Duration::from_millis(20);
/// Rest of a head in order while nothing is there that may go.
pub(super) const ORDERED_IDLE_REST: Duration = Duration::from_millis(250);

/// Between two pages of rows that are only passed over: they take the pace of those that can be sent.
const UNJUDGED_REST: Duration = Duration::from_millis(50);
/// Some hundred pages.
pub(super) const UNJUDGED_MAX: Duration = Duration::from_secs(30);

impl<S> Default for HeadsInTurn<S> {
    fn default() -> Self {
        HeadsInTurn { by_partition: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<S> HeadsInTurn<S> {
    pub(super) fn is_empty(&self) -> bool {
        self.by_partition.is_empty()
    }

    pub(super) fn of(&mut self, partition: &Key) -> Option<&mut Entry<S>> {
        self.by_partition.get_mut(partition)
    }

    /// The head of a partition that has none yet; its turn is the last.
    pub(super) fn add(&mut self, partition: Key, entry: Entry<S>) {
        if self.by_partition.insert(partition.clone(), entry).is_none() {
            self.turns.push_back(partition);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Entry<S>> {
        self.by_partition.values()
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Entry<S>> {
        self.by_partition.values_mut()
    }

    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&Key, &Entry<S>) -> bool) {
        self.by_partition.retain(|partition, entry| is_kept(partition, entry));
        self.turns.retain(|partition| self.by_partition.contains_key(partition));
    }
}

impl<S: Shard> HeadsInTurn<S> {
    /// Forgets all reads, and gives each its turn again: whoever was interrupted may have had one in hand.
    pub(super) fn restart(&mut self) {
        self.turns = self.by_partition.keys().cloned().collect();
        for entry in self.all_mut() {
            entry.is_being_read = false;
            entry.head.is_read(false);
            entry.restart();
        }
    }

    /// The next head to be read, in turn.
    pub(super) fn next(
        &mut self,
        now: Instant,
        rows_max: usize,
        bytes_max: usize,
        standing: EndpointReadiness,
    ) -> Option<PageRead<Arc<S>>> {
        if rows_max == 0 || bytes_max == 0 {
            return None;
        }
        for _ in 0..self.turns.len() {
            let key = self.turns.pop_front()?;
            let Some(entry) = self.by_partition.get_mut(&key) else { continue };
            // Nobody else has it: what was on its way out of memory is out, however it ended.
            if entry.head.is_closing() && !entry.is_being_read && Arc::strong_count(&entry.head) == 1 {
                entry.head = entry.head.renewed();
                entry.restart();
            }
            let (has_left, is_held) = (|| entry.head.has_key_left(), |offset| entry.head.holds(offset));
            if !entry.is_being_read && entry.passed_over.is_over(has_left, is_held, now) {
                entry.restart();
                entry.rests = None;
            }
            let held = i64::try_from(entry.head.held_events()).unwrap_or(i64::MAX);
            if entry.events <= 0 && held == 0 {
                self.by_partition.remove(&key);
                continue;
            }
            let order = match standing {
                EndpointReadiness::TakesInOrder(_, by) => Some(by),
                _ => None,
            };
            let reads = !entry.is_being_read && !entry.rests(now) && !entry.head.is_closing() && entry.events > held;
            let reads =
                reads && (standing == EndpointReadiness::Gone || entry.head.read_by_key(order == Some(OrderBy::Key)));
            let rows_waiting = usize::try_from(entry.events - held).unwrap_or(1);
            let is_gone = standing == EndpointReadiness::Gone;
            let read =
                reads.then(|| PageRead { rows_max, rows_waiting, bytes_max, is_gone, ..entry.begin_read(order) });
            self.turns.push_back(key);
            if read.is_some() {
                return read;
            }
        }
        None
    }
}

impl<S: Shard> Entry<S> {
    pub(super) fn restart(&mut self) {
        self.head.restart();
        self.begin_again();
        self.passed_over = BlockedKeys::default();
    }

    /// A read from where the last one ended, without its limits.
    fn begin_read(&mut self, order: Option<OrderBy>) -> PageRead<Arc<S>> {
        self.is_being_read = true;
        self.head.is_read(true);
        (self.rests, self.grew) = (None, false);
        if order != Some(OrderBy::Key) && !self.passed_over.is_empty() {
            self.restart(); // it was ordered by key until now
        }
        if order.is_some() && self.behind_unjudged_since.is_some() {
            self.begin_again(); // it had no order until now
        }
        self.head.keep_order(order.is_some());
        PageRead {
            head: Arc::clone(&self.head),
            after: self.after,
            rows_max: 0,
            rows_waiting: 0,
            bytes_max: 0,
            is_gone: false,
            order,
            passed_over: std::mem::take(&mut self.passed_over),
            is_behind_unjudged: self.behind_unjudged_since.is_some(),
        }
    }

    pub(super) fn begin_again(&mut self) {
        self.after = BEGINNING;
        self.behind_unjudged_since = None;
    }

    /// A page ended and there may be more. What was passed over because nobody could judge it is looked at again in time,
    /// however much follows: something before it may be due by now. Returns the end of its rest, if it passed over all.
    pub(super) fn goes_on(&mut self, end: PageEnd, now: Instant) -> Option<Instant> {
        let is_passed_over = end == PageEnd::UnjudgedFull;
        if is_passed_over {
            self.behind_unjudged_since.get_or_insert(now);
            self.rests = Some(Rest { from: now, long: UNJUDGED_REST });
        }
        if self.behind_unjudged_since.is_some_and(|since| now.saturating_duration_since(since) >= UNJUDGED_MAX) {
            self.begin_again();
        }
        is_passed_over.then_some(now + UNJUDGED_REST)
    }

    /// True if the head rests. Rows that came meanwhile shorten the rest of a head that is sent in order: somebody
    /// waits for it.
    fn rests(&self, now: Instant) -> bool {
        let in_time = self.grew && self.head.keeps_order();
        let long = |rest: Rest| if in_time { rest.long.min(ORDERED_REST) } else { rest.long };
        self.rests.is_some_and(|rest| rest.from + long(rest) > now)
    }
}
