//! ● What waits to be written for some of the endpoints: in order, handed out in runs of one kind.

use std::{
    collections::VecDeque,
    convert::Infallible,
    ops::Range,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use metrics::Counter;
use parking_lot::Mutex;
use rand::Rng as _;
use tokio::sync::Notify;

use super::StoreError;
use crate::{clock, endpoint::health::LastError};

/// Something to be written.
pub trait Work {
    fn weight_bytes(&self) -> usize;
    /// Whether one statement can do both.
    fn is_like(&self, other: &Self) -> bool;
}

/// A queue with one writer at its end.
pub struct Lane<W> {
    queue: Mutex<VecDeque<W>>,
    rows_max: usize,
    /// Handed in and not yet carried out, in the queue or in hand.
    owed: AtomicUsize,
    in_hand: AtomicUsize,
    /// There is something.
    some: Notify,
    /// There is enough for a whole statement.
    enough: Notify,
    /// Something was carried out.
    progress: Notify,
}

impl<W: Work> Lane<W> {
    #[must_use]
    pub fn new(rows_max: usize) -> Self {
        Lane {
            queue: Mutex::new(VecDeque::new()),
            rows_max: rows_max.max(1),
            owed: AtomicUsize::new(0),
            in_hand: AtomicUsize::new(0),
            some: Notify::new(),
            enough: Notify::new(),
            progress: Notify::new(),
        }
    }

    pub fn push(&self, work: W) {
        self.owed.fetch_add(1, Ordering::AcqRel);
        let waiting = {
            let mut queue = self.queue.lock();
            queue.push_back(work);
            queue.len()
        };
        if waiting == 1 {
            self.some.notify_one();
        }
        if waiting == self.rows_max {
            self.enough.notify_one();
        }
    }

    /// The next run of one kind: what is there after `wait`, or a whole statement as soon as there is one.
    pub async fn next(&self, wait: Duration, bytes_max: usize) -> Vec<W> {
        loop {
            let waiting = self.queue.lock().len();
            if waiting == 0 {
                self.some.notified().await;
                continue;
            }
            if waiting < self.rows_max {
                // A permit left from an earlier burst ends this wait early, which costs a smaller statement once.
                let _ = tokio::time::timeout(wait, self.enough.notified()).await;
            }
            let run = self.take(bytes_max);
            self.in_hand.store(run.len(), Ordering::Release);
            return run;
        }
    }

    /// So many pieces of work were carried out.
    pub fn done(&self, pieces: usize) {
        self.in_hand.store(0, Ordering::Release);
        self.owed.fetch_sub(pieces, Ordering::AcqRel);
        self.progress.notify_waiters();
    }

    /// The writer died with work in its hand.
    pub fn forget_in_hand(&self) {
        self.done(self.in_hand.load(Ordering::Acquire));
    }

    /// Returns when nothing is owed.
    pub async fn flushed(&self) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            // From here on no progress is missed.
            progress.as_mut().enable();
            if self.owed.load(Ordering::Acquire) == 0 {
                return;
            }
            progress.await;
        }
    }

    fn take(&self, bytes_max: usize) -> Vec<W> {
        let mut queue = self.queue.lock();
        let mut run: Vec<W> = Vec::with_capacity(queue.len().min(self.rows_max));
        let mut bytes = 0;
        while let Some(work) = queue.front() {
            bytes += work.weight_bytes();
            let fits = run.first().is_none_or(|first| first.is_like(work) && bytes <= bytes_max);
            if !fits || run.len() == self.rows_max {
                break;
            }
            run.extend(queue.pop_front());
        }
        run
    }
}

/// How a writer is, all its lanes together: for those who look on.
#[derive(Default)]
pub struct WriterHealth {
    pub restarts: AtomicU64,
    /// Statements that fail now, and are tried again.
    retrying: AtomicUsize,
    last_error: Mutex<Option<LastError>>,
}

impl WriterHealth {
    #[must_use]
    pub fn is_retrying(&self) -> bool {
        self.retrying.load(Ordering::Relaxed) > 0
    }

