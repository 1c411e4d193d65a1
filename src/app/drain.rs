//! ● The way down. Everything that is settled gets committed; what is not, the next owner reads again.

use std::time::{Duration, Instant};

use super::{auto_disable, pipeline::Pipeline, startup::App};
use crate::{clock, endpoint::queue::Drain, store};

/// Share of the time in which requests under way and last batches end.
const SEND_SHARE: f64 = 0.45;
/// Share of the time by whose end what is left is parked and stored; committing and leaving the group gets the rest.
const STORE_SHARE: f64 = 0.7;
/// Leaving waits so long for a rebalance that is going on: it delivers meanwhile.
const REBALANCE_MAX: Duration = Duration::from_secs(2);
const RECORDS_MAX: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Deadlines of the way down.
#[derive(Debug, Clone, Copy)]
pub(super) struct DrainDeadlines {
    pub shutdown_max: Duration,
    /// A broker that does not answer the last commit for so long has given our partitions to others anyway.
    pub leave_max: Duration,
}

/// Takes the parts down in order; returns when all is committed that could be, or the time is nearly over. False when the
/// broker did not answer: what Kafka's client still waits for must not hold up the process.
pub(super) async fn drain(app: App, DrainDeadlines { shutdown_max, leave_max }: DrainDeadlines) -> bool {
    let started = clock::now();
    app.health.stopping();
    rebalanced(&app, started + REBALANCE_MAX.min(shutdown_max / 10)).await;
    app.pipeline.consumer.state.be_quiet();
    app.replays.be_quiet();
    let tell = |drain: Drain| app.table.endpoints().iter().for_each(|queue| queue.drain(drain));
    tell(Drain::Send);
    let send_until = started + shutdown_max.mul_f64(SEND_SHARE);
    while outstanding(&app) > 0 && clock::now() < send_until {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    app.backlog.hurry();
    let store_until = started + shutdown_max.mul_f64(STORE_SHARE);
    while outstanding(&app) > 0 && clock::now() < store_until {
        tell(Drain::Park);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tell_left(&app);
    // What was given up on the way is stored first: its offsets wait for it.
    let stored_until = store_until.saturating_duration_since(clock::now()).max(LOOK_EVERY);
    let stored = async { tokio::join!(app.dead_letters.flushed(), app.backlog.flushed()) };
    if tokio::time::timeout(stored_until, stored).await.is_err() {
        tracing::warn!("stopping with events not stored; they are read again by the next owner");
    }
    store_records(&app).await;
    let App { pipeline, replays, admin, pool, instance, .. } = app;
    replays.stop().await;
    let Pipeline { consumer, cores, .. } = pipeline;
    // Blocks until the last commit; on a thread of its own, because the arbiters still answer.
    let leaving = tokio::task::spawn_blocking(move || consumer.stop());
    let left = match tokio::time::timeout(leave_max, leaving).await {
        Ok(Ok(())) => true,
        Ok(Err(_)) => {
            tracing::error!("leaving the group failed");
            true
        }
        Err(_) => {
            tracing::error!(
                "Kafka does not answer; the process stops without it, and events without a commit are read again"
            );
            false
        }
    };
    if let Err(error) = store::instances::leave(&pool, &instance).await {
        tracing::debug!(%error, "instance not deregistered; the others notice when its heartbeat expires");
    }
    admin.stop().await;
    cores.stop();
    tracing::info!("stopped");
    left
}

/// Worth a moment, and no more.
async fn store_records(app: &App) {
    let successes = async {
        if let Err(error) = auto_disable::tell_successes(&app.pool, &app.table).await {
            tracing::debug!(%error, "the last successes of endpoints could not be told");
        }
    };
    let records = async { tokio::join!(app.attempts.flushed(), app.counts.flush(), successes) };
    if tokio::time::timeout(RECORDS_MAX, records).await.is_err() {
        tracing::warn!("stopping before all attempts, counts and last successes were stored; no event is affected");
    }
}

/// Waits for a rebalance that is going on: in a rolling update the one that has just come is still getting its partitions.
async fn rebalanced(app: &App, until: Instant) {
    while app.pipeline.consumer.state.membership().is_rebalancing(clock::now()) && clock::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn tell_left(app: &App) {
    let (left, lost) = app.pipeline.consumer.state.outstanding_events();
    if left > 0 {
        tracing::warn!(events = left, "stopping with unsettled events; they are read again by the next owner");
    }
    if lost > 0 {
        tracing::error!(events = lost, "stopping with unsettled events of logs that are gone; they are lost");
    }
}

fn outstanding(app: &App) -> u64 {
    let (current, of_gone_logs) = app.pipeline.consumer.state.outstanding_events();
    current + of_gone_logs
}
