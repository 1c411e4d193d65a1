//! ● Dead letters marked for another try, and what became of them.

use jiff::Timestamp;

use super::{
    Pool, StoreError,
    dead_letter_read::{DeadLetterSelection, LetterOwner, PAGE_OF_DEAD, SelectionResult, each_page, granted},
};
use crate::api::dead_letter_view::RedriveProgress;
/// Marks letters of an endpoint for another try, as far as they are granted; says since when. Repeating it changes nothing.
///
/// # Errors
/// When Postgres is away; some may be marked then.
pub async fn redrive(
    pool: &Pool,
    of: LetterOwner<'_>,
    selection: &DeadLetterSelection,
) -> Result<(Timestamp, SelectionResult), StoreError> {
    let now =
        pool.with(async |client| Ok(client.query_one("SELECT clock_timestamp()", &[]).await?.try_get(0)?)).await?;
    let (topics, tenants) = of.granted_names();
    let marked = each_page(pool, of, selection, PAGE_OF_DEAD, async |ids| {
        pool.with(async |client| {
            let statement = client.prepare_cached(REDRIVE).await?;
            Ok(client.execute(&statement, &[&of.endpoint_id, &ids, &topics, &tenants]).await?)
        })
        .await
    });
    Ok((now, marked.await?))
}

/// Progress of letters that were asked for `since` then, or ever; letters that are there are counted up to
/// [`COUNTED_MAX`].
///
/// # Errors
/// When Postgres is away.
pub async fn progress(
    pool: &Pool,
    of: LetterOwner<'_>,
    since: Option<Timestamp>,
) -> Result<RedriveProgress, StoreError> {
    let (topics, tenants) = of.granted_names();
    pool.with(async |client| {
        let statement = client.prepare_cached(PROGRESS).await?;
        let row = client.query_one(&statement, &[&of.endpoint_id, &since, &COUNTED_MAX, &topics, &tenants]).await?;
        Ok(RedriveProgress {
            waiting: row.try_get(0)?,
            dead_again: row.try_get(1)?,
            cancelled: row.try_get(2)?,
            delivered: row.try_get(3)?,
        })
    })
    .await
}

/// Letters that are counted one by one.
pub const COUNTED_MAX: i64 = 1_000_000;

const REDRIVE: &str = concat!(
    "UPDATE dead_letter SET state = 'redriving', redrive_requested_at = now(), redriven_at = now(), redrive_end = NULL,
        redrive_attempts = 0, redrive_not_before = NULL
    WHERE endpoint_id = $1 AND id = ANY($2) AND state = 'dead'",
    granted!("$3", "$4")
);
const PROGRESS: &str = concat!(
    "SELECT count(*) FILTER (WHERE state = 'redriving'),
        count(*) FILTER (WHERE state = 'dead' AND redrive_end IS DISTINCT FROM 'cancelled'),
        count(*) FILTER (WHERE state = 'dead' AND redrive_end = 'cancelled'),
        (SELECT coalesce(sum(letters), 0)::bigint FROM dead_letter_delivered
            WHERE endpoint_id = $1 AND redriven_at >= coalesce($2::timestamptz, '-infinity'))
    FROM (SELECT state, redrive_end FROM dead_letter
        WHERE endpoint_id = $1 AND redriven_at >= coalesce($2::timestamptz, '-infinity')",
    granted!("$4", "$5"),
    " LIMIT $3) AS letters"
);
