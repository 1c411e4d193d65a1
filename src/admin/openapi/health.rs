//! ○ The shapes of what the API says of health: of endpoints, actors and the whole.

use serde_json::{Value, json};

use super::schema::{about, count, described, flag, list, of, or_null, plain, time, whole, word};
use crate::{endpoint::standing as endpoint, ingest::standing::Why};

/// Each with its name.
pub(super) fn answers() -> Vec<(&'static str, Value)> {
    [of_endpoints(), stats(), of_actors(), of_all()].concat()
}

type Member = (&'static str, Value, &'static str);

fn silent() -> Member {
    ("unreachable", list(of("Silent")), "Live instances that did not answer: their part is missing.")
}

fn number() -> Value {
    json!({"type": "number"})
}

fn status() -> Member {
    let words = ["disabled", "unreadable", "paused", "open", "half_open", "failing", "lagging", "idle", "healthy"];
    ("status", word(&words), "Its state in one word.")
}

fn breaker() -> Value {
    word(&["closed", "half_open", "open"])
}

/// Until when an endpoint is left alone.
pub(super) fn silent_until() -> Value {
    about(or_null(time()), "No request is sent before: its breaker is open, or it asked for a pause (Retry-After).")
}

fn standing() -> Member {
    ("standing", or_null(of("EndpointStanding")), "It has something to do, and nothing has ended for a while.")
}

fn until() -> Member {
    ("silent_until", or_null(time()), "No request is sent before: its breaker is open, or it asked for a pause.")
}

fn last_error() -> Member {
    ("last_error", or_null(of("EndpointError")), "Its newest failure.")
}

fn of_endpoints() -> Vec<(&'static str, Value)> {
    let error = [
        ("at", or_null(time()), "The time of its end."),
        ("class", plain(), "The kind of answer or failure."),
        ("status", or_null(count()), "The answer's status, where there was one."),
        ("excerpt", plain(), "The beginning of the answer, or what the network said."),
    ];
    let stands = [
        ("since", or_null(time()), "Nothing has ended since then."),
        ("why", word(&endpoint::Why::ALL.map(endpoint::Why::as_str)), "The cause; stable."),
        ("words", plain(), "The cause, for people."),
        ("class", or_null(plain()), "Of its newest failure, where it is about the receiver."),
        ("excerpt", or_null(plain()), "What the receiver or the network said."),
    ];
    let health = [
        status(),
        ("breaker", breaker(), "Its circuit breaker."),
        ("backlog_events", count(), "Events that wait in its backlog."),
        ("backlog_oldest_ms", or_null(count()), "Age of the oldest of them."),
        ("dead_letters", count(), "Its dead letters."),
        ("delivered_per_minute", count(), "Events that it took in the last minute."),
        ("failed_per_minute", count(), "Attempts that failed in the last minute."),
        last_error(),
        until(),
        standing(),
    ];
    let silent = [("id", plain(), "The instance."), ("reason", plain(), "The reason for which it did not answer.")];
    vec![
        ("EndpointError", described(&error, &[])),
        (
            "EndpointStanding",
            about(described(&stands, &[]), "It has something to do, and nothing has ended since then."),
        ),
        ("Health", described(&health, &[])),
        ("Silent", described(&silent, &[])),
    ]
}

