//! ● Health of endpoints: `/v1/endpoints/{id}/stats`, and the part of it in a list of endpoints.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde_json::json;

use super::{
    access::Read, counts, endpoints::find_as_asked, problem::Problem, request, responses::visible_answer,
    state::AdminState,
};
use crate::{
    api::{
        endpoint_health::{
            EndpointError, EndpointHealth, EndpointRates, EndpointStall, QueuedEvents, RequestDurations, StatsView,
            StoredEvents,
        },
        endpoint_view::ListedEndpoint,
        instance::SilentPeer,
        resource::time,
    },
    clock,
    model::settings::EndpointState,
    monitoring::{
        endpoint_snapshot::{EndpointPart, EndpointStanding, ErrorPart},
        latencies::LatencyCounts,
        sampler::Rates,
    },
    store::queue_depths::{self, LETTERS_MAX, LISTED_LETTERS_MAX, StoredCounts},
};

/// The instances' parts of some endpoints together.
pub(super) struct EndpointParts {
    pub by_id: HashMap<String, EndpointPart>,
    pub unreachable: Vec<SilentPeer>,
}

pub(super) async fn stats(
    access: Read,
    state: web::Data<AdminState>,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["customer_id", "per", "since", "until"])?;
    let endpoint = find_as_asked(&state, &access, &query, path).await?;
    let counts = counts::of(&state.pool, &endpoint.id, &query).await?;
    let (ids, names) = ([endpoint.id.clone()], [endpoint.id.as_str()]);
    let (parts, stored) =
        tokio::join!(parts(&state, &ids), queue_depths::of_endpoints(&state.pool, &names, LETTERS_MAX));
    let (mut parts, stored) = (parts, stored?.first().copied().unwrap_or_default());
    let part = parts.by_id.remove(&endpoint.id).unwrap_or_default();
    let now_ms = clock::wall_ms();
    let backlog = StoredEvents { events: stored.backlog_events, oldest_ms: age(stored.backlog_oldest_ms, now_ms) };
    let answer = StatsView {
        status: part.status(endpoint.state, stored, now_ms),
        breaker: part.breaker_state(),
        delivered: rates(part.delivered, part.delivered_rates),
        failed_attempts: rates(part.failed_attempts, part.failed_rates),
        attempts_by_class: part.by_class.iter().cloned().collect(),
        duration_ms: durations(&part.took),
        queue: QueuedEvents {
            events: part.queue_events,
            bytes: part.queue_bytes,
            in_flight: part.in_flight,
            in_flight_limit: part.in_flight_limit,
        },
        backlog,
        dead_letters: stored.dead_letters,
        counts,
        last_success_at: part.last_success_ms.and_then(time),
        last_failure_at: part.last_error.as_ref().and_then(|error| time(error.at_ms)),
        last_error: part.last_error.as_ref().map(newest_error),
        silent_until: silent_until(&part, now_ms),
        standing: part.standing.as_ref().map(|standing| stalled(standing, now_ms)),
        unreachable: parts.unreachable,
        endpoint_id: endpoint.id,
    };
    Ok(visible_answer(&access, &answer))
}

/// Adds `health` to each of these endpoints.
///
/// # Errors
/// When Postgres is away.
pub(super) async fn attach(state: &AdminState, page: &mut [&mut ListedEndpoint]) -> Result<(), Problem> {
    let ids: Vec<String> = page.iter().map(|listed| listed.endpoint.id.clone()).collect();
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (parts, stored) =
        tokio::join!(parts(state, &ids), queue_depths::of_endpoints(&state.pool, &names, LISTED_LETTERS_MAX));
    let (now_ms, unknown) = (clock::wall_ms(), EndpointPart::default());
    for (listed, stored) in page.iter_mut().zip(stored?) {
        let part = parts.by_id.get(&listed.endpoint.id).unwrap_or(&unknown);
        listed.health = Some(short(part, listed.endpoint.state, stored, now_ms));
    }
    Ok(())
}

fn short(part: &EndpointPart, state: EndpointState, stored: StoredCounts, now_ms: i64) -> EndpointHealth {
    EndpointHealth {
        status: part.status(state, stored, now_ms),
        breaker: part.breaker_state(),
        backlog_events: stored.backlog_events,
        backlog_oldest_ms: age(stored.backlog_oldest_ms, now_ms),
        dead_letters: stored.dead_letters,
        delivered_per_minute: part.delivered_rates.last_minute,
        failed_per_minute: part.failed_rates.last_minute,
        last_error: part.last_error.as_ref().map(newest_error),
        silent_until: silent_until(part, now_ms),
        standing: part.standing.as_ref().map(|standing| stalled(standing, now_ms)),
    }
}

/// Until when it is left alone: its breaker is open, or it asked for it.
pub(super) fn silent_until(part: &EndpointPart, now_ms: i64) -> Option<Timestamp> {
    time(now_ms + i64::try_from(part.silent_for_ms?).ok()?)
}

fn stalled(standing: &EndpointStanding, now_ms: i64) -> EndpointStall {
    let EndpointStanding { why, words, for_ms, class, excerpt } = standing.clone();
    EndpointStall { since: time(now_ms - i64::try_from(for_ms).unwrap_or(0)), why, words, class, excerpt }
}

pub(super) async fn parts(state: &AdminState, ids: &[String]) -> EndpointParts {
    let body = json!(ids);
    let heard = state.peers.ask::<Vec<EndpointPart>>("/peer/endpoints", Some(&body)).await;
    let mut by_id: HashMap<String, EndpointPart> = HashMap::new();
    for part in heard.answers.into_iter().flatten().chain(state.actors.endpoints(ids)) {
        match by_id.entry(part.id.clone()) {
            std::collections::hash_map::Entry::Occupied(mut known) => known.get_mut().add(part),
            std::collections::hash_map::Entry::Vacant(new) => drop(new.insert(part)),
        }
    }
    EndpointParts { by_id, unreachable: heard.silent }
}

fn rates(since_start: u64, rates: Rates) -> EndpointRates {
    let Rates { last_minute, per_minute_5, per_minute_15 } = rates;
    EndpointRates { since_start, last_minute, per_minute_5, per_minute_15 }
}

fn durations(took: &LatencyCounts) -> RequestDurations {
    RequestDurations { p50: took.percentile_ms(0.5), p90: took.percentile_ms(0.9), p99: took.percentile_ms(0.99) }
}

fn newest_error(error: &ErrorPart) -> EndpointError {
    let ErrorPart { at_ms, class, status, excerpt } = error.clone();
    EndpointError { at: time(at_ms), class, status, excerpt }
}

fn age(since_ms: Option<i64>, now_ms: i64) -> Option<i64> {
    since_ms.map(|since| (now_ms - since).max(0))
}
