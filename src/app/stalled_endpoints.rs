//! ● Every five seconds, each endpoint is looked at: whether it is stalled, since when, and why.

mod news; // ○ what of it operators are told

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use metrics::{Gauge, gauge};

use self::news::{EndpointStallGroup, StallNews, StandingEndpoint};
use super::actor_views::ObservedParts;
use crate::{
    clock,
    endpoint::{
        queue::EndpointQueue,
        stalls::{EndpointObservation, EndpointStallReason, EndpointStalls},
    },
    notifications::{OperatorEvent, emit},
    telemetry::names,
};

/// State kept from one look to the next.
pub(super) struct StalledEndpoints {
    standings: EndpointStalls,
    gauges: [Gauge; EndpointStallReason::ALL.len()],
    news: StallNews,
    repeat_after: Duration,
}

impl StalledEndpoints {
    /// Operators are told of an endpoint and a reason once in `repeat_after`.
    pub(super) fn new(repeat_after: Duration) -> Self {
        let gauges = EndpointStallReason::ALL.map(|why| gauge!(names::ENDPOINTS_STANDING, "why" => why.as_str()));
        StalledEndpoints { standings: EndpointStalls::default(), gauges, news: StallNews::default(), repeat_after }
    }

    /// `is_answered`: PostgreSQL answered a moment ago.
    pub(super) fn observe<'a>(
        &mut self,
        parts: &ObservedParts,
        queues: impl Iterator<Item = &'a Arc<EndpointQueue>>,
        is_answered: bool,
    ) {
        let (now, rows) = (clock::now(), parts.heads.rows_by_endpoint());
        let storage_away = !is_answered || parts.backlog.health().is_retrying();
        let local_outage = parts.local_outage.is_on();
        let (mut counts, mut stand) = ([0_u32; EndpointStallReason::ALL.len()], Vec::new());
        for queue in queues {
            let seen = EndpointObservation { local_outage, storage_away, ..seen(queue, &rows, now) };
            let standing = self.standings.observe(queue.key, &seen, STANDS_AFTER, now);
            if let Some(place) =
                standing.as_ref().and_then(|one| EndpointStallReason::ALL.iter().position(|why| *why == one.why))
            {
                counts[place] += 1;
            }
            stand.extend(standing.as_ref().map(|one| stands(queue, one.why, one.since)));
            let mut shown = queue.health.standing.lock();
            if shown.is_some() || standing.is_some() {
                *shown = standing;
            }
        }
        self.standings.looked_at_all();
        self.gauges.iter().zip(counts).for_each(|(gauge, count)| gauge.set(count));
        self.news.observe(&stand, self.repeat_after, now).into_iter().for_each(|group| emit(told(group, now)));
    }
}

fn stands(queue: &EndpointQueue, why: EndpointStallReason, since: Instant) -> StandingEndpoint {
    let (endpoint_id, customer_id) = (Arc::clone(&queue.id), Arc::clone(&queue.settings().customer_id));
    StandingEndpoint { key: queue.key, endpoint_id, customer_id, since, why }
}

fn told(group: EndpointStallGroup, now: Instant) -> OperatorEvent {
    let ago_ms = i64::try_from(now.saturating_duration_since(group.since).as_millis()).unwrap_or(i64::MAX);
    OperatorEvent::EndpointsStanding {
        why: group.why.as_str(),
        words: group.why.words(),
        endpoints: group.endpoints,
        customers: group.customers,
        endpoint_ids: group.endpoint_ids,
        standing_since: Timestamp::from_millisecond(clock::wall_ms().saturating_sub(ago_ms)).unwrap_or_default(),
    }
}

fn seen(queue: &EndpointQueue, rows: &HashMap<Arc<str>, u64>, now: Instant) -> EndpointObservation {
    let (health, settings) = (&queue.health, queue.settings());
    let last_success_ms = i64::try_from(health.last_success_ms.load(Relaxed)).unwrap_or(i64::MAX);
    let error = health.last_error.lock();
    let failure = error.as_ref().filter(|error| error.at_ms >= last_success_ms);
    EndpointObservation {
        state: settings.state,
        is_unreadable: settings.signing_keys.is_empty(),
        held: (queue.waiting_events() + health.held_events.load(Relaxed)) as u64,
        rows: rows.get(&queue.id).copied().unwrap_or(0),
        ended: health.delivered.load(Relaxed) + health.given_up.load(Relaxed),
        obstacle: health.obstacle(),
        is_off: health.off.load(Relaxed),
        is_breaker_closed: health.breaker_word() == "closed",
        is_silent: health.silent_until.lock().is_some_and(|until| until > now),
        local_outage: false,
        storage_away: false,
        failure: failure.map(|error| (error.class, error.excerpt.clone())),
    }
}

/// Longer than the longest wait that is nothing unusual: an attempt, and its first retries.
const STANDS_AFTER: Duration = Duration::from_secs(30);
