//! ● Batches into Postgres, settles after COMMIT.
//!
//! **Invariant:** a receipt settles as dead-lettered only when its row is committed. While Postgres is away letters wait
//! here, their receipts unsettled: nothing is lost, nothing is committed early. Whoever has its share of the room for them
//! (`queued.rs`) brings no more.
//! **Invariant:** what is submitted for one endpoint is carried out in that order.

use std::{convert::Infallible, sync::Arc, time::Duration};

use rand::Rng as _;
use tokio::runtime::Handle;

use super::{
    letter::{Letter, LetterKey, LetterTime, strip},
    queued::QueuedLetters,
};
use crate::{
    clock,
    model::{
        disposition::{Parked, Reason},
        receipt::{Receipt, Settlement},
        settings::Settings,
    },
    store::{
        Pool, StoreError,
        dead_letters::{self, NewLetter},
        event_row::{self, RowClocks},
        redrives::{self, NextAttempt},
        retry::{RetryPolicy, WriterHealth},
        write_queue::{self, CustomerOf, WriteQueues},
    },
    telemetry::handles::DeadLetterMetrics,
};

/// `[dead_letter]` of the configuration, as far as writing goes.
#[derive(Debug, Clone)]
pub struct DeadLetterWriterOptions {
    pub batch_rows_max: usize,
    pub batch_wait: Duration,
    /// Letters that may wait: shared between the customers, and the operator.
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
    pub fn start(pool: Pool, options: DeadLetterWriterOptions, runtime: &Handle) -> Self {
        let metrics = DeadLetterMetrics::new();
        let shared = Arc::new(Shared {
            pool,
            queues: WriteQueues::new(LANES, options.batch_rows_max),
            queued: QueuedLetters::new(options.queue_bytes_max, metrics.clone()),
            options,
            metrics,
            health: WriterHealth::default(),
        });
        for queue in 0..LANES {
            runtime.spawn(Arc::clone(&shared).keep_writing(queue));
        }
        DeadLetterWriter { shared }
    }

    /// From now on customers take turns, and the endpoints of each.
    pub fn share_by(&self, customer_of: CustomerOf) {
        self.shared.queues.share_by(customer_of);
    }

    /// Takes letters; never refuses. Whoever reads more from Kafka asks [`DeadLetterWriter::is_full`] and
    /// [`DeadLetterWriter::holds_up`] first, whoever sends more [`DeadLetterWriter::is_beyond_share`].
    pub fn submit(&self, letters: impl IntoIterator<Item = Letter>) {
        for letter in letters {
            self.shared.queued.came(&letter);
            let endpoint_id = Arc::clone(&letter.endpoint_id);
            self.shared.queues.push(&endpoint_id, Write::Store(letter));
        }
    }

    /// Stores events that an endpoint gave up.
    pub fn submit_given_up(&self, settings: &Settings, given_up: Vec<crate::model::disposition::GivenUp>) {
        self.submit(given_up.into_iter().map(|given_up| Letter::of_endpoint(settings, given_up)));
    }

    /// Takes letters out again whose events were delivered after all: after their insert, if that still waits.
    /// `kept` is dropped when they are gone.
    pub fn remove(&self, endpoint_id: &str, keys: Vec<LetterKey>, kept: Option<Arc<dyn Send + Sync>>) {
        self.shared.queues.push(endpoint_id, Write::Remove { keys, kept });
    }

    /// Letters on a redrive that leave memory undelivered: they stay letters, and their next attempt is due later. Those
    /// that used up nothing are as they were.
    pub fn postpone(&self, endpoint_id: &str, parked: impl IntoIterator<Item = Parked>) {
        let mut untouched = Vec::new();
        for parked in parked {
            let is_later = parked.not_before.is_some() || parked.in_flight_until.is_some();
            if parked.attempts > parked.receipt.attempts() || is_later {
                self.shared.queued.known();
                let key = LetterKey::of(parked.receipt.event(), endpoint_id);
                self.shared.queues.push(endpoint_id, Write::Postpone { key, parked });
            } else {
                untouched.push(parked.receipt);
            }
        }
        Receipt::settle_all(untouched, Settlement::Backlogged);
    }

    /// Number of letters that wait to be stored.
    #[must_use]
    pub fn queued_letters(&self) -> usize {
        self.shared.queued.letters()
    }

    /// Bytes that wait to be stored.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.shared.queued.bytes()
    }

    #[must_use]
    pub fn health(&self) -> &WriterHealth {
        &self.shared.health
    }

    /// Returns when all that was handed in before is carried out. Bound it: Postgres may be away.
    pub async fn flushed(&self) {
        self.shared.queues.flushed().await;
    }
}

/// Room for letters, and shares of it.
impl DeadLetterWriter {
    /// There is nothing left to share: nobody's events are read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.queued.is_full()
    }

    /// The operator's letters are beyond their share, and some are of this partition: it is not read.
    #[must_use]
    pub fn holds_up(&self, topic: &str, partition: i32) -> bool {
        self.shared.queued.holds_up(topic, partition)
    }

    /// The customer's letters are beyond its share: its endpoints send nothing that could bring more.
    #[must_use]
    pub fn is_beyond_share(&self, customer_id: &Arc<str>) -> bool {
        self.shared.queued.is_beyond_share(customer_id)
    }

    /// Returns when [`DeadLetterWriter::is_beyond_share`] is not so.
    pub async fn room(&self, customer_id: &Arc<str>) {
        self.shared.queued.room(customer_id).await;
    }
}

