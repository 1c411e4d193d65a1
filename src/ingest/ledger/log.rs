//! ○ Kafka's statements about a partition's log: its identity, its beginning and end, and how far it was fetched.

use std::sync::{
    Arc,
    atomic::{
        AtomicI64, AtomicU64,
        Ordering::{self, Relaxed},
    },
};

use metrics::counter;
use parking_lot::Mutex;

use super::PartitionLedger;
use crate::{ingest::begin::Hold, telemetry::names};

/// Offsets, `-1` where they are not known.
#[derive(Debug)]
pub(super) struct LogBounds {
    begin: AtomicI64,
    end: AtomicI64,
    /// An answer about the end, and when it was asked for.
    end_asked: Mutex<Option<(i64, i64)>>,
    /// Everything between here and the end belongs to an open transaction.
    stable_end: AtomicI64,
    /// Everything below was fetched: records, and what is none (markers, aborted records).
    fetched_to: AtomicI64,
    /// Number of such statements.
    fetches: AtomicU64,
}

impl Default for LogBounds {
    fn default() -> Self {
        let unknown = || AtomicI64::new(-1);
        LogBounds {
            begin: unknown(),
            end: unknown(),
            end_asked: Mutex::default(),
            stable_end: unknown(),
            fetched_to: unknown(),
            fetches: AtomicU64::new(0),
        }
    }
}

impl LogBounds {
    /// Kafka said where it begins and ends. What is not known (negative) changes nothing.
    pub(super) fn observe(&self, begin: i64, end: i64) {
        for (place, offset) in [(&self.begin, begin), (&self.end, end)] {
            if offset >= 0 {
                place.store(offset, Relaxed);
            }
        }
    }

    pub(super) fn saw_fetch(&self, stable_end: i64, fetched_to: i64) {
        self.stable_end.store(stable_end, Relaxed);
        self.fetched_to.store(fetched_to, Relaxed);
        self.fetches.fetch_add(1, Relaxed);
    }

    pub(super) fn begin(&self) -> Option<i64> {
        known(&self.begin)
    }

    pub(super) fn end(&self) -> Option<i64> {
        known(&self.end)
    }

    pub(super) fn stable_end(&self) -> Option<i64> {
        known(&self.stable_end)
    }

    /// The position up to which it was fetched, and the number of such statements.
    pub(super) fn fetched(&self) -> (u64, Option<i64>) {
        (self.fetches.load(Relaxed), known(&self.fetched_to))
    }

    /// Records from `from` to the end; what retention has removed is none.
    pub(super) fn lag_from(&self, from: Option<i64>) -> Option<i64> {
        let (begin, end) = (self.begin(), self.end()?);
        let from = from.max(begin)?;
        Some((end - from).max(0))
    }
}

fn known(place: &AtomicI64) -> Option<i64> {
    Some(place.load(Relaxed)).filter(|offset| *offset >= 0)
}

impl PartitionLedger {
    /// With nothing owed, everything below `offset` is done: what was fetched up to there and is no record (transaction
    /// markers, aborted records) is nobody's.
    pub fn skip_to(&self, offset: i64) {
        self.owed.lock().skip_to(offset);
    }

    /// The offset that comes next, where it is known.
    #[must_use]
    pub fn next_offset(&self) -> Option<i64> {
        self.owed.lock().next_offset()
    }

    /// Offsets that the log had lost before they were read (the first and the last of each gap), as far as they were not
    /// told before.
    #[must_use]
    pub fn lost(&self) -> Vec<(i64, i64)> {
        self.log.begin().map(|begin| self.owed.lock().lost(begin)).unwrap_or_default()
    }

    /// Kafka said where the partition's log begins and ends (the first offset, and the one after the last); negative where
    /// it did not.
    pub fn saw_log(&self, begin: i64, end: i64) {
        self.log.observe(begin, end);
    }

