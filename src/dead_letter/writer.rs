//! ● Batches into Postgres, settles after COMMIT.
//!
//! **Invariant:** a receipt settles as dead-lettered only when its row is committed. While Postgres is away letters wait
//! here, their receipts unsettled, so their partitions pause: nothing is lost, nothing is committed early.
//! **Invariant:** what is submitted for one endpoint is carried out in that order.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::Rng as _;
use tokio::runtime::Handle;

use super::letter::{Letter, LetterKey, Written, strip};
use crate::{
    clock,
    model::{
        disposition::{Parked, Reason},
        receipt::{Receipt, Settlement},
        settings::Settings,
    },
    store::{
        Pool, StoreError, dead_letters,
        event_row::{self, Clocks},
        redrives::{self, NextAttempt},
        retry::{RetryPolicy, WriterHealth},
        write_queue::{self, CustomerOf, Lanes},
    },
    telemetry::handles::DeadLetterMetrics,
};

/// `[dead_letter]` of the configuration, as far as writing goes.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    pub batch_rows_max: usize,
    pub batch_wait: Duration,
    /// Above this, [`DeadLetterWriter::is_full`].
    pub queue_bytes_max: usize,
}

/// Handle on the writer: for any thread, without waiting. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetterWriter {
    shared: Arc<Shared>,
}

impl DeadLetterWriter {
    /// Starts writing on `runtime`, until that runtime ends.
    #[must_use]
    pub fn start(pool: Pool, options: WriterOptions, runtime: &Handle) -> Self {
        let shared = Arc::new(Shared {
            pool,
            lanes: Lanes::new(LANES, options.batch_rows_max),
            options,
            queued_letters: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            is_full: AtomicBool::new(false),
            metrics: DeadLetterMetrics::new(),
            health: WriterHealth::default(),
        });
        for lane in 0..LANES {
            runtime.spawn(Arc::clone(&shared).keep_writing(lane));
        }
        DeadLetterWriter { shared }
    }

    /// From now on customers take turns, and the endpoints of each.
    pub fn share_by(&self, customer_of: CustomerOf) {
        self.shared.lanes.share_by(customer_of);
    }

    /// Takes letters; never refuses. Whoever reads more from Kafka asks [`DeadLetterWriter::is_full`] first.
    pub fn submit(&self, letters: impl IntoIterator<Item = Letter>) {
        for letter in letters {
            let bytes = letter.weight_bytes();
            self.shared.queued(bytes);
            let endpoint_id = Arc::clone(&letter.endpoint_id);
            self.shared.lanes.push(&endpoint_id, Work::Store(letter));
        }
    }

    /// Stores events that an endpoint gave up.
    pub fn submit_given_up(&self, settings: &Settings, given_up: Vec<crate::model::disposition::GivenUp>) {
        self.submit(given_up.into_iter().map(|given_up| Letter::of_endpoint(settings, given_up)));
    }

    /// Takes letters out again whose events were delivered after all: after their insert, if that still waits.
    /// `kept` is dropped when they are gone.
    pub fn remove(&self, endpoint_id: &str, keys: Vec<LetterKey>, kept: Option<Arc<dyn Send + Sync>>) {
        self.shared.lanes.push(endpoint_id, Work::Remove { keys, kept });
    }

    /// Letters on a redrive that leave memory undelivered: they stay letters, and their next attempt is due later. Those
    /// that used up nothing are as they were.
    pub fn postpone(&self, endpoint_id: &str, parked: impl IntoIterator<Item = Parked>) {
        let mut untouched = Vec::new();
        for parked in parked {
            let is_later = parked.not_before.is_some() || parked.in_flight_until.is_some();
            if parked.attempts > parked.receipt.attempts() || is_later {
                self.shared.queued(0);
                let key = LetterKey::of(parked.receipt.event(), endpoint_id);
                self.shared.lanes.push(endpoint_id, Work::Postpone { key, parked });
            } else {
                untouched.push(parked.receipt);
            }
        }
        Receipt::settle_all(untouched, Settlement::Backlogged);
    }

    /// Number of letters that wait to be stored.
    #[must_use]
    pub fn queued_letters(&self) -> usize {
        self.shared.queued_letters.load(Ordering::Relaxed)
    }

