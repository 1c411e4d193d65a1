//! ○ Attempts at an endpoint, and the test of one, as they are given.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    endpoint_health::EndpointCounts,
    examples::Example,
    resource::ListPage,
    text::{EndpointId, Moment},
};
use postrider_core::model::settings::EndpointState;

/// An attempt: one request to an endpoint, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub struct AttemptView {
    /// The attempt's id.
    pub id: String,
    /// The endpoint.
    pub endpoint_id: String,
    /// The time of its end.
    #[schemars(with = "Moment")]
    pub ended_at: Timestamp,
    /// The id of the request: of the event, or of the batch.
    pub webhook_id: String,
    /// Events in the request.
    #[schemars(with = "u32")]
    pub events: i32,
    /// The first of them.
    pub first_events: Vec<AttemptedEvent>,
    /// The number of the attempt, from 1.
    #[schemars(with = "u32")]
    pub attempt: i32,
    /// The disposition: none (it has ended), retry, backlog, or dead_letter.
    pub next: String,
    /// The time of the next attempt.
    #[schemars(with = "Option<Moment>")]
    pub next_at: Option<Timestamp>,
    /// Successes are sampled: this one stands for so many.
    #[schemars(with = "u64")]
    pub stands_for: i64,
    #[serde(flatten)]
    pub outcome: AttemptOutcome,
}

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct AttemptOutcome {
    /// The meaning of the answer: delivered, rejected, failed, …
    pub outcome: String,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// The kind of answer or failure.
    pub class: String,
    /// Time from the request to the end of the answer.
    pub duration_ms: u64,
    /// The beginning of the answer.
    pub excerpt: String,
}

/// An event of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct AttemptedEvent {
    /// The event's id at its endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<String>,
    /// The producer's own id.
    pub event_id: Option<String>,
    /// The topic.
    pub topic: String,
    /// The partition's number.
    #[schemars(with = "u32")]
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
}

/// Attempts of an endpoint. Successes are sampled; the counts have them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = AttemptPage::example())]
pub struct AttemptPage {
    #[serde(flatten)]
    pub page: ListPage<AttemptView>,
    /// Their numbers, where those were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<EndpointCounts>,
}

/// The result of a test event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Tested", example = TestView::example())]
pub struct TestView {
    /// The endpoint.
    #[schemars(with = "EndpointId")]
    pub endpoint_id: String,
    /// Its state.
    pub state: EndpointState,
    /// The id of the test event.
    pub webhook_id: String,
    /// The type of the test event.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(flatten)]
    pub outcome: AttemptOutcome,
}
