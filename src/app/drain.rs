//! ● The way down. Everything that is settled gets committed; what is not, the next owner reads again.

use std::time::{Duration, Instant};

use super::{auto_disable, pipeline::Pipeline, startup::App};
use crate::{clock, endpoint::queue::Drain, router::table::RoutingTable, store};

/// Share of the time in which requests under way and last batches end.
const SEND_SHARE: f64 = 0.45;
/// Share of the time by whose end what is left is parked and stored; committing and leaving the group gets the rest.
const STORE_SHARE: f64 = 0.7;
/// Leaving waits so long for a rebalance that is going on: it delivers meanwhile.
const REBALANCE_MAX: Duration = Duration::from_secs(2);
const RECORDS_MAX: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Pause before those that hold something are told again to send it.
const TELL_EVERY: Duration = Duration::from_millis(200);

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
    let send_until = started + shutdown_max.mul_f64(SEND_SHARE);
    send(&app.table, || outstanding(&app), send_until, TELL_EVERY).await;
    app.backlog.hurry();
    let store_until = started + shutdown_max.mul_f64(STORE_SHARE);
    while outstanding(&app) > 0 && clock::now() < store_until {
        app.table.endpoints().iter().for_each(|queue| queue.drain(Drain::Park));
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

/// Has all endpoints send what they have, until nothing is `outstanding` or the time is over. Those that hold something are
/// told again: the actor may have started since, after another's panic or for events that came late, or had no room for it.
async fn send(table: &RoutingTable, outstanding: impl Fn() -> u64, until: Instant, tell_every: Duration) {
    table.endpoints().iter().for_each(|queue| queue.drain(Drain::Send));
    let mut told_at = clock::now();
    while outstanding() > 0 && clock::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
        if clock::now().saturating_duration_since(told_at) >= tell_every {
            told_at = clock::now();
            let endpoints = table.endpoints();
            endpoints.iter().filter(|queue| queue.held_receipts() > 0).for_each(|queue| queue.drain(Drain::Send));
        }
    }
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;
    use crate::{
        endpoint::{delivery::testing::stream, queue::Wake},
        flow::counters::FlowCounters,
        ingest::testing::{ledger, tracked},
        model::receipt::{Receipt, Settlement},
    };

    #[derive(Default)]
    struct Told(AtomicU64);

    impl Wake for Told {
        fn wake(&self) {}
        fn drain(&self, drain: Drain) {
            assert_eq!(drain, Drain::Send);
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn an_actor_that_starts_while_the_process_stops_is_told_and_one_with_nothing_to_do_once() {
        let table = RoutingTable::new(Arc::new(FlowCounters::new(1)));
        let endpoint = |id: &str| {
            let mut settings = stream();
            settings.id = id.into();
            table.put_endpoint(Arc::new(settings))
        };
        let (late, idle) = (endpoint("ep_late"), endpoint("ep_idle"));
        let (is_late, is_idle) = (Arc::new(Told::default()), Arc::new(Told::default()));
        let _ = late.push([tracked(&ledger(), 0).open_receipt(late.key)], 0);
        idle.attach(Arc::clone(&is_idle) as _);
        let looks = AtomicU64::new(0);
        let outstanding = || {
            if looks.fetch_add(1, Ordering::Relaxed) == 0 {
                late.attach(Arc::clone(&is_late) as _);
            }
            u64::from(is_late.0.load(Ordering::Relaxed) < 2)
        };
        let until = clock::now() + Duration::from_secs(10);
        send(&table, outstanding, until, Duration::ZERO).await;
        assert_eq!((is_late.0.load(Ordering::Relaxed), is_idle.0.load(Ordering::Relaxed)), (2, 1));
        let mut taken = Vec::new();
        late.take(&mut taken);
        Receipt::settle_all(taken, Settlement::Cancelled);
    }
}
