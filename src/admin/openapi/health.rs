//! ○ The shapes of what the API says of health: of endpoints, actors and the whole.

use serde_json::{Value, json};

use super::schema::{about, count, flag, list, object, of, or_null, plain, time, whole, word};
use crate::{endpoint::standing as endpoint, ingest::standing::Why};

/// Each with its name.
pub fn answers() -> Vec<(&'static str, Value)> {
    [of_endpoints(), of_actors(), of_all()].concat()
}

fn silent() -> Value {
    about(list(of("Silent")), "Live instances that did not answer: their part is missing.")
}

fn number() -> Value {
    json!({"type": "number"})
}

fn status() -> Value {
    word(&["disabled", "unreadable", "paused", "open", "half_open", "failing", "lagging", "idle", "healthy"])
}

fn breaker() -> Value {
    word(&["closed", "half_open", "open"])
}

/// Until when an endpoint is left alone.
pub fn silent_until() -> Value {
    about(or_null(time()), "It is left alone until then: its breaker is open, or it asked for it (Retry-After).")
}

fn standing() -> Value {
    or_null(of("EndpointStanding"))
}

fn of_endpoints() -> Vec<(&'static str, Value)> {
    let error = json!({"at": or_null(time()), "class": plain(), "status": or_null(count()), "excerpt": plain()});
    let stands = json!({
        "since": or_null(time()), "why": word(&endpoint::Why::ALL.map(endpoint::Why::word)), "words": plain(),
        "class": about(or_null(plain()), "Of its newest failure, where it is about the receiver."),
        "excerpt": about(or_null(plain()), "What the receiver or the network said."),
    });
    let health = json!({
        "status": status(), "breaker": breaker(), "backlog_events": count(), "backlog_oldest_ms": or_null(count()),
        "dead_letters": count(), "delivered_per_minute": count(), "failed_per_minute": count(),
        "last_error": or_null(of("EndpointError")), "silent_until": silent_until(), "standing": standing(),
    });
    let rates =
        json!({"since_start": count(), "last_minute": count(), "per_minute_5": number(), "per_minute_15": number()});
    let percentiles = json!({"p50": or_null(number()), "p90": or_null(number()), "p99": or_null(number())});
    let queue = json!({"events": count(), "bytes": count(), "in_flight": count()});
    let backlog = json!({"events": count(), "oldest_ms": or_null(count())});
    let stats = json!({
        "endpoint_id": plain(), "status": status(), "breaker": breaker(), "delivered": of("Rates"),
        "failed_attempts": of("Rates"),
        "attempts_by_class": {"type": "object", "additionalProperties": count()},
        "duration_ms": object(percentiles, &[]), "queue": object(queue, &[]), "backlog": object(backlog, &[]),
        "dead_letters": count(), "counts": of("Counts"), "last_success_at": or_null(time()),
        "last_failure_at": or_null(time()), "last_error": or_null(of("EndpointError")),
        "silent_until": silent_until(), "standing": standing(), "unreachable": silent(),
    });
    let point = json!({"at": time(), "delivered": count(), "failed_attempts": count()});
    let counts = json!({
        "per": word(&["minute", "hour"]), "since": time(), "until": time(),
        "delivered": about(count(), "Events, all points together."),
        "failed_attempts": about(count(), "All points together."),
        "data": about(list(object(point, &[])), "The oldest first; those without anything as well."),
    });
    vec![
        ("EndpointError", object(error, &[])),
        ("EndpointStanding", about(object(stands, &[]), "It has something to do, and nothing has ended since then.")),
        ("Health", object(health, &[])),
        ("Rates", object(rates, &[])),
        ("Stats", object(stats, &[])),
        ("Counts", about(object(counts, &[]), "Of all instances, written down by the minute and kept for weeks.")),
        ("Silent", object(json!({"id": plain(), "reason": plain()}), &[])),
    ]
}

fn of_actors() -> Vec<(&'static str, Value)> {
    let error = json!({"at_ms": whole(), "class": plain(), "status": or_null(count()), "excerpt": plain()});
    let actor = json!({
        "kind": plain(), "id": plain(), "instance": plain(), "state": plain(), "why": or_null(plain()),
        "queue_events": count(), "queue_bytes": count(), "in_flight": count(), "breaker": or_null(breaker()),
        "breaker_why": or_null(plain()), "silent_for_ms": or_null(count()), "standing_for_ms": or_null(count()), "restarts": count(), "delivered": count(),
        "failed_attempts": count(), "events_last_minute": count(), "failed_last_minute": count(),
        "last_error": or_null(object(error, &[])), "oldest_ms": or_null(count()), "lag": or_null(whole()),
    });
    let page = json!({
        "instance": about(plain(), "The one that was asked."), "data": list(of("ActorState")),
        "next_cursor": or_null(plain()), "unreachable": silent(),
    });
    let one = json!({"id": plain(), "kind": or_null(plain()), "data": list(of("ActorState")), "unreachable": silent()});
    vec![("ActorState", object(actor, &[])), ("ActorPage", object(page, &[])), ("Actor", object(one, &[]))]
}

fn of_all() -> Vec<(&'static str, Value)> {
    let instance = json!({"id": plain(), "started_at": time(), "seen_at": time(), "version": or_null(plain())});
    let topic = json!({
        "topic": plain(), "partitions": count(), "in_per_second": number(), "lag": whole(),
        "oldest_uncommitted_ms": count(),
    });
    let standing = json!({
        "topic": plain(), "why": word(&Why::ALL.map(Why::word)), "words": plain(), "partitions": list(whole()),
        "for_ms": count(), "lag": whole(),
    });
    let point = json!({
        "at": whole(), "events_in_per_second": number(), "delivered_per_second": number(),
        "failed_attempts_per_second": number(), "latency_p50_ms": or_null(number()),
        "latency_p99_ms": or_null(number()), "backlog_events": count(), "dead_letters": or_null(count()), "lag": whole(),
    });
    let backlog = json!({
        "events": count(), "bytes": or_null(count()), "oldest_ms": or_null(count()), "change_per_minute": whole(),
    });
    let flow = json!({
        "waiting_events": count(), "window_events": count(), "leaving_per_second": count(), "drain_per_second": count(),
        "is_held_back": flag(),
    });
    let overview = json!({
        "at": whole(), "instances": list(object(instance, &[])), "unreachable": silent(),
        "events_in_per_second": number(), "delivered_per_second": number(), "failed_attempts_per_second": number(),
        "latency_ms": object(json!({"p50": or_null(number()), "p99": or_null(number())}), &[]),
        "flow": object(flow, &[]),
        "topics": list(object(topic, &[])),
        "standing": about(list(object(standing, &[])), "Partitions that have something to do and do not move."),
        "breakers": object(json!({"closed": count(), "open": count(), "half_open": count()}), &[]),
        "endpoints": object(json!({"enabled": count(), "paused": count(), "disabled": count()}), &[]),
        "backlog": object(backlog, &[]),
        "dead_letters": object(json!({"total": or_null(count()), "change_per_minute": whole()}), &[]),
        "history": list(object(point, &[])),
    });
    vec![("Overview", object(overview, &[]))]
}
