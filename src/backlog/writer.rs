//! ● Batches into Postgres, settles after COMMIT.
//!
//! **Invariant (I6):** a receipt settles as backlogged only when its row is committed. While Postgres is away events wait
//! here, unsettled, so their partitions pause: nothing is lost, nothing is committed early.
//! **Invariant:** what is submitted of one row is carried out in that order: a delete comes after its insert.

mod queued; // how many wait
mod removal; // rows that are to be taken out
mod write_batch; // what is carried out together
mod skipped; // what comes for a suspended endpoint
mod stored; // what was stored, and what was refused

use std::{
    convert::Infallible,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::runtime::Handle;

use self::{
    queued::{Counter, Queued},
    removal::{Removal, Removals},
    stored::{in_order, stored},
    write_batch::WriteBatch,
};
use super::head::BacklogHead;
use crate::{
    clock,
    dead_letter::{letter::LetterKey, writer::DeadLetterWriter},
    ingest::missed::Skipping,
    model::{
        disposition::Parked,
        event::Event,
        receipt::{Receipt, Settlement},
        settings::Settings,
    },
    store::{
        Pool, StoreError,
        backlog::{self, HeadRow, NewRow, RowKey},
        event_row::{self, RowClocks},
        quotas::Stored,
        retry::{RetryPolicy, WriterHealth},
        write_queue::{self, CustomerOf, WriteQueues},
    },
    telemetry::handles::BacklogMetrics,
};

/// `[backlog]` of the configuration, as far as writing goes.
#[derive(Debug, Clone)]
pub struct BacklogWriterOptions {
    pub batch_rows_max: usize,
    pub batch_wait: Duration,
    /// Statements at once.
    pub queues: usize,
    /// Rows stored a second, all queues together: beyond it events wait, and their partitions pause.
    pub inserts_per_second_max: u32,
}

/// Listener that keeps count of what waits.
pub trait HeadWatch: Send + Sync {
    /// These heads are so by now.
    fn changed(&self, heads: Vec<HeadRow>);
    /// These rows are gone without having been in memory.
    fn gone(&self, keys: &[RowKey]);
}

/// Handle on the writer: for any thread, without waiting. Cheap to clone.
#[derive(Clone)]
pub struct BacklogWriter {
    shared: Arc<Shared>,
}

impl BacklogWriter {
    /// Starts writing on `runtime`, until that runtime ends.
    #[must_use]
    pub fn start(
        pool: Pool,
        options: BacklogWriterOptions,
        dead_letters: DeadLetterWriter,
        watch: Arc<dyn HeadWatch>,
        runtime: &Handle,
    ) -> Self {
        let queues = WriteQueues::new(options.queues, options.batch_rows_max);
        let count = queues.count();
        let rate = NonZeroU32::new(options.inserts_per_second_max).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(u32::try_from(options.batch_rows_max).unwrap_or(u32::MAX)).unwrap_or(rate);
        let shared = Arc::new(Shared {
            pool,
            queues,
            rate: RateLimiter::direct(Quota::per_second(rate).allow_burst(burst)),
            options,
            dead_letters,
            watch,
            queued_events: AtomicUsize::new(0),
            known_receipts: AtomicUsize::new(0),
            stored_events: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            metrics: BacklogMetrics::new(),
            health: WriterHealth::default(),
        });
        for queue in 0..count {
            runtime.spawn(Arc::clone(&shared).keep_writing(queue));
        }
        BacklogWriter { shared }
    }

    /// From now on customers take turns, and the endpoints of each.
    pub fn share_by(&self, customer_of: CustomerOf) {
        self.shared.queues.share_by(customer_of);
    }

    /// Stores events that an endpoint's machine parked. Events that have a row already and used up no attempt just
    /// leave memory.
    pub fn submit(&self, settings: &Settings, parked: Vec<Parked>) {
        let parked = self.skip_leaving(settings, parked);
        let is_letter = |parked: &Parked| parked.receipt.event().source.is_letter();
        let (letters, parked): (Vec<_>, Vec<_>) = parked.into_iter().partition(is_letter);
        self.shared.dead_letters.postpone(&settings.id, letters);
        let (queue, owner) = self.shared.queues.of(&settings.id);
        let mut untouched = Vec::new();
        // Counted first: a queue may store them, and count them down, before the last one is handed over.
        self.shared.queued(parked.iter().filter(|parked| !parked.receipt.event().source.is_stored()).count());
        for parked in parked {
            let receipt = &parked.receipt;
            if !receipt.event().source.is_stored() {
                let key = event_row::key(receipt.event(), &settings.id);
                let customer_id = Arc::clone(&settings.customer_id);
                queue.push(owner, Write::Insert(Waiting { key, customer_id, parked }));
            } else if parked.attempts > receipt.attempts() || parked.not_before.is_some() {
                self.shared.known_receipts.fetch_add(1, Ordering::Relaxed);
                queue.push(owner, Write::Update { key: event_row::key(receipt.event(), &settings.id), parked });
            } else {
                untouched.push(parked.receipt);
            }
        }
        Receipt::settle_all(untouched, Settlement::Backlogged);
    }

    /// Takes out what was delivered although it was parked: after its insert, if that still waits.
    pub fn remove(&self, settings: &Settings, events: &[Arc<Event>]) {
        let (letters, events): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.source.is_letter());
        if !letters.is_empty() {
            let keys = letters.iter().map(|event| LetterKey::of(event, &settings.id)).collect();
            self.shared.dead_letters.remove(&settings.id, keys, None);
        }
        if events.is_empty() {
            return;
        }
        let keys = events.iter().map(|event| event_row::key(event, &settings.id)).collect();
        self.shared.queues.push(&settings.id, Write::Remove(Removal::of(keys, None)));
    }

    /// Takes out rows that are in memory, and then lets the head forget them.
    pub fn take_out(&self, head: Arc<BacklogHead>, keys: Vec<RowKey>) {
        let endpoint_id = Arc::clone(&head.endpoint_id);
        self.shared.queues.push(&endpoint_id, Write::Remove(Removal::of(keys, Some(head))));
    }

    /// Events that wait to be stored.
    #[must_use]
    pub fn queued_events(&self) -> usize {
        self.shared.queued_events.load(Ordering::Relaxed)
    }

    /// Events that were stored, ever.
    #[must_use]
    pub fn stored_events(&self) -> u64 {
        self.shared.stored_events.load(Ordering::Relaxed)
    }

    /// Rows that were stored, ever, and their bytes.
    #[must_use]
    pub fn stored(&self) -> Stored {
        let count = |count: &AtomicU64| i64::try_from(count.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        Stored { rows: count(&self.shared.stored_events), bytes: count(&self.shared.stored_bytes) }
    }

    /// All receipts that wait here, those of events that are stored already included. Signed: what is carried out may be
    /// counted off a moment before it was counted.
    #[must_use]
    pub fn held_receipts(&self) -> i64 {
        self.queued_events() as i64 + self.shared.known_receipts.load(Ordering::Relaxed) as i64
    }

    #[must_use]
    pub fn health(&self) -> &WriterHealth {
        &self.shared.health
    }

    /// From now on no row waits for company: the process ends.
    pub fn hurry(&self) {
        self.shared.queues.hurry();
    }

    /// Returns when all that was handed in before is carried out. Bound it: Postgres may be away.
    pub async fn flushed(&self) {
        self.shared.queues.flushed().await;
    }
}

impl std::fmt::Debug for BacklogWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BacklogWriter").field("queued_events", &self.queued_events()).finish_non_exhaustive()
    }
}

