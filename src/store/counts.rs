//! ● Counts of endpoints by the minute: added up, read as hours.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio_postgres::Row;

use super::{Pool, StoreError};
use crate::model::{
    hour_count::{HOUR_MS, HourCount, MINUTES},
    id::{self, ResourceKind},
};

/// Adds these to what is there, all of them or none. No endpoint has an hour twice.
///
/// # Errors
/// When Postgres is away.
pub async fn add(pool: &Pool, hours: &[HourCount]) -> Result<(), StoreError> {
    let rows: Vec<Value> = hours.iter().map(row).collect();
    let rows = Value::Array(rows);
    pool.with(async |client| {
        let statement = client.prepare_cached(ADD).await?;
        client.execute(&statement, &[&rows]).await?;
        Ok(())
    })
    .await
}

/// The hours of an endpoint from `from_hour` up to `end_hour`, those that have anything.
///
/// # Errors
/// When Postgres is away.
pub async fn read(
    pool: &Pool,
    endpoint_id: &str,
    (from_hour, end_hour): (i64, i64),
) -> Result<Vec<HourCount>, StoreError> {
    let (from, end) = (id_of(from_hour), id_of(end_hour));
    pool.with(async |client| {
        let statement = client.prepare_cached(READ).await?;
        let rows = client.query(&statement, &[&endpoint_id, &from, &end]).await?;
        rows.iter().map(|row| parse(row, endpoint_id)).collect()
    })
    .await
}

fn row(hour: &HourCount) -> Value {
    json!({
        "id": id_of(hour.hour), "hour": hour.hour, "endpoint_id": &*hour.endpoint_id,
        "delivered": hour.delivered.as_slice(), "failed": hour.failed.as_slice(),
    })
}

fn parse(row: &Row, endpoint_id: &str) -> Result<HourCount, StoreError> {
    let minutes = |name: &str| -> Result<[i32; MINUTES], StoreError> {
        let minutes: Vec<i32> = row.try_get(name)?;
        minutes.try_into().map_err(|_| StoreError::Unreadable(format!("counts of endpoint `{endpoint_id}`")))
    };
    Ok(HourCount {
        endpoint_id: Arc::from(endpoint_id),
        hour: row.try_get("hour")?,
        delivered: minutes("delivered")?,
        failed: minutes("failed")?,
    })
}

/// The lowest id of an hour's beginning.
fn id_of(hour: i64) -> String {
    id::lowest(ResourceKind::Count, hour.saturating_mul(HOUR_MS))
}

/// In one order, so that two instances cannot wait for each other.
const ADD: &str = "
    INSERT INTO delivery_count AS c (id, endpoint_id, hour, delivered, failed)
    SELECT id, endpoint_id, hour, delivered, failed FROM jsonb_to_recordset($1) AS new (id text, endpoint_id text,
        hour bigint, delivered integer[], failed integer[])
    ORDER BY endpoint_id, id
    ON CONFLICT (endpoint_id, id) DO UPDATE SET
        delivered = (SELECT array_agg(least(a::bigint + b, 2147483647)::integer ORDER BY n)
            FROM unnest(c.delivered, excluded.delivered) WITH ORDINALITY AS sums (a, b, n)),
        failed = (SELECT array_agg(least(a::bigint + b, 2147483647)::integer ORDER BY n)
            FROM unnest(c.failed, excluded.failed) WITH ORDINALITY AS sums (a, b, n))";
const READ: &str = "
    SELECT hour, delivered, failed FROM delivery_count WHERE endpoint_id = $1 AND id >= $2 AND id < $3 ORDER BY id";
