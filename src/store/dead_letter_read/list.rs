//! ● Letters of an endpoint in the order in which they were written. Those that are [settled](LetterHead::is_settled)
//! come first.

use deadpool_postgres::GenericClient;
use tokio_postgres::{IsolationLevel, types::ToSql};

use super::{
    DeadLetterFilter, DeadLetterPosition, DeadLetterQuery, LetterHead, LetterList, TriedLetter, bounds, head,
    head_columns,
};
use crate::store::{Pool, StoreError};

/// At most `limit` letters after the position `after`.
///
/// # Errors
/// When Postgres is away.
pub async fn list(
    pool: &Pool,
    of: DeadLetterQuery<'_>,
    after: &DeadLetterPosition,
    limit: i64,
) -> Result<LetterList, StoreError> {
    pool.with(async |client| {
        if !of.filter.is_by_record() {
            return Ok(LetterList { rows: rows(client, of, after, limit).await?, tried: None });
        }
        // One snapshot: whoever goes on from the last letter that was tried passes none that came, went or was settled
        // between two statements.
        let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let transaction = transaction.start().await?;
        let rows = rows(&transaction, of, after, limit).await?;
        let is_whole = i64::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
        let tried = if is_whole { None } else { tried(&transaction, of, after).await? };
        transaction.commit().await?;
        Ok(LetterList { rows, tried })
    })
    .await
}

async fn rows(
    client: &impl GenericClient,
    of: DeadLetterQuery<'_>,
    after: &DeadLetterPosition,
    limit: i64,
) -> Result<Vec<LetterHead>, StoreError> {
    let DeadLetterFilter { reason, topic, tenant, .. } = of.filter;
    let (from, before) = bounds(of.filter);
    // Each its own statement, so that each is planned for its own index.
    let statement = client.prepare_cached(if reason.is_some() { LIST_OF_REASON } else { LIST }).await?;
    let parameters: [&(dyn ToSql + Sync); 9] =
        [&of.endpoint_id, &from, &before, topic, tenant, reason, &after.written_in, &after.id, &limit];
    client.query(&statement, &parameters).await?.iter().map(head).collect()
}

/// The last letter that [`rows`] has tried, where there are as many as it tries.
async fn tried(
    client: &impl GenericClient,
    of: DeadLetterQuery<'_>,
    after: &DeadLetterPosition,
) -> Result<Option<TriedLetter>, StoreError> {
    let reason = &of.filter.reason;
    let (from, before) = bounds(of.filter);
    let statement = client.prepare_cached(if reason.is_some() { TRIED_OF_REASON } else { TRIED }).await?;
    let parameters: [&(dyn ToSql + Sync); 6] = [&of.endpoint_id, &from, &before, reason, &after.written_in, &after.id];
    let row = client.query_opt(&statement, &parameters).await?;
    row.map(|row| {
        let position = DeadLetterPosition { written_in: row.try_get(0)?, id: row.try_get(1)? };
        Ok(TriedLetter { position, is_settled: row.try_get(2)? })
    })
    .transpose()
}

// One statement has one snapshot: what it does not see and could come yet is at or above its xmin. Topic and tenant have no
// index: letters are tried in their order, and no more of them than a statement may look at.
macro_rules! list {
    ($more:literal) => {
        concat!(
            "SELECT ",
            head_columns!(),
            " FROM (SELECT * FROM dead_letter d WHERE endpoint_id = $1 AND id > $2 AND id < $3 ",
            $more,
            "AND (d.written_in, id) > ($7::bigint::text::xid8, $8) ORDER BY d.written_in, id LIMIT 20000) d
            WHERE ($4::text IS NULL OR topic = $4) AND ($5::text IS NULL OR tenant = $5)
            AND ($6::text IS NULL OR reason = $6) ORDER BY d.written_in, id LIMIT $9"
        )
    };
}
const LIST: &str = list!("");
const LIST_OF_REASON: &str = list!("AND reason = $6 ");
// The last of those letters that were tried, if there may be more.
macro_rules! tried {
    ($more:literal) => {
        concat!(
            "SELECT d.written_in::text::bigint, id, d.written_in < pg_snapshot_xmin(pg_current_snapshot())
            FROM dead_letter d
            WHERE endpoint_id = $1 AND id > $2 AND id < $3 AND ($4::text IS NULL OR reason = $4) ",
            $more,
            "AND (d.written_in, id) > ($5::bigint::text::xid8, $6) ORDER BY d.written_in, id OFFSET 19999 LIMIT 1"
        )
    };
}
const TRIED: &str = tried!("");
const TRIED_OF_REASON: &str = tried!("AND reason = $4 ");
