//! ● Finds what waits in partitions that nobody reads any more; the instance that has lived longest takes care of it.

use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Duration};

use crate::{
    backlog::orphans::{Orphans, PartitionKey},
    replay::positions::OffsetLookup,
    store::{Pool, StoreError, backlog_read, instances, redrives},
};

/// Looks until the process ends.
pub(super) async fn sweep(
    pool: Pool,
    instance: String,
    positions: OffsetLookup,
    orphans: Arc<Orphans>,
    every: Duration,
) -> Infallible {
    loop {
        tokio::time::sleep(every).await;
        match nobodys(&pool, &instance, &positions).await {
            Ok(Some(places)) => {
                let new = orphans.update(places);
                if new > 0 {
                    tracing::warn!(
                        partitions = new,
                        "events wait in partitions that nobody reads; this instance sends them"
                    );
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the backlog of partitions without an owner cannot be read"),
        }
    }
}

/// `None` when that cannot be said now: then all stays as it is.
async fn nobodys(
    pool: &Pool,
    instance: &str,
    positions: &OffsetLookup,
) -> Result<Option<HashSet<PartitionKey>>, StoreError> {
    if instances::eldest(pool).await?.as_deref() != Some(instance) {
        return Ok(Some(HashSet::new()));
    }
    let mut waiting = backlog_read::partitions(pool).await?;
    waiting.extend(redrives::partitions(pool).await?);
    if waiting.is_empty() {
        return Ok(Some(HashSet::new()));
    }
    match positions.partitions().await {
        Ok(there) => {
            let claims = instances::claims(pool).await?;
            waiting.retain(|place| !(claims.contain(&place.0) && there.contains(place)));
            Ok(Some(waiting))
        }
        Err(error) => {
            tracing::debug!(%error, "the partition list is unavailable");
            Ok(None)
        }
    }
}
