//! ● The debt of one assignment of a partition: events that are not settled, as all threads see it.
//!
//! **Invariant (I3):** once [`PartitionLedger::revoke`] has returned, nothing moves the committable offset any more:
//! there is none. A settle that comes later belongs to an event that the partition's new owner reads again.
//! **Invariant:** every offset is tracked before its event is handed on, so it cannot settle unseen.

mod amounts; // what came and what ended, ever
mod log; // where the partition's log begins and ends

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
pub use postrider_core::offsets::ledger::ChunkRefused;
use postrider_core::{backlog::counts::ParkedCounts, offsets::ledger::Ledger, replay::missed::MissedRanges};
use tokio::sync::mpsc::UnboundedSender;

use self::{amounts::Amounts, log::LogBounds};
use crate::{
    clock,
    model::{
        parking::KeyNumber,
        pause::PauseReason,
        receipt::{Abandoned, Done, Settlement},
        source::{Ahead, Claim, EventSource, SkipAt, SourceBacklog, SourceKind, SourceName},
    },
};

/// Shared by the poll thread (what came, what may be committed), the ingest actor (what was decoded) and every
/// receipt (what has settled). One per partition and assignment; a new assignment gets a new ledger with a higher epoch.
#[derive(Debug)]
pub struct PartitionLedger {
    name: SourceName,
    epoch: u64,
    assigned_ms: i64,
    /// The id of the log: a topic that was made again has its old name and another id.
    topic_id: OnceLock<Arc<str>>,
    log: LogBounds,
    /// The log is gone. What was read of it is delivered all the same; nothing more is committed. Written with `owed` locked.
    retired: AtomicBool,
    /// Its topic is not read for now.
    topic_held: AtomicBool,
    /// The reason why reading it has not begun: one more than its place in [`Hold::ALL`](super::begin::Hold::ALL); 0 when it has.
    held: AtomicU8,
    is_orphan: bool,
    /// Written with `owed` locked, so that a settle is wholly before or wholly after it.
    revoked: AtomicBool,
    /// Something behind the poll thread lost events of this assignment: they must be read again. Written with `owed` locked.
    failed: AtomicBool,
    /// The reason why the partition is paused: one more than its place in [`PauseReason::ALL`]; 0 while it is not.
    paused: AtomicU8,
    owed: Mutex<Ledger>,
    /// Everything ever read: events and their weight.
    received: Amounts,
    /// Events that a router has seen, ever.
    routed: AtomicU64,
    /// Everything ever settled. Written with `owed` locked.
    done: Amounts,
    settled: [AtomicU64; Settlement::ALL.len()],
    abandoned_total: AtomicU64,
    stale_settles: AtomicU64,
    /// Not bounded by itself: it holds at most the receipts of what is outstanding, and that is capped.
    abandoned: UnboundedSender<Abandoned>,
    unheard_abandons: AtomicU64,
    /// Counts of what waits in the backlog.
    pub backlog: Mutex<ParkedCounts>,
    /// Gaps of suspended endpoints, until they have come back.
    pub missed: Mutex<MissedRanges>,
}

/// A ledger at one moment: for `/v1/actors`, metrics and backpressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerSnapshot {
    pub epoch: u64,
    pub is_current: bool,
    pub outstanding_events: u64,
    pub outstanding_bytes: u64,
    /// Offsets between the oldest unsettled one and the last one seen.
    pub span: u64,
    pub committable: Option<i64>,
    /// Age of the oldest unsettled event; zero when nothing is owed.
    pub uncommitted_age: Duration,
    /// Receipts by how they settled, in the order of [`Settlement::ALL`].
    pub settled: [u64; Settlement::ALL.len()],
    /// Receipts that were dropped unsettled.
    pub abandoned: u64,
    /// Receipts that settled after the revoke, without effect.
    pub stale_settles: u64,
}

impl PartitionLedger {
    /// `start` is the position that the assignment begins at, where it is known. Receipts that are dropped unsettled
    /// go to `abandoned`.
    #[must_use]
    pub fn new(
        topic: Arc<str>,
        partition: i32,
        epoch: u64,
        start: Option<i64>,
        abandoned: UnboundedSender<Abandoned>,
    ) -> Self {
        PartitionLedger {
            name: SourceName { kind: SourceKind::Live, topic, partition },
            epoch,
            assigned_ms: clock::wall_ms(),
            topic_id: OnceLock::new(),
            log: LogBounds::default(),
            retired: AtomicBool::new(false),
            topic_held: AtomicBool::new(false),
            held: AtomicU8::new(0),
            is_orphan: false,
            revoked: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            paused: AtomicU8::new(0),
            owed: Mutex::new(Ledger::new(start)),
            received: Amounts::default(),
            routed: AtomicU64::new(0),
            done: Amounts::default(),
            settled: Default::default(),
            abandoned_total: AtomicU64::new(0),
            stale_settles: AtomicU64::new(0),
            abandoned,
            unheard_abandons: AtomicU64::new(0),
            backlog: Mutex::default(),
            missed: Mutex::default(),
        }
    }