fn stats() -> Vec<(&'static str, Value)> {
    let rates = [
        ("since_start", count(), "Since the instances started."),
        ("last_minute", count(), "In the last minute."),
        ("per_minute_5", number(), "A minute, over five minutes."),
        ("per_minute_15", number(), "A minute, over a quarter of an hour."),
    ];
    let percentiles = [
        ("p50", or_null(number()), "Half of them took no longer."),
        ("p90", or_null(number()), "Nine of ten took no longer."),
        ("p99", or_null(number()), "All but one of a hundred took no longer."),
    ];
    let queue = [
        ("events", count(), "Events in memory."),
        ("bytes", count(), "Their bytes."),
        ("in_flight", count(), "Requests under way."),
    ];
    let backlog =
        [("events", count(), "Events that wait in it."), ("oldest_ms", or_null(count()), "Age of the oldest.")];
    let by_class = json!({"type": "object", "additionalProperties": count()});
    let stats = [
        ("endpoint_id", plain(), "The endpoint."),
        status(),
        ("breaker", breaker(), "Its circuit breaker."),
        ("delivered", of("Rates"), "Events that it took."),
        ("failed_attempts", of("Rates"), "Attempts that failed."),
        ("attempts_by_class", by_class, "Attempts by the kind of their answer or failure."),
        ("duration_ms", described(&percentiles, &[]), "Durations of requests."),
        ("queue", described(&queue, &[]), "Events that wait for it in memory."),
        ("backlog", described(&backlog, &[]), "Events that wait for it in the store."),
        ("dead_letters", count(), "Its dead letters."),
        ("counts", of("Counts"), "Counts by the minute or the hour."),
        ("last_success_at", or_null(time()), "The time of its newest success."),
        ("last_failure_at", or_null(time()), "The time of its newest failure."),
        last_error(),
        until(),
        standing(),
        silent(),
    ];
    vec![("Rates", described(&rates, &[])), ("Stats", described(&stats, &[])), ("Counts", counts())]
}

/// Counts by the minute or the hour.
fn counts() -> Value {
    let point = [
        ("at", time(), "The beginning of its span."),
        ("delivered", count(), "Events that it took."),
        ("failed_attempts", count(), "Attempts that failed."),
    ];
    let counts = [
        ("per", word(&["minute", "hour"]), "The span of each point."),
        ("since", time(), "The beginning of the first point."),
        ("until", time(), "The end of the last point."),
        ("delivered", count(), "Events, all points together."),
        ("failed_attempts", count(), "Failed attempts, all points together."),
        ("data", list(described(&point, &[])), "The oldest first; those without anything as well."),
    ];
    about(described(&counts, &[]), "Of all instances, written down by the minute and kept for weeks.")
}

fn of_actors() -> Vec<(&'static str, Value)> {
    let error = [
        ("at_ms", whole(), "The time of its end, in milliseconds since 1970."),
        ("class", plain(), "The kind of answer or failure."),
        ("status", or_null(count()), "The answer's status, where there was one."),
        ("excerpt", plain(), "The beginning of the answer."),
    ];
    let actor = [
        ("kind", plain(), "The kind of actor: endpoint, ingest, router, …"),
        ("id", plain(), "Its name within its kind."),
        ("instance", plain(), "The instance that has it."),
        ("state", plain(), "Its state in one word."),
        ("why", or_null(plain()), "The cause of the state."),
        ("queue_events", count(), "Events that it holds."),
        ("queue_bytes", count(), "Their bytes."),
        ("in_flight", count(), "Requests under way."),
        ("breaker", or_null(breaker()), "The circuit breaker, of an endpoint."),
        ("breaker_why", or_null(plain()), "The cause of the breaker's state."),
        ("silent_for_ms", or_null(count()), "Time for which no further request is sent."),
        ("standing_for_ms", or_null(count()), "Time since anything has ended, while there is something to do."),
        ("restarts", count(), "Times that it was restarted after a panic."),
        ("delivered", count(), "Events that it delivered, since it started."),
        ("failed_attempts", count(), "Attempts that failed, since it started."),
        ("events_last_minute", count(), "Events of the last minute."),
        ("failed_last_minute", count(), "Failed attempts of the last minute."),
        ("last_error", or_null(described(&error, &[])), "Its newest failure."),
        ("oldest_ms", or_null(count()), "Age of the oldest event that it holds."),
        ("lag", or_null(whole()), "Records of its partition that are not read yet."),
    ];
    let page = [
        ("instance", plain(), "The instance that was asked."),
        ("data", list(of("ActorState")), "The actors of this page."),
        ("next_cursor", or_null(plain()), "Goes on with the next page; null at the end."),
        silent(),
    ];
    let one = [
        ("id", plain(), "The actor's name."),
        ("kind", or_null(plain()), "The kind of actor."),
        ("data", list(of("ActorState")), "The actor at each instance that has it."),
        silent(),
    ];
    vec![("ActorState", described(&actor, &[])), ("ActorPage", described(&page, &[])), ("Actor", described(&one, &[]))]
}