impl std::fmt::Debug for DeadLetterWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetterWriter").field("queued_bytes", &self.queued_bytes()).finish_non_exhaustive()
    }
}

struct Shared {
    pool: Pool,
    options: DeadLetterWriterOptions,
    queues: WriteQueues<Write>,
    queued: QueuedLetters,
    metrics: DeadLetterMetrics,
    health: WriterHealth,
}

impl Shared {
    async fn keep_writing(self: Arc<Self>, queue: usize) {
        let writes = || {
            let shared = Arc::clone(&self);
            async move { shared.write(queue).await }
        };
        write_queue::keep_writing(self.queues.queue(queue), "dead letters", &self.health, writes).await;
    }

    async fn write(&self, queue: usize) -> Infallible {
        loop {
            match self.queues.queue(queue).next(self.options.batch_wait, STATEMENT_BYTES_MAX).await {
                WriteBatch::Empty => {}
                WriteBatch::Store(letters) => self.store(letters).await,
                WriteBatch::Postpone(letters) => self.postpone(letters).await,
                WriteBatch::Remove { keys, kept } => {
                    self.retry_policy().retry(|| dead_letters::remove(&self.pool, &keys)).await;
                    drop(kept);
                }
            }
            self.queues.queue(queue).done();
        }
    }

    async fn store(&self, letters: Vec<Letter>) {
        let in_hand = self.queued.in_hand(&letters);
        let (policy, rows) = (self.retry_policy(), rows(&letters));
        for (place, error) in policy.store(rows.len(), |part| self.insert(&rows[part])).await {
            tracing::error!(%error, "a dead letter is stored without its data");
            let mut row = rows[place].clone();
            strip(&mut row, &error.to_string());
            policy.retry(|| self.insert(std::slice::from_ref(&row))).await;
        }
        fail::fail_point!("letters-committed", |_| std::process::abort());
        self.count(&letters);
        Receipt::settle_all(letters.into_iter().map(|letter| letter.given_up.receipt), Settlement::DeadLettered);
        drop(in_hand);
    }

    async fn postpone(&self, letters: Vec<(LetterKey, Parked)>) {
        let in_hand = self.queued.known_in_hand(letters.len());
        let clocks = RowClocks { now: clock::now(), wall_ms: clock::wall_ms() };
        let next = |(key, parked): &(LetterKey, Parked)| {
            let state = event_row::row_state(parked, clocks);
            NextAttempt { key: key.0, attempts: state.attempts, not_before_ms: state.not_before_ms }
        };
        let next: Vec<NextAttempt> = letters.iter().map(next).collect();
        self.retry_policy().retry(|| redrives::postpone(&self.pool, &next)).await;
        Receipt::settle_all(letters.into_iter().map(|(_, parked)| parked.receipt), Settlement::Backlogged);
        drop(in_hand);
    }

    /// One statement.
    async fn insert(&self, rows: &[NewLetter<'_>]) -> Result<(), StoreError> {
        let started = clock::now();
        let done = dead_letters::insert(&self.pool, rows).await;
        self.metrics.write_seconds.record(clock::now().saturating_duration_since(started));
        done
    }

    fn retry_policy(&self) -> RetryPolicy<'_> {
        let consequence = "dead letters cannot be stored and wait; customers with many of them send nothing";
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

/// Rows of letters, made once for all tries: by its id a try tells a row that an earlier one stored, unknown to us, from one
/// of a letter that was given up before.
fn rows(letters: &[Letter]) -> Vec<NewLetter<'_>> {
    let written = LetterTime { now: clock::now(), wall_ms: clock::wall_ms() };
    letters.iter().enumerate().map(|(place, letter)| letter.row(written, place, rand::rng().random())).collect()
}

/// Write of a writer.
enum Write {
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

impl write_queue::WriteOp for Write {
    type Batch = WriteBatch;

    fn weight_bytes(&self) -> usize {
        match self {
            Write::Store(letter) => letter.weight_bytes(),
            Write::Postpone { .. } => size_of::<LetterKey>(),
            Write::Remove { keys, .. } => size_of_val(keys.as_slice()),
        }
    }

    fn fits(&self, run: &WriteBatch) -> bool {
        matches!(
            (run, self),
            (WriteBatch::Empty, _)
                | (WriteBatch::Store(_), Write::Store(_))
                | (WriteBatch::Postpone(_), Write::Postpone { .. })
                | (WriteBatch::Remove { .. }, Write::Remove { .. })
        )
    }

    fn join(self, run: &mut WriteBatch) {
        match (&mut *run, self) {
            (WriteBatch::Store(letters), Write::Store(letter)) => letters.push(letter),
            (WriteBatch::Postpone(letters), Write::Postpone { key, parked }) => letters.push((key, parked)),
            (WriteBatch::Remove { keys: all, kept: all_kept }, Write::Remove { keys, kept }) => {
                all.extend(keys.into_iter().map(|key| key.0));
                all_kept.extend(kept);
            }
            // What does not fit is not given to it.
            (_, Write::Store(letter)) => *run = WriteBatch::Store(vec![letter]),
            (_, Write::Postpone { key, parked }) => *run = WriteBatch::Postpone(vec![(key, parked)]),
            (_, Write::Remove { keys, kept }) => {
                let keys = keys.into_iter().map(|key| key.0).collect();
                *run = WriteBatch::Remove { keys, kept: kept.into_iter().collect() };
            }
        }
    }
}

/// Write of one kind, for one statement.
#[derive(Default)]
enum WriteBatch {
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
