//! ● Follows the endpoints that take nothing, and carries out what [`auto_disable::step`] says of each.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    clock,
    endpoint::auto_disable::{self, DisableAfter, DisableStep},
    model::settings::EndpointState,
    notifications::{OperatorEvent, emit},
    router::table::RoutingTable,
    store::{
        Pool, StoreError,
        endpoint_failures::{self as store, FailingEndpoint, FailureReport, SuccessReport},
        endpoints::disable_failing,
    },
};

/// Looks until the process ends: often enough that a warning comes within a hundredth of the time.
pub(super) async fn watch(pool: Pool, table: Arc<RoutingTable>, disable_after: Duration) -> Infallible {
    let (mut looked_ms, mut overruled) = (0, Overruled::default());
    let every = (disable_after / 100).clamp(LOOK_MIN, LOOK_MAX);
    let mut well_since = clock::now();
    loop {
        let now_ms = clock::wall_ms().unsigned_abs();
        let looks_well_for = clock::now() - well_since;
        let after = DisableAfter { time: disable_after, told_within: every * LOOKS_TO_TELL, looks_well_for };
        match check(&pool, &table, (after, looked_ms), &mut overruled).await {
            Ok(()) => looked_ms = now_ms,
            Err(error) => {
                well_since = clock::now();
                tracing::warn!(%error, "endpoint failures cannot be read; it is tried again");
            }
        }
        tokio::time::sleep(every).await;
    }
}

async fn check(
    pool: &Pool,
    table: &RoutingTable,
    (after, since_ms): (DisableAfter, u64),
    overruled: &mut Overruled,
) -> Result<(), StoreError> {
    overruled.keep(table);
    let seen = seen(table, since_ms, overruled);
    if !seen.failing.is_empty() {
        let reports = seen.failing.iter().map(|failing| FailureReport {
            endpoint_id: &failing.id,
            first_ago_ms: failing.first_ago_ms,
            last_ago_ms: failing.last_ago_ms,
        });
        store::fail(pool, &reports.collect::<Vec<_>>()).await?;
    }
    let known = store::all(pool).await?;
    let untold = seen.untold(&known);
    store::deliver(pool, &untold).await?;
    let told: HashSet<&str> = untold.iter().map(|success| success.endpoint_id).collect();
    overruled.note(&seen, &known);
    for known in &known {
        if known.is_current && !told.contains(known.endpoint_id.as_str()) {
            decide(pool, known, after).await?;
        }
    }
    Ok(())
}

/// Tells the last successes here, before this instance stops: nobody else knows of those since its last look.
///
/// # Errors
/// When Postgres is away.
pub(super) async fn tell_successes(pool: &Pool, table: &RoutingTable) -> Result<(), StoreError> {
    let known = store::all(pool).await?;
    store::deliver(pool, &seen(table, 0, &Overruled::default()).untold(&known)).await
}

/// Endpoints as this instance saw them.
#[derive(Debug, Default)]
struct Seen {
    failing: Vec<Failing>,
    delivered: HashMap<Arc<str>, Success>,
}

/// The last success of an endpoint.
#[derive(Debug, Clone, Copy)]
struct Success {
    ago_ms: i64,
    is_new: bool,
}

impl Seen {
    /// Successes that are new since the last look, and older ones that somebody who has failed for longer does not know of: at
    /// the time of such a success there was no row yet that says so, as in an outage of PostgreSQL.
    fn untold<'a>(&'a self, known: &[FailingEndpoint]) -> Vec<SuccessReport<'a>> {
        let report = |known: &FailingEndpoint| {
            let (endpoint_id, success) = self.delivered.get_key_value(known.endpoint_id.as_str())?;
            let is_within = known.failing_ms.is_some_and(|failing_ms| success.ago_ms < failing_ms - CLOCK_NOISE_MS);
            (success.is_new || is_within).then_some(SuccessReport { endpoint_id, ago_ms: success.ago_ms })
        };
        known.iter().filter_map(report).collect()
    }
}

/// An endpoint that takes nothing, with its first and last failure since the last success.
#[derive(Debug)]
struct Failing {
    id: Arc<str>,
    first_ago_ms: i64,
    last_ago_ms: i64,
    last_ms: u64,
}