    #[must_use]
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().clone()
    }

    fn failed(&self, error: &StoreError) {
        let (at_ms, excerpt) = (clock::wall_ms(), error.to_string());
        *self.last_error.lock() = Some(LastError { at_ms, class: "postgres", status: None, excerpt });
    }
}

/// An endpoint's lane among `lanes`: always the same one, so its work stays in order.
#[must_use]
pub fn lane_of(endpoint_id: &str, lanes: usize) -> usize {
    endpoint_id.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % lanes.max(1)
}

/// Runs a writer for ever, each time with a new one from `writes`. A panic costs what it had in hand nothing: dropped, the
/// receipts are abandoned, and come back.
pub async fn keep_writing<W: Work, F>(lane: &Lane<W>, what: &str, health: &WriterHealth, writes: impl Fn() -> F)
where
    F: Future<Output = Infallible> + Send + 'static,
{
    loop {
        let Err(error) = tokio::spawn(writes()).await;
        if error.is_cancelled() {
            return;
        }
        lane.forget_in_hand();
        health.restarts.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, "writing {what} panicked and begins anew");
        tokio::time::sleep(BACKOFF_BASE).await;
    }
}

/// What a writer does about statements that fail.
pub struct Patience<'a> {
    pub failures: &'a Counter,
    /// What follows from it, for the log.
    pub consequence: &'static str,
    pub health: &'a WriterHealth,
}

impl Patience<'_> {
    /// Until it succeeds: what waits behind it waits as well, and Kafka keeps the rest.
    pub async fn retry<T, F: Future<Output = Result<T, StoreError>>>(&self, mut work: impl FnMut() -> F) -> T {
        let mut backoff = Backoff::default();
        loop {
            match work().await {
                Ok(done) => return done,
                Err(error) => self.wait(&mut backoff, &error).await,
            }
        }
    }

    /// Stores so many rows, in one statement if Postgres takes them. Without the row to blame the others can be stored:
    /// returns those that are refused for their data, and why.
    pub async fn store<F: Future<Output = Result<(), StoreError>>>(
        &self,
        rows: usize,
        mut insert: impl FnMut(Range<usize>) -> F,
    ) -> Vec<(usize, StoreError)> {
        let mut refused = Vec::new();
        let mut parts: Vec<Range<usize>> = std::iter::once(0..rows).filter(|all| !all.is_empty()).collect();
        let mut backoff = Backoff::default();
        while let Some(part) = parts.pop() {
            match insert(part.clone()).await {
                Ok(()) => backoff = Backoff::default(),
                Err(error) if error.blames_data() && part.len() > 1 => {
                    let (first, second) = halves(part);
                    parts.extend([second, first]);
                }
                Err(error) if error.blames_data() => refused.push((part.start, error)),
                Err(error) => {
                    self.wait(&mut backoff, &error).await;
                    parts.push(part);
                }
            }
        }
        refused
    }

    async fn wait(&self, backoff: &mut Backoff, error: &StoreError) {
        self.failures.increment(1);
        self.health.failed(error);
        self.health.retrying.fetch_add(1, Ordering::Relaxed);
        let is_first = backoff.wait().await;
        self.health.retrying.fetch_sub(1, Ordering::Relaxed);
        if is_first {
            tracing::warn!(%error, "{}", self.consequence);
        }
    }
}

/// How long a writer waits after a failed statement: doubling, up to five seconds.
#[derive(Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    /// True for the first failure in a row: the one worth a log line.
    async fn wait(&mut self) -> bool {
        let longest = BACKOFF_BASE.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX);
        let is_first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        // Between half and the whole: instances must not return all at once.
        let share = rand::rng().random_range(0.5..=1.0);
        tokio::time::sleep(longest.mul_f64(share)).await;
        is_first
    }
}

/// A run in two parts, to find the row that Postgres refuses.
fn halves(part: Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = part.start + part.len() / 2;
    (part.start..middle, middle..part.end)
}

/// A server that is away is asked again after this long at first.
pub const BACKOFF_BASE: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
