//! ● The instances that live. Each takes its share of an endpoint's limits: limit ÷ live instances.

use jiff::Timestamp;

use super::{Pool, StoreError};

/// An instance, as the others know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRow {
    pub id: String,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    /// `None` of an instance of an older version.
    pub version: Option<String>,
    /// HOST:PORT that the others reach it at; `None` when it does not know one.
    pub address: Option<String>,
}

/// Says that instance `id` lives, at this address and of this version, and returns the others that do. To be called
/// every 2 s.
///
/// # Errors
/// When Postgres is away: go on with those known last.
pub async fn heartbeat(
    pool: &Pool,
    id: &str,
    address: Option<&str>,
    version: &str,
) -> Result<Vec<InstanceRow>, StoreError> {
    pool.with(async |client| {
        let rows = client.query(BEAT, &[&id, &address, &version]).await?;
        let instance = |row: &tokio_postgres::Row| {
            Ok(InstanceRow {
                id: row.try_get(0)?,
                started_at: row.try_get(1)?,
                seen_at: row.try_get(2)?,
                version: row.try_get(3)?,
                address: row.try_get(4)?,
            })
        };
        rows.iter().map(instance).collect()
    })
    .await
}

/// Says which topics instance `id` reads; [`EVERY_TOPIC`] for a pattern.
///
/// # Errors
/// When Postgres is away.
pub async fn claim(pool: &Pool, id: &str, topics: &[String]) -> Result<(), StoreError> {
    pool.with(async |client| {
        let claim = "UPDATE instance SET topics = $2 WHERE id = $1 AND topics IS DISTINCT FROM $2";
        Ok(client.execute(claim, &[&id, &topics]).await.map(drop)?)
    })
    .await
}

/// True if some live instance reads a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    topics: std::collections::HashSet<String>,
}

impl Claims {
    #[must_use]
    pub fn contain(&self, topic: &str) -> bool {
        self.topics.contains(EVERY_TOPIC) || self.topics.contains(topic)
    }
}

/// Partitions that the live instances read. One that has not said so may read everything.
///
/// # Errors
/// When Postgres is away.
pub async fn claims(pool: &Pool) -> Result<Claims, StoreError> {
    pool.with(async |client| {
        let rows = client.query(CLAIMS, &[]).await?;
        Ok(Claims { topics: rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()? })
    })
    .await
}

/// No topic has such a name.
pub const EVERY_TOPIC: &str = "*";

/// The instance that has lived longest.
///
/// # Errors
/// When Postgres is away.
pub async fn eldest(pool: &Pool) -> Result<Option<String>, StoreError> {
    pool.with(async |client| Ok(client.query_one(ELDEST, &[]).await?.try_get(0)?)).await
}

/// Instance `id` stops: its share goes to the others at once.
///
/// # Errors
/// When Postgres is away; then the others notice by its silence.
pub async fn leave(pool: &Pool, id: &str) -> Result<(), StoreError> {
    pool.with(async |client| Ok(client.execute("DELETE FROM instance WHERE id = $1", &[&id]).await.map(drop)?)).await
}

/// Five missed beats, as the group's session timeout. The statement does not see its own beat.
const BEAT: &str = "
    WITH beat AS (
        INSERT INTO instance (id, address, version) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET seen_at = now(), address = $2, version = $3
    )
    SELECT id, started_at, seen_at, version, address FROM instance
    WHERE id <> $1 AND seen_at > now() - interval '10 seconds' ORDER BY id";

/// Ids sort by their time.
const ELDEST: &str = "SELECT min(id) FROM instance WHERE seen_at > now() - interval '10 seconds'";

const CLAIMS: &str = "
    SELECT DISTINCT topic FROM instance i CROSS JOIN LATERAL unnest(coalesce(i.topics, ARRAY['*'])) AS topic
    WHERE seen_at > now() - interval '10 seconds'";
