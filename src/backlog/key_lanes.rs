//! ○ Rows in memory of an endpoint that is ordered by key: those of each key under a lane of their own, so that a key that
//! leaves memory takes no other along.
//!
//! **Invariant:** of a key, nothing is read while something of it leaves memory, nor after that before its head is read from
//! its beginning.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{head::BacklogHead, shard::Shard as _};
use crate::model::{
    parking::KeyNumber,
    receipt::{Abandoned, Done, Settlement},
    source::{Ahead, Claim, EventSource, SkipAt, SourceBacklog, SourceName},
};

/// The source of the rows of one key of a head.
pub struct KeyLane {
    head: Arc<BacklogHead>,
    /// Something of it is on its way out of memory, or was.
    is_leaving: Arc<AtomicBool>,
}

/// The lanes of a head.
#[derive(Default)]
pub(super) struct KeyLanes {
    lanes: HashMap<KeyNumber, Known>,
}

struct Known {
    lane: Weak<KeyLane>,
    is_leaving: Arc<AtomicBool>,
}

impl Known {
    fn is_in_memory(&self) -> bool {
        self.lane.strong_count() > 0
    }

    fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }
}

impl KeyLanes {
    /// The lane of a key; `None` while nothing of that key may be read.
    pub(super) fn of(&mut self, head: &Arc<BacklogHead>, key: Option<&[u8]>) -> Option<Arc<KeyLane>> {
        let number = KeyNumber::of(key);
        if let Some(known) = self.lanes.get(&number) {
            if known.is_leaving() {
                return None;
            }
            if let Some(lane) = known.lane.upgrade() {
                return Some(lane);
            }
        }
        let is_leaving = Arc::new(AtomicBool::new(false));
        let lane = Arc::new(KeyLane { head: Arc::clone(head), is_leaving: Arc::clone(&is_leaving) });
        self.lanes.insert(number, Known { lane: Arc::downgrade(&lane), is_leaving });
        Some(lane)
    }

    pub(super) fn is_leaving(&self, key: Option<&[u8]>) -> bool {
        self.lanes.get(&KeyNumber::of(key)).is_some_and(Known::is_leaving)
    }

    /// True if a lane has left memory: its head is to be read from its beginning.
    pub(super) fn has_left(&self) -> bool {
        self.lanes.values().any(|known| known.is_leaving() && !known.is_in_memory())
    }

    /// A reading begins, from the head's beginning or behind the last one.
    pub(super) fn forget(&mut self, is_from_beginning: bool) {
        self.lanes.retain(|_, known| known.is_in_memory() || (known.is_leaving() && !is_from_beginning));
    }
}

impl EventSource for KeyLane {
    fn name(&self) -> &SourceName {
        self.head.name()
    }

    /// Also while it leaves: what comes for it then is parked as well, and its attempts under way go on.
    fn claim(&self) -> Claim {
        self.head.claim()
    }

    fn backlog(&self) -> &dyn SourceBacklog {
        self
    }

    fn settled(&self, how: Settlement, receipts: usize, done: &[Done]) {
        self.head.count_left(how, receipts);
        if how == Settlement::Backlogged && !done.is_empty() {
            self.leaves();
        }
        self.head.rows_done(done, how);
    }

    fn abandoned(&self, receipt: Abandoned) {
        self.head.abandoned(receipt);
    }
}

impl SourceBacklog for KeyLane {
    fn ahead(&self, endpoint_id: &str, key: Option<KeyNumber>) -> Ahead {
        match self.is_leaving.load(Ordering::Acquire) {
            true => Ahead { events: Some(u64::MAX), has_missed: false },
            false => self.head.ahead(endpoint_id, key),
        }
    }

    fn skips(&self, _endpoint_id: &Arc<str>, _offset: i64, _at: SkipAt) -> bool {
        false
    }

    fn skipped(&self, _endpoint_id: &str) {}

    fn parking(&self, _endpoint_id: &Arc<str>, _key: Option<KeyNumber>) {
        self.leaves();
    }

    /// It stays on its way out until its head is read from its beginning.
    fn parked(&self, _endpoint_id: &str) {}
}

impl KeyLane {
    fn leaves(&self) {
        if self.head.keeps_order() {
            self.is_leaving.store(true, Ordering::Release);
        }
    }
}

impl fmt::Debug for KeyLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLane").field("head", &self.head).finish_non_exhaustive()
    }
}
