//! ● Sizes of our tables, numbers of dead rows that wait for vacuum, and the age of the oldest transaction that holds
//! them.

use super::{Pool, StoreError};

/// A table with all its partitions and indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    pub table: String,
    pub bytes: i64,
    pub dead_rows: i64,
}

/// As Postgres' statistics have it, in one statement: the tables that grow, and how many transactions ago the oldest one
/// began that may still see old rows (a session, a prepared transaction, or a replication slot).
///
/// # Errors
/// When Postgres is away.
pub async fn sizes(pool: &Pool) -> Result<(Vec<TableSize>, i64), StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(SIZES).await?;
        let rows = client.query(&statement, &[&GROWING.as_slice()]).await?;
        let oldest = rows.first().map_or(Ok(0), |row| row.try_get(3))?;
        let size = |row: &tokio_postgres::Row| {
            Ok(TableSize { table: row.try_get(0)?, bytes: row.try_get(1)?, dead_rows: row.try_get(2)? })
        };
        Ok((rows.iter().map(size).collect::<Result<_, StoreError>>()?, oldest))
    })
    .await
}

/// The tables that grow with what happens; each is a value of a label.
pub const GROWING: [&str; 10] = [
    "attempt",
    "backlog",
    "backlog_head",
    "dead_letter",
    "dead_letter_key",
    "delivery_count",
    "endpoint",
    "operator_event",
    "replay_partition",
    "subscription",
];

const SIZES: &str = "
    WITH member AS (
        SELECT c.oid, coalesce(parent.relname, c.relname)::text AS name
        FROM pg_class c
        LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
        LEFT JOIN pg_class parent ON parent.oid = i.inhparent
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace)
    SELECT name, coalesce(sum(pg_total_relation_size(oid)), 0)::bigint,
        coalesce(sum(pg_stat_get_dead_tuples(oid)), 0)::bigint,
        (SELECT coalesce(max(age(horizon)), 0)::bigint FROM (
            SELECT backend_xmin AS horizon FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
            UNION ALL SELECT backend_xid FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
            UNION ALL SELECT transaction FROM pg_prepared_xacts
            UNION ALL SELECT xmin FROM pg_replication_slots WHERE xmin IS NOT NULL
            UNION ALL SELECT catalog_xmin FROM pg_replication_slots WHERE catalog_xmin IS NOT NULL) AS horizons)
    FROM member WHERE name = ANY ($1::text[]) GROUP BY name ORDER BY name";
