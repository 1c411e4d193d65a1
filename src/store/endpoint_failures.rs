//! ● Endpoints that take nothing, and since when: what all instances together know of them.

use super::{Pool, StoreError};

/// State of an endpoint as one instance saw it, and how long ago: the clocks of machines may be days apart.
#[derive(Debug, Clone, Copy)]
pub struct FailureReport<'a> {
    pub endpoint_id: &'a str,
    pub ago_ms: i64,
}

/// An endpoint that is enabled and was said to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingEndpoint {
    pub endpoint_id: String,
    pub customer_id: String,
    /// Time for which it has taken nothing; `None` when it has taken something since it was last said to fail.
    pub failing_ms: Option<i64>,
    pub warned_percent: i16,
}

/// These have failed for so long, as far as this instance knows.
///
/// # Errors
/// When Postgres is away.
pub async fn fail(pool: &Pool, seen: &[FailureReport<'_>]) -> Result<(), StoreError> {
    let (ids, times) = columns(seen);
    pool.with(async |client| {
        let statement = client.prepare_cached(FAIL).await?;
        Ok(client.execute(&statement, &[&ids, &times]).await.map(drop)?)
    })
    .await
}

/// These took something so long ago. Those that nobody said to fail are not noted.
///
/// # Errors
/// When Postgres is away.
pub async fn deliver(pool: &Pool, seen: &[FailureReport<'_>]) -> Result<(), StoreError> {
    let (ids, times) = columns(seen);
    pool.with(async |client| {
        let statement = client.prepare_cached(DELIVER).await?;
        Ok(client.execute(&statement, &[&ids, &times]).await.map(drop)?)
    })
    .await
}

/// All that are known to fail, or to have failed a moment ago.
///
/// # Errors
/// When Postgres is away.
pub async fn all(pool: &Pool) -> Result<Vec<FailingEndpoint>, StoreError> {
    let rows = pool.with(async |client| Ok(client.query(ALL, &[]).await?)).await?;
    rows.iter()
        .map(|row| {
            Ok(FailingEndpoint {
                endpoint_id: row.try_get(0)?,
                customer_id: row.try_get(1)?,
                failing_ms: row.try_get(2)?,
                warned_percent: row.try_get(3)?,
            })
        })
        .collect()
}

/// Notes that operators are told of this share; false when another instance tells them already.
///
/// # Errors
/// When Postgres is away.
pub async fn warn(pool: &Pool, endpoint_id: &str, from_percent: i16, to_percent: i16) -> Result<bool, StoreError> {
    let changed =
        pool.with(async |client| Ok(client.execute(WARN, &[&endpoint_id, &from_percent, &to_percent]).await?));
    Ok(changed.await? == 1)
}

/// Forgets all that was known of it: it was disabled.
///
/// # Errors
/// When Postgres is away.
pub async fn forget(pool: &Pool, endpoint_id: &str) -> Result<(), StoreError> {
    pool.with(async |client| Ok(client.execute(FORGET, &[&endpoint_id]).await.map(drop)?)).await
}

fn columns<'a>(seen: &[FailureReport<'a>]) -> (Vec<&'a str>, Vec<i64>) {
    seen.iter().map(|seen| (seen.endpoint_id, seen.ago_ms)).unzip()
}

const FAIL: &str = "
    INSERT INTO endpoint_failing AS f (endpoint_id, since)
    SELECT id, now() - make_interval(secs => ms / 1000.0) FROM unnest($1::text[], $2::bigint[]) AS g (id, ms) ORDER BY id
    ON CONFLICT (endpoint_id) DO UPDATE SET since = least(f.since, excluded.since), seen_at = now()";

const DELIVER: &str = "
    UPDATE endpoint_failing f SET delivered_at = greatest(f.delivered_at, now() - make_interval(secs => g.ms / 1000.0))
    FROM unnest($1::text[], $2::bigint[]) AS g (id, ms) WHERE f.endpoint_id = g.id";

/// One that nobody has spoken of for a while gets no events: it waits for the next one.
const ALL: &str = "
    SELECT f.endpoint_id, e.customer_id,
        CASE WHEN f.seen_at > f.delivered_at
            THEN (extract(epoch FROM now() - greatest(f.since, f.delivered_at)) * 1000)::bigint END,
        f.warned_percent
    FROM endpoint_failing f JOIN endpoint e ON e.id = f.endpoint_id
    WHERE e.deleted_at IS NULL AND e.state = 'enabled'
        AND (f.seen_at > now() - interval '10 minutes' OR f.delivered_at > f.since)";

const WARN: &str = "UPDATE endpoint_failing SET warned_percent = $3 WHERE endpoint_id = $1 AND warned_percent = $2";
const FORGET: &str = "DELETE FROM endpoint_failing WHERE endpoint_id = $1";
