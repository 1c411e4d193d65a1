//! ● Draining the backlog: rows of the partitions this instance owns go into their endpoints' queues.
//!
//! **Invariant:** what leaves the backlog is matched again, against today's subscriptions.
//! **Invariant:** a row stays until what became of its event is committed; whatever ends this process, it is read again.

pub mod ageing; // what has waited for too long
mod assignment; // which partitions are ours
mod reading; // rows go to their endpoint
mod totals; // how much waits, for metrics

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, future::join_all};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    head::{BacklogHead, HeadEvents, HeadRead},
    pace::TokenBucket,
    page_read::{EndpointReadiness, MemoryLimits},
    rotation::Rotation,
    scheduler::BacklogTotals,
    shared_scheduler::HeadScheduler,
    writer::{BacklogWriter, HeadWatch},
};
use crate::{
    clock,
    dead_letter::{letter::Letter, writer::DeadLetterWriter},
    flow::drain_rate::{DrainRate, DrainRateOptions, Load},
    ingest::{ledger::PartitionLedger, missed::CatchesUp},
    model::{
        disposition::{GivenUp, Reason},
        event::{EndpointKey, Event},
        parking::RowCount,
        receipt::{ABANDONS_MAX, Abandoned, Receipt, Settlement},
    },
    store::{
        Pool, StoreError,
        backlog::{HeadRow, RowKey},
        retry::BACKOFF_BASE,
        write_queue::CustomerOf,
    },
    telemetry::handles::BacklogMetrics,
};

/// The endpoints, and who owns what, as the drainer needs to know it.
pub trait Surroundings: Send + Sync {
    /// The partitions this instance owns now.
    fn ledgers(&self) -> Arc<Vec<Arc<PartitionLedger>>>;
    /// The state of an endpoint with its backlog.
    fn standing(&self, endpoint_id: &str, now: Instant) -> EndpointReadiness;
    /// The way in which an endpoint that was suspended gets what it missed.
    fn catches_up(&self, endpoint_id: &str) -> CatchesUp;
    fn endpoint(&self, endpoint_id: &str) -> Option<(EndpointKey, Arc<str>)>;
    /// True if the endpoint still subscribes to this event.
    fn matches(&self, event: &Event, endpoint: EndpointKey) -> bool;
    /// The time before which everything committed about the settings of a topic is in effect here; milliseconds since
    /// 1970. 0 while a subscription to the topic cannot be read: nobody knows then who wants its events.
    fn settings_complete_to_ms(&self, topic: &str) -> i64;
    /// The same by the clock of Postgres: for what somebody asked for, which is matched against settings of that moment at
    /// least.
    fn settings_complete_to_store_ms(&self, topic: &str) -> i64;
    /// True while nobody knows who wants the topic's events. After an event matched nothing it tells if that means anything:
    /// a topic is held before the index lacks anything of it.
    fn is_held(&self, topic: &str) -> bool {
        self.settings_complete_to_store_ms(topic) == 0
    }
    /// Load of the machine a moment ago.
    fn load(&self) -> Load;
    /// Shows people the number of rows that may be sent a second.
    fn show_drain_rate(&self, per_second: f64);
    /// Takes receipts of stored events. When the endpoint is gone meanwhile, settles them as [`Settlement::Cancelled`].
    fn push(&self, endpoint_id: &str, receipts: Vec<Receipt>);
    /// Nothing of a partition waits any more: what waited for that in memory may go.
    fn wake(&self, endpoint_id: &str);
    /// Tells an endpoint the number of its rows that wait.
    fn rows_wait(&self, endpoint_id: &str, count: RowCount);
    /// As [`wake`](Surroundings::wake), for all that may.
    fn wake_ordered(&self);
}

#[derive(Debug, Clone)]
pub struct DrainerOptions {
    pub poll: Duration,
    /// Heads are read again this often, for what another instance wrote.
    pub refresh: Duration,
    pub queries_max: usize,
    /// Rows read a second.
    pub rate: DrainRateOptions,
}

/// State of the heads, shared by writer and drainer.
pub struct Heads {
    scheduler: Mutex<HeadScheduler>,
    /// Something may be read that could not before.
    news: Notify,
    /// Not handled where they are dropped: that may be under the lock of a queue.
    abandoned: Mutex<Vec<(Arc<str>, Abandoned)>>,
    /// Endpoints of which a head is empty by now.
    emptied: Mutex<Vec<String>>,
    /// Endpoints whose rows have become more or fewer.
    changed: Mutex<HashSet<Arc<str>>>,
    /// Heads that have fewer rows than was thought: someone else took them out.
    misjudged: Mutex<Vec<Arc<BacklogHead>>>,
    /// Listener for the results of rows in memory; set when the writer runs.
    events: Mutex<Option<Arc<dyn HeadEvents>>>,
    metrics: BacklogMetrics,
}

impl Heads {
    #[must_use]
    pub fn new(room: MemoryLimits) -> Arc<Self> {
        Arc::new(Heads {
            scheduler: Mutex::new(HeadScheduler::new(room)),
            news: Notify::new(),
            abandoned: Mutex::default(),
            emptied: Mutex::default(),
            changed: Mutex::default(),
            misjudged: Mutex::default(),
            events: Mutex::default(),
            metrics: BacklogMetrics::new(),
        })
    }
}

