//! ○ The body that asks for a replay, parsed and validated, and a replay as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    customer_body::is_topic,
    fields::{self, Fields, Object},
    problem::{FieldError, Problem},
};
use crate::{
    replay::range::{Asked, Mistake},
    store::replays::{ReplayRow, ShareRow},
};

/// The request's body, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayBody {
    /// Its id, or the caller's own key.
    pub endpoint: String,
    /// Customer of the endpoint, where several have that key.
    pub customer: Option<String>,
    pub topic: String,
    pub range: Range,
}

/// Closed: both ends belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// Milliseconds since 1970.
    Times {
        from_ms: i64,
        to_ms: i64,
    },
    Offsets(Vec<Asked>),
}

/// `wall_ms` is now: nobody replays the future.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, wall_ms: i64) -> Result<ReplayBody, Problem> {
    fields::parse(object, |fields| {
        let endpoint = fields.required_text("endpoint_id", 128);
        let customer = fields.text("customer_id", 128);
        let topic = fields.required_text("topic", 249).filter(|topic| match is_topic(topic) {
            Ok(()) => true,
            Err(message) => {
                fields.wrong("topic", message);
                false
            }
        });
        let range = range(fields, wall_ms);
        Some(ReplayBody { endpoint: endpoint?, customer, topic: topic?, range: range? })
    })
}

fn range(fields: &mut Fields<'_>, wall_ms: i64) -> Option<Range> {
    let (times, offsets) = (fields.has("from_time") || fields.has("to_time"), fields.has("partitions"));
    let (from, to) = (fields.time("from_time"), fields.time("to_time"));
    let partitions = fields.list("partitions", 1..=PARTITIONS_MAX, asked);
    match (times, offsets) {
        (true, false) => {
            fields.require("from_time");
            fields.require("to_time");
            let (from, to) = (from?, to?);
            if from > to {
                fields.wrong("from_time", "must not be after to_time");
            }
            if to.as_millisecond() > wall_ms {
                fields.wrong("to_time", "must not be in the future: what comes is delivered without a replay");
            }
            Some(Range::Times { from_ms: from.as_millisecond(), to_ms: to.as_millisecond() })
        }
        (false, true) => partitions.map(Range::Offsets),
        _ => {
            fields.wrong("partitions", "is needed, or from_time and to_time, and not both");
            None
        }
    }
}

fn asked(value: &Value) -> Result<Asked, String> {
    let right = "must be {\"partition\": 0, \"from_offset\": 0, \"to_offset\": 0}, whole numbers";
    let object = value.as_object().filter(|object| object.len() == 3).ok_or(right)?;
    let number = |name: &str| object.get(name).and_then(Value::as_u64).and_then(|number| i64::try_from(number).ok());
    let partition = number("partition").and_then(|partition| i32::try_from(partition).ok());
    match (partition, number("from_offset"), number("to_offset")) {
        (Some(partition), Some(from_offset), Some(to_offset)) => Ok(Asked { partition, from_offset, to_offset }),
        _ => Err(right.to_owned()),
    }
}

/// Ranges that Kafka cannot serve, field by field.
#[must_use]
pub fn not_there(mistakes: Vec<Mistake>) -> Problem {
    let error =
        |mistake: Mistake| FieldError::new(format!("partitions[{}].{}", mistake.place, mistake.field), mistake.message);
    Problem::invalid(mistakes.into_iter().map(error).collect())
}

/// The replay as JSON.
#[must_use]
pub fn view(replay: &ReplayRow) -> Value {
    let time = |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let sum = |of: fn(&ShareRow) -> i64| replay.shares.iter().map(of).sum::<i64>();
    json!({
        "id": replay.id,
        "endpoint_id": replay.endpoint_id,
        "topic": replay.topic,
        "from_time": time(replay.from_ms),
        "to_time": time(replay.to_ms),
        "state": state(replay),
        "created_at": replay.created_at,
        "cancelled_at": replay.cancelled_at,
        "cancel_reason": replay.cancel_reason,
        "events_sent": sum(sent),
        "gap_offsets": sum(|share| share.gap_offsets),
        "partitions": replay.shares.iter().map(share).collect::<Vec<_>>(),
    })
}

fn state(replay: &ReplayRow) -> &'static str {
    let some = |of: fn(&ShareRow) -> bool| replay.shares.iter().any(of);
    if replay.cancelled_at.is_some() {
        "cancelled"
    } else if !some(|share| share.open) {
        "done"
    } else if some(|share| share.started) {
        "running"
    } else {
        "waiting"
    }
}

fn sent(share: &ShareRow) -> i64 {
    share.delivered + share.backlogged + share.dead_lettered
}

fn share(share: &ShareRow) -> Value {
    json!({
        "partition": share.partition,
        "from_offset": share.from,
        "to_offset": share.end - 1,
        "next_offset": share.next,
        "events_sent": sent(share),
        "delivered": share.delivered,
        "backlogged": share.backlogged,
        "dead_lettered": share.dead_lettered,
        "gap_offsets": share.gap_offsets,
        "begins_at_log_start": share.at_log_start,
    })
}

/// More than a topic has anywhere we know.
const PARTITIONS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn check(range: Value) -> Result<Range, Vec<String>> {
        let mut body = json!({"endpoint_id": "ep_1", "topic": "orders"});
        body.as_object_mut().expect("an object").extend(range.as_object().expect("an object").clone());
        let parsed = parse(body.as_object().expect("an object"), NOW);
        parsed.map(|body| body.range).map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn a_range_is_of_times_or_of_offsets() {
        let times = json!({"from_time": "2026-01-01T00:00:00Z", "to_time": "2026-01-01T01:00:00+01:00"});
        assert_eq!(check(times), Ok(Range::Times { from_ms: 1_767_225_600_000, to_ms: 1_767_225_600_000 }));
        let offsets = json!({"partitions": [{"partition": 1, "from_offset": 5, "to_offset": 7}]});
        let asked = Asked { partition: 1, from_offset: 5, to_offset: 7 };
        assert_eq!(check(offsets), Ok(Range::Offsets(vec![asked])));
    }

    #[test]
    fn an_open_a_double_or_a_future_range_is_refused() {
        assert_eq!(check(json!({})), Err(vec!["partitions".into()]));
        let from = json!({"from_time": "2026-01-01T00:00:00Z"});
        assert_eq!(check(from), Err(vec!["to_time".into()]));
        let backwards = json!({"from_time": "2026-01-02T00:00:00Z", "to_time": "2026-01-01T00:00:00Z"});
        assert_eq!(check(backwards), Err(vec!["from_time".into()]));
        let future = json!({"from_time": "2026-01-02T00:00:00Z", "to_time": "2999-01-01T00:00:00Z"});
        assert_eq!(check(future), Err(vec!["to_time".into()]));
        let both = json!({"from_time": "2026-01-01T00:00:00Z", "partitions": [{"partition": 0, "from_offset": 0}]});
        assert_eq!(check(both), Err(vec!["partitions[0]".into(), "partitions".into()]));
        assert_eq!(
            check(json!({"from_time": "yesterday", "to_time": 5})),
            Err(vec!["from_time".into(), "to_time".into()])
        );
    }
}
