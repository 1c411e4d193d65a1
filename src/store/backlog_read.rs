//! ● Reading the backlog, for its owners and for monitoring.

use std::collections::HashSet;

pub use postrider_core::backlog::rows::BacklogRow;
use tokio_postgres::Row;

use super::{
    Pool, StoreError,
    backlog::{HeadKey, HeadRow, head},
};

/// For the sessions that write and read the backlog. Rows are found by their keys, a few hundred at a time, in tables that
/// grow from nothing to millions within a plan's life: a plan that reads a whole table, or sorts all that waits for an
/// endpoint, may be good when it is made and would be ruin later.
pub const BACKLOG_PLANS: &str = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
    -c enable_bitmapscan=off -c plan_cache_mode=force_generic_plan";

/// A range of a head's rows to read.
#[derive(Debug, Clone, Copy)]
pub struct BacklogPage<'a> {
    /// Behind this offset and record time.
    pub after: (i64, i64),
    /// Only those whose next attempt is due then (milliseconds since 1970).
    pub due_ms: i64,
    /// Only those first received before then.
    pub received_before_ms: i64,
    pub rows_max: i64,
    /// Bytes of data; at least one row comes, however large.
    pub bytes_max: i64,
    /// None with one of these keys.
    pub without_keys: &'a [&'a [u8]],
    /// Only rows with a key.
    pub with_key: bool,
}

/// The heads of these partitions.
///
/// # Errors
/// When Postgres is away.
pub async fn heads(pool: &Pool, topics: &[&str], partitions: &[i32]) -> Result<Vec<HeadRow>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(HEADS).await?;
        client.query(&statement, &[&topics, &partitions]).await?.iter().map(head).collect()
    })
    .await
}

/// All partitions in which anything waits.
///
/// # Errors
/// When Postgres is away.
pub async fn partitions(pool: &Pool) -> Result<HashSet<(String, i32)>, StoreError> {
    pool.with(async |client| {
        let rows = client.query(PARTITIONS, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    })
    .await
}

/// The heads of one endpoint, the oldest first.
///
/// # Errors
/// When Postgres is away.
pub async fn heads_of_endpoint(pool: &Pool, endpoint_id: &str) -> Result<Vec<HeadRow>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(HEADS_OF_ENDPOINT).await?;
        client.query(&statement, &[&endpoint_id]).await?.iter().map(head).collect()
    })
    .await
}

/// Rows of one head, in the order of their offsets.
///
/// # Errors
/// When Postgres is away.
pub async fn page(pool: &Pool, key: HeadKey<'_>, page: BacklogPage<'_>) -> Result<Vec<BacklogRow>, StoreError> {
    let (offset, record_ms) = page.after;
    pool.with(async |client| {
        let statement = client.prepare_cached(PAGE).await?;
        let rows = client
            .query(
                &statement,
                &[
                    &key.topic,
                    &key.partition,
                    &key.endpoint_id,
                    &offset,
                    &record_ms,
                    &page.due_ms,
                    &page.received_before_ms,
                    &page.rows_max,
                    &page.bytes_max,
                    &page.without_keys,
                    &page.with_key,
                ],
            )
            .await?;
        rows.iter().map(row).collect()
    })
    .await
}

fn row(row: &Row) -> Result<BacklogRow, StoreError> {
    Ok(BacklogRow {
        offset: row.try_get("offset")?,
        record_ms: row.try_get("record_ms")?,
        received_ms: row.try_get("received_ms")?,
        not_before_ms: row.try_get("not_before_ms")?,
        attempts: row.try_get("attempts")?,
        occurred_ms: row.try_get("occurred_ms")?,
        event_id: row.try_get("event_id")?,
        tenant: row.try_get("tenant")?,
        department: row.try_get("department")?,
        kind: row.try_get("type")?,
        record: row.try_get("record")?,
        key_bytes: row.try_get("key_bytes")?,
        value_bytes: row.try_get("value_bytes")?,
        bytes: row.try_get("bytes")?,
    })
}

const HEADS: &str = "
    SELECT h.topic, h.partition, h.endpoint_id, h.events, h.bytes, h.oldest_ms
    FROM unnest($1::text[], $2::int[]) AS g (topic, partition)
    JOIN backlog_head h ON h.topic = g.topic AND h.partition = g.partition";

const PARTITIONS: &str = "SELECT DISTINCT topic, partition FROM backlog_head WHERE events > 0";

const HEADS_OF_ENDPOINT: &str = "
    SELECT topic, partition, endpoint_id, events, bytes, oldest_ms FROM backlog_head
    WHERE endpoint_id = $1 AND events > 0 ORDER BY oldest_ms, topic, partition";

/// One page of a head.
pub const PAGE: &str = r#"
    SELECT "offset", record_ms, received_ms, not_before_ms, attempts, occurred_ms, event_id, tenant, department, type, record, key_bytes,
        value_bytes, bytes
    FROM (
        SELECT p.*, sum(bytes::bigint) OVER (
            ORDER BY "offset", record_ms ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM (
            SELECT * FROM backlog
            WHERE topic = $1 AND partition = $2 AND endpoint_id = $3 AND ("offset", record_ms) > ($4::bigint, $5::bigint)
                AND not_before_ms <= $6 AND received_ms < $7
                AND CASE WHEN key_bytes IS NULL THEN NOT $11
                    ELSE cardinality($10::bytea[]) = 0 OR substr(record, 1, key_bytes) <> ALL ($10) END
            ORDER BY "offset", record_ms LIMIT $8
        ) AS p
    ) AS rows
    WHERE coalesce(before, 0) < $9::bigint ORDER BY "offset", record_ms"#;
