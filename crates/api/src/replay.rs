//! ○ A replay, as it is asked for and as it is given.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    body::{Said, body},
    check::Object,
    errors::{FieldErrors, MISSING},
    examples::Example,
    resource::ApiResource,
    shape::one_of,
    text::{IdOrUid, Moment, ReplayId, TopicName},
};

/// The ways to say which events.
const FORMS: &[&[&str]] = &[&["from_time", "to_time"], &["partitions"]];

/// A closed range of a topic, for one endpoint again: by `from_time` and `to_time`, or by offsets of its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, example = example(), transform = one_of(FORMS))]
pub struct ReplayBody {
    /// The endpoint (its id, or your own key) that gets the events again.
    #[schemars(with = "IdOrUid")]
    pub endpoint_id: String,
    /// The endpoint's customer (its id, or your own key), where several have an endpoint of that key.
    #[schemars(with = "Option<IdOrUid>")]
    pub customer_id: Option<String>,
    /// The topic.
    #[schemars(with = "TopicName")]
    pub topic: String,
    /// The first time of the range, by the records' timestamps.
    #[schemars(with = "Option<Moment>")]
    pub from_time: Option<Timestamp>,
    /// The last time of the range, not in the future.
    #[schemars(with = "Option<Moment>")]
    pub to_time: Option<Timestamp>,
    /// A range of offsets for each partition.
    #[schemars(length(min = 1, max = 10_000))]
    pub partitions: Option<Vec<OffsetRange>>,
}

body!(ReplayBody);

impl ReplayBody {
    /// The range in milliseconds since 1970, where it is one of times.
    #[must_use]
    pub fn times_ms(&self) -> Option<(i64, i64)> {
        Some((self.from_time?.as_millisecond(), self.to_time?.as_millisecond()))
    }
}

/// A range of a partition; both offsets belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub struct OffsetRange {
    /// The partition's number.
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub partition: i32,
    /// The first offset.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_i64))]
    pub from_offset: i64,
    /// The last offset.
    #[schemars(range(min = 0, max = 9_223_372_036_854_775_807_i64))]
    pub to_offset: i64,
}

/// A replay, and its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Replay", example = ReplayView::example())]
pub struct ReplayView {
    /// Its id.
    #[schemars(with = "ReplayId")]
    pub id: String,
    /// The endpoint that gets the events.
    pub endpoint_id: String,
    /// The topic.
    pub topic: String,
    /// The first time of the range, where it is one of times.
    #[schemars(with = "Option<Moment>")]
    pub from_time: Option<Timestamp>,
    /// The last time of the range.
    #[schemars(with = "Option<Moment>")]
    pub to_time: Option<Timestamp>,
    /// Its progress in one word.
    pub state: ReplayState,
    /// The time of its first write.
    #[schemars(with = "Moment")]
    pub created_at: Timestamp,
    /// The time at which it was cancelled.
    #[schemars(with = "Option<Moment>")]
    pub cancelled_at: Option<Timestamp>,
    /// The cause of that.
    pub cancel_reason: Option<String>,
    /// Events that were sent so far.
    #[schemars(with = "u64")]
    pub events_sent: i64,
    /// Offsets that Kafka no longer has.
    #[schemars(with = "u64")]
    pub gap_offsets: i64,
    /// Its part of each partition, but those in which there was nothing of the range.
    pub partitions: Vec<ReplayedPartition>,
}

impl ApiResource for ReplayView {
    type Id = ReplayId;

    fn id(&self) -> &str {
        &self.id
    }
}

/// The progress of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ReplayState {
    /// No instance has begun.
    Waiting,
    /// It is read and sent.
    Running,
    /// All of it was read.
    Done,
    /// It was cancelled.
    Cancelled,
}