    /// Bytes that wait to be stored.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.shared.queued_bytes.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn health(&self) -> &WriterHealth {
        &self.shared.health
    }

    /// Returns when all that was handed in before is carried out. Bound it: Postgres may be away.
    pub async fn flushed(&self) {
        self.shared.lanes.flushed().await;
    }
}

impl DeadLetterWriter {
    /// Full beyond its limit, and until an eighth of it is free, so that partitions do not flutter.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let bytes_max = self.shared.options.queue_bytes_max;
        let was_full = self.shared.is_full.load(Ordering::Relaxed);
        let is_full = self.queued_bytes() > if was_full { bytes_max - bytes_max / 8 } else { bytes_max };
        if is_full != was_full {
            self.shared.is_full.store(is_full, Ordering::Relaxed);
        }
        is_full
    }
}

impl std::fmt::Debug for DeadLetterWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetterWriter").field("queued_bytes", &self.queued_bytes()).finish_non_exhaustive()
    }
}

struct Shared {
    pool: Pool,
    options: WriterOptions,
    lanes: Lanes<Work>,
    queued_letters: AtomicUsize,
    queued_bytes: AtomicUsize,
    is_full: AtomicBool,
    metrics: DeadLetterMetrics,
    health: WriterHealth,
}

impl Shared {
    fn queued(&self, bytes: usize) {
        self.queued_letters.fetch_add(1, Ordering::Relaxed);
        let before = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.metrics.queue_bytes.set((before + bytes) as f64);
    }

    fn carried_out(&self, letters: usize, bytes: usize) {
        self.queued_letters.fetch_sub(letters, Ordering::Relaxed);
        let before = self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.metrics.queue_bytes.set(before.saturating_sub(bytes) as f64);
    }

    async fn keep_writing(self: Arc<Self>, lane: usize) {
        let writes = || {
            let shared = Arc::clone(&self);
            async move { shared.write(lane).await }
        };
        write_queue::keep_writing(self.lanes.lane(lane), "dead letters", &self.health, writes).await;
    }

    async fn write(&self, lane: usize) -> Infallible {
        loop {
            match self.lanes.lane(lane).next(self.options.batch_wait, STATEMENT_BYTES_MAX).await {
                Run::Empty => {}
                Run::Store(letters) => self.store(letters).await,
                Run::Postpone(letters) => self.postpone(letters).await,
                Run::Remove { keys, kept } => {
                    self.retry_policy().retry(|| dead_letters::remove(&self.pool, &keys)).await;
                    drop(kept);
                }
            }
            self.lanes.lane(lane).done();
        }
    }

    async fn store(&self, letters: Vec<Letter>) {
        let bytes =
            Bytes { shared: self, letters: letters.len(), bytes: letters.iter().map(Letter::weight_bytes).sum() };
        let policy = self.retry_policy();
        for (place, error) in policy.store(letters.len(), |part| self.insert(&letters[part], None)).await {
            tracing::error!(%error, "a dead letter is stored without its data");
            let refusal = error.to_string();
            policy.retry(|| self.insert(&letters[place..=place], Some(&refusal))).await;
        }
        fail::fail_point!("letters-committed", |_| std::process::abort());
        self.count(&letters);
        Receipt::settle_all(letters.into_iter().map(|letter| letter.given_up.receipt), Settlement::DeadLettered);
        drop(bytes);
    }

    async fn postpone(&self, letters: Vec<(LetterKey, Parked)>) {
        let in_hand = Bytes { shared: self, letters: letters.len(), bytes: 0 };
        let clocks = Clocks { now: clock::now(), wall_ms: clock::wall_ms() };
        let next = |(key, parked): &(LetterKey, Parked)| {
            let standing = event_row::standing(parked, clocks);
            NextAttempt { key: key.0, attempts: standing.attempts, not_before_ms: standing.not_before_ms }
        };
        let next: Vec<NextAttempt> = letters.iter().map(next).collect();
        self.retry_policy().retry(|| redrives::postpone(&self.pool, &next)).await;
        Receipt::settle_all(letters.into_iter().map(|(_, parked)| parked.receipt), Settlement::Backlogged);
        drop(in_hand);
    }

