//! ○ All instances at one glance, as it is given.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{
    examples::Example,
    instance::{InstanceView, SilentPeer},
    shape::words,
};
use postrider_core::{
    flow::counters::FlowView, model::settings::EndpointStateCounts, stall::partitions::PartitionStallReason,
};

/// All instances at one glance, a quarter of an hour back.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(example = Overview::example())]
pub struct Overview {
    /// The time, in milliseconds since 1970.
    pub at: i64,
    /// The live instances.
    pub instances: Vec<InstanceView>,
    /// Live instances that did not answer: their part is missing.
    pub unreachable: Vec<SilentPeer>,
    #[serde(flatten)]
    pub totals: OverviewTotals,
}

/// The instances' numbers, added up.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct OverviewTotals {
    /// Events that come in a second.
    pub events_in_per_second: f64,
    /// Events that are delivered a second.
    pub delivered_per_second: f64,
    /// Attempts that fail a second.
    pub failed_attempts_per_second: f64,
    /// Time from Kafka to the endpoint, in the last minute.
    pub latency_ms: EventLatencies,
    /// The amount that is read, and the pace of the backlog.
    pub flow: FlowView,
    /// The topics that are read.
    pub topics: Vec<TopicOverview>,
    /// Partitions that have something to do and do not move.
    pub standing: Vec<StandingPart>,
    /// Endpoints by their breaker.
    pub breakers: BreakerCounts,
    /// Endpoints by their state.
    pub endpoints: EndpointStateCounts,
    /// Events that wait in the store.
    pub backlog: BacklogOverview,
    /// Dead letters.
    pub dead_letters: DeadLetterTotal,
    /// The last quarter of an hour, the oldest first.
    pub history: Vec<RatePoint>,
}

/// Time from Kafka to the endpoint; null where nothing was delivered.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct EventLatencies {
    /// Half of the events took no longer.
    pub p50: Option<f64>,
    /// All but one of a hundred took no longer.
    pub p99: Option<f64>,
}

/// A topic that is read.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct TopicOverview {
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: u32,
    /// Records that come in a second.
    pub in_per_second: f64,
    /// Records that are not read yet.
    pub lag: i64,
    /// Age of the oldest record whose offset is not committed.
    pub oldest_uncommitted_ms: u64,
}

/// Partitions of one topic that have something to do and do not move, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct StandingPart {
    /// The topic.
    pub topic: String,
    /// The cause; stable.
    #[schemars(schema_with = "causes")]
    pub why: String,
    /// The cause, for people; the broker's own words, where it has said any.
    pub words: String,
    /// The partitions' numbers.
    pub partitions: Vec<i32>,
    /// Time since they have moved.
    pub for_ms: u64,
    /// Records of theirs that are not read yet.
    pub lag: i64,
}

fn causes(_: &mut SchemaGenerator) -> Schema {
    words(&PartitionStallReason::ALL.map(PartitionStallReason::as_str))
}

/// Endpoints by the worst of their breakers, one at each instance.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct BreakerCounts {
    /// Endpoints whose breaker is closed.
    pub closed: usize,
    /// Endpoints whose breaker is open.
    pub open: usize,
    /// Endpoints that are probed.
    pub half_open: usize,
}

/// Events that wait in the store; while it is away, as far as the instances know.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct BacklogOverview {
    /// Events that wait.
    #[schemars(with = "u64")]
    pub events: i64,
    /// Their bytes.
    #[schemars(with = "Option<u64>")]
    pub bytes: Option<i64>,
    /// Age of the oldest.
    #[schemars(with = "Option<u64>")]
    pub oldest_ms: Option<i64>,
    /// Events more than a minute ago.
    pub change_per_minute: i64,
}

/// Dead letters; unknown while the store is away.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DeadLetterTotal {
    /// All there are.
    pub total: Option<u64>,
    /// Letters more than a minute ago.
    pub change_per_minute: i64,
}

/// A step of the last quarter of an hour.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct RatePoint {
    /// The time, in milliseconds since 1970.
    pub at: i64,
    /// Events that come in a second.
    pub events_in_per_second: f64,
    /// Events that are delivered a second.
    pub delivered_per_second: f64,
    /// Attempts that fail a second.
    pub failed_attempts_per_second: f64,
    /// Half of the events took no longer, from Kafka to their endpoint.
    pub latency_p50_ms: Option<f64>,
    /// All but one of a hundred took no longer.
    pub latency_p99_ms: Option<f64>,
    /// Events that wait in the backlog.
    #[schemars(with = "u64")]
    pub backlog_events: i64,
    /// Dead letters.
    pub dead_letters: Option<u64>,
    /// Records that are not read yet.
    pub lag: i64,
}
