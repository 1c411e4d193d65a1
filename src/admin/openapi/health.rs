//! ○ The shapes of what the API says of health: of endpoints, actors and the whole.

use serde_json::{Value, json};

use super::schema::{ObjectMember, about, count, described, flag, list, member, of, or_null, plain, time, whole, word};
use crate::{endpoint::stalls as endpoint, ingest::stalls::PartitionStallReason};

/// Each with its name.
pub(super) fn answers() -> Vec<(&'static str, Value)> {
    [of_endpoints(), stats(), of_actors(), of_all()].concat()
}

fn silent() -> ObjectMember {
    member("unreachable", list(of("Silent")), "Live instances that did not answer: their part is missing.")
}

fn number() -> Value {
    json!({"type": "number"})
}

fn status() -> ObjectMember {
    let words = ["disabled", "unreadable", "paused", "open", "half_open", "failing", "lagging", "idle", "healthy"];
    member("status", word(&words), "Its state in one word.")
}

fn breaker() -> Value {
    word(&["closed", "half_open", "open"])
}

/// Until when an endpoint is left alone.
pub(super) fn silent_until() -> Value {
    about(or_null(time()), "No request is sent before: its breaker is open, or it asked for a pause (Retry-After).")
}

fn standing() -> ObjectMember {
    member("standing", or_null(of("EndpointStanding")), "It has something to do, and nothing has ended for a while.")
}

fn until() -> ObjectMember {
    member("silent_until", or_null(time()), "No request is sent before: its breaker is open, or it asked for a pause.")
}

fn last_error() -> ObjectMember {
    member("last_error", or_null(of("EndpointError")), "Its newest failure.")
}

fn of_endpoints() -> Vec<(&'static str, Value)> {
    let error = [
        member("at", or_null(time()), "The time of its end."),
        member("class", plain(), "The kind of answer or failure."),
        member("status", or_null(count()), "The answer's status, where there was one."),
        member("excerpt", plain(), "The beginning of the answer, or what the network said."),
    ];
    let stands = [
        member("since", or_null(time()), "Nothing has ended since then."),
        member(
            "why",
            word(&endpoint::EndpointStallReason::ALL.map(endpoint::EndpointStallReason::as_str)),
            "The cause; stable.",
        ),
        member("words", plain(), "The cause, for people."),
        member("class", or_null(plain()), "Of its newest failure, where it is about the receiver."),
        member("excerpt", or_null(plain()), "What the receiver or the network said."),
    ];
    let health = [
        status(),
        member("breaker", breaker(), "Its circuit breaker."),
        member("backlog_events", count(), "Events that wait in its backlog."),
        member("backlog_oldest_ms", or_null(count()), "Age of the oldest of them."),
        member("dead_letters", count(), "Its dead letters."),
        member("delivered_per_minute", count(), "Events that it took in the last minute."),
        member("failed_per_minute", count(), "Attempts that failed in the last minute."),
        last_error(),
        until(),
        standing(),
    ];
    let silent =
        [member("id", plain(), "The instance."), member("reason", plain(), "The reason for which it did not answer.")];
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
        member("since_start", count(), "Since the instances started."),
        member("last_minute", count(), "In the last minute."),
        member("per_minute_5", number(), "A minute, over five minutes."),
        member("per_minute_15", number(), "A minute, over a quarter of an hour."),
    ];
    let percentiles = [
        member("p50", or_null(number()), "Half of them took no longer."),
        member("p90", or_null(number()), "Nine of ten took no longer."),
        member("p99", or_null(number()), "All but one of a hundred took no longer."),
    ];
    let queue = [
        member("events", count(), "Events in memory."),
        member("bytes", count(), "Their bytes."),
        member("in_flight", count(), "Requests under way."),
    ];
    let backlog = [
        member("events", count(), "Events that wait in it."),
        member("oldest_ms", or_null(count()), "Age of the oldest."),
    ];
    let by_class = json!({"type": "object", "additionalProperties": count()});
    let stats = [
        member("endpoint_id", plain(), "The endpoint."),
        status(),
        member("breaker", breaker(), "Its circuit breaker."),
        member("delivered", of("Rates"), "Events that it took."),
        member("failed_attempts", of("Rates"), "Attempts that failed."),
        member("attempts_by_class", by_class, "Attempts by the kind of their answer or failure."),
        member("duration_ms", described(&percentiles, &[]), "Durations of requests."),
        member("queue", described(&queue, &[]), "Events that wait for it in memory."),
        member("backlog", described(&backlog, &[]), "Events that wait for it in the store."),
        member("dead_letters", count(), "Its dead letters."),
        member("counts", of("Counts"), "Counts by the minute or the hour."),
        member("last_success_at", or_null(time()), "The time of its newest success."),
        member("last_failure_at", or_null(time()), "The time of its newest failure."),
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
        member("at", time(), "The beginning of its span."),
        member("delivered", count(), "Events that it took."),
        member("failed_attempts", count(), "Attempts that failed."),
    ];
    let counts = [
        member("per", word(&["minute", "hour"]), "The span of each point."),
        member("since", time(), "The beginning of the first point."),
        member("until", time(), "The end of the last point."),
        member("delivered", count(), "Events, all points together."),
        member("failed_attempts", count(), "Failed attempts, all points together."),
        member("data", list(described(&point, &[])), "The oldest first; those without anything as well."),
    ];
    about(described(&counts, &[]), "Of all instances, written down by the minute and kept for weeks.")
}

