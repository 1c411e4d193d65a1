//! ● Upkeep: partitions of days made and dropped, tombstones and silent instances removed, secrets sealed with the newest key.
//! Every step may run on all instances at once.

use std::{convert::Infallible, time::Duration};

use super::{Pool, StoreError, daily_partitions::DailyTable, resealing, secret_box::SecretBox};
use crate::{clock, model::id::ResourceKind, telemetry::names};

/// Time for which tables of days are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    pub dead_letter_days: u32,
    pub attempt_days: u32,
    pub count_days: u32,
}

/// Runs [`once`] and [`reseal`] now and every hour; failures are logged and tried again sooner.
pub async fn keep(pool: Pool, retention: Retention, secrets: SecretBox) -> Infallible {
    loop {
        let kept = once(&pool, clock::wall_ms(), retention).await;
        let pause = match kept.and(reseal(&pool, &secrets).await) {
            Ok(()) => HOURLY,
            Err(error) => {
                tracing::warn!(%error, "maintenance of the database failed, the next try is in a minute");
                AFTER_FAILURE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Brings the tables to what `wall_ms` asks for.
///
/// # Errors
/// When Postgres is away, or a lock was not free within a few seconds: then try again later.
pub async fn once(pool: &Pool, wall_ms: i64, retention: Retention) -> Result<(), StoreError> {
    DEAD_LETTERS.keep(pool, wall_ms, retention.dead_letter_days).await?;
    ATTEMPTS.keep(pool, wall_ms, retention.attempt_days).await?;
    COUNTS.keep(pool, wall_ms, retention.count_days).await?;
    let kept_days = i32::try_from(retention.dead_letter_days).unwrap_or(i32::MAX);
    let wall_s = wall_ms.div_euclid(1_000);
    pool.with(async |client| Ok(client.execute(SIZES, &[&wall_s, &kept_days]).await.map(drop)?)).await?;
    pool.with(async |client| Ok(client.execute(OLD_REDRIVES, &[&kept_days]).await.map(drop)?)).await?;
    for erase in [ERASE_LETTERS, ERASE_ATTEMPTS] {
        // A few thousand at a time, until nothing is left.
        while pool.with(async |client| Ok(client.execute(erase, &[]).await?)).await? > 0 {}
    }
    for statement in STALE {
        pool.with(async |client| Ok(client.execute(statement, &[]).await.map(drop)?)).await?;
    }
    Ok(())
}

/// Seals again what an older key has sealed, and says how much is left.
///
/// # Errors
/// When Postgres is away.
pub async fn reseal(pool: &Pool, secrets: &SecretBox) -> Result<(), StoreError> {
    let done = resealing::reseal(pool, secrets, rand::random).await?;
    metrics::gauge!(names::SECRETS_OLD_KEY).set(done.left as f64);
    if done.endpoints > 0 {
        tracing::info!(endpoints = done.endpoints, left = done.left, "secrets were sealed again with the newest key");
    }
    Ok(())
}

/// Acknowledging and redriving leave dead rows: vacuum early, in small steps.
const DEAD_LETTERS: DailyTable = DailyTable {
    table: "dead_letter",
    kind: ResourceKind::DeadLetter,
    keys: Some("dead_letter_key"),
    storage: "fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, \
        autovacuum_analyze_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.02",
};
/// Written once, and dropped with its day.
const ATTEMPTS: DailyTable = DailyTable {
    table: "attempt",
    kind: ResourceKind::Attempt,
    keys: None,
    storage: "autovacuum_vacuum_insert_scale_factor = 0.2",
};
/// A row is written sixty times, and dropped with its day.
const COUNTS: DailyTable = DailyTable {
    table: "delivery_count",
    kind: ResourceKind::Count,
    keys: None,
    storage: "fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1",
};

const HOURLY: Duration = Duration::from_secs(3600);
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// As the days of dead letters go.
const SIZES: &str = "
    DELETE FROM dead_letter_size
    WHERE day < (to_timestamp($1::bigint) AT TIME ZONE 'UTC')::date - $2::int";
/// Numbers of delivered letters are kept as long as letters are.
const OLD_REDRIVES: &str = "DELETE FROM dead_letter_delivered WHERE redriven_at < now() - make_interval(days => $1)";

/// Nobody can reach what is kept of a customer that was deleted: it goes with the customer. Of a deleted endpoint letters can
/// only be read, one by one, and count for nobody: they go with its tombstone.
const ERASE_LETTERS: &str = "
    WITH page AS (
        SELECT d.id, d.key FROM customer c JOIN endpoint e ON e.customer_id = c.id CROSS JOIN LATERAL (
            SELECT id, key FROM dead_letter d WHERE d.endpoint_id = e.id ORDER BY id LIMIT 5000
        ) AS d
        WHERE c.deleted_at IS NOT NULL OR e.deleted_at < now() - interval '1 day' LIMIT 5000
    ), keys AS (
        DELETE FROM dead_letter_key k USING page WHERE k.key = page.key AND k.id = page.id
    )
    DELETE FROM dead_letter WHERE id IN (SELECT id FROM page)";
const ERASE_ATTEMPTS: &str = "
    WITH page AS (
        SELECT a.id FROM customer c JOIN endpoint e ON e.customer_id = c.id CROSS JOIN LATERAL (
            SELECT id FROM attempt a WHERE a.endpoint_id = e.id ORDER BY id LIMIT 5000
        ) AS a
        WHERE c.deleted_at IS NOT NULL LIMIT 5000
    )
    DELETE FROM attempt WHERE id IN (SELECT id FROM page)";

/// A tombstone has been seen by every instance long before: they read everything again every few minutes.
const STALE: [&str; 8] = [
    "DELETE FROM instance WHERE seen_at < now() - interval '1 day'",
    "DELETE FROM endpoint_failing WHERE seen_at < now() - interval '30 days'
     OR delivered_at > seen_at + interval '1 hour'",
    "DELETE FROM backlog_gap g WHERE NOT EXISTS (SELECT FROM endpoint e WHERE e.id = g.endpoint_id AND e.deleted_at IS NULL)",
    "DELETE FROM subscription WHERE deleted_at < now() - interval '1 day'",
    "DELETE FROM endpoint e WHERE deleted_at < now() - interval '1 day'
     AND NOT EXISTS (SELECT FROM subscription s WHERE s.endpoint_id = e.id)
     AND NOT EXISTS (SELECT FROM dead_letter d WHERE d.endpoint_id = e.id)
     AND NOT EXISTS (SELECT FROM attempt a WHERE a.endpoint_id = e.id)",
    "DELETE FROM replay r WHERE created_at < now() - interval '30 days'
     AND NOT EXISTS (SELECT FROM replay_partition p WHERE p.replay_id = r.id AND p.open)",
    // No quota counts one in whose range there was nothing.
    "DELETE FROM replay r WHERE created_at < now() - interval '1 day'
     AND NOT EXISTS (SELECT FROM replay_partition p WHERE p.replay_id = r.id)",
    "DELETE FROM customer c WHERE deleted_at < now() - interval '1 day'
     AND NOT EXISTS (SELECT FROM endpoint e WHERE e.customer_id = c.id)",
];
