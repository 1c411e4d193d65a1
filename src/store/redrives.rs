//! ● Dead letters that are asked for again.

use std::collections::HashSet;

use tokio_postgres::Row;

use super::{
    Pool, StoreError,
    dead_letters::{self, KEY_BYTES},
};

/// A letter that waits for its redrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedriveCandidate {
    pub id: String,
    pub endpoint_id: String,
    pub customer_id: String,
    pub topic: String,
    pub partition: i32,
    /// Time of the wish, by the clock of Postgres: milliseconds since 1970.
    pub asked_ms: i64,
    /// Bytes of its data.
    pub bytes: i64,
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
    /// Attempts of this redrive so far.
    pub attempts: i32,
    pub event_id: Option<String>,
    pub tenant: Option<String>,
    pub department: Option<String>,
    pub kind: Option<String>,
    pub record_key: Option<Vec<u8>>,
    pub record_value: Option<Vec<u8>>,
    pub record_headers: Vec<u8>,
}

/// At most `limit` letters after the id `after` whose next attempt is due, the oldest first.
///
/// # Errors
/// When Postgres is away.
pub async fn candidates(pool: &Pool, after: &str, limit: i64) -> Result<Vec<RedriveCandidate>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(CANDIDATES).await?;
        let rows = client.query(&statement, &[&after, &limit]).await?;
        rows.iter().map(candidate).collect()
    })
    .await
}

/// These letters with their data. Those no longer asked for are missing.
///
/// # Errors
/// When Postgres is away.
pub async fn read(pool: &Pool, ids: &[&str]) -> Result<Vec<RedriveRow>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(READ).await?;
        let rows = client.query(&statement, &[&ids]).await?;
        rows.iter().map(row).collect()
    })
    .await
}

/// All partitions with letters that wait for their redrive.
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

/// A letter's next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextAttempt {
    pub key: [u8; KEY_BYTES],
    /// Attempts of this redrive so far.
    pub attempts: i32,
    /// Milliseconds since 1970; 0 for at once.
    pub not_before_ms: i64,
}

/// Writes down when letters are tried again whose endpoint did not take them.
///
/// # Errors
/// When Postgres is away.
pub async fn postpone(pool: &Pool, letters: &[NextAttempt]) -> Result<(), StoreError> {
    let keys: Vec<&[u8]> = letters.iter().map(|letter| letter.key.as_slice()).collect();
    let attempts: Vec<i32> = letters.iter().map(|letter| letter.attempts).collect();
    let not_before: Vec<i64> = letters.iter().map(|letter| letter.not_before_ms).collect();
    pool.with(async |client| {
        let statement = client.prepare_cached(POSTPONE).await?;
        Ok(client.execute(&statement, &[&keys, &attempts, &not_before]).await.map(drop)?)
    })
    .await
}

/// Gives up letters that have waited for their endpoint for too long.
///
/// # Errors
/// When Postgres is away.
pub async fn give_up_old(pool: &Pool, ids: &[&str]) -> Result<(), StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(GIVE_UP_OLD).await?;
        Ok(client.execute(&statement, &[&ids]).await.map(drop)?)
    })
    .await
}

fn candidate(row: &Row) -> Result<RedriveCandidate, StoreError> {
    Ok(RedriveCandidate {
        id: row.try_get("id")?,
        endpoint_id: row.try_get("endpoint_id")?,
        customer_id: row.try_get("customer_id")?,
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
        asked_ms: row.try_get("asked_ms")?,
        bytes: row.try_get("bytes")?,
    })
}

fn row(row: &Row) -> Result<RedriveRow, StoreError> {
    let id: String = row.try_get("id")?;
    let key: &[u8] = row.try_get("key")?;
    let key = key.try_into().map_err(|_| StoreError::Unreadable(format!("the key of dead letter `{id}`")))?;
    let [event_id, tenant, department, kind] = dead_letters::texts(row)?;
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
        attempts: row.try_get("redrive_attempts")?,
        event_id,
        tenant,
        department,
        kind,
        record_key: row.try_get("record_key")?,
        record_value: row.try_get("record_value")?,
        record_headers: row.try_get("record_headers")?,
    })
}

const CANDIDATES: &str = "
    SELECT id, endpoint_id, customer_id, topic, partition,
        (extract(epoch FROM redrive_requested_at) * 1000)::bigint AS asked_ms,
        dead_letter_bytes(record_key, record_value, record_headers) AS bytes
    FROM dead_letter
    WHERE state = 'redriving' AND id > $1 AND (redrive_not_before IS NULL OR redrive_not_before <= now())
    ORDER BY id LIMIT $2";

const PARTITIONS: &str = "SELECT DISTINCT topic, partition FROM dead_letter WHERE state = 'redriving'";

const READ: &str = r#"
    SELECT id, key, endpoint_id, customer_id, topic, partition, "offset", record_ms, occurred_ms, redrive_attempts,
        event_id, tenant, department, type, texts_with_nul, record_key, record_value, record_headers
    FROM dead_letter WHERE id = ANY($1) AND state = 'redriving' ORDER BY id"#;

/// The ids are found first: the letters are partitioned by them.
const POSTPONE: &str = "
    WITH given AS (
        SELECT k.id, g.attempts, g.not_before_ms
        FROM unnest($1::bytea[], $2::int[], $3::bigint[]) AS g (key, attempts, not_before_ms)
        JOIN dead_letter_key k ON k.key = g.key
    )
    UPDATE dead_letter d
    SET redrive_attempts = g.attempts,
        redrive_not_before = CASE WHEN g.not_before_ms > 0 THEN to_timestamp(g.not_before_ms / 1000.0) END
    FROM given g WHERE d.id = g.id AND d.id IN (SELECT id FROM given) AND d.state = 'redriving'";

const GIVE_UP_OLD: &str = "
    UPDATE dead_letter
    SET state = 'dead', redrive_requested_at = NULL, redrive_end = 'given_up', reason = 'exhausted',
        attempts = attempts + redrive_attempts, redrive_attempts = 0, redrive_not_before = NULL,
        written_in = pg_current_xact_id()
    WHERE id = ANY($1) AND state = 'redriving'";