    #[must_use]
    pub fn topic(&self) -> &str {
        &self.name.topic
    }

    /// The topic, for those who keep it.
    #[must_use]
    pub fn topic_name(&self) -> Arc<str> {
        Arc::clone(&self.name.topic)
    }

    #[must_use]
    pub fn partition(&self) -> i32 {
        self.name.partition
    }

    /// False once the assignment is over: the new owner has its events.
    #[must_use]
    pub fn is_current(&self) -> bool {
        !self.revoked.load(Ordering::Acquire)
    }

    /// A router has seen so many of its events.
    pub fn routed(&self, events: usize) {
        self.routed.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Events of it were lost before they had receipts (a panic while decoding or routing): what is not settled must be
    /// read again. Where the log is gone nobody can: they are lost for good.
    pub fn fail(&self) {
        let _owed = self.owed.lock();
        self.failed.store(true, Ordering::Release);
        if self.is_retired() {
            self.tell_lost_for_good();
        }
    }

    /// Events that were handed on and that no router has seen yet.
    #[must_use]
    pub fn unrouted_events(&self) -> u64 {
        let routed = self.routed.load(Ordering::Relaxed);
        self.received_events().saturating_sub(routed)
    }

    /// The poll thread has paused the partition, or goes on with it: for those who look on.
    pub fn show_paused(&self, reason: Option<PauseReason>) {
        self.paused.store(reason.map_or(0, |reason| reason as u8 + 1), Ordering::Relaxed);
    }

    /// The reason why the partition is paused, if it is.
    #[must_use]
    pub fn paused(&self) -> Option<PauseReason> {
        let place = self.paused.load(Ordering::Relaxed).checked_sub(1)?;
        PauseReason::ALL.get(usize::from(place)).copied()
    }

    /// Events that were read of this assignment, ever.
    #[must_use]
    pub fn received_events(&self) -> u64 {
        self.received.events.load(Ordering::Relaxed)
    }

    /// Events that count as outstanding and are not tracked, or the other way round: 0, but for what is just under way.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let owed = self.owed.lock();
        let (outstanding, tracked) = (self.outstanding().0, owed.outstanding());
        if self.is_current() { outstanding as i64 - tracked as i64 } else { 0 }
    }

    /// Something lost events of this assignment before they had receipts.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Time at which the assignment began: milliseconds since 1970.
    #[must_use]
    pub fn assigned_ms(&self) -> i64 {
        self.assigned_ms
    }

    /// These records were read and are handed on. `bytes` are weights ([`weight_bytes`](crate::model::event::weight_bytes)),
    /// as each comes back in its [`Done`].
    pub fn received(&self, events: u64, bytes: u64) {
        self.received.events.fetch_add(events, Ordering::Relaxed);
        self.received.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// These offsets are owed from now on: called before the events of the chunk are handed on.
    ///
    /// # Errors
    /// [`ChunkRefused`] names the first offset that was not taken and why; none after it was tried. Where the span is
    /// full, the rest of the chunk waits until the oldest event settles.
    pub fn track_chunk(&self, offsets: &[i64], received_at: Instant) -> Result<(), ChunkRefused> {
        self.owed.lock().track_chunk(offsets, received_at)
    }

    /// A partition that nobody reads any more: nothing comes of it but what waits already.
    #[must_use]
    pub fn orphan(topic: Arc<str>, partition: i32, epoch: u64, abandoned: UnboundedSender<Abandoned>) -> Self {
        PartitionLedger { is_orphan: true, ..PartitionLedger::new(topic, partition, epoch, None, abandoned) }
    }

    /// Everything of the partition below this offset has ended or has its row, and nothing that is still to be read belongs
    /// before it; `None` while that is not known.
    #[must_use]
    pub fn ended_up_to(&self) -> Option<i64> {
        if self.is_orphan {
            return Some(i64::MAX);
        }
        self.unsettled_from()
    }

    /// The first offset that is not settled: the one to commit, or, before anything was read, where the assignment began.
    /// `None` while that is not known.
    #[must_use]
    pub fn unsettled_from(&self) -> Option<i64> {
        self.committable().or(self.start())
    }

    /// The offset from which a log is read that was cut here: never above what is not settled, which the log may still have.
    #[must_use]
    pub fn goes_on_below(&self, cut: i64) -> i64 {
        self.committable().map_or(cut, |settled| settled.min(cut))
    }

    /// The offset to commit; `None` before anything was read, and after the revoke.
    #[must_use]
    pub fn committable(&self) -> Option<i64> {
        let owed = self.owed.lock();
        (self.is_current() && !self.is_retired()).then(|| owed.committable()).flatten()
    }

    /// Age of the oldest event that is not settled; zero when nothing is owed.
    #[must_use]
    pub fn uncommitted_age(&self, now: Instant) -> Duration {
        self.owed.lock().uncommitted_age(now)
    }

    /// Read and not done: events, and their weight in bytes.
    #[must_use]
    pub fn outstanding(&self) -> (u64, u64) {
        // Done first: a late look at `received` can only make the difference larger, never negative.
        let (done_events, done_bytes) = self.done.read();
        let (events, bytes) = self.received.read();
        (events.saturating_sub(done_events), bytes.saturating_sub(done_bytes))
    }

    /// Offsets between the oldest unsettled one and the last one seen.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.owed.lock().span()
    }

