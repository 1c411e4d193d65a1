//! ○ A replay as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::problem::{FieldError, Problem};
use crate::{
    replay::range::RangeMistake,
    store::replays::{ReplayRow, ShareRow},
};

/// Ranges that Kafka cannot serve, field by field.
#[must_use]
pub(super) fn not_there(mistakes: Vec<RangeMistake>) -> Problem {
    let error = |mistake: RangeMistake| {
        FieldError::new(format!("partitions[{}].{}", mistake.place, mistake.field), mistake.message)
    };
    Problem::invalid(mistakes.into_iter().map(error).collect())
}

/// The replay as JSON.
#[must_use]
pub(super) fn view(replay: &ReplayRow) -> Value {
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