fn of_all() -> Vec<(&'static str, Value)> {
    let rates = [
        ("at", whole(), "The time, in milliseconds since 1970."),
        ("events_in_per_second", number(), "Events that come in a second."),
        ("delivered_per_second", number(), "Events that are delivered a second."),
        ("failed_attempts_per_second", number(), "Attempts that fail a second."),
    ];
    let point = [
        ("latency_p50_ms", or_null(number()), "Half of the events took no longer, from Kafka to their endpoint."),
        ("latency_p99_ms", or_null(number()), "All but one of a hundred took no longer."),
        ("backlog_events", count(), "Events that wait in the backlog."),
        ("dead_letters", or_null(count()), "Dead letters."),
        ("lag", whole(), "Records that are not read yet."),
    ];
    let point = described(&[rates.to_vec(), point.to_vec()].concat(), &[]);
    let percentiles = [
        ("p50", or_null(number()), "Half of the events took no longer."),
        ("p99", or_null(number()), "All but one of a hundred took no longer."),
    ];
    let overview = [
        ("latency_ms", described(&percentiles, &[]), "Time from Kafka to the endpoint."),
        ("history", list(point), "The last quarter of an hour, the oldest first."),
        silent(),
    ];
    let overview = [rates.to_vec(), overview.to_vec(), sources(), held()].concat();
    vec![("Overview", described(&overview, &[]))]
}

/// Instances, and the topics that they read.
fn sources() -> Vec<Member> {
    let instance = [
        ("id", plain(), "Its name."),
        ("started_at", time(), "The time of its start."),
        ("seen_at", time(), "Its newest heartbeat."),
        ("version", or_null(plain()), "The version of the program."),
    ];
    let topic = [
        ("topic", plain(), "The topic."),
        ("partitions", count(), "Its partitions."),
        ("in_per_second", number(), "Records that come in a second."),
        ("lag", whole(), "Records that are not read yet."),
        ("oldest_uncommitted_ms", count(), "Age of the oldest record whose offset is not committed."),
    ];
    let standing = [
        ("topic", plain(), "The topic."),
        ("why", word(&Why::ALL.map(Why::as_str)), "The cause; stable."),
        ("words", plain(), "The cause, for people."),
        ("partitions", list(whole()), "The partitions' numbers."),
        ("for_ms", count(), "Time since they have moved."),
        ("lag", whole(), "Records of theirs that are not read yet."),
    ];
    vec![
        ("instances", list(described(&instance, &[])), "The live instances."),
        ("topics", list(described(&topic, &[])), "The topics that are read."),
        ("standing", list(described(&standing, &[])), "Partitions that have something to do and do not move."),
    ]
}

/// Endpoints, and what waits for them.
fn held() -> Vec<Member> {
    let flow = [
        ("waiting_events", count(), "Events in memory that wait for their endpoints."),
        ("window_events", count(), "Events that may wait in memory."),
        ("leaving_per_second", count(), "Events that leave memory a second."),
        ("drain_per_second", count(), "Events that are taken from the backlog a second."),
        ("is_held_back", flag(), "Whether reading waits for that."),
    ];
    let breakers = [
        ("closed", count(), "Endpoints whose breaker is closed."),
        ("open", count(), "Endpoints whose breaker is open."),
        ("half_open", count(), "Endpoints that are probed."),
    ];
    let endpoints = [
        ("enabled", count(), "Enabled ones."),
        ("paused", count(), "Paused ones."),
        ("disabled", count(), "Disabled ones."),
    ];
    let backlog = [
        ("events", count(), "Events that wait."),
        ("bytes", or_null(count()), "Their bytes."),
        ("oldest_ms", or_null(count()), "Age of the oldest."),
        ("change_per_minute", whole(), "Events more than a minute ago."),
    ];
    let letters = [
        ("total", or_null(count()), "All there are."),
        ("change_per_minute", whole(), "Letters more than a minute ago."),
    ];
    vec![
        ("flow", described(&flow, &[]), "How much is read, and how fast the backlog goes."),
        ("breakers", described(&breakers, &[]), "Endpoints by their breaker."),
        ("endpoints", described(&endpoints, &[]), "Endpoints by their state."),
        ("backlog", described(&backlog, &[]), "Events that wait in the store."),
        ("dead_letters", described(&letters, &[]), "Dead letters."),
    ]
}
