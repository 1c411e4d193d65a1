//! ○ Rows of one partition that wait for one endpoint, as far as this instance has them in memory.
//!
//! **Invariant:** a row is in memory at most once, and until what became of it is committed.

mod ageing_read; // a read beside those of the drainer

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

pub use self::ageing_read::AgeingRead;
use super::{
    amount::Amount,
    blocked_keys::LogEnd,
    key_lanes::{KeyLane, KeyLanes},
    page_read::PageRead,
    shard::Shard,
};
use crate::{
    ingest::ledger::PartitionLedger,
    model::{
        parking::KeyNumber,
        receipt::{Abandoned, Done, Settlement},
        source::{Ahead, Claim, EventSource, SkipAt, SourceBacklog, SourceKind, SourceName},
    },
    store::{
        backlog::{HeadKey, RowKey},
        event_row::CLOCKS_APART_MS,
    },
};

/// Listener for the results of rows in memory.
pub trait HeadEvents: Send + Sync {
    /// These are to be taken out; then [`BacklogHead::release`].
    fn take_out(&self, head: Arc<BacklogHead>, keys: Vec<RowKey>);
    /// Rows have left memory: there is room for others.
    fn released(&self);
    /// Counts rows that left the backlog in this way.
    fn left(&self, how: Settlement, rows: usize);
    fn abandoned(&self, endpoint_id: &Arc<str>, receipt: Abandoned);
}

/// A read of a head.
pub type HeadRead = PageRead<Arc<BacklogHead>>;

/// The source of the events that are read from a head: one for each assignment of its partition.
pub struct BacklogHead {
    pub name: SourceName,
    pub endpoint_id: Arc<str>,
    ledger: Arc<PartitionLedger>,
    /// Its endpoint wants order: what leaves memory unsent takes all that follows along.
    is_ordered: AtomicBool,
    /// Something is on its way out of memory: nothing behind it is sent, and nothing more is read.
    is_parking: AtomicBool,
    /// It is out: nothing more of this one is sent, and another one starts again.
    is_closed: AtomicBool,
    /// Its rows are in memory by the lanes of their keys.
    is_by_key: AtomicBool,
    lanes: Mutex<KeyLanes>,
    /// By offset. Of two rows with one offset (a recreated topic) the second waits for the first.
    held: Mutex<InMemory>,
    /// In memory of the endpoint, and of all endpoints.
    of_endpoint: Arc<Amount>,
    of_all: Arc<Amount>,
    events: Arc<dyn HeadEvents>,
    /// Itself, for those who must hold it longer than the caller.
    this: std::sync::Weak<BacklogHead>,
}

#[derive(Default)]
struct InMemory {
    rows: HashMap<i64, Held>,
    /// Released while the head was being read: what is read may be older than that, so these are not taken in again.
    released: Option<HashSet<i64>>,
    /// The same of an [`AgeingRead`], which begins and ends whenever it likes.
    released_in_ageing: Option<HashSet<i64>>,
}

#[derive(Clone, Copy)]
struct Held {
    record_ms: i64,
    bytes: usize,
    /// Its row is to be taken out.
    has_ended: bool,
}

impl BacklogHead {
    #[must_use]
    pub fn key(&self) -> HeadKey<'_> {
        HeadKey { topic: &self.name.topic, partition: self.name.partition, endpoint_id: &self.endpoint_id }
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// The lane of a row's key; `None` while nothing of that key may be read.
    #[must_use]
    pub fn lane(self: &Arc<Self>, key: Option<&[u8]>) -> Option<Arc<KeyLane>> {
        self.lanes.lock().of(self, key)
    }

    /// Something of this key leaves memory, or has left it: none of its rows is sent.
    #[must_use]
    pub fn is_leaving(&self, key: Option<&[u8]>) -> bool {
        self.lanes.lock().is_leaving(key)
    }

    /// Rows of an ordered endpoint are sent up to here: below it everything of the partition has ended or has its row, so
    /// nothing that is still to be read from Kafka belongs before them.
    #[must_use]
    pub fn ordered_up_to(&self) -> Option<i64> {
        self.ledger.ended_up_to()
    }

    /// The end of the partition's log, where it is known. Rows beyond it that were received before are of a log that is gone.
    #[must_use]
    pub fn log_end(&self) -> Option<LogEnd> {
        let (offset, asked_ms) = self.ledger.end_asked()?;
        Some(LogEnd { offset, read_before_ms: asked_ms - CLOCKS_APART_MS })
    }