    /// As [`PartitionLedger::saw_log`], of an answer to a question of that time (milliseconds since 1970).
    pub fn asked_log(&self, begin: i64, end: i64, asked_ms: i64) {
        self.saw_log(begin, end);
        if end >= 0 {
            *self.log.end_asked.lock() = Some((end, asked_ms));
        }
    }

    /// An end that the log had, and a time before it had it: milliseconds since 1970. What was read of the log until then
    /// lies before the end, whoever read it.
    #[must_use]
    pub fn end_asked(&self) -> Option<(i64, i64)> {
        let (end, asked_ms) = (*self.log.end_asked.lock())?;
        Some((self.next_offset().map_or(end, |next| next.max(end)), asked_ms))
    }

    /// The client said how far it has fetched, and up to where what it may read goes.
    pub fn saw_fetch(&self, stable_end: i64, fetched_to: i64) {
        self.log.saw_fetch(stable_end, fetched_to);
    }

    /// The position up to which the client has fetched, and the number of such statements.
    #[must_use]
    pub fn fetched(&self) -> (u64, Option<i64>) {
        self.log.fetched()
    }

    /// Everything that may be read was: the rest belongs to a transaction that is still open.
    #[must_use]
    pub fn waits_for_transaction(&self) -> bool {
        let (stable, next) = (self.log.stable_end(), self.next_offset().max(self.log.fetched().1));
        stable.zip(self.log.end()).is_some_and(|(stable, end)| stable < end && next >= Some(stable))
    }

    /// Beginning and end of the log, as far as they are known.
    #[must_use]
    pub fn extent(&self) -> Option<(i64, i64)> {
        self.log.begin().zip(self.log.end())
    }

    /// The position that the assignment begins at, where it is known.
    #[must_use]
    pub fn start(&self) -> Option<i64> {
        self.owed.lock().start()
    }

    /// Records from what may be committed to the end of the log, as it was when Kafka was last asked; `None` while that is
    /// not known.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        self.log.lag_from(self.unsettled_from())
    }

    /// The id of the topic whose log this is, where the cluster has told it.
    #[must_use]
    pub fn topic_id(&self) -> Option<&Arc<str>> {
        self.topic_id.get()
    }

    /// It is of the topic with this id. Only the first answer counts.
    pub fn identify(&self, topic_id: Arc<str>) {
        let _ = self.topic_id.set(topic_id);
    }

    /// The log is gone, and another one has its name.
    pub fn retire(&self) {
        let _owed = self.owed.lock();
        self.retired.store(true, Ordering::Release);
        if self.has_failed() {
            self.tell_lost_for_good();
        }
    }

    pub(super) fn tell_lost_for_good(&self) {
        counter!(names::GONE_LOG_FAILURES, "topic" => self.topic().to_owned()).increment(1);
        tracing::error!(
            topic = self.topic(),
            partition = self.partition(),
            epoch = self.epoch(),
            "events of a log that is gone were lost before they were routed; they cannot be read again"
        );
    }

    /// Holds the partition: its beginning is not known yet, so nothing is taken of it.
    pub fn hold(&self, hold: Hold) {
        self.held.store(hold as u8 + 1, Ordering::Release);
    }

    /// Its topic is not read for now, or is again.
    pub fn hold_topic(&self, held: bool) {
        self.topic_held.store(held, Ordering::Release);
    }

    #[must_use]
    pub fn is_topic_held(&self) -> bool {
        self.topic_held.load(Ordering::Acquire)
    }

    /// The reason why it waits for its beginning, if it does.
    #[must_use]
    pub fn held(&self) -> Option<Hold> {
        let place = self.held.load(Ordering::Acquire).checked_sub(1)?;
        Hold::ALL.get(usize::from(place)).copied()
    }

    /// True before its beginning is known and while its topic is held: what comes is dropped, to be read again later.
    #[must_use]
    pub fn takes_nothing(&self) -> bool {
        self.held().is_some() || self.is_topic_held()
    }

    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }
}
