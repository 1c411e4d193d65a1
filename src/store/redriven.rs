//! ● Dead letters marked for another try, and what became of them.

use jiff::Timestamp;

use super::{
    Pool, StoreError,
    dead_letter_pull::{PAGE_OF_DEAD, Selected, Selection, each_page},
};

/// What became of letters that were asked for once more; those in neither count were delivered, or acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Wait, or are under way.
    pub redriving: i64,
    pub dead_again: i64,
}

/// Marks letters of an endpoint for another try; says since when. Repeating it changes nothing.
///
/// # Errors
/// When Postgres is away; some may be marked then.
pub async fn redrive(
    pool: &Pool,
    endpoint_id: &str,
    selection: &Selection,
) -> Result<(Timestamp, Selected), StoreError> {
    let now =
        pool.with(async |client| Ok(client.query_one("SELECT clock_timestamp()", &[]).await?.try_get(0)?)).await?;
    let marked = each_page(pool, endpoint_id, selection, PAGE_OF_DEAD, async |ids| {
        pool.with(async |client| {
            let statement = client.prepare_cached(REDRIVE).await?;
            Ok(client.execute(&statement, &[&endpoint_id, &ids]).await?)
        })
        .await
    });
    Ok((now, marked.await?))
}

/// How those go that were asked for `since` then, or ever; counted up to [`COUNTED_MAX`].
///
/// # Errors
/// When Postgres is away.
pub async fn progress(pool: &Pool, endpoint_id: &str, since: Option<Timestamp>) -> Result<Progress, StoreError> {
    pool.with(async |client| {
        let statement = client.prepare_cached(PROGRESS).await?;
        let row = client.query_one(&statement, &[&endpoint_id, &since, &COUNTED_MAX]).await?;
        Ok(Progress { redriving: row.try_get(0)?, dead_again: row.try_get(1)? })
    })
    .await
}

/// Letters that are counted one by one.
pub const COUNTED_MAX: i64 = 1_000_000;

const REDRIVE: &str = "
    UPDATE dead_letter SET state = 'redriving', redrive_requested_at = now(), redriven_at = now()
    WHERE endpoint_id = $1 AND id = ANY($2) AND state = 'dead'";
const PROGRESS: &str = "
    SELECT count(*) FILTER (WHERE state = 'redriving'), count(*) FILTER (WHERE state = 'dead')
    FROM (SELECT state FROM dead_letter
        WHERE endpoint_id = $1 AND redriven_at >= coalesce($2::timestamptz, '-infinity') LIMIT $3) AS letters";