/// A replay's part of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ReplayedPartition {
    /// The partition's number.
    #[schemars(with = "u32")]
    pub partition: i32,
    /// The first offset.
    pub from_offset: i64,
    /// The last offset.
    pub to_offset: i64,
    /// The offset that is read next.
    pub next_offset: i64,
    /// Events that were sent so far.
    #[schemars(with = "u64")]
    pub events_sent: i64,
    /// Events that the endpoint took.
    #[schemars(with = "u64")]
    pub delivered: i64,
    /// Events that wait in the backlog.
    #[schemars(with = "u64")]
    pub backlogged: i64,
    /// Events that were given up.
    #[schemars(with = "u64")]
    pub dead_lettered: i64,
    /// Offsets that Kafka no longer has.
    #[schemars(with = "u64")]
    pub gap_offsets: i64,
    /// The range begins where the log begins: what was there before is not known.
    pub begins_at_log_start: bool,
}

fn example() -> Value {
    json!({
        "endpoint_id": "acme-erp", "topic": "orders",
        "from_time": "2026-01-31T12:00:00Z", "to_time": "2026-01-31T18:00:00Z",
    })
}

/// Reads the body that asks for a replay. `wall_ms` is now: nobody replays the future.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, wall_ms: i64) -> Result<ReplayBody, FieldErrors> {
    let mut said = Said::of::<ReplayBody>(object);
    let is_said = |name: &str| object.contains_key(name);
    match (is_said("from_time") || is_said("to_time"), is_said("partitions")) {
        (true, false) => check_times(&mut said, wall_ms),
        (false, true) if object["partitions"].is_null() => said.wrong("partitions", MISSING),
        (false, true) => {}
        _ => said.wrong("partitions", "is needed, or from_time and to_time, and not both"),
    }
    said.into_body()
}

fn check_times(said: &mut Said, wall_ms: i64) {
    said.require("from_time");
    said.require("to_time");
    let time = |name: &str| said.text(name).and_then(|text| text.parse::<Timestamp>().ok());
    let (Some(from), Some(to)) = (time("from_time"), time("to_time")) else { return };
    if from > to {
        said.wrong("from_time", "must not be after to_time");
    }
    if to.as_millisecond() > wall_ms {
        said.wrong("to_time", "must not be in the future: what comes is delivered without a replay");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn check(range: Value) -> Result<ReplayBody, Vec<String>> {
        let mut body = json!({"endpoint_id": "ep_1", "topic": "orders"});
        body.as_object_mut().expect("an object").extend(range.as_object().expect("an object").clone());
        let parsed = parse(body.as_object().expect("an object"), NOW);
        parsed.map_err(|errors| errors.listed.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn a_range_is_of_times_or_of_offsets() {
        let times = json!({"from_time": "2026-01-01T00:00:00Z", "to_time": "2026-01-01T01:00:00+01:00"});
        let times = check(times).expect("valid");
        let ms = |time: Option<Timestamp>| time.map(|time| time.as_millisecond());
        assert_eq!((ms(times.from_time), ms(times.to_time)), (Some(1_767_225_600_000), Some(1_767_225_600_000)));
        let offsets = json!({"partitions": [{"partition": 1, "from_offset": 5, "to_offset": i64::MAX}]});
        let range = OffsetRange { partition: 1, from_offset: 5, to_offset: i64::MAX };
        assert_eq!(check(offsets).expect("valid").partitions, Some(vec![range]));
    }

    #[test]
    fn an_open_a_double_or_a_future_range_is_refused() {
        let refused = |range: Value| check(range).expect_err("refused");
        assert_eq!(refused(json!({})), ["partitions"]);
        assert_eq!(refused(json!({"partitions": null})), ["partitions"]);
        assert_eq!(refused(json!({"from_time": "2026-01-01T00:00:00Z"})), ["to_time"]);
        let backwards = json!({"from_time": "2026-01-02T00:00:00Z", "to_time": "2026-01-01T00:00:00Z"});
        assert_eq!(refused(backwards), ["from_time"]);
        assert_eq!(
            refused(json!({"from_time": "2026-01-02T00:00:00Z", "to_time": "2999-01-01T00:00:00Z"})),
            ["to_time"]
        );
        let both = json!({"from_time": "2026-01-01T00:00:00Z", "partitions": [{"partition": 0, "from_offset": 0}]});
        assert_eq!(refused(both), ["partitions[0].to_offset", "partitions"]);
        assert_eq!(refused(json!({"from_time": "yesterday", "to_time": 5})), ["from_time", "to_time"]);
    }
}