    /// The assignment is over. From now on settles have no effect, and drops are silent: the new owner has the events.
    pub fn revoke(&self) {
        let _owed = self.owed.lock();
        self.revoked.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn snapshot(&self, now: Instant) -> LedgerSnapshot {
        let (outstanding_events, outstanding_bytes) = self.outstanding();
        let owed = self.owed.lock();
        let is_current = self.is_current();
        LedgerSnapshot {
            epoch: self.epoch,
            is_current,
            outstanding_events,
            outstanding_bytes,
            span: owed.span(),
            committable: is_current.then(|| owed.committable()).flatten(),
            uncommitted_age: owed.uncommitted_age(now),
            settled: self.settled.each_ref().map(|count| count.load(Ordering::Relaxed)),
            abandoned: self.abandoned_total.load(Ordering::Relaxed),
            stale_settles: self.stale_settles.load(Ordering::Relaxed),
        }
    }
}

impl EventSource for PartitionLedger {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn claim(&self) -> Claim {
        if self.is_current() { Claim::Current } else { Claim::Lost }
    }

    fn backlog(&self) -> &dyn SourceBacklog {
        self
    }

    fn settled(&self, how: Settlement, receipts: usize, done: &[Done]) {
        let count = if self.is_current() { &self.settled[how as usize] } else { &self.stale_settles };
        count.fetch_add(receipts as u64, Ordering::Relaxed);
        if done.is_empty() {
            return;
        }
        let mut owed = self.owed.lock();
        if !self.is_current() {
            return;
        }
        let ended = owed.settle(done);
        self.done.add_locked(ended.events, ended.bytes);
    }

    fn abandoned(&self, receipt: Abandoned) {
        self.abandoned_total.fetch_add(1, Ordering::Relaxed);
        if self.abandoned.send(receipt).is_ok() {
            return;
        }
        // Nobody takes it up, so its offset is never committed: the partition's next owner reads the event again.
        // That is safe, but the commit does not advance until then, and the partition fills up and pauses.
        if self.unheard_abandons.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(
                topic = %self.name.topic, partition = self.name.partition, epoch = self.epoch,
                "an abandoned event cannot be taken up again; its partition commits nothing beyond it until it is reassigned"
            );
        }
    }
}

impl SourceBacklog for PartitionLedger {
    fn ahead(&self, endpoint_id: &str, key: Option<KeyNumber>) -> Ahead {
        let rows = {
            let backlog = self.backlog.lock();
            key.map_or_else(|| backlog.ahead(endpoint_id), |key| backlog.ahead_of_key(endpoint_id, key))
        };
        let missed = self.missed.lock();
        Ahead { events: rows.map(|rows| missed.ahead(endpoint_id, rows)), has_missed: missed.has(endpoint_id) }
    }

    fn skips(&self, endpoint_id: &Arc<str>, offset: i64, at: SkipAt) -> bool {
        let mut missed = self.missed.lock();
        match at {
            SkipAt::Arrival { suspended } => missed.skips(endpoint_id, offset, suspended),
            SkipAt::Departure => missed.skips_instead_of_parking(endpoint_id, offset),
        }
    }

    fn skipped(&self, endpoint_id: &str) {
        self.missed.lock().skipped(endpoint_id);
    }

    fn parking(&self, endpoint_id: &Arc<str>, key: Option<KeyNumber>) {
        self.backlog.lock().parking(endpoint_id, 1, key);
    }

    fn parked(&self, endpoint_id: &str) {
        self.backlog.lock().parked(endpoint_id, 1);
    }
}

#[cfg(test)]
mod tests;
