//! ○ A replay as it is answered.

use super::problem::{FieldError, Problem};
use crate::{
    api::{
        replay::{ReplayState, ReplayView, ReplayedPartition},
        resource::time,
    },
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

/// The replay as it is answered.
#[must_use]
pub(super) fn view(replay: ReplayRow) -> ReplayView {
    let partitions: Vec<ReplayedPartition> = replay.shares.iter().map(partition).collect();
    ReplayView {
        state: state(&replay),
        id: replay.id,
        endpoint_id: replay.endpoint_id,
        topic: replay.topic,
        from_time: replay.from_ms.and_then(time),
        to_time: replay.to_ms.and_then(time),
        created_at: replay.created_at,
        cancelled_at: replay.cancelled_at,
        cancel_reason: replay.cancel_reason,
        events_sent: partitions.iter().map(|part| part.events_sent).sum(),
        gap_offsets: partitions.iter().map(|part| part.gap_offsets).sum(),
        partitions,
    }
}

fn state(replay: &ReplayRow) -> ReplayState {
    let some = |of: fn(&ShareRow) -> bool| replay.shares.iter().any(of);
    if replay.cancelled_at.is_some() {
        ReplayState::Cancelled
    } else if !some(|share| share.open) {
        ReplayState::Done
    } else if some(|share| share.started) {
        ReplayState::Running
    } else {
        ReplayState::Waiting
    }
}

fn partition(share: &ShareRow) -> ReplayedPartition {
    ReplayedPartition {
        partition: share.partition,
        from_offset: share.from,
        to_offset: share.end - 1,
        next_offset: share.next,
        events_sent: share.delivered + share.backlogged + share.dead_lettered,
        delivered: share.delivered,
        backlogged: share.backlogged,
        dead_lettered: share.dead_lettered,
        gap_offsets: share.gap_offsets,
        begins_at_log_start: share.at_log_start,
    }
}