/// Write of a writer.
enum Write {
    Insert(Waiting),
    Update { key: RowKey, parked: Parked },
    Remove(Removal),
    Skip { endpoint_id: Arc<str>, skipped: Vec<Skipping> },
}

struct Waiting {
    key: RowKey,
    customer_id: Arc<str>,
    parked: Parked,
}

impl Waiting {
    /// False once another instance owns its partition: the row is its own to store, once it has come as far.
    fn is_current(&self) -> bool {
        self.parked.receipt.is_current()
    }
}

impl write_queue::WriteOp for Write {
    type Batch = WriteBatch;

    fn weight_bytes(&self) -> usize {
        match self {
            Write::Insert(waiting) => waiting.parked.receipt.event().weight_bytes(),
            Write::Update { .. } => size_of::<RowKey>(),
            Write::Remove(removal) => size_of_val(removal.keys.as_slice()),
            Write::Skip { skipped, .. } => size_of_val(skipped.as_slice()),
        }
    }

    /// True if somebody waits for it. Taking out only keeps its row until then; but in order, what came meanwhile waits
    /// for that. What was parked before its first attempt has an endpoint that is slow: a larger statement serves others.
    fn is_urgent(&self) -> bool {
        match self {
            Write::Insert(waiting) => waiting.parked.is_attempted(),
            Write::Update { .. } | Write::Skip { .. } => true,
            Write::Remove(removal) => removal.is_urgent(),
        }
    }

    fn fits(&self, run: &WriteBatch) -> bool {
        run.fits(self)
    }

    fn join(self, run: &mut WriteBatch) {
        run.take(self);
    }
}

struct Shared {
    pool: Pool,
    options: BacklogWriterOptions,
    queues: WriteQueues<Write>,
    rate: DefaultDirectRateLimiter,
    dead_letters: DeadLetterWriter,
    watch: Arc<dyn HeadWatch>,
    queued_events: AtomicUsize,
    /// Receipts that wait for something else than an insert.
    known_receipts: AtomicUsize,
    /// Events that were stored, ever.
    stored_events: AtomicU64,
    /// Their weight.
    stored_bytes: AtomicU64,
    metrics: BacklogMetrics,
    health: WriterHealth,
}

