//! ● Endpoints that fail for minutes and recover, and dead letters that grow: operators hear of them. This is the only place
//! that says of an endpoint that it recovered.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::report::Health;
use crate::{
    clock,
    config::OperatorEvents,
    endpoint::{queue::EndpointQueue, settings::State},
    event::EndpointKey,
    operator_event::{OperatorEvent, emit},
    store::{Pool, operator_events},
};

/// Looks until the process ends.
pub async fn watch(config: OperatorEvents, pool: Pool, health: Arc<Health>) {
    let mut alarms = Alarms { config, pool, health, told: HashMap::new(), growing_at: None };
    loop {
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK_EVERY).await;
            alarms.failing(clock::now());
            alarms.dead_letters(clock::now());
        }
        alarms.recovered().await;
    }
}

struct Alarms {
    config: OperatorEvents,
    pool: Pool,
    health: Arc<Health>,
    /// Since when each endpoint fails that was told of, and when it was told last.
    told: HashMap<u32, (u64, Instant)>,
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
        for queue in endpoints.iter() {
            let since = queue.health.failing_since_ms.load(Relaxed);
            if since == 0 || now_ms.saturating_sub(since) < self.config.failing_after_ms {
                continue;
            }
            let is_told = self
                .told
                .get(&queue.key.0)
                .is_some_and(|(_, at)| now.saturating_duration_since(*at) < self.config.repeat_after());
            if queue.settings().state == State::Enabled && !is_told {
                self.told.insert(queue.key.0, (since, now));
                emit(failing(queue, since));
            }
        }
    }

    /// What was said to be failing, by whichever instance, and takes events here.
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

fn failing(queue: &EndpointQueue, since_ms: u64) -> OperatorEvent {
    let last = queue.health.last_error.lock().clone();
    OperatorEvent::EndpointFailing {
        endpoint_id: Arc::clone(&queue.id),
        customer_id: Arc::clone(&queue.settings().customer_id),
        failing_since: Timestamp::from_millisecond(i64::try_from(since_ms).unwrap_or(0)).unwrap_or_default(),
        last_class: last.as_ref().map(|error| error.class),
        last_status: last.and_then(|error| error.status),
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOKS: u32 = 5;