impl Heads {
    /// From now on customers take turns at being read.
    pub fn share_by(&self, customer_of: CustomerOf) {
        self.scheduler.lock().share_by(customer_of);
    }

    /// Rows that wait of this instance's partitions.
    #[must_use]
    pub fn waiting(&self) -> BacklogTotals {
        self.scheduler.lock().totals()
    }

    /// Rows that wait of this instance's partitions, of each endpoint that has some.
    #[must_use]
    pub fn rows_by_endpoint(&self) -> HashMap<Arc<str>, u64> {
        self.scheduler.lock().rows_by_endpoint()
    }

    /// The heads with something older than that.
    fn older_than(&self, wall_ms: i64) -> Vec<Arc<BacklogHead>> {
        self.scheduler.lock().older_than(wall_ms)
    }

    /// Memory holds what it may.
    fn is_full(&self) -> bool {
        self.scheduler.lock().is_full()
    }

    /// The oldest row of a head was found.
    fn renewed(&self, head: Option<HeadRow>) {
        if let (Some(head), Some(events)) = (head, self.events.lock().as_ref()) {
            self.scheduler.lock().record(&head, events);
        }
    }

    /// A head has fewer rows than was thought.
    fn misjudged(&self, head: &Arc<BacklogHead>) {
        self.misjudged.lock().push(Arc::clone(head));
    }

    /// Rows in memory: events and bytes.
    #[must_use]
    pub fn in_memory(&self) -> (usize, usize) {
        self.scheduler.lock().in_memory()
    }
}

impl HeadWatch for Heads {
    fn changed(&self, heads: Vec<HeadRow>) {
        let Some(events) = self.events.lock().clone() else { return };
        {
            let (mut scheduler, mut changed) = (self.scheduler.lock(), self.changed.lock());
            for head in &heads {
                if !changed.contains(head.endpoint_id.as_str()) {
                    changed.insert(Arc::from(head.endpoint_id.as_str()));
                }
                scheduler.count(head);
                scheduler.record(head, &events);
                if head.events <= 0 {
                    self.emptied.lock().push(head.endpoint_id.clone());
                }
            }
        }
        self.news.notify_one();
    }

    fn gone(&self, keys: &[RowKey]) {
        self.scheduler.lock().gone(keys);
    }
}

/// The way from a head's receipts to the writer.
struct Ties {
    heads: Arc<Heads>,
    writer: BacklogWriter,
}

impl HeadEvents for Ties {
    fn take_out(&self, head: Arc<BacklogHead>, keys: Vec<RowKey>) {
        self.writer.take_out(head, keys);
    }

    fn released(&self) {
        self.heads.news.notify_one();
    }

    fn left(&self, how: Settlement, rows: usize) {
        self.heads.metrics.left(how, rows);
    }

    fn abandoned(&self, endpoint_id: &Arc<str>, receipt: Abandoned) {
        self.heads.abandoned.lock().push((Arc::clone(endpoint_id), receipt));
        self.heads.news.notify_one();
    }
}

/// Drains for ever, also after a panic. To be run on the runtime of the store.
pub async fn run(
    pool: Pool,
    options: DrainerOptions,
    heads: Arc<Heads>,
    writer: BacklogWriter,
    dead_letters: DeadLetterWriter,
    surroundings: Arc<dyn Surroundings>,
) -> Infallible {
    let events: Arc<dyn HeadEvents> = Arc::new(Ties { heads: Arc::clone(&heads), writer });
    *heads.events.lock() = Some(Arc::clone(&events));
    let now = clock::now();
    let mut drainer = Drainer {
        looked_at_again: Rotation::new(options.refresh, now),
        show_at: now,
        pace: TokenBucket::new(options.rate.per_second_min, now),
        rate: DrainRate::new(options.rate, now),
        unread: Vec::new(),
        seen: Arc::default(),
        pool,
        options,
        heads,
        events,
        dead_letters,
        surroundings,
    };
    loop {
        let Err(_panic) = AssertUnwindSafe(drainer.drain()).catch_unwind().await;
        tracing::error!("the backlog drainer panicked; it is restarted");
        drainer.restart();
        tokio::time::sleep(BACKOFF_BASE).await;
    }
}

/// Time of the next reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    AtOnce,
    Soon,
    WhenThereIsNews,
}

struct Drainer {
    pool: Pool,
    options: DrainerOptions,
    heads: Arc<Heads>,
    events: Arc<dyn HeadEvents>,
    dead_letters: DeadLetterWriter,
    surroundings: Arc<dyn Surroundings>,
    seen: Arc<Vec<Arc<PartitionLedger>>>,
    /// Partitions whose heads are still to be read.
    unread: Vec<Arc<PartitionLedger>>,
    looked_at_again: Rotation,
    show_at: Instant,
    pace: TokenBucket,
    rate: DrainRate,
}

