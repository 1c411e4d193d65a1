//! ● Once a minute: how PostgreSQL's tables stand, for the metrics.

use std::{convert::Infallible, time::Duration};

use crate::{
    store::{Pool, tables},
    telemetry::gauges,
};

/// Looks until the process ends. While Postgres does not say, the metrics stay as they were.
pub(super) async fn watch(pool: Pool) -> Infallible {
    loop {
        match tables::sizes(&pool).await {
            Ok((sizes, oldest_transactions)) => {
                for size in &sizes {
                    gauges::table(&size.table, size.bytes, size.dead_rows);
                }
                gauges::oldest_transaction(oldest_transactions);
            }
            Err(error) => tracing::debug!(%error, "the table sizes are unavailable"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

const EVERY: Duration = Duration::from_secs(60);
