//! ○ A replay's share of one partition, in this instance's hands: where its events come from, and who hears how they end.
//!
//! **Invariant:** once it is cancelled, or its partition is someone else's, nothing more of it is sent.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};

use super::{
    progress::{ReplayCounts, ReplayProgress},
    range::Times,
    read_plan::View,
};
use crate::{
    backlog::amount::Amount,
    ingest::ledger::PartitionLedger,
    model::{
        parking::KeyNumber,
        receipt::{Abandoned, Done, Settlement},
        source::{Ahead, Claim, EventSource, SkipAt, SourceBacklog, SourceKind, SourceName},
    },
};

/// The part, and its endpoint.
#[derive(Debug, Clone)]
pub struct ReplayPartName {
    pub replay_id: Arc<str>,
    pub endpoint_id: Arc<str>,
    /// Its range of time, if it has one.
    pub times: Option<Times>,
}

/// The source of the events of one replay from one partition, for one assignment of it.
pub struct ReplayPart {
    pub name: ReplayPartName,
    ledger: Arc<PartitionLedger>,
    source: SourceName,
    cancelled: AtomicBool,
    /// Has enough on its way; until half of that has ended.
    full: AtomicBool,
    progress: Mutex<ReplayProgress>,
    own: Amount,
    of_endpoint: Arc<Amount>,
    of_all: Arc<Amount>,
    /// Not handled where they are dropped: that may be under the lock of a queue.
    abandoned: Mutex<Vec<Abandoned>>,
}

impl ReplayPart {
    #[must_use]
    pub fn new(
        name: ReplayPartName,
        ledger: Arc<PartitionLedger>,
        progress: ReplayProgress,
        (of_endpoint, of_all): (Arc<Amount>, Arc<Amount>),
    ) -> Arc<Self> {
        Arc::new(ReplayPart {
            name,
            source: SourceName { kind: SourceKind::Replay, topic: ledger.topic_name(), partition: ledger.partition() },
            ledger,
            cancelled: AtomicBool::new(false),
            full: AtomicBool::new(false),
            progress: Mutex::new(progress),
            own: Amount::default(),
            of_endpoint,
            of_all,
            abandoned: Mutex::default(),
        })
    }

    /// True if it belongs to this very assignment.
    #[must_use]
    pub fn is_of(&self, ledger: &Arc<PartitionLedger>) -> bool {
        Arc::ptr_eq(&self.ledger, ledger)
    }

    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.source.topic
    }

    #[must_use]
    pub fn partition(&self) -> i32 {
        self.source.partition
    }

    /// True if its events may still be sent.
    #[must_use]
    pub fn is_current(&self) -> bool {
        !self.cancelled.load(Ordering::Acquire) && self.ledger.is_current()
    }

    /// Takes effect at once: what is on its way and not yet sent will not be.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// True if everything of the partition that comes before what is read next has ended or has its row.
    #[must_use]
    pub fn is_next_in_order(&self) -> bool {
        let read_next = self.progress.lock().read_next();
        self.ledger.ended_up_to().is_some_and(|ended| ended >= read_next)
    }

    pub fn progress(&self) -> MutexGuard<'_, ReplayProgress> {
        self.progress.lock()
    }

    /// State to be written down: the next offset, and the counts of everything below.
    #[must_use]
    pub fn standing(&self) -> (i64, ReplayCounts) {
        let progress = self.progress.lock();
        (progress.next(), progress.counts())
    }

    /// View of the part for the partition's reader, when its endpoint may have `events_max` on their way and all of
    /// them `bytes_max`.
    #[must_use]
    pub fn view(&self, events_max: usize, bytes_max: usize) -> View {
        let progress = self.progress.lock();
        let under_way = self.of_endpoint.events();
        if under_way >= events_max {
            self.full.store(true, Ordering::Relaxed);
        } else if under_way <= events_max / 2 {
            self.full.store(false, Ordering::Relaxed);
        }
        let has_room = self.is_current()
            && under_way < events_max
            && !self.full.load(Ordering::Relaxed)
            // Settled behind one that is not: bounded as well.
            && progress.held() < HELD_TO_UNDER_WAY * events_max
            && self.of_all.bytes() < bytes_max;
        View { read_next: progress.read_next(), end: progress.end(), has_room }
    }

    /// True if a record of this time (milliseconds since 1970) is part of it.
    #[must_use]
    pub fn wants(&self, record_ms: i64) -> bool {
        self.name.times.is_none_or(|times| times.contain(record_ms))
    }

    /// True if nothing behind a record is part of it that the broker appended then.
    #[must_use]
    pub fn ends_before(&self, appended_ms: Option<i64>) -> bool {
        self.name.times.is_some_and(|times| times.end_before(appended_ms))
    }

    /// The event at this offset is going on its way; false when it is not to.
    #[must_use]
    pub fn track(&self, offset: i64, weight_bytes: usize) -> bool {
        let tracked = self.progress.lock().track(offset);
        if tracked {
            [&self.own, &*self.of_endpoint, &*self.of_all].iter().for_each(|count| count.add(1, weight_bytes));
        }
        tracked
    }

    #[must_use]
    pub fn take_abandoned(&self) -> Vec<Abandoned> {
        std::mem::take(&mut *self.abandoned.lock())
    }
}

impl Drop for ReplayPart {
    fn drop(&mut self) {
        // What never ended here is not waited for.
        let (events, bytes) = (self.own.events(), self.own.bytes());
        self.of_endpoint.sub(events, bytes);
        self.of_all.sub(events, bytes);
    }
}

impl EventSource for ReplayPart {
    fn name(&self) -> &SourceName {
        &self.source
    }

    fn claim(&self) -> Claim {
        if self.is_current() { Claim::Current } else { Claim::Lost }
    }

    fn backlog(&self) -> &dyn SourceBacklog {
        self
    }

    fn settled(&self, how: Settlement, _receipts: usize, done: &[Done]) {
        if done.is_empty() {
            return;
        }
        let bytes = done.iter().map(|done| done.weight_bytes).sum();
        [&self.own, &*self.of_endpoint, &*self.of_all].iter().for_each(|count| count.sub(done.len(), bytes));
        let mut progress = self.progress.lock();
        done.iter().for_each(|done| progress.settle(done.offset, how));
    }

    fn abandoned(&self, receipt: Abandoned) {
        self.abandoned.lock().push(receipt);
    }
}

impl SourceBacklog for ReplayPart {
    /// Rows of all keys, and only rows: what the endpoint missed is what is replayed.
    fn ahead(&self, endpoint_id: &str, _key: Option<KeyNumber>) -> Ahead {
        Ahead { events: self.ledger.backlog.lock().ahead(endpoint_id), has_missed: false }
    }

    fn skips(&self, _endpoint_id: &Arc<str>, _offset: i64, _at: SkipAt) -> bool {
        false
    }

    fn skipped(&self, _endpoint_id: &str) {}

    fn parking(&self, endpoint_id: &Arc<str>, key: Option<KeyNumber>) {
        self.ledger.parking(endpoint_id, key);
    }

    fn parked(&self, endpoint_id: &str) {
        self.ledger.parked(endpoint_id);
    }
}

impl fmt::Debug for ReplayPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name)
            .field("partition", &self.source.partition)
            .finish_non_exhaustive()
    }
}

/// An event that takes its time (until it is parked) does not stop those behind it at once.
const HELD_TO_UNDER_WAY: usize = 4;