impl Drainer {
    async fn drain(&mut self) -> Infallible {
        loop {
            match self.turn().await {
                Ok(Next::AtOnce) => {}
                Ok(Next::Soon) => tokio::time::sleep(BREATH).await,
                Ok(Next::WhenThereIsNews) => {
                    let rest = self.heads.scheduler.lock().passes_over_in(clock::now()).unwrap_or(self.options.poll);
                    let _ = tokio::time::timeout(self.options.poll.min(rest), self.heads.news.notified()).await;
                    tokio::time::sleep(BREATH).await;
                }
                Err(error) => {
                    self.heads.metrics.read_failures.increment(1);
                    tracing::warn!(%error, "the backlog cannot be read; it is tried again");
                    tokio::time::sleep(self.options.poll).await;
                }
            }
        }
    }

    /// Begins from all heads again: half-done work is repeated.
    fn restart(&mut self) {
        self.heads.scheduler.lock().restart();
        self.unread = self.seen.iter().cloned().collect();
    }

    /// Follows assignments, then reads what may be read.
    async fn turn(&mut self) -> Result<Next, StoreError> {
        self.follow_assignment().await?;
        self.take_up_abandoned();
        let emptied = std::mem::take(&mut *self.heads.emptied.lock());
        emptied.iter().for_each(|endpoint_id| self.surroundings.wake(endpoint_id));
        self.tell_rows();
        let now = clock::now();
        self.publish_metrics(now);
        self.rate.observe(self.surroundings.load(), now);
        self.pace.set(self.rate.readable_per_second(), now);
        let reads = self.choose(now);
        self.heads.metrics.pace.set(self.rate.per_second());
        self.heads.metrics.live_late_ratio.set(self.rate.late_share());
        self.surroundings.show_drain_rate(self.rate.per_second());
        let (reads, taken): (Vec<HeadRead>, Vec<usize>) = reads.into_iter().unzip();
        let results = join_all(reads.into_iter().map(|read| self.read(read))).await;
        for (taken, rows) in taken.into_iter().zip(&results) {
            self.pace.correct(taken, *rows.as_ref().unwrap_or(&0));
        }
        let read = results.into_iter().collect::<Result<Vec<usize>, _>>()?;
        Ok(match self.pace.has_any(clock::now()) {
            _ if !self.unread.is_empty() => Next::AtOnce,
            // Small heads: the statements were too few for what the pace allows.
            true if read.len() == self.options.queries_max => Next::AtOnce,
            true if read.is_empty() => Next::WhenThereIsNews,
            _ => Next::Soon,
        })
    }

    /// Chooses the rows to read now. None is read beyond the pace, so that live events keep most of the machine; nor
    /// much at a time, for a page of hundreds is sent at full speed, and whoever shares a core or a receiver with it
    /// waits that long. Each comes with the rows that were taken of the pace for it.
    fn choose(&mut self, now: Instant) -> Vec<(HeadRead, usize)> {
        let mut scheduler = self.heads.scheduler.lock();
        self.pace.allow(scheduler.take_came_in_order());
        let mut reads = Vec::new();
        while reads.len() < self.options.queries_max && self.pace.has_any(now) {
            let rows_max = self.pace.has(now).max(SLICE_ROWS_MIN);
            let Some(mut read) = scheduler.next(now, |id: &str| self.surroundings.standing(id, now)) else { break };
            let rows = read.limit(rows_max);
            self.pace.take(rows);
            reads.push((read, rows));
        }
        if !self.pace.has_any(now) {
            self.rate.was_short();
        }
        reads
    }

    fn tell_rows(&self) {
        let changed = std::mem::take(&mut *self.heads.changed.lock());
        for endpoint_id in changed {
            let counted_at = clock::now();
            let (rows, _) = self.heads.scheduler.lock().of_endpoint(&endpoint_id);
            self.surroundings.rows_wait(&endpoint_id, RowCount { rows: u64::try_from(rows).unwrap_or(0), counted_at });
        }
    }

    /// Receipts that were dropped unsettled: again, or given up after the third time.
    fn take_up_abandoned(&self) {
        let abandoned = std::mem::take(&mut *self.heads.abandoned.lock());
        let mut again: HashMap<Arc<str>, Vec<Receipt>> = HashMap::new();
        for (endpoint_id, receipt) in abandoned {
            let abandons = receipt.abandons;
            let receipt = receipt.into_receipt();
            match self.surroundings.endpoint(&endpoint_id) {
                None => receipt.settle(Settlement::Cancelled),
                Some(_) if abandons < ABANDONS_MAX => again.entry(endpoint_id).or_default().push(receipt),
                Some((_, customer_id)) => {
                    let attempts = receipt.attempts_so_far();
                    let given_up = GivenUp { receipt, reason: Reason::Internal, attempts, last: None };
                    self.dead_letters.submit([Letter { endpoint_id, customer_id, given_up }]);
                }
            }
        }
        for (endpoint_id, receipts) in again {
            self.surroundings.push(&endpoint_id, receipts);
        }
    }
}

/// A statement for fewer rows is not worth it.
const SLICE_ROWS_MIN: usize = 25;
/// Between two turns: what came meanwhile shares the next one.
const BREATH: Duration = Duration::from_millis(5);