/// Endpoints that take nothing, and the last successes; those after `since_ms` are new.
fn seen(table: &RoutingTable, since_ms: u64, overruled: &Overruled) -> Seen {
    let now_ms = clock::wall_ms().unsigned_abs();
    let ago = |ms: u64| i64::try_from(now_ms.saturating_sub(ms)).unwrap_or(i64::MAX);
    let mut seen = Seen::default();
    for queue in table.endpoints().iter() {
        let failing_since = queue.health.failing_since_ms.load(Relaxed);
        let success = queue.health.last_success_ms.load(Relaxed);
        if failing_since != 0 && queue.settings().state == EndpointState::Enabled {
            let last_ms = queue.health.last_failure_ms.load(Relaxed).max(failing_since);
            if !overruled.has(&queue.id, last_ms) {
                let (first_ago_ms, last_ago_ms) = (ago(failing_since), ago(last_ms));
                seen.failing.push(Failing { id: Arc::clone(&queue.id), first_ago_ms, last_ago_ms, last_ms });
            }
        }
        if success != 0 {
            let success = Success { ago_ms: ago(success), is_new: success >= since_ms };
            seen.delivered.insert(Arc::clone(&queue.id), success);
        }
    }
    seen
}

/// The last failure here of endpoints that took something elsewhere since: it is told to nobody again, for the row that says
/// so goes some day. (Milliseconds since 1970, by this machine's clock.)
#[derive(Debug, Default)]
struct Overruled(HashMap<Arc<str>, u64>);

impl Overruled {
    fn has(&self, id: &str, last_failure_ms: u64) -> bool {
        self.0.get(id) == Some(&last_failure_ms)
    }

    fn note(&mut self, seen: &Seen, known: &[FailingEndpoint]) {
        let delivered: HashMap<&str, i64> =
            known.iter().filter_map(|known| Some((known.endpoint_id.as_str(), known.delivered_ago_ms?))).collect();
        for failing in &seen.failing {
            if delivered.get(&*failing.id).is_some_and(|ago_ms| *ago_ms < failing.last_ago_ms) {
                self.0.insert(Arc::clone(&failing.id), failing.last_ms);
            }
        }
    }

    fn keep(&mut self, table: &RoutingTable) {
        let endpoints = table.endpoints();
        self.0.retain(|id, _| endpoints.find(id).is_some_and(|queue| queue.health.failing_since_ms.load(Relaxed) != 0));
    }
}

async fn decide(pool: &Pool, known: &FailingEndpoint, after: DisableAfter) -> Result<(), StoreError> {
    let disable_after = after.time;
    let failing = known.failing_ms.map(|ms| Duration::from_millis(ms.max(0).unsigned_abs()));
    let warned = u8::try_from(known.warned_percent).unwrap_or(0);
    let id = known.endpoint_id.as_str();
    let (endpoint_id, customer_id): (Arc<str>, Arc<str>) = (id.into(), known.customer_id.as_str().into());
    let time = |ms: i64| Timestamp::from_millisecond(ms).unwrap_or_default();
    let now_ms = clock::wall_ms();
    match auto_disable::step(failing, warned, after) {
        DisableStep::Nothing => {}
        DisableStep::Warn(percent) => {
            if store::warn(pool, id, known.warned_percent, i16::from(percent)).await? {
                let since_ms = now_ms - known.failing_ms.unwrap_or(0);
                let disabled_at = time(since_ms.saturating_add_unsigned(disable_after.as_millis() as u64));
                let failing_since = time(since_ms);
                emit(OperatorEvent::EndpointDisableNear {
                    endpoint_id,
                    customer_id,
                    failing_since,
                    disabled_at,
                    percent,
                });
            }
        }
        DisableStep::Forget => drop(store::warn(pool, id, known.warned_percent, 0).await?),
        DisableStep::Disable => {
            let reason = format!("it took nothing for {} s", disable_after.as_secs());
            if disable_failing(pool, id, disable_after, &reason).await? {
                emit(OperatorEvent::EndpointDisabled { endpoint_id, customer_id, reason });
            }
        }
    }
    Ok(())
}

