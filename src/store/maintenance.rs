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

/// Runs [`once`] now and every hour, and follows the keys of secrets; failures are logged and tried again sooner.
pub async fn keep(pool: Pool, retention: Retention, secrets: SecretBox) -> Infallible {
    let mut once_at = clock::now();
    let mut reseal_at = once_at + RESEAL_EVERY;
    loop {
        let now = clock::now();
        if now >= once_at {
            let kept = once(&pool, clock::wall_ms(), retention).await;
            let is_done = logged("maintenance of the database failed", kept);
            once_at = now + if is_done { HOURLY } else { MINUTE };
        }
        let is_due = now >= reseal_at;
        let followed = follow_keys(&pool, &secrets, is_due).await;
        if logged("secrets of an older key cannot be looked after", followed) && is_due {
            reseal_at = now + RESEAL_EVERY;
        }
        tokio::time::sleep(MINUTE).await;
    }
}

fn logged(failed: &str, result: Result<(), StoreError>) -> bool {
    if let Err(error) = &result {
        tracing::warn!(%error, "{failed}, the next try is in a minute");
    }
    result.is_ok()
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

/// Says how much an older key has sealed, and seals it again where that is due.
async fn follow_keys(pool: &Pool, secrets: &SecretBox, is_due: bool) -> Result<(), StoreError> {
    let mut left = resealing::count(pool, secrets).await?;
    if is_due && left > 0 {
        let done = resealing::reseal(pool, secrets, rand::random).await?;
        left = done.left;
        if done.endpoints > 0 {
            tracing::info!(endpoints = done.endpoints, left, "secrets were sealed again with the newest key");
        }
    }
    metrics::gauge!(names::SECRETS_OLD_KEY).set(left as f64);
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
const MINUTE: Duration = Duration::from_secs(60);
/// Not at once: while instances are replaced, those of the order before would seal all of it again with the other key.
const RESEAL_EVERY: Duration = Duration::from_secs(600);

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
        SELECT d.id, d.key FROM (
            SELECT e.id FROM customer c JOIN endpoint e ON e.customer_id = c.id WHERE c.deleted_at IS NOT NULL
            UNION SELECT id FROM endpoint WHERE deleted_at < now() - interval '1 day'
        ) AS e CROSS JOIN LATERAL (
            SELECT id, key FROM dead_letter d WHERE d.endpoint_id = e.id ORDER BY id LIMIT 5000
        ) AS d LIMIT 5000
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
    // Instances hear of a success within a minute, and tell of no failure before it any more.
    "DELETE FROM endpoint_failing f WHERE greatest(seen_at, delivered_at) < now() - interval '30 days'
     OR (delivered_at > seen_at AND seen_at < now() - interval '1 day')
     OR NOT EXISTS (SELECT FROM endpoint e WHERE e.id = f.endpoint_id AND e.deleted_at IS NULL)",
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
