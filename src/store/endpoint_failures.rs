//! ● Endpoints that take nothing, and since when: what all instances together know of them.

use std::time::Duration;

use deadpool_postgres::Transaction;

use super::{Pool, StoreError};

/// Failures of an endpoint since its last success, as one instance saw them, and how long ago: the clocks of machines may be
/// days apart.
#[derive(Debug, Clone, Copy)]
pub struct FailureReport<'a> {
    pub endpoint_id: &'a str,
    pub first_ago_ms: i64,
    pub last_ago_ms: i64,
}

/// A success of an endpoint, as one instance saw it, and how long ago.
#[derive(Debug, Clone, Copy)]
pub struct SuccessReport<'a> {
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
    /// Time since the last success that any instance has told of.
    pub delivered_ago_ms: Option<i64>,
    pub warned_percent: i16,
    /// Some instance has said so within the last minutes. Otherwise it gets no events, and waits for the next one.
    pub is_current: bool,
}

/// These have failed for so long, as far as this instance knows. Where another one has seen a success since the last of these
/// failures, nothing is noted.
///
/// # Errors
/// When Postgres is away.
pub async fn fail(pool: &Pool, seen: &[FailureReport<'_>]) -> Result<(), StoreError> {
    let ids: Vec<&str> = seen.iter().map(|seen| seen.endpoint_id).collect();
    let (first, last): (Vec<i64>, Vec<i64>) = seen.iter().map(|seen| (seen.first_ago_ms, seen.last_ago_ms)).unzip();
    pool.with(async |client| {
        let statement = client.prepare_cached(FAIL).await?;
        Ok(client.execute(&statement, &[&ids, &first, &last]).await.map(drop)?)
    })
    .await
}

/// These took something so long ago. Those that nobody said to fail are not noted.
///
/// # Errors
/// When Postgres is away.
pub async fn deliver(pool: &Pool, seen: &[SuccessReport<'_>]) -> Result<(), StoreError> {
    if seen.is_empty() {
        return Ok(());
    }
    let (ids, times): (Vec<&str>, Vec<i64>) = seen.iter().map(|seen| (seen.endpoint_id, seen.ago_ms)).unzip();
    pool.with(async |client| {
        let statement = client.prepare_cached(DELIVER).await?;
        Ok(client.execute(&statement, &[&ids, &times]).await.map(drop)?)
    })
    .await
}

/// All that failed at some time, as long as they are enabled.
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
                delivered_ago_ms: row.try_get(3)?,
                warned_percent: row.try_get(4)?,
                is_current: row.try_get(5)?,
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

/// True if the endpoint has taken nothing for so long by now; nobody changes that before the transaction ends.
///
/// # Errors
/// When Postgres is away.
pub(super) async fn lock_failing(
    transaction: &Transaction<'_>,
    endpoint_id: &str,
    time: Duration,
) -> Result<bool, StoreError> {
    let statement = transaction.prepare_cached(LOCK_FAILING).await?;
    Ok(transaction.query_opt(&statement, &[&endpoint_id, &time.as_secs_f64()]).await?.is_some())
}

/// Ends what is known of an endpoint whose state changes: failures before say nothing about the time after.
///
/// # Errors
/// When Postgres is away.
pub(super) async fn end_with_state(transaction: &Transaction<'_>, endpoint_id: &str) -> Result<(), StoreError> {
    let statement = transaction.prepare_cached(END_WITH_STATE).await?;
    Ok(transaction.execute(&statement, &[&endpoint_id]).await.map(drop)?)
}

/// A failure counts from the last success on; after one, and after a day in which nobody spoke of it, it is another failure.
const FAIL: &str = "
    INSERT INTO endpoint_failing AS f (endpoint_id, since)
    SELECT id, now() - make_interval(secs => first / 1000.0)
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS g (id, first, last)
    WHERE NOT EXISTS (
        SELECT FROM endpoint_failing k WHERE k.endpoint_id = g.id AND k.delivered_at >= now() - make_interval(secs => last / 1000.0))
    ORDER BY id
    ON CONFLICT (endpoint_id) DO UPDATE SET
        since = greatest(f.delivered_at, CASE WHEN f.delivered_at > f.since OR f.seen_at < now() - interval '1 day'
            THEN excluded.since ELSE least(f.since, excluded.since) END),
        warned_percent = CASE WHEN f.delivered_at > f.since OR f.seen_at < now() - interval '1 day'
            THEN 0 ELSE f.warned_percent END,
        seen_at = now()";

const DELIVER: &str = "
    UPDATE endpoint_failing f SET delivered_at = greatest(f.delivered_at, now() - make_interval(secs => g.ms / 1000.0))
    FROM (
        SELECT l.endpoint_id, g.ms FROM unnest($1::text[], $2::bigint[]) AS g (id, ms)
        JOIN endpoint_failing l ON l.endpoint_id = g.id ORDER BY l.endpoint_id FOR UPDATE OF l
    ) AS g WHERE f.endpoint_id = g.endpoint_id";

const ALL: &str = "
    SELECT f.endpoint_id, e.customer_id,
        CASE WHEN f.seen_at > f.delivered_at
            THEN (extract(epoch FROM now() - greatest(f.since, f.delivered_at)) * 1000)::bigint END,
        CASE WHEN f.delivered_at > '-infinity' THEN (extract(epoch FROM now() - f.delivered_at) * 1000)::bigint END,
        f.warned_percent, f.seen_at > now() - interval '10 minutes' OR f.delivered_at >= f.seen_at
    FROM endpoint_failing f JOIN endpoint e ON e.id = f.endpoint_id
    WHERE e.deleted_at IS NULL AND e.state = 'enabled'";

const WARN: &str = "UPDATE endpoint_failing SET warned_percent = $3 WHERE endpoint_id = $1 AND warned_percent = $2";

const LOCK_FAILING: &str = "
    SELECT FROM endpoint_failing
    WHERE endpoint_id = $1 AND seen_at > delivered_at
        AND greatest(since, delivered_at) <= now() - make_interval(secs => $2) FOR UPDATE";

/// As a success does it. A row that is deleted would be written again by an instance that has not heard of the change yet.
const END_WITH_STATE: &str =
    "UPDATE endpoint_failing SET delivered_at = clock_timestamp(), warned_percent = 0 WHERE endpoint_id = $1";
