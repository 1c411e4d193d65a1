//! ● What keeps the tables small: a partition of dead letters for each day to come, those past retention dropped whole,
//! tombstones and silent instances removed. Every step may run on all instances at once.

use std::{convert::Infallible, time::Duration};

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::{Pool, StoreError, id};
use crate::clock;

/// Runs [`once`] now and every hour; failures are logged and tried again sooner.
pub async fn keep(pool: Pool, retention_days: u32) -> Infallible {
    loop {
        let pause = match once(&pool, clock::wall_ms(), retention_days).await {
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
pub async fn once(pool: &Pool, wall_ms: i64, retention_days: u32) -> Result<(), StoreError> {
    let today = day_of(wall_ms)?;
    for ahead in -1..=DAYS_AHEAD {
        create_day(pool, day_after(today, ahead)?).await?;
    }
    let first_kept = day_after(today, -i64::from(retention_days))?;
    for partition in days(pool).await? {
        if partition.day < first_kept {
            drop_day(pool, &partition.name).await?;
            tracing::info!(partition = partition.name, "dead letters past their retention dropped");
        }
    }
    expire_default(pool, first_kept).await?;
    for statement in STALE {
        pool.with(async |client| Ok(client.execute(statement, &[]).await.map(drop)?)).await?;
    }
    Ok(())
}

struct Day {
    name: String,
    day: Date,
}

async fn days(pool: &Pool) -> Result<Vec<Day>, StoreError> {
    let rows = pool.with(async |client| Ok(client.query(DAYS, &[]).await?)).await?;
    let mut days = Vec::new();
    for row in rows {
        let name: String = row.try_get(0)?;
        if let Some(day) = name.strip_prefix(DAY_PREFIX).and_then(|day| Date::strptime("%Y%m%d", day).ok()) {
            days.push(Day { name, day });
        }
    }
    Ok(days)
}

/// Made beside the table and then attached, so that letters of a day that came before its partition move there.
async fn create_day(pool: &Pool, day: Date) -> Result<(), StoreError> {
    let (name, from, to) = (day_name(day), lowest_id(day)?, lowest_id(day_after(day, 1)?)?);
    pool.with(async |client| {
        let exists = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await?;
        if exists.try_get(0)? {
            return Ok(());
        }
        let transaction = client.transaction().await?;
        // Of two instances the second waits here, and then sees what the first one made.
        transaction.batch_execute(LOCK_LETTERS).await?;
        let exists = transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await?;
        if exists.try_get(0)? {
            return Ok(());
        }
        // Names and ids are of our own making: digits, lower-case letters and underscores.
        transaction
            .batch_execute(&format!(
                "CREATE TABLE {name} (LIKE dead_letter INCLUDING ALL) WITH (fillfactor = 90, {AUTOVACUUM});
                 WITH moved AS (DELETE FROM dead_letter_default WHERE id >= '{from}' AND id < '{to}' RETURNING *)
                 INSERT INTO {name} SELECT * FROM moved;
                 ALTER TABLE dead_letter ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}');"
            ))
            .await?;
        Ok(transaction.commit().await?)
    })
    .await
}

/// First the keys, a few thousand at a time, then the whole partition.
async fn drop_day(pool: &Pool, name: &str) -> Result<(), StoreError> {
    let page = format!(
        "WITH page AS (SELECT id, key FROM {name} WHERE id > $1 ORDER BY id LIMIT 5000),
              gone AS (DELETE FROM dead_letter_key k USING page WHERE k.key = page.key AND k.id = page.id)
         SELECT max(id) FROM page"
    );
    let mut after = String::new();
    loop {
        let row = pool.with(async |client| Ok(client.query_one(&page, &[&after]).await?)).await?;
        match row.try_get::<_, Option<String>>(0)? {
            Some(last) => after = last,
            None => break,
        }
    }
    pool.with(async |client| {
        Ok(client
            .batch_execute(&format!("BEGIN; SET LOCAL lock_timeout = '3s'; DROP TABLE IF EXISTS {name}; COMMIT"))
            .await?)
    })
    .await
}

async fn expire_default(pool: &Pool, first_kept: Date) -> Result<(), StoreError> {
    let before = lowest_id(first_kept)?;
    loop {
        let row = pool.with(async |client| Ok(client.query_one(EXPIRE_DEFAULT, &[&before]).await?)).await?;
        if row.try_get::<_, i64>(0)? == 0 {
            return Ok(());
        }
    }
}

fn day_of(wall_ms: i64) -> Result<Date, StoreError> {
    let time = Timestamp::from_millisecond(wall_ms).map_err(|error| beyond(&error))?;
    Ok(time.to_zoned(TimeZone::UTC).date())
}

fn day_after(day: Date, days: i64) -> Result<Date, StoreError> {
    day.checked_add(days.days()).map_err(|error| beyond(&error))
}

fn lowest_id(day: Date) -> Result<String, StoreError> {
    let midnight = day.to_zoned(TimeZone::UTC).map_err(|error| beyond(&error))?;
    Ok(id::lowest(id::Kind::DeadLetter, midnight.timestamp().as_millisecond()))
}

fn day_name(day: Date) -> String {
    format!("{DAY_PREFIX}{}", day.strftime("%Y%m%d"))
}

fn beyond(error: &jiff::Error) -> StoreError {
    StoreError::Settings(format!("the clock or the retention is beyond any calendar: {error}"))
}

const HOURLY: Duration = Duration::from_secs(3600);
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// A week in which maintenance may fail before letters go to the default partition.
const DAYS_AHEAD: i64 = 7;
const DAY_PREFIX: &str = "dead_letter_d";
/// Writers wait as well, so not for long.
const LOCK_LETTERS: &str = "SET LOCAL lock_timeout = '3s'; LOCK TABLE dead_letter IN SHARE ROW EXCLUSIVE MODE";

/// Acknowledging and redriving leave dead rows: vacuum early, in small steps.
const AUTOVACUUM: &str = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, \
    autovacuum_analyze_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.02";

const DAYS: &str = "
    SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'dead_letter'::regclass ORDER BY 1";

const EXPIRE_DEFAULT: &str = "
    WITH page AS (SELECT id, key FROM dead_letter_default WHERE id < $1 ORDER BY id LIMIT 5000),
         keys AS (DELETE FROM dead_letter_key k USING page WHERE k.key = page.key AND k.id = page.id),
         gone AS (DELETE FROM dead_letter_default d USING page WHERE d.id = page.id)
    SELECT count(*) FROM page";

/// A tombstone has been seen by every instance long before: they read everything again every few minutes.
const STALE: [&str; 7] = [
    "DELETE FROM instance WHERE seen_at < now() - interval '1 day'",
    "DELETE FROM endpoint_failing WHERE seen_at < now() - interval '30 days'
     OR delivered_at > seen_at + interval '1 hour'",
    "DELETE FROM backlog_gap g WHERE NOT EXISTS (SELECT FROM endpoint e WHERE e.id = g.endpoint_id AND e.deleted_at IS NULL)",
    "DELETE FROM subscription WHERE deleted_at < now() - interval '1 day'",
    "DELETE FROM endpoint e WHERE deleted_at < now() - interval '1 day'
     AND NOT EXISTS (SELECT FROM subscription s WHERE s.endpoint_id = e.id)",
    "DELETE FROM replay r WHERE created_at < now() - interval '30 days'
     AND NOT EXISTS (SELECT FROM replay_partition p WHERE p.replay_id = r.id AND p.open)",
    "DELETE FROM customer c WHERE deleted_at < now() - interval '1 day'
     AND NOT EXISTS (SELECT FROM endpoint e WHERE e.customer_id = c.id)",
];
