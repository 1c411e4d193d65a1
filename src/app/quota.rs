//! ● Endpoints whose backlogs are over their quota are suspended; those that are so no more get what they missed.

use std::convert::Infallible;

use crate::{
    clock,
    config::Backlog,
    operator_event::{OperatorEvent, emit},
    store::{
        Pool, StoreError,
        endpoints::suspend,
        gaps::{self, OverQuota},
        id::{self, Kind},
    },
};

/// Looks until the process ends.
pub async fn watch(pool: Pool, backlog: Backlog) -> Infallible {
    loop {
        tokio::time::sleep(backlog.poll() * POLLS).await;
        if let Err(error) = look(&pool, &backlog).await {
            tracing::warn!(%error, "quotas of backlogs cannot be looked at just now");
        }
    }
}

async fn look(pool: &Pool, backlog: &Backlog) -> Result<(), StoreError> {
    for replay in gaps::close(pool, || id::new(Kind::Replay, clock::wall_ms(), rand::random())).await? {
        tracing::info!(
            endpoint.id = replay.endpoint_id,
            replay.id = replay.id,
            topic = replay.topic,
            "what endpoint {} missed while it was suspended is replayed",
            replay.endpoint_id
        );
    }
    let (events_max, bytes_max) = (backlog.endpoint_rows_max, backlog.endpoint_rows_bytes_max);
    for OverQuota { endpoint_id, customer_id, events, bytes } in gaps::over_quota(pool, events_max, bytes_max).await? {
        if suspend(pool, &endpoint_id).await? {
            emit(OperatorEvent::EndpointSuspended {
                endpoint_id: endpoint_id.into(),
                customer_id: customer_id.into(),
                backlog_events: events,
                backlog_bytes: bytes,
            });
        }
    }
    Ok(())
}

/// Quotas need not be met to the event.
const POLLS: u32 = 5;
