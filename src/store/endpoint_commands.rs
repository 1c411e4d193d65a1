//! ● Commands to an endpoint's state, not to its settings: its actor is rebuilt, what waits for it is thrown away.

use super::{
    Pool, StoreError,
    backlog::{HeadRow, forget_empty, head},
    config_write::{self, Lookup, WriteEffect, WrittenRow},
    endpoints::{Endpoint, find_in},
};

/// Asks every instance to rebuild the endpoint's actor. `decide` sees the endpoint first.
///
/// # Errors
/// When Postgres is away.
pub async fn restart<E>(
    pool: &Pool,
    name: &str,
    customer: Option<&str>,
    decide: impl FnOnce(&Lookup<Endpoint>) -> Result<(), E>,
) -> Result<Result<WrittenRow<Endpoint>, E>, StoreError> {
    config_write::write(pool, async |transaction, version| {
        let found = find_in(transaction, name, customer).await?;
        if let Err(refusal) = decide(&found) {
            return Ok(Err(refusal));
        }
        let Some(mut row) = found.found() else {
            return Err(StoreError::Internal("an endpoint was restarted that does not exist".to_owned()));
        };
        transaction.execute(RESTART, &[&row.id, &version]).await?;
        row.stamps.version = version;
        Ok(Ok(WrittenRow { row, effect: WriteEffect::Updated }))
    })
    .await
}

/// A filter of the rows that wait for an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Purged {
    pub events: i64,
    pub bytes: i64,
}

/// Throws away at most [`PURGE_ROWS_MAX`] rows of a head that were first received before a time (milliseconds since 1970);
/// returns what that was. None: none are left.
///
/// # Errors
/// When Postgres is away.
pub async fn purge(pool: &Pool, of: &HeadRow, received_before_ms: i64) -> Result<Purged, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(PURGE).await?;
        let key: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&of.topic, &of.partition, &of.endpoint_id, &received_before_ms, &PURGE_ROWS_MAX];
        let Some(row) = client.query_opt(&statement, &key).await? else {
            return Ok(Purged { events: 0, bytes: 0 });
        };
        forget_empty(client, &[head(&row)?]).await?;
        Ok(Purged { events: row.try_get("purged_events")?, bytes: row.try_get("purged_bytes")? })
    })
    .await
}

/// Rows that one statement throws away: some hundred milliseconds' worth.
const PURGE_ROWS_MAX: i64 = 5_000;

const RESTART: &str = "UPDATE endpoint SET restarts = restarts + 1, version = $2, updated_at = now() WHERE id = $1";

// By their keys in order, as those who deliver take rows out: so neither waits for the other in a circle.
const PURGE: &str = r#"
    WITH chosen AS (
        SELECT topic, partition, endpoint_id, "offset", record_ms FROM backlog
        WHERE topic = $1 AND partition = $2 AND endpoint_id = $3 AND received_ms < $4
        ORDER BY "offset", record_ms LIMIT $5 FOR UPDATE
    ), gone AS (
        DELETE FROM backlog b USING chosen c
        WHERE b.topic = c.topic AND b.partition = c.partition AND b.endpoint_id = c.endpoint_id
            AND b."offset" = c."offset" AND b.record_ms = c.record_ms
        RETURNING b.bytes
    ), sums AS (
        SELECT count(*) AS events, coalesce(sum(bytes), 0)::bigint AS bytes FROM gone
    )
    UPDATE backlog_head h SET events = h.events - s.events, bytes = h.bytes - s.bytes FROM sums s
    WHERE h.topic = $1 AND h.partition = $2 AND h.endpoint_id = $3
    RETURNING h.topic, h.partition, h.endpoint_id, h.events, h.bytes, h.oldest_ms,
        s.events AS purged_events, s.bytes AS purged_bytes"#;
