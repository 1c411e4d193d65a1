//! ● Numbers of waiting and given-up events, for monitoring. Every count is bounded.

use super::{Pool, StoreError};

/// Counts of an endpoint in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredCounts {
    pub backlog_events: i64,
    pub backlog_oldest_ms: Option<i64>,
    pub dead_letters: i64,
}

/// Dead letters of one endpoint are counted up to here in a list of endpoints.
pub const LISTED_LETTERS_MAX: i64 = 1_000;
/// Dead letters of one endpoint, or of all, are counted up to here one by one.
pub const LETTERS_MAX: i64 = 100_000;

/// The whole backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBacklog {
    pub events: i64,
    pub bytes: i64,
    /// Time at which the oldest event was received, milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

/// Totals of the backlog of all instances.
///
/// # Errors
/// When Postgres is away.
pub async fn backlog(pool: &Pool) -> Result<StoredBacklog, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(BACKLOG).await?;
        let row = client.query_one(&statement, &[]).await?;
        Ok(StoredBacklog { events: row.try_get(0)?, bytes: row.try_get(1)?, oldest_ms: row.try_get(2)? })
    })
    .await
}

/// Number of dead letters: exact up to [`LETTERS_MAX`], beyond it as Postgres' statistics have it.
///
/// # Errors
/// When Postgres is away.
pub async fn dead_letters(pool: &Pool) -> Result<u64, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(LETTERS).await?;
        let counted: i64 = client.query_one(&statement, &[&LETTERS_MAX]).await?.try_get(0)?;
        if counted < LETTERS_MAX {
            return Ok(counted.unsigned_abs());
        }
        let statement = client.prepare_cached(LETTERS_ESTIMATED).await?;
        let estimated: i64 = client.query_one(&statement, &[]).await?.try_get(0)?;
        Ok(estimated.max(counted).unsigned_abs())
    })
    .await
}

/// Counts of these endpoints, in their order; dead letters counted up to `letters_max` each.
///
/// # Errors
/// When Postgres is away.
pub async fn of_endpoints(pool: &Pool, ids: &[&str], letters_max: i64) -> Result<Vec<StoredCounts>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(OF_ENDPOINTS).await?;
        let rows = client.query(&statement, &[&ids, &letters_max]).await?;
        let stored = |row: &tokio_postgres::Row| {
            Ok(StoredCounts {
                backlog_events: row.try_get(0)?,
                backlog_oldest_ms: row.try_get(1)?,
                dead_letters: row.try_get(2)?,
            })
        };
        rows.iter().map(stored).collect()
    })
    .await
}

const BACKLOG: &str = "
    SELECT coalesce(sum(events), 0)::bigint, coalesce(sum(bytes), 0)::bigint, min(oldest_ms)
    FROM backlog_head WHERE events > 0";

const LETTERS: &str = "SELECT count(*) FROM (SELECT 1 FROM dead_letter LIMIT $1) AS letters";

const LETTERS_ESTIMATED: &str = "
    SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'dead_letter'::regclass";

const OF_ENDPOINTS: &str = "
    SELECT coalesce(b.events, 0)::bigint, b.oldest_ms, l.letters
    FROM unnest($1::text[]) WITH ORDINALITY AS g (id, place)
    LEFT JOIN LATERAL (
        SELECT sum(events) AS events, min(oldest_ms) AS oldest_ms FROM backlog_head
        WHERE endpoint_id = g.id AND events > 0) AS b ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS letters FROM (SELECT 1 FROM dead_letter WHERE endpoint_id = g.id LIMIT $2) AS letter) AS l ON true
    ORDER BY g.place";