impl Shared {
    fn queued(&self, events: usize) {
        let before = self.queued_events.fetch_add(events, Ordering::Relaxed);
        self.metrics.queued_events.set((before + events) as f64);
    }

    fn carried_out(&self, events: usize) {
        let before = self.queued_events.fetch_sub(events, Ordering::Relaxed);
        self.metrics.queued_events.set(before.saturating_sub(events) as f64);
    }

    async fn keep_writing(self: Arc<Self>, queue: usize) {
        let writes = || {
            let shared = Arc::clone(&self);
            async move { shared.write(queue).await }
        };
        write_queue::keep_writing(self.queues.queue(queue), "the backlog", &self.health, writes).await;
    }

    async fn write(&self, queue: usize) -> Infallible {
        loop {
            let next = self.queues.queue(queue).next(self.options.batch_wait, STATEMENT_BYTES_MAX);
            let WriteBatch { mut inserts, updates, removals, skips, .. } = next.await;
            // What is in hand is counted off, and what is to be taken out comes again, also when one of these panics.
            let skipped = skips.iter().map(|(_, skipped)| skipped.len()).sum();
            let stored = Queued { counter: Counter::Inserts, shared: self, events: inserts.len() };
            let updated = Queued { counter: Counter::Known, shared: self, events: updates.len() };
            let _skipped = Queued { counter: Counter::Known, shared: self, events: skipped };
            let removals = Removals::in_hand(&self.queues, removals);
            while !inserts.is_empty() {
                inserts = self.insert(inserts).await;
            }
            drop(stored);
            self.update(updates).await;
            drop(updated);
            self.remove(removals).await;
            self.skip(skips).await;
            self.queues.queue(queue).done();
        }
    }

    /// Returns what comes second.
    async fn insert(&self, waiting: Vec<Waiting>) -> Vec<Waiting> {
        let (waiting, again) = in_order(waiting);
        if let Some(rows) = NonZeroU32::new(u32::try_from(waiting.len()).unwrap_or(u32::MAX)) {
            // More than the burst at once is never asked for: a run has at most so many rows.
            let _ = self.rate.until_n_ready(rows).await;
        }
        let refused = self.retry_policy().store(waiting.len(), |part| self.insert_part(&waiting[part])).await;
        self.settle(waiting, &refused);
        again
    }

    /// One try. While it waited for this, a partition may have moved.
    async fn insert_part(&self, waiting: &[Waiting]) -> Result<(), StoreError> {
        let clocks = RowClocks { now: clock::now(), wall_ms: clock::wall_ms() };
        let current = waiting.iter().filter(|waiting| waiting.is_current());
        let rows: Vec<NewRow<'_>> =
            current.map(|waiting| event_row::new_row(waiting.key.clone(), &waiting.parked, clocks)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        fail::fail_point!("backlog-insert");
        let heads = backlog::insert(&self.pool, &rows).await?;
        self.metrics.write_seconds.record(clock::now().saturating_duration_since(clocks.now));
        self.watch.changed(heads);
        Ok(())
    }

    /// Settles what was stored. A row that Postgres refuses for its data can never be stored here: it becomes a dead
    /// letter.
    fn settle(&self, waiting: Vec<Waiting>, refused: &[(usize, StoreError)]) {
        let (receipts, letters) = stored(waiting, refused);
        self.dead_letters.submit(letters);
        self.metrics.parked.increment(receipts.len() as u64);
        self.stored_events.fetch_add(receipts.len() as u64, Ordering::Relaxed);
        let bytes: usize = receipts.iter().map(|receipt| receipt.event().weight_bytes()).sum();
        self.stored_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        Receipt::settle_all(receipts, Settlement::Backlogged);
    }

    async fn update(&self, updates: Vec<(RowKey, Parked)>) {
        if updates.is_empty() {
            return;
        }
        let clocks = RowClocks { now: clock::now(), wall_ms: clock::wall_ms() };
        let rows: Vec<_> =
            updates.iter().map(|(key, parked)| (key.clone(), event_row::row_state(parked, clocks))).collect();
        self.retry_policy().retry(|| backlog::update(&self.pool, &rows)).await;
        Receipt::settle_all(updates.into_iter().map(|(_, parked)| parked.receipt), Settlement::Backlogged);
    }

    fn retry_policy(&self) -> RetryPolicy<'_> {
        let consequence = "the backlog cannot be written; events wait in memory, then their partitions pause";
        RetryPolicy { failures: &self.metrics.write_failures, consequence, health: &self.health }
    }
}

/// A statement carries at most this much, or one larger event.
const STATEMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests;
