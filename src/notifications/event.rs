//! ○ Operator events, and their form on the wire: `{"type","timestamp","instance","data"}`.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// Something an operator wants to know without looking for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", content = "data")]
pub enum OperatorEvent {
    /// An endpoint's breaker has not been closed for `operator_events.failing_after_ms`.
    #[serde(rename = "endpoint.failing")]
    EndpointFailing {
        endpoint_id: Arc<str>,
        customer_id: Arc<str>,
        failing_since: Timestamp,
        /// The newest failure: see [`AttemptNote`](crate::model::outcome::AttemptNote).
        last_class: Option<&'static str>,
        last_status: Option<u16>,
    },
    /// Several are failing for one cause: they lead to one host, and it answers all of them in the same way.
    #[serde(rename = "endpoints.failing")]
    EndpointsFailing {
        host: Arc<str>,
        endpoints: usize,
        /// The first hundred.
        endpoint_ids: Vec<Arc<str>>,
        /// The one that has failed for longest.
        failing_since: Timestamp,
        last_class: Option<&'static str>,
        last_status: Option<u16>,
    },
    /// No endpoint that leads to a host of which that was told fails any more.
    #[serde(rename = "endpoints.recovered")]
    EndpointsRecovered { host: Arc<str> },
    /// It goes on failing, and will be disabled then.
    #[serde(rename = "endpoint.disable_near")]
    EndpointDisableNear {
        endpoint_id: Arc<str>,
        customer_id: Arc<str>,
        failing_since: Timestamp,
        disabled_at: Timestamp,
        /// Part of the time it may fail, such as 50 or 90.
        percent: u8,
    },
    /// Nothing is sent to it any more, until somebody enables it.
    #[serde(rename = "endpoint.disabled")]
    EndpointDisabled { endpoint_id: Arc<str>, customer_id: Arc<str>, reason: String },
    /// One that was said to be failing takes events again.
    #[serde(rename = "endpoint.recovered")]
    EndpointRecovered { endpoint_id: Arc<str>, customer_id: Arc<str>, failed_for_ms: u64 },
    /// Its backlog, or something of its customer's, is over this quota: what comes now is skipped, and comes back as a replay.
    #[serde(rename = "endpoint.suspended")]
    EndpointSuspended {
        endpoint_id: Arc<str>,
        customer_id: Arc<str>,
        quota: &'static str,
        backlog_events: i64,
        backlog_bytes: i64,
    },
    /// It was suspended, and is no longer.
    #[serde(rename = "endpoint.unsuspended")]
    EndpointUnsuspended { endpoint_id: Arc<str>, customer_id: Arc<str> },
    /// A customer asked for more than a quota allows, or its backlogs or dead letters took more.
    #[serde(rename = "customer.over_quota")]
    CustomerOverQuota { customer_id: Arc<str>, quota: &'static str, limit: i64, used: i64 },
    /// More dead letters within a minute than `operator_events.dead_letters_per_minute_max`.
    #[serde(rename = "dead_letters.growing")]
    DeadLettersGrowing { per_minute: u64, total: u64 },
    /// The synthetic event did not arrive in time: events may not be delivered, whatever else looks well.
    #[serde(rename = "canary.late")]
    CanaryLate { age_ms: u64 },
    #[serde(rename = "canary.back")]
    CanaryBack { late_for_ms: u64 },
    /// Nobody can be reached: partitions pause, and no endpoint is blamed.
    #[serde(rename = "own_trouble.began")]
    LocalOutageBegan {},
    #[serde(rename = "own_trouble.ended")]
    LocalOutageEnded { lasted_ms: u64 },
    /// Partitions have something to do and do not move, for one and the same reason.
    #[serde(rename = "partitions.standing")]
    PartitionsStanding {
        topic: Arc<str>,
        /// See [`PartitionStallReason`](crate::ingest::stalls::PartitionStallReason).
        why: &'static str,
        /// The broker's own, where it has said any.
        words: String,
        /// Partitions of this instance; the first hundred.
        partitions: Vec<i32>,
        lag: i64,
    },
    #[serde(rename = "partitions.moving")]
    PartitionsMoving { topic: Arc<str>, why: &'static str, stood_for_ms: u64 },
    /// Endpoints of this instance have something to do and nothing ends for them, for one and the same reason. Each is told of
    /// when it begins to stand.
    #[serde(rename = "endpoints.standing")]
    EndpointsStanding {
        /// See [`EndpointStallReason`](crate::endpoint::stalls::EndpointStallReason).
        why: &'static str,
        words: &'static str,
        endpoints: usize,
        customers: usize,
        /// The first hundred, customers in turn.
        endpoint_ids: Vec<Arc<str>>,
        /// The one that has stood for longest.
        standing_since: Timestamp,
    },
    /// Kafka's retention removed records before they were read: nobody gets them.
    #[serde(rename = "source.lost")]
    SourceLost { topic: Arc<str>, partition: i32, first_offset: i64, last_offset: i64 },
    /// The log ends before the offset that was to be read next.
    #[serde(rename = "source.offset_lost")]
    OffsetLost { topic: Arc<str>, partition: i32, offset: i64, goes_on_at: i64 },
    /// A topic was deleted and made again: the new one is read from its beginning.
    #[serde(rename = "source.topic_made_again")]
    TopicMadeAgain { topic: Arc<str> },
}

/// The subject of an event. Of one subject the same is not told twice in a row within a while.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An endpoint, and which side of it: its health and its quota change one beside the other.
    Endpoint {
        id: Arc<str>,
        side: &'static str,
    },
    /// A host of several endpoints.
    Host(Arc<str>),
    /// A customer's quota.
    Customer {
        id: Arc<str>,
        quota: &'static str,
    },
    DeadLetters,
    /// A subject of one instance.
    Canary,
    /// A subject of one instance.
    LocalOutage,
    Partition {
        topic: Arc<str>,
        partition: i32,
        side: &'static str,
    },
    Topic(Arc<str>),
    /// A subject of one instance.
    Standing {
        topic: Arc<str>,
        why: &'static str,
    },
    /// A subject of one instance: some that began to stand together.
    EndpointsStanding {
        why: &'static str,
        first_id: Arc<str>,
    },
}

impl OperatorEvent {
    /// As it stands in `type`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            OperatorEvent::EndpointFailing { .. } => "endpoint.failing",
            OperatorEvent::EndpointsFailing { .. } => "endpoints.failing",
            OperatorEvent::EndpointsRecovered { .. } => "endpoints.recovered",
            OperatorEvent::EndpointDisableNear { .. } => "endpoint.disable_near",
            OperatorEvent::EndpointDisabled { .. } => "endpoint.disabled",
            OperatorEvent::EndpointRecovered { .. } => "endpoint.recovered",
            OperatorEvent::EndpointSuspended { .. } => "endpoint.suspended",
            OperatorEvent::EndpointUnsuspended { .. } => "endpoint.unsuspended",
            OperatorEvent::CustomerOverQuota { .. } => "customer.over_quota",
            OperatorEvent::DeadLettersGrowing { .. } => "dead_letters.growing",
            OperatorEvent::CanaryLate { .. } => "canary.late",
            OperatorEvent::CanaryBack { .. } => "canary.back",
            OperatorEvent::LocalOutageBegan {} => "own_trouble.began",
            OperatorEvent::LocalOutageEnded { .. } => "own_trouble.ended",
            OperatorEvent::PartitionsStanding { .. } => "partitions.standing",
            OperatorEvent::PartitionsMoving { .. } => "partitions.moving",
            OperatorEvent::EndpointsStanding { .. } => "endpoints.standing",
            OperatorEvent::SourceLost { .. } => "source.lost",
            OperatorEvent::OffsetLost { .. } => "source.offset_lost",
            OperatorEvent::TopicMadeAgain { .. } => "source.topic_made_again",
        }
    }

    #[must_use]
    pub fn subject(&self) -> Subject {
        let endpoint = |id: &Arc<str>, side| Subject::Endpoint { id: Arc::clone(id), side };
        let of_partition =
            |topic: &Arc<str>, partition, side| Subject::Partition { topic: Arc::clone(topic), partition, side };
        match self {
            OperatorEvent::EndpointFailing { endpoint_id, .. }
            | OperatorEvent::EndpointDisabled { endpoint_id, .. }
            | OperatorEvent::EndpointRecovered { endpoint_id, .. } => endpoint(endpoint_id, "health"),
            OperatorEvent::EndpointsFailing { host, .. } | OperatorEvent::EndpointsRecovered { host } => {
                Subject::Host(Arc::clone(host))
            }
            // Each share of the time is told on its own.
            OperatorEvent::EndpointDisableNear { endpoint_id, percent, .. } => {
                endpoint(endpoint_id, if *percent < 90 { "disable_soon" } else { "disable_very_soon" })
            }
            OperatorEvent::EndpointSuspended { endpoint_id, .. }
            | OperatorEvent::EndpointUnsuspended { endpoint_id, .. } => endpoint(endpoint_id, "quota"),
            OperatorEvent::CustomerOverQuota { customer_id, quota, .. } => {
                Subject::Customer { id: Arc::clone(customer_id), quota }
            }
            OperatorEvent::DeadLettersGrowing { .. } => Subject::DeadLetters,
            OperatorEvent::CanaryLate { .. } | OperatorEvent::CanaryBack { .. } => Subject::Canary,
            OperatorEvent::LocalOutageBegan {} | OperatorEvent::LocalOutageEnded { .. } => Subject::LocalOutage,
            OperatorEvent::PartitionsStanding { topic, why, .. }
            | OperatorEvent::PartitionsMoving { topic, why, .. } => Subject::Standing { topic: Arc::clone(topic), why },
            OperatorEvent::EndpointsStanding { why, endpoint_ids, .. } => {
                let first_id = endpoint_ids.first().map(Arc::clone).unwrap_or_default();
                Subject::EndpointsStanding { why, first_id }
            }
            OperatorEvent::SourceLost { topic, partition, .. } => of_partition(topic, *partition, "lost"),
            OperatorEvent::OffsetLost { topic, partition, .. } => of_partition(topic, *partition, "offset"),
            OperatorEvent::TopicMadeAgain { topic } => Subject::Topic(Arc::clone(topic)),
        }
    }

    /// Good news: worth telling only after the bad one.
    #[must_use]
    pub fn is_relief(&self) -> bool {
        matches!(
            self,
            OperatorEvent::EndpointRecovered { .. }
                | OperatorEvent::EndpointsRecovered { .. }
                | OperatorEvent::EndpointUnsuspended { .. }
                | OperatorEvent::CanaryBack { .. }
                | OperatorEvent::LocalOutageEnded { .. }
                | OperatorEvent::PartitionsMoving { .. }
        )
    }

    /// The payload, as the Standard Webhooks specification wants it.
    #[must_use]
    pub fn to_json(&self, wall_ms: i64, instance: &str) -> Value {
        let mut payload = json!(self);
        payload["timestamp"] = json!(Timestamp::from_millisecond(wall_ms).ok());
        payload["instance"] = json!(instance);
        payload
    }
}

