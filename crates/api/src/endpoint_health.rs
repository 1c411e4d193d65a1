//! ○ The health of an endpoint, as it is given: in short, and with all of its numbers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{examples::Example, instance::SilentPeer, shape::words, text::Moment};
use postrider_core::stall::endpoints::EndpointStallReason;

/// An endpoint's state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum EndpointStatus {
    /// It was disabled, by hand or by a rule.
    Disabled,
    /// Its stored form, or its secrets, cannot be read.
    Unreadable,
    /// It was paused.
    Paused,
    /// Its breaker is open: no request is sent for a while.
    Open,
    /// Its breaker is half open: a few requests find out how it does.
    HalfOpen,
    /// Its newest attempt failed, or more attempts fail than events are delivered.
    Failing,
    /// It takes less than comes for it.
    Lagging,
    /// It has had nothing to do for a quarter of an hour.
    Idle,
    /// It takes its events.
    Healthy,
}

/// The state of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum BreakerStatus {
    /// Requests are sent.
    Closed,
    /// A few requests find out how it does.
    HalfOpen,
    /// No request is sent for a while.
    Open,
}

/// The newest failure of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointError {
    /// The time of its end.
    #[schemars(with = "Option<Moment>")]
    pub at: Option<Timestamp>,
    /// The kind of answer or failure.
    pub class: String,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// The beginning of the answer, or what the network said.
    pub excerpt: String,
}

/// It has something to do, and nothing has ended since then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EndpointStanding")]
pub struct EndpointStall {
    /// Nothing has ended since then.
    #[schemars(with = "Option<Moment>")]
    pub since: Option<Timestamp>,
    /// The cause; stable.
    #[schemars(schema_with = "causes")]
    pub why: String,
    /// The cause, for people.
    pub words: String,
    /// The kind of its newest failure, where it is about the receiver.
    pub class: Option<String>,
    /// The receiver's answer, or the network's words.
    pub excerpt: Option<String>,
}

fn causes(_: &mut SchemaGenerator) -> Schema {
    words(&EndpointStallReason::ALL.map(EndpointStallReason::as_str))
}

/// The health of an endpoint, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Health")]
pub struct EndpointHealth {
    /// Its state in one word.
    pub status: EndpointStatus,
    /// Its circuit breaker.
    pub breaker: BreakerStatus,
    /// Events that wait in its backlog.
    #[schemars(with = "u64")]
    pub backlog_events: i64,
    /// Age of the oldest of them.
    #[schemars(with = "Option<u64>")]
    pub backlog_oldest_ms: Option<i64>,
    /// Its dead letters.
    #[schemars(with = "u64")]
    pub dead_letters: i64,
    /// Events that it took in the last minute.
    pub delivered_per_minute: u64,
    /// Attempts that failed in the last minute.
    pub failed_per_minute: u64,
    /// Its newest failure.
    pub last_error: Option<EndpointError>,
    /// No request is sent before: its breaker is open, or it asked for a pause.
    #[schemars(with = "Option<Moment>")]
    pub silent_until: Option<Timestamp>,
    /// It has something to do, and nothing has ended for a while.
    pub standing: Option<EndpointStall>,
}

/// The numbers of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Stats", example = StatsView::example())]
pub struct StatsView {
    /// The endpoint.
    pub endpoint_id: String,
    /// Its state in one word.
    pub status: EndpointStatus,
    /// Its circuit breaker.
    pub breaker: BreakerStatus,
    /// Events that it took.
    pub delivered: EndpointRates,
    /// Attempts that failed.
    pub failed_attempts: EndpointRates,
    /// Attempts by the kind of their answer or failure.
    pub attempts_by_class: BTreeMap<String, u64>,
    /// Durations of requests.
    pub duration_ms: RequestDurations,
    /// Events that wait for it in memory.
    pub queue: QueuedEvents,
    /// Events that wait for it in the store.
    pub backlog: StoredEvents,
    /// Its dead letters.
    #[schemars(with = "u64")]
    pub dead_letters: i64,
    /// Counts by the minute or the hour.
    pub counts: EndpointCounts,
    /// The time of its newest success.
    #[schemars(with = "Option<Moment>")]
    pub last_success_at: Option<Timestamp>,
    /// The time of its newest failure.
    #[schemars(with = "Option<Moment>")]
    pub last_failure_at: Option<Timestamp>,
    /// Its newest failure.
    pub last_error: Option<EndpointError>,
    /// No request is sent before: its breaker is open, or it asked for a pause.
    #[schemars(with = "Option<Moment>")]
    pub silent_until: Option<Timestamp>,
    /// It has something to do, and nothing has ended for a while.
    pub standing: Option<EndpointStall>,
    /// Live instances that did not answer: their part is missing.
    pub unreachable: Vec<SilentPeer>,
}

/// A number of events or attempts, and how fast it grows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Rates")]
pub struct EndpointRates {
    /// Since the instances started.
    pub since_start: u64,
    /// In the last minute.
    pub last_minute: u64,
    /// A minute, over five minutes.
    pub per_minute_5: f64,
    /// A minute, over a quarter of an hour.
    pub per_minute_15: f64,
}

/// Durations of requests in milliseconds, of the last minutes; null where there were none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct RequestDurations {
    /// Half of them took no longer.
    pub p50: Option<f64>,
    /// Nine of ten took no longer.
    pub p90: Option<f64>,
    /// All but one of a hundred took no longer.
    pub p99: Option<f64>,
}

/// Events in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct QueuedEvents {
    /// Events in memory.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests that may be under way now, all instances together that have something to send.
    pub in_flight_limit: u64,
}

/// Events in the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct StoredEvents {
    /// Events that wait in it.
    #[schemars(with = "u64")]
    pub events: i64,
    /// Age of the oldest.
    #[schemars(with = "Option<u64>")]
    pub oldest_ms: Option<i64>,
}

/// Counts of all instances, written down by the minute and kept for weeks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Counts")]
pub struct EndpointCounts {
    /// The span of each point.
    pub per: CountSpan,
    /// The beginning of the first point.
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// The end of the last point.
    #[schemars(with = "Moment")]
    pub until: Timestamp,
    /// Events, all points together.
    pub delivered: u64,
    /// Failed attempts, all points together.
    pub failed_attempts: u64,
    /// The oldest first; those without anything as well.
    pub data: Vec<CountPoint>,
}

/// The span of a point of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CountSpan {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

/// A point of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct CountPoint {
    /// The beginning of its span.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// Events that it took.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
}
