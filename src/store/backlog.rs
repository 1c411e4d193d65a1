//! ● The backlog in Postgres: stored, written again, taken out. Reading is in [`backlog_read`](super::backlog_read).
//!
//! **Invariant:** a second insert of the same key never resets a schedule: attempts and the next attempt's time only
//! grow, and when the record was first received stays.
//! **Invariant:** heads change in the statement that changes rows, so their counts are exact.

pub use postrider_core::backlog::rows::{HeadKey, HeadRow, RowKey};
use tokio_postgres::Row;

use super::{Pool, StoreError};

/// State of a row with its endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowState {
    pub attempts: i32,
    /// Milliseconds since 1970; 0 for at once.
    pub not_before_ms: i64,
    pub last_status: Option<i16>,
    pub last_class: Option<&'static str>,
    pub excerpt: Option<Vec<u8>>,
}

/// A row to be stored, borrowed from wherever it waits.
#[derive(Debug, Clone)]
pub struct NewRow<'a> {
    pub key: RowKey,
    pub state: RowState,
    pub received_ms: i64,
    pub occurred_ms: i64,
    pub event_id: Option<&'a [u8]>,
    pub tenant: Option<&'a [u8]>,
    pub department: Option<&'a [u8]>,
    pub kind: Option<&'a [u8]>,
    pub record: &'a [u8],
    pub key_bytes: Option<i32>,
    pub value_bytes: Option<i32>,
    pub bytes: i32,
}

/// Stores rows, no key twice, in one statement; returns the heads that changed. When this returns, they are committed.
///
/// # Errors
/// When Postgres is away; or [`StoreError::blames_data`] when one of them cannot be stored: then none is.
pub async fn insert(pool: &Pool, rows: &[NewRow<'_>]) -> Result<Vec<HeadRow>, StoreError> {
    macro_rules! column {
        ($($field:tt)+) => { rows.iter().map(|row| &row.$($field)+).collect::<Vec<_>>() };
    }
    let keys = Keys::of(rows.iter().map(|row| &row.key));
    let excerpts: Vec<Option<&[u8]>> = rows.iter().map(|row| row.state.excerpt.as_deref()).collect();
    pool.with(async |client| {
        let statement = client.prepare_cached(INSERT).await?;
        let heads = client
            .query(
                &statement,
                &[
                    &keys.topics,
                    &keys.partitions,
                    &keys.endpoints,
                    &keys.offsets,
                    &keys.record_ms,
                    &column!(received_ms),
                    &column!(state.not_before_ms),
                    &column!(state.attempts),
                    &column!(occurred_ms),
                    &column!(event_id),
                    &column!(tenant),
                    &column!(department),
                    &column!(kind),
                    &column!(record),
                    &column!(key_bytes),
                    &column!(value_bytes),
                    &column!(bytes),
                    &column!(state.last_status),
                    &column!(state.last_class),
                    &excerpts,
                ],
            )
            .await?;
        heads.iter().map(head).collect()
    })
    .await
}

/// Writes down how rows stand after another attempt. Those that are gone meanwhile stay gone.
///
/// # Errors
/// When Postgres is away.
pub async fn update(pool: &Pool, rows: &[(RowKey, RowState)]) -> Result<(), StoreError> {
    macro_rules! column {
        ($field:ident) => {
            rows.iter().map(|(_, state)| &state.$field).collect::<Vec<_>>()
        };
    }
    let keys = Keys::of(rows.iter().map(|(key, _)| key));
    pool.with(async |client| {
        let statement = client.prepare_cached(UPDATE).await?;
        client
            .execute(
                &statement,
                &[
                    &keys.topics,
                    &keys.partitions,
                    &keys.endpoints,
                    &keys.offsets,
                    &keys.record_ms,
                    &column!(not_before_ms),
                    &column!(attempts),
                    &column!(last_status),
                    &column!(last_class),
                    &column!(excerpt),
                ],
            )
            .await?;
        Ok(())
    })
    .await
}

/// Takes rows out; returns the heads that changed, those included of which nothing is left.
///
/// # Errors
/// When Postgres is away.
pub async fn remove(pool: &Pool, rows: &[RowKey]) -> Result<Vec<HeadRow>, StoreError> {
    let keys = Keys::of(rows.iter());
    pool.with(async |client| {
        let statement = client.prepare_cached(REMOVE).await?;
        let changed = client
            .query(&statement, &[&keys.topics, &keys.partitions, &keys.endpoints, &keys.offsets, &keys.record_ms])
            .await?;
        let changed: Vec<HeadRow> = changed.iter().map(head).collect::<Result<_, _>>()?;
        forget_empty(client, &changed).await?;
        Ok(changed)
    })
    .await
}

/// A head whose rows are all gone goes as well, unless new ones came meanwhile.
pub(super) async fn forget_empty(client: &deadpool_postgres::Client, heads: &[HeadRow]) -> Result<(), StoreError> {
    let empty: Vec<&HeadRow> = heads.iter().filter(|head| head.events <= 0).collect();
    if empty.is_empty() {
        return Ok(());
    }
    let topics: Vec<&str> = empty.iter().map(|head| head.topic.as_str()).collect();
    let partitions: Vec<i32> = empty.iter().map(|head| head.partition).collect();
    let endpoints: Vec<&str> = empty.iter().map(|head| head.endpoint_id.as_str()).collect();
    let statement = client.prepare_cached(FORGET_EMPTY).await?;
    client.execute(&statement, &[&topics, &partitions, &endpoints]).await?;
    Ok(())
}

pub(super) fn head(row: &Row) -> Result<HeadRow, StoreError> {
    Ok(HeadRow {
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
        endpoint_id: row.try_get("endpoint_id")?,
        events: row.try_get("events")?,
        bytes: row.try_get("bytes")?,
        oldest_ms: row.try_get("oldest_ms")?,
    })
}

/// Keys, a column each.
#[derive(Default)]
struct Keys<'a> {
    topics: Vec<&'a str>,
    partitions: Vec<i32>,
    endpoints: Vec<&'a str>,
    offsets: Vec<i64>,
    record_ms: Vec<i64>,
}

