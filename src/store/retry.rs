//! ● Retries of a writer's statements: it waits and tries again, for as long as it takes.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use metrics::Counter;
use parking_lot::Mutex;
use rand::Rng as _;

use super::StoreError;
use crate::{clock, model::outcome::LastError};

/// Policy of a writer for statements that fail.
pub struct RetryPolicy<'a> {
    pub failures: &'a Counter,
    /// Consequence of the failure, for the log.
    pub consequence: &'static str,
    pub health: &'a WriterHealth,
}

impl RetryPolicy<'_> {
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

/// Wait of a writer after a failed statement: doubling, up to five seconds.
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

/// Health of a writer, all its lanes together, for monitoring.
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

/// A server that is away is asked again after this long at first.
pub const BACKOFF_BASE: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
