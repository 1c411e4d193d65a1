//! ● Attempts: recorded in groups, listed the newest first.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::{Pool, StoreError};
use crate::model::{
    attempt::AttemptRecord,
    id::{self, ResourceKind},
};

/// An attempt as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    pub id: String,
    pub endpoint_id: String,
    pub ended_at: Timestamp,
    pub duration_ms: i64,
    pub batch_id: String,
    pub events: i32,
    pub members: Value,
    pub attempt: i32,
    pub outcome: String,
    pub status: Option<i16>,
    pub class: String,
    pub excerpt: String,
    pub next: String,
    pub next_at: Option<Timestamp>,
    pub stands_for: i64,
}

/// A filter of an endpoint's attempts.
#[derive(Debug, Clone, Copy)]
pub struct AttemptQuery<'a> {
    pub endpoint_id: &'a str,
    pub outcomes: &'a [&'a str],
    /// With this event among the first of the batch.
    pub event_id: Option<&'a str>,
    /// The lowest id.
    pub from: &'a str,
    /// The id above the highest one.
    pub before: &'a str,
}

/// Stores them in one statement.
///
/// # Errors
/// When Postgres is away.
pub async fn insert(pool: &Pool, records: &[AttemptRecord]) -> Result<(), StoreError> {
    let rows: Vec<Value> = records.iter().map(row).collect();
    let rows = Value::Array(rows);
    pool.with(async |client| {
        let statement = client.prepare_cached(INSERT).await?;
        client.execute(&statement, &[&rows]).await?;
        Ok(())
    })
    .await
}

fn row(record: &AttemptRecord) -> Value {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    json!({
        "id": id::new(ResourceKind::Attempt, record.at_ms, rand::random()),
        "endpoint_id": &*record.endpoint_id,
        "ended_ms": record.at_ms,
        "duration_ms": whole(record.duration_ms),
        "batch_id": record.batch_id,
        "events": i32::try_from(record.events).unwrap_or(i32::MAX),
        "members": record.members,
        "attempt": i32::try_from(record.attempt).unwrap_or(i32::MAX),
        "outcome": record.outcome,
        "status": record.status,
        "class": record.class,
        "excerpt": record.excerpt,
        "next": record.next,
        "next_ms": record.next_at_ms,
        "stands_for": whole(record.stands_for),
    })
}

/// At most `limit` attempts, the newest first.
///
/// # Errors
/// When Postgres is away.
pub async fn list(pool: &Pool, of: AttemptQuery<'_>, limit: i64) -> Result<Vec<AttemptRow>, StoreError> {
    pool.with(async |client| {
        let rows = match of.event_id {
            Some(event_id) => {
                let (at_endpoint, own) = (json!([{ "webhook_id": event_id }]), json!([{ "event_id": event_id }]));
                let statement = client.prepare_cached(LIST_OF_EVENT).await?;
                client
                    .query(
                        &statement,
                        &[&of.endpoint_id, &of.outcomes, &of.from, &of.before, &limit, &at_endpoint, &own],
                    )
                    .await?
            }
            None => {
                let statement = client.prepare_cached(LIST).await?;
                client.query(&statement, &[&of.endpoint_id, &of.outcomes, &of.from, &of.before, &limit]).await?
            }
        };
        rows.iter().map(parse).collect()
    })
    .await
}

fn parse(row: &Row) -> Result<AttemptRow, StoreError> {
    Ok(AttemptRow {
        id: row.try_get("id")?,
        endpoint_id: row.try_get("endpoint_id")?,
        ended_at: row.try_get("ended_at")?,
        duration_ms: row.try_get("duration_ms")?,
        batch_id: row.try_get("batch_id")?,
        events: row.try_get("events")?,
        members: row.try_get("members")?,
        attempt: row.try_get("attempt")?,
        outcome: row.try_get("outcome")?,
        status: row.try_get("status")?,
        class: row.try_get("class")?,
        excerpt: row.try_get("excerpt")?,
        next: row.try_get("next")?,
        next_at: row.try_get("next_at")?,
        stands_for: row.try_get("stands_for")?,
    })
}

const INSERT: &str = "
    INSERT INTO attempt (id, endpoint_id, ended_at, duration_ms, batch_id, events, members, attempt, outcome, status,
        class, excerpt, next, next_at, stands_for)
    SELECT id, endpoint_id, to_timestamp(ended_ms / 1000.0), duration_ms, batch_id, events, members, attempt, outcome,
        status, class, excerpt, next, to_timestamp(next_ms / 1000.0), stands_for
    FROM jsonb_to_recordset($1) AS new (id text, endpoint_id text, ended_ms bigint, duration_ms bigint, batch_id text,
        events integer, members jsonb, attempt integer, outcome text, status smallint, class text, excerpt text,
        next text, next_ms bigint, stands_for bigint)";
macro_rules! list {
    ($more:literal) => {
        concat!(
            "SELECT * FROM attempt WHERE endpoint_id = $1 AND outcome = ANY($2) AND id >= $3 AND id < $4 ",
            $more,
            " ORDER BY id DESC LIMIT $5"
        )
    };
}
const LIST: &str = list!("");
const LIST_OF_EVENT: &str = list!("AND (members @> $6 OR members @> $7)");
