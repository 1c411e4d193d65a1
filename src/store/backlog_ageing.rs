//! ● The age of what waits in the backlog, found in bounded steps.

use super::{
    Pool, StoreError,
    backlog::{HeadKey, HeadRow, head},
};

/// Some rows of a head, in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScannedRows {
    pub rows: i64,
    /// Time at which the oldest of them was received, milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// The last one's offset and record time.
    pub last: Option<(i64, i64)>,
}

/// Looks at up to so many rows of a head behind this offset and record time.
///
/// # Errors
/// When Postgres is away.
pub async fn scan(pool: &Pool, key: HeadKey<'_>, after: (i64, i64), rows_max: i64) -> Result<ScannedRows, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(SCAN).await?;
        let row = client
            .query_one(&statement, &[&key.topic, &key.partition, &key.endpoint_id, &after.0, &after.1, &rows_max])
            .await?;
        let (offset, record_ms): (Option<i64>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
        Ok(ScannedRows { rows: row.try_get(0)?, oldest_ms: row.try_get(1)?, last: offset.zip(record_ms) })
    })
    .await
}

/// Writes down when the oldest row of a head was received, unless something older than `before_ms` has come meanwhile.
/// Returns the head as it is then.
///
/// # Errors
/// When Postgres is away.
pub async fn set_oldest(
    pool: &Pool,
    key: HeadKey<'_>,
    oldest_ms: i64,
    before_ms: i64,
) -> Result<Option<HeadRow>, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(SET_OLDEST).await?;
        let row = client
            .query_opt(&statement, &[&key.topic, &key.partition, &key.endpoint_id, &oldest_ms, &before_ms])
            .await?;
        row.as_ref().map(head).transpose()
    })
    .await
}

const SCAN: &str = r#"
    SELECT count(*), min(received_ms), max("offset"), (array_agg(record_ms ORDER BY "offset" DESC, record_ms DESC))[1]
    FROM (
        SELECT "offset", record_ms, received_ms FROM backlog
        WHERE topic = $1 AND partition = $2 AND endpoint_id = $3 AND ("offset", record_ms) > ($4::bigint, $5::bigint)
        ORDER BY "offset", record_ms LIMIT $6
    ) AS rows"#;

const SET_OLDEST: &str = "
    UPDATE backlog_head SET oldest_ms = $4
    WHERE topic = $1 AND partition = $2 AND endpoint_id = $3 AND oldest_ms < $5
    RETURNING topic, partition, endpoint_id, events, bytes, oldest_ms";