impl Subject {
    /// The same for all instances, or for this one alone: what they tell each other apart by.
    #[must_use]
    pub fn key(&self, instance: &str) -> String {
        match self {
            Subject::Endpoint { .. }
            | Subject::Host(_)
            | Subject::Customer { .. }
            | Subject::DeadLetters
            | Subject::Partition { .. }
            | Subject::Topic(_) => self.to_string(),
            Subject::Canary | Subject::LocalOutage | Subject::Standing { .. } | Subject::EndpointsStanding { .. } => {
                format!("{self}/{instance}")
            }
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Endpoint { id, side } => write!(f, "endpoint/{id}/{side}"),
            Subject::Host(host) => write!(f, "host/{host}"),
            Subject::Customer { id, quota } => write!(f, "customer/{id}/{quota}"),
            Subject::DeadLetters => f.write_str("dead_letters"),
            Subject::Canary => f.write_str("canary"),
            Subject::LocalOutage => f.write_str("own_trouble"),
            Subject::Partition { topic, partition, side } => write!(f, "partition/{topic}/{partition}/{side}"),
            Subject::Topic(topic) => write!(f, "topic/{topic}"),
            Subject::Standing { topic, why } => write!(f, "standing/{topic}/{why}"),
            Subject::EndpointsStanding { why, first_id } => write!(f, "endpoints_standing/{why}/{first_id}"),
        }
    }
}

