//! ○ Actors, as they are given.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{endpoint_health::BreakerStatus, examples::Example, instance::SilentPeer};
use postrider_core::model::outcome::LastError;

/// The state of one actor.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[schemars(rename = "ActorState")]
pub struct ActorView {
    /// The kind of actor: consumer, ingest, router, endpoint, writer, reader, or supervisor.
    pub kind: &'static str,
    /// Its name within its kind: the endpoint's id, the topic and partition, …: the same at every instance that has one.
    pub id: String,
    /// The instance that has it.
    pub instance: String,
    /// Its state in one word: running, idle, paused, disabled, held_back, lagging, rereading, standing, retrying, …
    pub state: String,
    /// The cause of the state, for people.
    pub why: Option<String>,
    /// Events that it holds.
    pub queue_events: u64,
    /// Their bytes.
    pub queue_bytes: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests that may be under way now, of an endpoint: it floats where the endpoint asks for `auto`.
    pub in_flight_limit: Option<u64>,
    /// The circuit breaker, of an endpoint.
    #[schemars(with = "Option<BreakerStatus>")]
    pub breaker: Option<&'static str>,
    /// The cause of the breaker's state.
    pub breaker_why: Option<String>,
    /// Time for which no further request is sent.
    pub silent_for_ms: Option<u64>,
    /// Time since anything has ended, of an endpoint with something to do.
    pub standing_for_ms: Option<u64>,
    /// Times that it was restarted after a panic.
    pub restarts: u64,
    /// Events that it delivered, since it started.
    pub delivered: u64,
    /// Attempts that failed, since it started.
    pub failed_attempts: u64,
    /// Events of the last minute: read, routed, delivered or written.
    pub events_last_minute: u64,
    /// Failed attempts of the last minute.
    pub failed_last_minute: u64,
    /// Its newest failure.
    pub last_error: Option<LastError>,
    /// Age of the oldest event that it holds.
    pub oldest_ms: Option<u64>,
    /// Records of its partition that are not read yet.
    pub lag: Option<i64>,
}

/// Actors of all instances, each as its instance says.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(example = ActorPage::example())]
pub struct ActorPage {
    /// The instance that was asked.
    pub instance: String,
    /// The actors of this page.
    #[schemars(with = "Vec<ActorView>")]
    pub data: Vec<Value>,
    /// Goes on with the next page; null at the end.
    pub next_cursor: Option<String>,
    /// Live instances that did not answer: their part is missing.
    pub unreachable: Vec<SilentPeer>,
}

/// An actor, at every instance that has it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Actor", example = ActorEverywhere::example())]
pub struct ActorEverywhere {
    /// The actor's name.
    pub id: String,
    /// The kind of actor.
    pub kind: Option<String>,
    /// The actor at each instance that has it.
    #[schemars(with = "Vec<ActorView>")]
    pub data: Vec<Value>,
    /// Live instances that did not answer: their part is missing.
    pub unreachable: Vec<SilentPeer>,
}