fn of_actors() -> Vec<(&'static str, Value)> {
    let error = [
        member("at_ms", whole(), "The time of its end, in milliseconds since 1970."),
        member("class", plain(), "The kind of answer or failure."),
        member("status", or_null(count()), "The answer's status, where there was one."),
        member("excerpt", plain(), "The beginning of the answer."),
    ];
    let actor = [
        member("kind", plain(), "The kind of actor: endpoint, ingest, router, …"),
        member("id", plain(), "Its name within its kind."),
        member("instance", plain(), "The instance that has it."),
        member("state", plain(), "Its state in one word."),
        member("why", or_null(plain()), "The cause of the state."),
        member("queue_events", count(), "Events that it holds."),
        member("queue_bytes", count(), "Their bytes."),
        member("in_flight", count(), "Requests under way."),
        member("breaker", or_null(breaker()), "The circuit breaker, of an endpoint."),
        member("breaker_why", or_null(plain()), "The cause of the breaker's state."),
        member("silent_for_ms", or_null(count()), "Time for which no further request is sent."),
        member("standing_for_ms", or_null(count()), "Time since anything has ended, while there is something to do."),
        member("restarts", count(), "Times that it was restarted after a panic."),
        member("delivered", count(), "Events that it delivered, since it started."),
        member("failed_attempts", count(), "Attempts that failed, since it started."),
        member("events_last_minute", count(), "Events of the last minute."),
        member("failed_last_minute", count(), "Failed attempts of the last minute."),
        member("last_error", or_null(described(&error, &[])), "Its newest failure."),
        member("oldest_ms", or_null(count()), "Age of the oldest event that it holds."),
        member("lag", or_null(whole()), "Records of its partition that are not read yet."),
    ];
    let page = [
        member("instance", plain(), "The instance that was asked."),
        member("data", list(of("ActorState")), "The actors of this page."),
        member("next_cursor", or_null(plain()), "Goes on with the next page; null at the end."),
        silent(),
    ];
    let one = [
        member("id", plain(), "The actor's name."),
        member("kind", or_null(plain()), "The kind of actor."),
        member("data", list(of("ActorState")), "The actor at each instance that has it."),
        silent(),
    ];
    vec![("ActorState", described(&actor, &[])), ("ActorPage", described(&page, &[])), ("Actor", described(&one, &[]))]
}

