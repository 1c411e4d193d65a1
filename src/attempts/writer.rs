//! ● Attempts on their way into Postgres: in groups, at a bounded rate, through a bounded queue.
//!
//! **Invariant:** handing a record in never waits. What finds no room is dropped, counted and said.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::mpsc::{Receiver, Sender, channel},
};

use crate::{
    clock,
    model::attempt::AttemptRecord,
    store::{Pool, attempts},
    telemetry::handles::AttemptMetrics,
};

/// `[attempts]` of the configuration, as far as writing goes.
#[derive(Debug, Clone, Copy)]
pub struct AttemptWriterOptions {
    /// Rows that may wait to be written.
    pub queue_rows_max: usize,
    /// More than that find no room in the end.
    pub rows_per_second_max: u32,
    /// One delivered first attempt in this many is recorded; 0 none.
    pub delivered_sample_every: u64,
}

/// Handle on the writer, for any thread. Cheap to clone.
#[derive(Clone)]
pub struct AttemptWriter {
    records: Sender<AttemptRecord>,
    shared: Arc<Shared>,
}

struct Shared {
    metrics: AttemptMetrics,
    dropped: AtomicU64,
    said: Mutex<Option<std::time::Instant>>,
    /// Handed in and not yet written or dropped.
    owed: AtomicU64,
    delivered_sample_every: u64,
}

impl AttemptWriter {
    /// Starts writing on `runtime`, until that runtime ends.
    #[must_use]
    pub fn start(pool: Pool, options: AttemptWriterOptions, runtime: &Handle) -> Self {
        let (records, waiting) = channel(options.queue_rows_max.max(1));
        let shared = Arc::new(Shared {
            metrics: AttemptMetrics::new(),
            dropped: AtomicU64::new(0),
            said: Mutex::new(None),
            owed: AtomicU64::new(0),
            delivered_sample_every: options.delivered_sample_every,
        });
        runtime.spawn(write(pool, options.rows_per_second_max, waiting, Arc::clone(&shared)));
        AttemptWriter { records, shared }
    }

    /// One delivered first attempt in this many is worth a record; 0 none.
    #[must_use]
    pub fn delivered_sample_every(&self) -> u64 {
        self.shared.delivered_sample_every
    }

    /// Takes a record, or drops it when there is no room.
    pub fn submit(&self, record: AttemptRecord) {
        self.shared.owed.fetch_add(1, Ordering::Relaxed);
        if self.records.try_send(record).is_err() {
            self.shared.owed.fetch_sub(1, Ordering::Relaxed);
            self.shared.dropped(1, "more attempts end than may be written (attempts.rows_per_second_max)");
        }
    }

    /// Returns when all that was handed in before is written or dropped. Bound it: Postgres may be away.
    pub async fn flushed(&self) {
        while self.shared.owed.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl std::fmt::Debug for AttemptWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttemptWriter").finish_non_exhaustive()
    }
}

impl Shared {
    /// One line a minute says how many; the metric has them all.
    fn dropped(&self, records: u64, why: &str) {
        self.metrics.dropped.increment(records);
        let dropped = self.dropped.fetch_add(records, Ordering::Relaxed) + records;
        let now = clock::now();
        let mut said = self.said.lock();
        if said.is_none_or(|at| now.saturating_duration_since(at) >= SAY_EVERY) {
            *said = Some(now);
            self.dropped.fetch_sub(dropped, Ordering::Relaxed);
            tracing::warn!(records = dropped, "attempts were not recorded: {why}");
        }
    }
}

async fn write(pool: Pool, rows_per_second_max: u32, mut waiting: Receiver<AttemptRecord>, shared: Arc<Shared>) {
    let mut group = Vec::with_capacity(GROUP_ROWS_MAX);
    while waiting.recv_many(&mut group, GROUP_ROWS_MAX).await > 0 {
        // A moment's company: a group costs little more than a single row.
        tokio::time::sleep(GROUP_WAIT).await;
        while group.len() < GROUP_ROWS_MAX
            && let Ok(record) = waiting.try_recv()
        {
            group.push(record);
        }
        store(&pool, &group, &shared).await;
        let rows = group.len();
        shared.owed.fetch_sub(rows as u64, Ordering::Relaxed);
        group.clear();
        tokio::time::sleep(Duration::from_secs_f64(rows as f64 / f64::from(rows_per_second_max.max(1)))).await;
    }
}

/// Tries a few times: a record is not worth more, and those behind it wait.
async fn store(pool: &Pool, group: &[AttemptRecord], shared: &Shared) {
    for wait in TRIES {
        match attempts::insert(pool, group).await {
            Ok(()) => return shared.metrics.recorded.increment(group.len() as u64),
            Err(error) if error.is_unavailable() => {
                tracing::debug!(%error, "recording attempts failed; retrying");
                tokio::time::sleep(wait).await;
            }
            Err(error) => {
                tracing::warn!(%error, "attempts cannot be recorded");
                break;
            }
        }
    }
    shared.dropped(group.len() as u64, "Postgres does not take them");
}

const GROUP_ROWS_MAX: usize = 250;
const GROUP_WAIT: Duration = Duration::from_millis(100);
const TRIES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];
const SAY_EVERY: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