    /// One statement. With a `refusal`, without the data that Postgres refused.
    async fn insert(&self, letters: &[Letter], refusal: Option<&str>) -> Result<(), StoreError> {
        let started = clock::now();
        let written = Written { now: started, wall_ms: clock::wall_ms() };
        let mut rows: Vec<_> = letters
            .iter()
            .enumerate()
            .map(|(place, letter)| letter.row(written, place, rand::rng().random()))
            .collect();
        if let Some(refusal) = refusal {
            rows.iter_mut().for_each(|row| strip(row, refusal));
        }
        let done = dead_letters::insert(&self.pool, &rows).await;
        self.metrics.write_seconds.record(clock::now().saturating_duration_since(started));
        done
    }

    fn retry_policy(&self) -> RetryPolicy<'_> {
        let consequence = "dead letters cannot be stored and wait; their partitions pause";
        RetryPolicy { failures: &self.metrics.write_failures, consequence, health: &self.health }
    }

    fn count(&self, letters: &[Letter]) {
        for reason in [Reason::Rejected, Reason::Exhausted, Reason::Undecodable, Reason::TooLarge, Reason::Internal] {
            let stored = letters.iter().filter(|letter| letter.given_up.reason == reason).count();
            if stored > 0 {
                self.metrics.stored(reason, stored);
            }
        }
    }
}

/// Work of a writer.
enum Work {
    Store(Letter),
    Postpone {
        key: LetterKey,
        parked: Parked,
    },
    /// `kept` is held until they are gone.
    Remove {
        keys: Vec<LetterKey>,
        kept: Option<Arc<dyn Send + Sync>>,
    },
}

impl write_queue::Work for Work {
    type Run = Run;

    fn weight_bytes(&self) -> usize {
        match self {
            Work::Store(letter) => letter.weight_bytes(),
            Work::Postpone { .. } => size_of::<LetterKey>(),
            Work::Remove { keys, .. } => size_of_val(keys.as_slice()),
        }
    }

    fn fits(&self, run: &Run) -> bool {
        matches!(
            (run, self),
            (Run::Empty, _)
                | (Run::Store(_), Work::Store(_))
                | (Run::Postpone(_), Work::Postpone { .. })
                | (Run::Remove { .. }, Work::Remove { .. })
        )
    }

    fn join(self, run: &mut Run) {
        match (&mut *run, self) {
            (Run::Store(letters), Work::Store(letter)) => letters.push(letter),
            (Run::Postpone(letters), Work::Postpone { key, parked }) => letters.push((key, parked)),
            (Run::Remove { keys: all, kept: all_kept }, Work::Remove { keys, kept }) => {
                all.extend(keys.into_iter().map(|key| key.0));
                all_kept.extend(kept);
            }
            // What does not fit is not given to it.
            (_, Work::Store(letter)) => *run = Run::Store(vec![letter]),
            (_, Work::Postpone { key, parked }) => *run = Run::Postpone(vec![(key, parked)]),
            (_, Work::Remove { keys, kept }) => {
                let keys = keys.into_iter().map(|key| key.0).collect();
                *run = Run::Remove { keys, kept: kept.into_iter().collect() };
            }
        }
    }
}

/// The queued bytes of letters in hand: given back when they are stored, and after a panic as well.
struct Bytes<'a> {
    shared: &'a Shared,
    letters: usize,
    bytes: usize,
}

impl Drop for Bytes<'_> {
    fn drop(&mut self) {
        self.shared.carried_out(self.letters, self.bytes);
    }
}

/// Work of one kind, for one statement.
#[derive(Default)]
enum Run {
    #[default]
    Empty,
    Store(Vec<Letter>),
    Postpone(Vec<(LetterKey, Parked)>),
    Remove {
        keys: Vec<[u8; dead_letters::KEY_BYTES]>,
        kept: Vec<Arc<dyn Send + Sync>>,
    },
}

/// Statements at once: more would only queue for the same disk.
const LANES: usize = 2;
/// A statement carries at most this much, or one larger letter.
const STATEMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
