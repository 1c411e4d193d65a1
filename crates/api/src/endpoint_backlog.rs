//! ○ The backlog of an endpoint, as it is given.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    examples::Example,
    text::{EndpointId, Moment},
};

/// The events that wait for an endpoint, and those that it did not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Backlog", example = BacklogView::example())]
pub struct BacklogView {
    /// The endpoint.
    #[schemars(with = "EndpointId")]
    pub endpoint_id: String,
    #[serde(flatten)]
    pub waiting: WaitingEvents,
    /// The oldest event becomes a dead letter then, if it still waits.
    #[schemars(with = "Option<Moment>")]
    pub oldest_given_up_at: Option<Timestamp>,
    /// The same by partition.
    pub partitions: Vec<PartitionBacklog>,
    /// Over its quota since then.
    #[schemars(with = "Option<Moment>")]
    pub suspended_at: Option<Timestamp>,
    /// Events that were skipped while it was over its quota; a replay sends them.
    pub gaps: Vec<SkippedEvents>,
}

/// A number of events that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct WaitingEvents {
    /// Events that wait.
    #[schemars(with = "u64")]
    pub events: i64,
    /// Bytes that wait.
    #[schemars(with = "u64")]
    pub bytes: i64,
    /// The time at which the oldest of them was received.
    #[schemars(with = "Option<Moment>")]
    pub oldest_received_at: Option<Timestamp>,
}

/// The events of a partition that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct PartitionBacklog {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    #[schemars(with = "u32")]
    pub partition: i32,
    #[serde(flatten)]
    pub waiting: WaitingEvents,
}

/// A range of a partition that an endpoint did not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct SkippedEvents {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    #[schemars(with = "u32")]
    pub partition: i32,
    /// The first offset that was skipped.
    pub from_offset: i64,
    /// The offset after the last one that was skipped.
    pub end_offset: i64,
    /// Events that were skipped.
    #[schemars(with = "u64")]
    pub events: i64,
    /// The time at which it began.
    #[schemars(with = "Moment")]
    pub since: Timestamp,
}

/// The result of throwing a backlog away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Purged", example = PurgeResult::example())]
pub struct PurgeResult {
    /// The endpoint.
    #[schemars(with = "EndpointId")]
    pub endpoint_id: String,
    /// Events that were thrown away.
    #[schemars(with = "u64")]
    pub purged_events: i64,
    /// Their bytes.
    #[schemars(with = "u64")]
    pub purged_bytes: i64,
    /// Events that are left.
    #[schemars(with = "u64")]
    pub events: i64,
    /// True if all that was meant is gone; ask again where it is not.
    pub finished: bool,
}
