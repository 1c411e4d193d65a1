//! ● Every minute, what the endpoints came to goes to Postgres: one row an hour for each that did anything, in groups.
//!
//! While Postgres is away the counts wait, up to a bound. A crash loses what was not written, about a minute.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;

use super::counts::{Counting, MINUTE_MS, MinuteCount, Total, hours, minute_of};
use crate::{
    clock,
    store::{Pool, counts},
    telemetry::handles::CountMetrics,
};

/// Says what each endpoint has come to since this process started.
pub type AttemptTotals = Box<dyn Fn() -> Vec<Total> + Send + Sync>;

/// One an instance.
pub struct CountWriter {
    pool: Pool,
    totals: AttemptTotals,
    counting: Mutex<Counting>,
    metrics: CountMetrics,
    /// One writes at a time.
    turn: Turn<()>,
}

impl CountWriter {
    #[must_use]
    pub fn new(pool: Pool, totals: AttemptTotals) -> Arc<Self> {
        let (counting, metrics, turn) = (Mutex::default(), CountMetrics::new(), Turn::new(()));
        Arc::new(CountWriter { pool, totals, counting, metrics, turn })
    }

    /// Counts and writes at the end of every minute, until the process ends.
    pub async fn run(self: Arc<Self>) {
        loop {
            let wall_ms = clock::wall_ms();
            let rest_ms = MINUTE_MS - wall_ms.rem_euclid(MINUTE_MS);
            tokio::time::sleep(Duration::from_millis(rest_ms.unsigned_abs())).await;
            // The minute that has just ended; an early waking does not make it the next one.
            self.count(minute_of(wall_ms));
            self.write(PAUSE).await;
        }
    }

    /// Counts and writes what there is now. Bound it: Postgres may be away.
    pub async fn flush(&self) {
        self.count(minute_of(clock::wall_ms()));
        self.write(Duration::ZERO).await;
    }

    fn count(&self, minute: i64) {
        let lost = self.counting.lock().count(minute, (self.totals)().into_iter());
        if lost > 0 {
            self.lost(lost, "Postgres was away for too long");
        }
    }

    /// Until all is written, or Postgres cannot take any now.
    async fn write(&self, pause: Duration) {
        let _turn = self.turn.lock().await;
        loop {
            let group = self.counting.lock().take(GROUP_COUNTS_MAX);
            if group.is_empty() {
                return;
            }
            if !self.store(group).await {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// False when the rest has to wait.
    async fn store(&self, group: Vec<MinuteCount>) -> bool {
        match counts::add(&self.pool, &hours(&group)).await {
            Ok(()) => {
                self.metrics.written.increment(group.len() as u64);
                true
            }
            Err(crate::store::StoreError::Unavailable(reason)) => {
                tracing::debug!(reason, "counts of attempts are written later");
                self.counting.lock().put_back(group);
                false
            }
            // After a time-out they may be written: once too few is better than twice.
            Err(error) => {
                self.lost(group.len(), &error.to_string());
                !error.is_unavailable()
            }
        }
    }

    fn lost(&self, counts: usize, reason: &str) {
        self.metrics.lost.increment(counts as u64);
        tracing::warn!(counts, reason, "counts of attempts by the minute were lost");
    }
}

/// In one statement.
const GROUP_COUNTS_MAX: usize = 500;
/// Between two groups, so that 10,000 endpoints take two seconds of a minute.
const PAUSE: Duration = Duration::from_millis(100);