fn of_all() -> Vec<(&'static str, Value)> {
    let rates = [
        member("at", whole(), "The time, in milliseconds since 1970."),
        member("events_in_per_second", number(), "Events that come in a second."),
        member("delivered_per_second", number(), "Events that are delivered a second."),
        member("failed_attempts_per_second", number(), "Attempts that fail a second."),
    ];
    let point = [
        member("latency_p50_ms", or_null(number()), "Half of the events took no longer, from Kafka to their endpoint."),
        member("latency_p99_ms", or_null(number()), "All but one of a hundred took no longer."),
        member("backlog_events", count(), "Events that wait in the backlog."),
        member("dead_letters", or_null(count()), "Dead letters."),
        member("lag", whole(), "Records that are not read yet."),
    ];
    let point = described(&[rates.to_vec(), point.to_vec()].concat(), &[]);
    let percentiles = [
        member("p50", or_null(number()), "Half of the events took no longer."),
        member("p99", or_null(number()), "All but one of a hundred took no longer."),
    ];
    let overview = [
        member("latency_ms", described(&percentiles, &[]), "Time from Kafka to the endpoint."),
        member("history", list(point), "The last quarter of an hour, the oldest first."),
        silent(),
    ];
    let overview = [rates.to_vec(), overview.to_vec(), sources(), held()].concat();
    vec![("Overview", described(&overview, &[]))]
}

/// Instances, and the topics that they read.
fn sources() -> Vec<ObjectMember> {
    let instance = [
        member("id", plain(), "Its name."),
        member("started_at", time(), "The time of its start."),
        member("seen_at", time(), "Its newest heartbeat."),
        member("version", or_null(plain()), "The version of the program."),
    ];
    let topic = [
        member("topic", plain(), "The topic."),
        member("partitions", count(), "Its partitions."),
        member("in_per_second", number(), "Records that come in a second."),
        member("lag", whole(), "Records that are not read yet."),
        member("oldest_uncommitted_ms", count(), "Age of the oldest record whose offset is not committed."),
    ];
    let standing = [
        member("topic", plain(), "The topic."),
        member("why", word(&PartitionStallReason::ALL.map(PartitionStallReason::as_str)), "The cause; stable."),
        member("words", plain(), "The cause, for people."),
        member("partitions", list(whole()), "The partitions' numbers."),
        member("for_ms", count(), "Time since they have moved."),
        member("lag", whole(), "Records of theirs that are not read yet."),
    ];
    vec![
        member("instances", list(described(&instance, &[])), "The live instances."),
        member("topics", list(described(&topic, &[])), "The topics that are read."),
        member("standing", list(described(&standing, &[])), "Partitions that have something to do and do not move."),
    ]
}

/// Endpoints, and what waits for them.
fn held() -> Vec<ObjectMember> {
    let flow = [
        member("waiting_events", count(), "Events in memory that wait for their endpoints."),
        member("window_events", count(), "Events that may wait in memory."),
        member("leaving_per_second", count(), "Events that leave memory a second."),
        member("drain_per_second", count(), "Events that are taken from the backlog a second."),
        member("is_held_back", flag(), "Whether reading waits for that."),
    ];
    let breakers = [
        member("closed", count(), "Endpoints whose breaker is closed."),
        member("open", count(), "Endpoints whose breaker is open."),
        member("half_open", count(), "Endpoints that are probed."),
    ];
    let endpoints = [
        member("enabled", count(), "Enabled ones."),
        member("paused", count(), "Paused ones."),
        member("disabled", count(), "Disabled ones."),
    ];
    let backlog = [
        member("events", count(), "Events that wait."),
        member("bytes", or_null(count()), "Their bytes."),
        member("oldest_ms", or_null(count()), "Age of the oldest."),
        member("change_per_minute", whole(), "Events more than a minute ago."),
    ];
    let letters = [
        member("total", or_null(count()), "All there are."),
        member("change_per_minute", whole(), "Letters more than a minute ago."),
    ];
    vec![
        member("flow", described(&flow, &[]), "How much is read, and how fast the backlog goes."),
        member("breakers", described(&breakers, &[]), "Endpoints by their breaker."),
        member("endpoints", described(&endpoints, &[]), "Endpoints by their state."),
        member("backlog", described(&backlog, &[]), "Events that wait in the store."),
        member("dead_letters", described(&letters, &[]), "Dead letters."),
    ]
}
