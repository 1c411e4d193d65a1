//! ● The way down. Everything that is settled gets committed; what is not, the next owner reads again.

use std::{sync::atomic::Ordering, time::Duration};

use super::{pipeline::Pipeline, start::App};
use crate::{clock, ingest::receipt::Origin as _, store};

/// In-flight requests and last batches get this share of the time; storing and leaving the group the rest.
const SETTLE_SHARE: f64 = 0.6;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Takes the parts down in order; returns when all is committed that could be, or `shutdown_max` is near.
pub async fn drain(app: App, shutdown_max: Duration) {
    app.health.stopping();
    app.pipeline.consumer.state.be_quiet();
    for queue in app.table.endpoints().iter() {
        queue.drain();
    }
    let settle_until = clock::now() + shutdown_max.mul_f64(SETTLE_SHARE);
    while outstanding(&app) > left_over(&app) && clock::now() < settle_until {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let left = outstanding(&app);
    if left > 0 {
        tracing::warn!(events = left, "stopping with unsettled events; they are read again by the next owner");
    }
    // What was given up on the way is stored first: its offsets wait for it.
    let stored_until = settle_until.saturating_duration_since(clock::now()).max(LOOK_EVERY);
    if tokio::time::timeout(stored_until, app.dead_letters.flushed()).await.is_err() {
        tracing::warn!("stopping with dead letters not stored; their events are read again by the next owner");
    }
    let App { pipeline, admin, pool, instance, .. } = app;
    let Pipeline { consumer, cores, .. } = pipeline;
    // Blocks until the last commit; on a thread of its own, because the arbiters still answer.
    if tokio::task::spawn_blocking(move || consumer.stop()).await.is_err() {
        tracing::error!("leaving the group failed");
    }
    if let Err(error) = store::instances::leave(&pool, &instance).await {
        tracing::debug!(%error, "the others will notice by this instance's silence");
    }
    admin.stop().await;
    cores.stop();
    tracing::info!("stopped");
}

fn left_over(app: &App) -> u64 {
    app.pipeline.left_over.load(Ordering::Relaxed) as u64
}

fn outstanding(app: &App) -> u64 {
    app.pipeline
        .consumer
        .state
        .assigned()
        .iter()
        .filter(|ledger| ledger.is_current())
        .map(|ledger| ledger.outstanding().0)
        .sum()
}
