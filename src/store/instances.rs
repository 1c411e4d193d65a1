//! ● Which instances live. Each takes its share of an endpoint's limits: limit ÷ live instances.

use super::{Pool, StoreError};

/// Says that instance `id` lives, and returns how many do (at least one). To be called every 2 s.
///
/// # Errors
/// When Postgres is away: go on with the number known last.
pub async fn heartbeat(pool: &Pool, id: &str) -> Result<u32, StoreError> {
    let count: i64 = pool.with(async |client| Ok(client.query_one(BEAT, &[&id]).await?.try_get(0)?)).await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX).max(1))
}

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

/// Five missed beats, as the group's session timeout. The statement does not see its own beat, hence the + 1.
const BEAT: &str = "
    WITH beat AS (
        INSERT INTO instance (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = now()
    )
    SELECT count(*) + 1 FROM instance WHERE id <> $1 AND seen_at > now() - interval '10 seconds'";

/// Ids sort by their time.
const ELDEST: &str = "SELECT min(id) FROM instance WHERE seen_at > now() - interval '10 seconds'";
