//! ● Tables cut into days: a partition for each day to come, and those past their retention dropped whole. The id of a row
//! begins with its time and is the partition key. Every step may run on all instances at once.

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::{Pool, StoreError};
use crate::model::id::{self, ResourceKind};

/// A table that is cut into days.
#[derive(Debug, Clone, Copy)]
pub struct DailyTable {
    /// Its days are `NAME_d20260131`; rows of no day are in `NAME_default`.
    pub table: &'static str,
    pub kind: ResourceKind,
    /// Each of its rows has one in a table of keys beside it.
    pub keys: Option<&'static str>,
    /// Storage parameters of a day's table.
    pub storage: &'static str,
}

impl DailyTable {
    /// Makes the days around `wall_ms`, and drops those that are older than `retention_days`.
    ///
    /// # Errors
    /// When Postgres is away, or a lock was not free within a few seconds: then try again later.
    pub async fn keep(&self, pool: &Pool, wall_ms: i64, retention_days: u32) -> Result<(), StoreError> {
        let today = day_of(wall_ms)?;
        for ahead in -1..=DAYS_AHEAD {
            self.create_day(pool, day_after(today, ahead)?).await?;
        }
        let first_kept = day_after(today, -i64::from(retention_days))?;
        for partition in self.days(pool).await? {
            if partition.day < first_kept {
                self.drop_day(pool, &partition.name).await?;
                tracing::info!(partition = partition.name, "a daily partition was dropped after its retention");
            }
        }
        self.expire_default(pool, first_kept).await
    }

    async fn days(&self, pool: &Pool) -> Result<Vec<Day>, StoreError> {
        let rows = pool.with(async |client| Ok(client.query(DAYS, &[&self.table]).await?)).await?;
        let prefix = format!("{}_d", self.table);
        let mut days = Vec::new();
        for row in rows {
            let name: String = row.try_get(0)?;
            if let Some(day) = name.strip_prefix(&prefix).and_then(|day| Date::strptime("%Y%m%d", day).ok()) {
                days.push(Day { name, day });
            }
        }
        Ok(days)
    }

    /// Made beside the table and then attached, so that rows of a day that came before its partition move there.
    async fn create_day(&self, pool: &Pool, day: Date) -> Result<(), StoreError> {
        let DailyTable { table, storage, .. } = self;
        let name = format!("{table}_d{}", day.strftime("%Y%m%d"));
        let (from, to) = (self.lowest_id(day)?, self.lowest_id(day_after(day, 1)?)?);
        pool.with(async |client| {
            let exists = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await?;
            if exists.try_get(0)? {
                return Ok(());
            }
            let transaction = client.transaction().await?;
            // Of two instances the second waits here, and then sees what the first one made. Writers wait as well, so
            // not for long.
            let lock = format!("SET LOCAL lock_timeout = '3s'; LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE");
            transaction.batch_execute(&lock).await?;
            let exists = transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name]).await?;
            if exists.try_get(0)? {
                return Ok(());
            }
            // Names and ids are of our own making: digits, lower-case letters and underscores.
            transaction
                .batch_execute(&format!(
                    "CREATE TABLE {name} (LIKE {table} INCLUDING ALL) WITH ({storage});
                     WITH moved AS (DELETE FROM {table}_default WHERE id >= '{from}' AND id < '{to}' RETURNING *)
                     INSERT INTO {name} SELECT * FROM moved;
                     ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{from}') TO ('{to}');"
                ))
                .await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// First the keys, a few thousand at a time, then the whole partition.
    async fn drop_day(&self, pool: &Pool, name: &str) -> Result<(), StoreError> {
        if let Some(keys) = self.keys {
            let page = format!(
                "WITH page AS (SELECT id, key FROM {name} WHERE id > $1 ORDER BY id LIMIT 5000),
                      gone AS (DELETE FROM {keys} k USING page WHERE k.key = page.key AND k.id = page.id)
                 SELECT max(id) FROM page"
            );
            let mut after = String::new();
            while let Some(last) = pool
                .with(async |client| Ok(client.query_one(&page, &[&after]).await?.try_get::<_, Option<String>>(0)?))
                .await?
            {
                after = last;
            }
        }
        let drop = format!("SET LOCAL lock_timeout = '3s'; DROP TABLE IF EXISTS {name}");
        pool.with(async |client| {
            let transaction = client.transaction().await?;
            transaction.batch_execute(&drop).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn expire_default(&self, pool: &Pool, first_kept: Date) -> Result<(), StoreError> {
        let (table, before) = (self.table, self.lowest_id(first_kept)?);
        let (columns, keys) = match self.keys {
            Some(keys) => (
                "id, key",
                format!("keys AS (DELETE FROM {keys} k USING page WHERE k.key = page.key AND k.id = page.id),"),
            ),
            None => ("id", String::new()),
        };
        let expire = format!(
            "WITH page AS (SELECT {columns} FROM {table}_default WHERE id < $1 ORDER BY id LIMIT 5000), {keys}
                  gone AS (DELETE FROM {table}_default d USING page WHERE d.id = page.id)
             SELECT count(*) FROM page"
        );
        loop {
            let row = pool.with(async |client| Ok(client.query_one(&expire, &[&before]).await?)).await?;
            if row.try_get::<_, i64>(0)? == 0 {
                return Ok(());
            }
        }
    }

    fn lowest_id(&self, day: Date) -> Result<String, StoreError> {
        let midnight = day.to_zoned(TimeZone::UTC).map_err(|error| beyond(&error))?;
        Ok(id::lowest(self.kind, midnight.timestamp().as_millisecond()))
    }
}

struct Day {
    name: String,
    day: Date,
}

fn day_of(wall_ms: i64) -> Result<Date, StoreError> {
    let time = Timestamp::from_millisecond(wall_ms).map_err(|error| beyond(&error))?;
    Ok(time.to_zoned(TimeZone::UTC).date())
}

fn day_after(day: Date, days: i64) -> Result<Date, StoreError> {
    day.checked_add(days.days()).map_err(|error| beyond(&error))
}

fn beyond(error: &jiff::Error) -> StoreError {
    StoreError::Settings(format!("the clock or the retention is beyond any calendar: {error}"))
}

/// A week in which maintenance may fail before rows go to the default partition.
const DAYS_AHEAD: i64 = 7;

const DAYS: &str = "
    SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = $1::text::regclass ORDER BY 1";