impl fmt::Display for OperatorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OperatorEvent::EndpointFailing { endpoint_id, failing_since, .. } => {
                write!(f, "endpoint {endpoint_id} has been failing since {failing_since}")
            }
            OperatorEvent::EndpointsFailing { host, endpoints, failing_since, .. } => {
                write!(f, "{endpoints} endpoints that lead to {host} have been failing since {failing_since}")
            }
            OperatorEvent::EndpointsRecovered { host } => {
                write!(f, "the endpoints that lead to {host} no longer fail")
            }
            OperatorEvent::EndpointDisableNear { endpoint_id, disabled_at, .. } => {
                write!(f, "endpoint {endpoint_id} goes on failing and will be disabled at {disabled_at}")
            }
            OperatorEvent::EndpointDisabled { endpoint_id, reason, .. } => {
                write!(f, "endpoint {endpoint_id} is disabled: {reason}")
            }
            OperatorEvent::EndpointRecovered { endpoint_id, .. } => {
                write!(f, "endpoint {endpoint_id} takes events again")
            }
            OperatorEvent::EndpointSuspended { endpoint_id, quota, backlog_events, .. } => {
                write!(f, "endpoint {endpoint_id} is suspended for {quota}: {backlog_events} events wait for it")
            }
            OperatorEvent::EndpointUnsuspended { endpoint_id, .. } => {
                write!(f, "endpoint {endpoint_id} is no longer suspended")
            }
            OperatorEvent::CustomerOverQuota { customer_id, quota, limit, used } => {
                write!(f, "customer {customer_id} is at its quota {quota}: {used} of {limit}")
            }
            OperatorEvent::DeadLettersGrowing { per_minute, .. } => {
                write!(f, "{per_minute} dead letters within a minute")
            }
            OperatorEvent::CanaryLate { age_ms } => {
                write!(f, "the canary has not arrived for {age_ms} ms: events may not be delivered")
            }
            OperatorEvent::CanaryBack { .. } => f.write_str("the canary arrives again"),
            OperatorEvent::LocalOutageBegan {} => f.write_str("nobody can be reached: the trouble is our own"),
            OperatorEvent::LocalOutageEnded { lasted_ms } => {
                write!(f, "somebody can be reached again after {lasted_ms} ms")
            }
            OperatorEvent::PartitionsStanding { topic, why, words, partitions, .. } => {
                write!(f, "partitions {partitions:?} of {topic} are stalled ({why}): {words}")
            }
            OperatorEvent::PartitionsMoving { topic, why, stood_for_ms } => {
                write!(f, "no partition of {topic} is stalled for {why} any more, after {stood_for_ms} ms")
            }
            OperatorEvent::EndpointsStanding { why, words, endpoints, customers, .. } => {
                write!(f, "{endpoints} endpoints of {customers} customers are stalled ({why}: {words})")
            }
            OperatorEvent::SourceLost { topic, partition, first_offset, last_offset } => {
                write!(f, "Kafka removed {topic}/{partition} from {first_offset} to {last_offset} before it was read")
            }
            OperatorEvent::OffsetLost { topic, partition, offset, goes_on_at } => {
                write!(f, "{topic}/{partition} ends before {offset}, to be read next; it goes on at {goes_on_at}")
            }
            OperatorEvent::TopicMadeAgain { topic } => {
                write!(f, "topic {topic} was made again and is read from its beginning")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disabled() -> OperatorEvent {
        OperatorEvent::EndpointDisabled {
            endpoint_id: "ep_1".into(),
            customer_id: "cus_1".into(),
            reason: "410".to_owned(),
        }
    }

    #[test]
    fn what_is_sent_has_its_type_its_time_and_its_data() {
        let sent = disabled().to_json(1_767_225_600_000, "in_1");
        let wanted = json!({
            "type": "endpoint.disabled", "timestamp": "2026-01-01T00:00:00Z", "instance": "in_1",
            "data": {"endpoint_id": "ep_1", "customer_id": "cus_1", "reason": "410"},
        });
        assert_eq!(sent, wanted);
        assert_eq!(disabled().as_str(), sent["type"]);
        let began = OperatorEvent::LocalOutageBegan {};
        assert_eq!(began.to_json(0, "")["type"], began.as_str());
    }

    #[test]
    fn instances_share_what_they_say_of_an_endpoint_and_speak_for_themselves_of_themselves() {
        assert_eq!(disabled().subject().key("in_1"), disabled().subject().key("in_2"));
        let own = OperatorEvent::LocalOutageBegan {}.subject();
        assert_ne!(own.key("in_1"), own.key("in_2"));
    }

    #[test]
    fn each_warning_before_an_endpoint_is_disabled_is_a_subject_of_its_own() {
        let near = |percent| OperatorEvent::EndpointDisableNear {
            endpoint_id: "ep_1".into(),
            customer_id: "cus_1".into(),
            failing_since: Timestamp::UNIX_EPOCH,
            disabled_at: Timestamp::UNIX_EPOCH,
            percent,
        };
        assert_ne!(near(50).subject(), near(90).subject());
        assert_ne!(near(90).subject(), disabled().subject());
    }
}