    /// Takes a row into memory; false when its offset is there already, or was until a moment ago. `record_ms` is its record's
    /// own time, milliseconds since 1970.
    #[must_use]
    pub fn hold(&self, offset: i64, record_ms: i64, bytes: usize) -> bool {
        self.take(|held| held.released.as_ref(), (offset, record_ms, bytes))
    }

    fn take(
        &self,
        released: impl Fn(&InMemory) -> Option<&HashSet<i64>>,
        (offset, record_ms, bytes): (i64, i64, usize),
    ) -> bool {
        let mut held = self.held.lock();
        let was_released = released(&held).is_some_and(|released| released.contains(&offset));
        if was_released || held.rows.contains_key(&offset) {
            return false;
        }
        held.rows.insert(offset, Held { record_ms, bytes, has_ended: false });
        self.of_endpoint.add(1, bytes);
        self.of_all.add(1, bytes);
        true
    }

    /// These rows are in memory no more.
    pub fn release(&self, offsets: impl IntoIterator<Item = i64>) {
        let (mut rows, mut bytes, mut ended) = (0, 0, 0);
        {
            let mut held = self.held.lock();
            let InMemory { rows: of_head, released, released_in_ageing } = &mut *held;
            for offset in offsets {
                for released in [&mut *released, &mut *released_in_ageing].into_iter().flatten() {
                    released.insert(offset);
                }
                if let Some(row) = of_head.remove(&offset) {
                    rows += 1;
                    bytes += row.bytes;
                    ended += usize::from(row.has_ended);
                }
            }
        }
        self.of_endpoint.forget_ended(ended);
        self.of_endpoint.sub(rows, bytes);
        self.of_all.sub(rows, bytes);
        self.events.released();
    }

    /// Counts rows that left the backlog, if that is how they settled.
    pub(super) fn count_left(&self, how: Settlement, receipts: usize) {
        if how != Settlement::Backlogged {
            self.events.left(how, receipts);
        }
    }

    /// These rows have ended in this way, or leave memory only.
    pub(super) fn rows_done(&self, done: &[Done], how: Settlement) {
        if done.is_empty() {
            return;
        }
        let offsets = done.iter().map(|done| done.offset);
        match (how, self.this.upgrade()) {
            (Settlement::Backlogged, _) | (_, None) => self.release(offsets),
            (_, Some(this)) => self.events.take_out(this, self.end(offsets)),
        }
    }

    /// The keys of these rows, whose events have ended: they stay in memory until they are taken out.
    fn end(&self, offsets: impl Iterator<Item = i64>) -> Vec<RowKey> {
        let mut held = self.held.lock();
        let mut ended = 0;
        let key = |offset: i64| {
            let row = held.rows.get_mut(&offset)?;
            ended += usize::from(!std::mem::replace(&mut row.has_ended, true));
            Some(RowKey {
                topic: Arc::clone(&self.name.topic),
                partition: self.name.partition,
                endpoint_id: Arc::clone(&self.endpoint_id),
                offset,
                record_ms: row.record_ms,
            })
        };
        let keys = offsets.filter_map(key).collect();
        self.of_endpoint.end(ended);
        keys
    }
}

impl Shard for BacklogHead {
    type Assignment = PartitionLedger;
    type Events = Arc<dyn HeadEvents>;

