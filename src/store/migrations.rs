//! ● The migrations of `sql/`, embedded. They only ever add, so the version before can run beside this one.

use std::time::Duration;

use super::{Pool, StoreError, pool::connection_config};

mod embedded {
    refinery::embed_migrations!("sql");
}

/// Brings the database to this version's schema. Safe to run from all instances at once.
///
/// # Errors
/// When Postgres is away, or a migration fails: then the schema is as before that migration.
pub async fn migrate(url: &str) -> Result<(), StoreError> {
    let (config, tls) = connection_config(url, CONNECT_TIMEOUT, STATEMENT_TIMEOUT, "")?;
    let (mut client, connection) = config.connect(tls).await?;
    let connection = tokio::spawn(connection);
    // One at a time: the others wait here, and find everything done.
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
    let done = embedded::migrations::runner()
        // A newer version's migrations are no error: it only added.
        .set_abort_missing(false)
        .run_async(&mut client)
        .await;
    // The lock ends with the session.
    drop(client);
    connection.abort();
    done.map(drop).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        StoreError::Settings(format!("migration failed: {error}{cause}"))
    })
}

/// The newest migration that the database has; `None`: it has none.
///
/// # Errors
/// When Postgres is away, or this user may not read it.
pub async fn newest(pool: &Pool) -> Result<Option<i32>, StoreError> {
    pool.with(async |client| {
        let has = client.query_one("SELECT to_regclass('refinery_schema_history') IS NOT NULL", &[]).await?;
        if !has.try_get::<_, bool>(0)? {
            return Ok(None);
        }
        Ok(client.query_one("SELECT max(version) FROM refinery_schema_history", &[]).await?.try_get(0)?)
    })
    .await
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Building an index on a large table takes its time.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3600);
/// Any number nobody else uses: "postride" in ASCII.
const LOCK: i64 = 0x706f_7374_7269_6465;
