//! ● Endpoints that fail for minutes and recover, and dead letters that grow: operators hear of them. This is the only place
//! that says of an endpoint that it recovered.

mod causes; // ○ what is told together

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use self::causes::{Cause, Causes};
use super::readiness::Health;
use crate::{
    clock,
    config::OperatorEventsSection,
    endpoint::queue::EndpointQueue,
    model::{event::EndpointKey, settings::EndpointState},
    notifications::{OperatorEvent, emit},
    store::{Pool, operator_events},
};

/// Looks until the process ends.
pub(super) async fn watch(config: OperatorEventsSection, pool: Pool, health: Arc<Health>) {
    let mut alarms = Alarms { config, pool, health, told: HashMap::new(), causes: Causes::default(), growing_at: None };
    loop {
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK_EVERY).await;
            alarms.failing(clock::now());
            alarms.dead_letters(clock::now());
        }
        alarms.recovered().await;
        alarms.recovered_hosts().await;
    }
}

struct Alarms {
    config: OperatorEventsSection,
    pool: Pool,
    health: Arc<Health>,
    /// Since when each endpoint fails that was told of, and when it was told last.
    told: HashMap<u32, (u64, Instant)>,
    causes: Causes,
    growing_at: Option<Instant>,
}

impl Alarms {
    /// An endpoint that has failed for a while is told of, and again while it goes on.
    fn failing(&mut self, now: Instant) {
        let now_ms = clock::wall_ms().unsigned_abs();
        let endpoints = self.health.table().endpoints();
        let is_told = self.config.is_on();
        self.told.retain(|key, (since, _)| {
            let Some(queue) = endpoints.get(EndpointKey(*key)) else { return false };
            let (since_ms, success_ms) =
                (queue.health.failing_since_ms.load(Relaxed), queue.health.last_success_ms.load(Relaxed));
            // Where nobody is told, nobody notes what was told: then this instance's own word is all there is.
            if !is_told && since_ms == 0 && success_ms > *since {
                emit(recovered(queue, success_ms - *since));
            }
            since_ms == *since
        });
        let mut due = Vec::new();
        for queue in endpoints.iter() {
            let since = queue.health.failing_since_ms.load(Relaxed);
            if since == 0 || now_ms.saturating_sub(since) < self.config.failing_after_ms {
                continue;
            }
            let is_told = self
                .told
                .get(&queue.key.0)
                .is_some_and(|(_, at)| now.saturating_duration_since(*at) < self.config.repeat_after());
            if queue.settings().state == EndpointState::Enabled && !is_told {
                due.push((cause(queue), (Arc::clone(queue), since)));
            }
        }
        let company = (Duration::from_millis(self.config.failing_after_ms) / 10).min(COMPANY_MAX);
        for (cause, group) in self.causes.take(due, company, now) {
            self.told.extend(group.iter().map(|(queue, since)| (queue.key.0, (*since, now))));
            emit(match group.as_slice() {
                [(queue, since)] => failing(queue, *since),
                _ => several_failing(cause, &group),
            });
        }
    }

    /// Announces the recovery of endpoints that were said to fail, by whichever instance, and take events here.
    async fn recovered(&self) {
        let Ok(failing) = operator_events::failing(&self.pool).await else { return };
        let endpoints = self.health.table().endpoints();
        for (endpoint_id, told_ms) in failing {
            let Some(queue) = endpoints.find(&endpoint_id) else { continue };
            let success_ms = queue.health.last_success_ms.load(Relaxed);
            if queue.health.failing_since_ms.load(Relaxed) == 0 && success_ms > told_ms.max(0).unsigned_abs() {
                emit(recovered(queue, success_ms - told_ms.unsigned_abs() + self.config.failing_after_ms));
            }
        }
    }

    /// The same of hosts.
    async fn recovered_hosts(&self) {
        let Ok(hosts) = operator_events::failing_hosts(&self.pool).await else { return };
        let endpoints = self.health.table().endpoints();
        for (host, told_ms) in hosts {
            let of_host = || endpoints.iter().filter(|queue| *host_of(queue) == *host);
            let fails = |queue: &Arc<EndpointQueue>| queue.health.failing_since_ms.load(Relaxed) != 0;
            let took =
                |queue: &Arc<EndpointQueue>| queue.health.last_success_ms.load(Relaxed) > told_ms.max(0).unsigned_abs();
            if !of_host().any(fails) && of_host().any(took) {
                emit(OperatorEvent::EndpointsRecovered { host: host.into() });
            }
        }
    }

    fn dead_letters(&mut self, now: Instant) {
        let Some(parts) = self.health.parts() else { return };
        let Some((change, total)) = parts.sampler.lock().dead_letters() else { return };
        let per_minute = u64::try_from(change).unwrap_or(0);
        let is_told = self.growing_at.is_some_and(|at| now.duration_since(at) < self.config.repeat_after());
        if per_minute > self.config.dead_letters_per_minute_events_max && !is_told {
            self.growing_at = Some(now);
            emit(OperatorEvent::DeadLettersGrowing { per_minute, total });
        }
    }
}

fn recovered(queue: &EndpointQueue, failed_for_ms: u64) -> OperatorEvent {
    OperatorEvent::EndpointRecovered {
        endpoint_id: Arc::clone(&queue.id),
        customer_id: Arc::clone(&queue.settings().customer_id),
        failed_for_ms,
    }
}

fn host_of(queue: &EndpointQueue) -> Arc<str> {
    let settings = queue.settings();
    let url = settings.url.url();
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.into(), |port| format!("{host}:{port}").into())
}

fn cause(queue: &EndpointQueue) -> Cause {
    let last = queue.health.last_error.lock().clone();
    let class = last.as_ref().map(|error| error.class);
    Cause { host: host_of(queue), class, status: last.and_then(|error| error.status) }
}

fn several_failing(cause: Cause, group: &[(Arc<EndpointQueue>, u64)]) -> OperatorEvent {
    let since_ms = group.iter().map(|(_, since)| *since).min().unwrap_or(0);
    OperatorEvent::EndpointsFailing {
        host: cause.host,
        endpoints: group.len(),
        endpoint_ids: group.iter().take(IDS_MAX).map(|(queue, _)| Arc::clone(&queue.id)).collect(),
        failing_since: time(since_ms),
        last_class: cause.class,
        last_status: cause.status,
    }
}

fn time(wall_ms: u64) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(wall_ms).unwrap_or(0)).unwrap_or_default()
}

fn failing(queue: &EndpointQueue, since_ms: u64) -> OperatorEvent {
    let last = queue.health.last_error.lock().clone();
    OperatorEvent::EndpointFailing {
        endpoint_id: Arc::clone(&queue.id),
        customer_id: Arc::clone(&queue.settings().customer_id),
        failing_since: time(since_ms),
        last_class: last.as_ref().map(|error| error.class),
        last_status: last.and_then(|error| error.status),
    }
}

/// Endpoints that fail for the same cause within this time are told of together.
const COMPANY_MAX: Duration = Duration::from_secs(10);
/// Ids of endpoints that are told of together.
const IDS_MAX: usize = 100;
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOKS: u32 = 5;