const LOOK_MIN: Duration = Duration::from_millis(200);
const LOOK_MAX: Duration = Duration::from_secs(60);
/// Between two readings of two clocks: a success that was told is not told again.
const CLOCK_NOISE_MS: i64 = 1_000;
/// Each look tells what was taken since the one before. One may fail, and one takes its time.
const LOOKS_TO_TELL: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{endpoint::delivery::testing::stream, flow::counters::FlowCounters};

    fn known(id: &str, failing_ms: Option<i64>, delivered_ago_ms: Option<i64>) -> FailingEndpoint {
        FailingEndpoint {
            endpoint_id: id.to_owned(),
            customer_id: "cus_1".to_owned(),
            failing_ms,
            delivered_ago_ms,
            warned_percent: 0,
            is_current: true,
        }
    }

    #[test]
    fn a_failure_before_a_success_elsewhere_is_told_no_more_and_a_later_one_is() {
        let table = RoutingTable::new(Arc::new(FlowCounters::new(1)));
        let queue = table.put_endpoint(Arc::new(stream()));
        let now_ms = clock::wall_ms().unsigned_abs();
        queue.health.failing_since_ms.store(now_ms - 300_000, Relaxed);
        queue.health.last_failure_ms.store(now_ms - 120_000, Relaxed);
        let mut overruled = Overruled::default();
        for (delivered_ago_ms, told) in [(600_000, 1), (1_000, 0)] {
            overruled.note(&seen(&table, 0, &overruled), &[known(&queue.id, None, Some(delivered_ago_ms))]);
            overruled.keep(&table);
            assert_eq!(seen(&table, 0, &overruled).failing.len(), told);
        }
        queue.health.failed(clock::wall_ms());
        assert_eq!(seen(&table, 0, &overruled).failing.len(), 1);
    }

    #[test]
    fn a_success_is_told_when_it_is_new_and_later_to_whoever_has_failed_for_longer() {
        let table = RoutingTable::new(Arc::new(FlowCounters::new(1)));
        let queue = table.put_endpoint(Arc::new(stream()));
        let now_ms = clock::wall_ms().unsigned_abs();
        let untold = |since_ms, failing_ms| {
            let seen = seen(&table, since_ms, &Overruled::default());
            seen.untold(&[known(&queue.id, failing_ms, None)]).len()
        };
        assert_eq!(untold(0, Some(7_200_000)), 0, "it has taken nothing yet");
        queue.health.last_success_ms.store(now_ms - 1_800_000, Relaxed);
        assert_eq!(untold(now_ms - 3_600_000, Some(60_000)), 1, "new since the last look");
        assert_eq!(untold(now_ms, Some(7_200_000)), 1, "there was no row when it was new");
        assert_eq!(untold(now_ms, Some(1_800_500)), 0, "it is what the other one counts from");
        assert_eq!(untold(now_ms, Some(60_000)), 0, "the other one has had a later one");
        assert_eq!(untold(now_ms, None), 0, "nobody fails");
    }

    #[test]
    fn of_a_failure_it_is_said_how_long_ago_it_was_and_not_when() {
        let table = RoutingTable::new(Arc::new(FlowCounters::new(1)));
        let queue = table.put_endpoint(Arc::new(stream()));
        let now_ms = clock::wall_ms().unsigned_abs();
        queue.health.failing_since_ms.store(now_ms - 2_000, Relaxed);
        queue.health.last_failure_ms.store(now_ms - 1_000, Relaxed);
        let Seen { failing, delivered } = seen(&table, 0, &Overruled::default());
        assert!((2_000..60_000).contains(&failing[0].first_ago_ms), "{failing:?}: whatever this machine's clock says");
        assert_eq!(failing[0].first_ago_ms - failing[0].last_ago_ms, 1_000, "from the first failure to the last one");
        assert!(delivered.is_empty());
        // The clock was set back since then.
        queue.health.failing_since_ms.store(now_ms + 86_400_000, Relaxed);
        assert_eq!(seen(&table, 0, &Overruled::default()).failing[0].first_ago_ms, 0);
    }
}