impl<'a> Keys<'a> {
    fn of(keys: impl Iterator<Item = &'a RowKey>) -> Self {
        let mut columns = Keys::default();
        for key in keys {
            columns.topics.push(&key.topic);
            columns.partitions.push(key.partition);
            columns.endpoints.push(&key.endpoint_id);
            columns.offsets.push(key.offset);
            columns.record_ms.push(key.record_ms);
        }
        columns
    }
}

/// Every head that was touched comes back, also where its rows were there already: a COMMIT whose answer was lost is tried
/// again, and its rows count all the same.
/// Rows and heads in their keys' order, so that two instances that store the same rows cannot deadlock.
const INSERT: &str = r#"
    WITH stored AS (
        INSERT INTO backlog AS b (topic, partition, endpoint_id, "offset", record_ms, received_ms, not_before_ms, attempts,
            occurred_ms, event_id, tenant, department, type, record, key_bytes, value_bytes, bytes, last_status,
            last_class, excerpt)
        SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::int[], $9::bigint[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bytea[], $14::bytea[], $15::int[],
            $16::int[], $17::int[], $18::smallint[], $19::text[], $20::bytea[])
            AS g (topic, partition, endpoint_id, "offset", record_ms)
        ORDER BY topic, partition, endpoint_id, "offset", record_ms
        ON CONFLICT (topic, partition, endpoint_id, "offset", record_ms) DO UPDATE SET
            attempts = greatest(b.attempts, excluded.attempts),
            not_before_ms = greatest(b.not_before_ms, excluded.not_before_ms),
            last_status = excluded.last_status, last_class = excluded.last_class, excerpt = excluded.excerpt,
            writes = b.writes + 1
        RETURNING topic, partition, endpoint_id, received_ms, bytes, writes
    )
    INSERT INTO backlog_head AS h (topic, partition, endpoint_id, events, bytes, oldest_ms)
    SELECT topic, partition, endpoint_id, count(*) FILTER (WHERE writes = 1),
        coalesce(sum(bytes) FILTER (WHERE writes = 1), 0), min(received_ms) FROM stored
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (topic, partition, endpoint_id) DO UPDATE SET
        events = h.events + excluded.events, bytes = h.bytes + excluded.bytes,
        oldest_ms = least(h.oldest_ms, excluded.oldest_ms)
    RETURNING topic, partition, endpoint_id, events, bytes, oldest_ms"#;

const UPDATE: &str = r#"
    UPDATE backlog b SET
        attempts = greatest(b.attempts, g.attempts), not_before_ms = greatest(b.not_before_ms, g.not_before_ms),
        last_status = g.last_status, last_class = g.last_class, excerpt = g.excerpt, writes = b.writes + 1
    FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::int[],
        $8::smallint[], $9::text[], $10::bytea[])
        AS g (topic, partition, endpoint_id, "offset", record_ms, not_before_ms, attempts, last_status, last_class, excerpt)
    WHERE b.topic = g.topic AND b.partition = g.partition AND b.endpoint_id = g.endpoint_id
        AND b."offset" = g."offset" AND b.record_ms = g.record_ms"#;

const REMOVE: &str = r#"
    WITH gone AS (
        DELETE FROM backlog b
        USING unnest($1::text[], $2::int[], $3::text[], $4::bigint[], $5::bigint[])
            AS g (topic, partition, endpoint_id, "offset", record_ms)
        WHERE b.topic = g.topic AND b.partition = g.partition AND b.endpoint_id = g.endpoint_id
            AND b."offset" = g."offset" AND b.record_ms = g.record_ms
        RETURNING b.topic, b.partition, b.endpoint_id, b.bytes
    ), sums AS (
        SELECT topic, partition, endpoint_id, count(*) AS events, sum(bytes) AS bytes FROM gone
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    )
    UPDATE backlog_head h SET events = h.events - s.events, bytes = h.bytes - s.bytes FROM sums s
    WHERE h.topic = s.topic AND h.partition = s.partition AND h.endpoint_id = s.endpoint_id
    RETURNING h.topic, h.partition, h.endpoint_id, h.events, h.bytes, h.oldest_ms"#;

const FORGET_EMPTY: &str = "
    DELETE FROM backlog_head h USING unnest($1::text[], $2::int[], $3::text[]) AS g (topic, partition, endpoint_id)
    WHERE h.topic = g.topic AND h.partition = g.partition AND h.endpoint_id = g.endpoint_id AND h.events <= 0";
