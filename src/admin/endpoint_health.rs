//! ● Health of endpoints: `/v1/endpoints/{id}/stats`, and the part of it in a list of endpoints.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    access::Read, conceal::conceal, counts, endpoints::find_as_asked, problem::Problem, request, state::AdminState,
};
use crate::{
    clock,
    model::settings::EndpointState,
    monitoring::{
        endpoint_snapshot::{EndpointPart, EndpointStanding, ErrorPart},
        peers::SilentPeer,
        sampler::Rates,
    },
    store::{
        endpoint_settings::parse_state,
        queue_depths::{self, LETTERS_MAX, LISTED_LETTERS_MAX, StoredCounts},
    },
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
    let by_class: serde_json::Map<String, Value> =
        part.by_class.iter().map(|(class, count)| (class.clone(), json!(count))).collect();
    let mut answer = json!({
        "endpoint_id": endpoint.id,
        "status": part.status(endpoint.state, stored, now_ms),
        "breaker": part.breaker_word(),
        "delivered": rates(part.delivered, part.delivered_rates),
        "failed_attempts": rates(part.failed_attempts, part.failed_rates),
        "attempts_by_class": by_class,
        "duration_ms": {
            "p50": part.took.percentile_ms(0.5), "p90": part.took.percentile_ms(0.9), "p99": part.took.percentile_ms(0.99),
        },
        "queue": {"events": part.queue_events, "bytes": part.queue_bytes, "in_flight": part.in_flight},
        "backlog": {"events": stored.backlog_events, "oldest_ms": age(stored.backlog_oldest_ms, now_ms)},
        "dead_letters": stored.dead_letters,
        "counts": counts,
        "last_success_at": part.last_success_ms.and_then(time),
        "last_failure_at": part.last_error.as_ref().and_then(|error| time(error.at_ms)),
        "last_error": part.last_error.as_ref().map(error_view),
        "silent_until": silent_until(&part, now_ms),
        "standing": part.standing.as_ref().map(|standing| standing_view(standing, now_ms)),
        "unreachable": parts.unreachable,
    });
    if access.customer().is_some() {
        conceal(&mut answer);
    }
    Ok(HttpResponse::Ok().json(answer))
}

/// Adds `health` to each endpoint of a page; one that cannot be read has none.
///
/// # Errors
/// When Postgres is away.
pub(super) async fn attach(state: &AdminState, page: &mut [Value]) -> Result<(), Problem> {
    let known = |endpoint: &Value| {
        let settings_state = parse_state(endpoint["state"].as_str()?)?;
        Some((endpoint["id"].as_str()?.to_owned(), settings_state))
    };
    let (ids, states): (Vec<String>, Vec<EndpointState>) = page.iter().filter_map(known).unzip();
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (parts, stored) =
        tokio::join!(parts(state, &ids), queue_depths::of_endpoints(&state.pool, &names, LISTED_LETTERS_MAX));
    let (now_ms, unknown) = (clock::wall_ms(), EndpointPart::default());
    let mut health: HashMap<&str, Value> = HashMap::new();
    for ((id, state), stored) in ids.iter().zip(states).zip(stored?) {
        let part = parts.by_id.get(id).unwrap_or(&unknown);
        health.insert(id, short(part, state, stored, now_ms));
    }
    for endpoint in page {
        if let Some(health) = endpoint["id"].as_str().and_then(|id| health.remove(id)) {
            endpoint["health"] = health;
        }
    }
    Ok(())
}

fn short(part: &EndpointPart, state: EndpointState, stored: StoredCounts, now_ms: i64) -> Value {
    json!({
        "status": part.status(state, stored, now_ms),
        "breaker": part.breaker_word(),
        "backlog_events": stored.backlog_events,
        "backlog_oldest_ms": age(stored.backlog_oldest_ms, now_ms),
        "dead_letters": stored.dead_letters,
        "delivered_per_minute": part.delivered_rates.last_minute,
        "failed_per_minute": part.failed_rates.last_minute,
        "last_error": part.last_error.as_ref().map(error_view),
        "silent_until": silent_until(part, now_ms),
        "standing": part.standing.as_ref().map(|standing| standing_view(standing, now_ms)),
    })
}

/// Until when it is left alone: its breaker is open, or it asked for it.
pub(super) fn silent_until(part: &EndpointPart, now_ms: i64) -> Option<Timestamp> {
    time(now_ms + i64::try_from(part.silent_for_ms?).ok()?)
}

fn standing_view(standing: &EndpointStanding, now_ms: i64) -> Value {
    let since_ms = now_ms - i64::try_from(standing.for_ms).unwrap_or(0);
    json!({
        "since": time(since_ms), "why": standing.why, "words": standing.words, "class": standing.class,
        "excerpt": standing.excerpt,
    })
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

fn rates(total: u64, rates: Rates) -> Value {
    json!({
        "since_start": total,
        "last_minute": rates.last_minute,
        "per_minute_5": rates.per_minute_5,
        "per_minute_15": rates.per_minute_15,
    })
}

fn error_view(error: &ErrorPart) -> Value {
    json!({"at": time(error.at_ms), "class": error.class, "status": error.status, "excerpt": error.excerpt})
}

fn age(since_ms: Option<i64>, now_ms: i64) -> Option<i64> {
    since_ms.map(|since| (now_ms - since).max(0))
}

fn time(ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(ms).ok()
}
