//! ● Dead letters that are asked for once more.

use tokio_postgres::Row;

use super::{Pool, StoreError, dead_letters::KEY_BYTES};

/// A letter that waits for its redrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: String,
    pub endpoint_id: String,
    pub topic: String,
    pub partition: i32,
}

/// Everything that is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedriveRow {
    pub id: String,
    pub key: [u8; KEY_BYTES],
    pub endpoint_id: String,
    pub customer_id: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub record_ms: i64,
    pub occurred_ms: i64,
    pub event_id: Option<String>,
    pub tenant: Option<String>,
    pub department: Option<String>,
    pub kind: Option<String>,
    pub record_key: Option<Vec<u8>>,
    pub record_value: Option<Vec<u8>>,
    pub record_headers: Vec<u8>,
}

/// At most `limit` letters after the id `after` that wait for a redrive, the oldest first.
///
/// # Errors
/// When Postgres is away.
pub async fn candidates(pool: &Pool, after: &str, limit: i64) -> Result<Vec<Candidate>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(CANDIDATES).await?;
        let rows = client.query(&statement, &[&after, &limit]).await?;
        rows.iter().map(candidate).collect()
    })
    .await
}

/// The first of these letters, with their data, up to `bytes_max` of it (and at least one). Those no longer asked for
/// are missing.
///
/// # Errors
/// When Postgres is away.
pub async fn read(pool: &Pool, ids: &[&str], bytes_max: i64) -> Result<Vec<RedriveRow>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(READ).await?;
        let rows = client.query(&statement, &[&ids, &bytes_max]).await?;
        rows.iter().map(row).collect()
    })
    .await
}

fn candidate(row: &Row) -> Result<Candidate, StoreError> {
    Ok(Candidate {
        id: row.try_get("id")?,
        endpoint_id: row.try_get("endpoint_id")?,
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
    })
}

fn row(row: &Row) -> Result<RedriveRow, StoreError> {
    let id: String = row.try_get("id")?;
    let key: &[u8] = row.try_get("key")?;
    let key = key.try_into().map_err(|_| StoreError::Unreadable(format!("the key of dead letter `{id}`")))?;
    Ok(RedriveRow {
        id,
        key,
        endpoint_id: row.try_get("endpoint_id")?,
        customer_id: row.try_get("customer_id")?,
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
        offset: row.try_get("offset")?,
        record_ms: row.try_get("record_ms")?,
        occurred_ms: row.try_get("occurred_ms")?,
        event_id: row.try_get("event_id")?,
        tenant: row.try_get("tenant")?,
        department: row.try_get("department")?,
        kind: row.try_get("type")?,
        record_key: row.try_get("record_key")?,
        record_value: row.try_get("record_value")?,
        record_headers: row.try_get("record_headers")?,
    })
}

const CANDIDATES: &str = "
    SELECT id, endpoint_id, topic, partition FROM dead_letter
    WHERE state = 'redriving' AND id > $1 ORDER BY id LIMIT $2";

const READ: &str = r#"
    SELECT id, key, endpoint_id, customer_id, topic, partition, "offset", record_ms, occurred_ms, event_id, tenant,
        department, type, record_key, record_value, record_headers
    FROM (
        SELECT d.*, sum(coalesce(octet_length(record_key), 0)::bigint + coalesce(octet_length(record_value), 0)
            + octet_length(record_headers)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM dead_letter d WHERE id = ANY($1) AND state = 'redriving'
    ) AS letters
    WHERE coalesce(before, 0) < $2::bigint ORDER BY id"#;