    fn begin(
        ledger: &Arc<PartitionLedger>,
        endpoint_id: Arc<str>,
        of_endpoint: Arc<Amount>,
        of_all: Arc<Amount>,
        events: &Arc<dyn HeadEvents>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| BacklogHead {
            name: SourceName { kind: SourceKind::Backlog, topic: ledger.topic_name(), partition: ledger.partition() },
            endpoint_id,
            ledger: Arc::clone(ledger),
            is_ordered: AtomicBool::new(false),
            is_parking: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_by_key: AtomicBool::new(false),
            lanes: Mutex::default(),
            held: Mutex::default(),
            of_endpoint,
            of_all,
            events: Arc::clone(events),
            this: this.clone(),
        })
    }

    fn renewed(&self) -> Arc<Self> {
        let (of_endpoint, of_all) = (Arc::clone(&self.of_endpoint), Arc::clone(&self.of_all));
        BacklogHead::begin(&self.ledger, Arc::clone(&self.endpoint_id), of_endpoint, of_all, &self.events)
    }

    fn topic(&self) -> &Arc<str> {
        &self.name.topic
    }

    fn partition(&self) -> i32 {
        self.name.partition
    }

    fn endpoint_id(&self) -> &Arc<str> {
        &self.endpoint_id
    }

    fn is_of(&self, ledger: &Arc<PartitionLedger>) -> bool {
        Arc::ptr_eq(&self.ledger, ledger)
    }

    fn held_events(&self) -> usize {
        self.held.lock().rows.len()
    }

    fn holds(&self, offset: i64) -> bool {
        self.held.lock().rows.contains_key(&offset)
    }

    fn is_closing(&self) -> bool {
        self.is_parking.load(Ordering::Acquire) || self.is_closed()
    }

    fn has_key_left(&self) -> bool {
        self.lanes.lock().has_left()
    }

    fn keeps_order(&self) -> bool {
        self.is_ordered.load(Ordering::Relaxed)
    }

    fn keep_order(&self, is_ordered: bool) {
        self.is_ordered.store(is_ordered, Ordering::Relaxed);
    }

    fn read_by_key(&self, is_by_key: bool) -> bool {
        if self.is_by_key.load(Ordering::Relaxed) != is_by_key && self.held_events() > 0 {
            return false;
        }
        self.is_by_key.store(is_by_key, Ordering::Relaxed);
        true
    }

    fn is_read(&self, now: bool) {
        self.lanes.lock().forget(false);
        self.held.lock().released = now.then(HashSet::new);
    }

    fn restart(&self) {
        // Then each key is found with all that waits of it.
        self.lanes.lock().forget(true);
    }

    fn hold_up(&self, is_held_up: bool) -> bool {
        self.ledger.backlog.lock().hold_up(&self.endpoint_id, is_held_up)
    }
}

impl Drop for BacklogHead {
    fn drop(&mut self) {
        // The partition is someone else's: what was in memory of it is not waited for.
        let held = self.held.get_mut();
        let bytes = held.rows.values().map(|row| row.bytes).sum();
        self.of_endpoint.forget_ended(held.rows.values().filter(|row| row.has_ended).count());
        self.of_endpoint.sub(held.rows.len(), bytes);
        self.of_all.sub(held.rows.len(), bytes);
    }
}

impl EventSource for BacklogHead {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn claim(&self) -> Claim {
        match self.ledger.is_current() {
            false => Claim::Lost,
            true if self.ledger.is_retired() || self.is_closed() => Claim::Owned,
            true => Claim::Current,
        }
    }

    fn backlog(&self) -> &dyn SourceBacklog {
        self
    }

    /// A row that was delivered is taken out even when the partition is someone else's by now: that saves its new owner
    /// a duplicate, and can harm nobody.
    fn settled(&self, how: Settlement, receipts: usize, done: &[Done]) {
        self.count_left(how, receipts);
        if how == Settlement::Backlogged && self.keeps_order() && !done.is_empty() {
            self.is_closed.store(true, Ordering::Release);
        }
        self.rows_done(done, how);
    }

    fn abandoned(&self, receipt: Abandoned) {
        self.events.abandoned(&self.endpoint_id, receipt);
    }
}

impl SourceBacklog for BacklogHead {
    /// Its rows wait for nothing but those of them that leave memory.
    fn ahead(&self, _endpoint_id: &str, _key: Option<KeyNumber>) -> Ahead {
        let events = if self.is_parking.load(Ordering::Acquire) { u64::MAX } else { 0 };
        Ahead { events: Some(events), has_missed: false }
    }

    fn skips(&self, _endpoint_id: &Arc<str>, _offset: i64, _at: SkipAt) -> bool {
        false
    }

    fn skipped(&self, _endpoint_id: &str) {}

    fn parking(&self, _endpoint_id: &Arc<str>, _key: Option<KeyNumber>) {
        if self.keeps_order() {
            self.is_parking.store(true, Ordering::Release);
        }
    }

    /// It stays on its way out until it is closed.
    fn parked(&self, _endpoint_id: &str) {}
}

impl fmt::Debug for BacklogHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("name", &self.name).field("endpoint_id", &self.endpoint_id).finish_non_exhaustive()
    }
}
