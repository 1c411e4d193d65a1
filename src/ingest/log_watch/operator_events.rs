//! ● Messages to operators: records that were removed before they were read, and partitions that stand and move again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::{counter, gauge};

use crate::{
    ingest::{
        ledger::PartitionLedger,
        stalls::{PartitionStallGroup, StalledPartition},
    },
    notifications::{OperatorEvent, emit},
    telemetry::names,
};

pub(super) fn tell_lost(ledger: &PartitionLedger) {
    for (first_offset, last_offset) in ledger.lost() {
        let (topic, partition) = (ledger.topic_name(), ledger.partition());
        let offsets = (last_offset - first_offset + 1).unsigned_abs();
        counter!(names::SOURCE_LOST, "topic" => topic.to_string()).increment(offsets);
        tracing::error!(%topic, partition, first_offset, last_offset, "records were removed from the log before they were read");
        emit(OperatorEvent::SourceLost { topic, partition, first_offset, last_offset });
    }
}

/// Each topic and reason is told when the first partition stands, and when none does any more.
pub(super) fn tell(before: &[PartitionStallGroup], after: &[PartitionStallGroup], now: Instant) {
    let has = |groups: &[PartitionStallGroup], one: &PartitionStallGroup| {
        groups.iter().any(|group| group.topic == one.topic && group.why == one.why)
    };
    for over in before.iter().filter(|group| !has(after, group)) {
        let stood_for_ms = u64::try_from(now.saturating_duration_since(over.since).as_millis()).unwrap_or(u64::MAX);
        emit(OperatorEvent::PartitionsMoving { topic: Arc::clone(&over.topic), why: over.why.as_str(), stood_for_ms });
    }
    for began in after.iter().filter(|group| !has(before, group)) {
        emit(OperatorEvent::PartitionsStanding {
            topic: Arc::clone(&began.topic),
            why: began.why.as_str(),
            words: began.words.clone(),
            partitions: began.partitions.iter().take(PARTITIONS_TOLD_MAX).copied().collect(),
            lag: began.lag,
        });
    }
}

const PARTITIONS_TOLD_MAX: usize = 100;

pub(super) fn log_stall(standing: &StalledPartition, age: Duration) {
    let (topic, partition) = (standing.topic.to_string(), standing.partition.to_string());
    gauge!(names::PARTITION_STANDING, "topic" => topic, "partition" => partition, "why" => standing.why.as_str())
        .set(age.as_secs_f64());
}
