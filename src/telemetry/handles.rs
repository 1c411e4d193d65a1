//! ○ Metric handles of the rooms: made once, an atomic addition each on the hot path.

mod shares; // what customers share

pub use self::shares::{NameMetrics, ShareMetrics};

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::names;
use crate::model::{disposition::Reason, pause::PauseReason, receipt::Settlement};

/// One assigned partition. Dropped with its assignment, so that a gauge does not go on about a partition we lost.
pub struct PartitionMetrics {
    consumed: Counter,
    consumed_bytes: Counter,
    lag: Gauge,
    uncommitted_age: Gauge,
    restore_seconds: Histogram,
}

impl PartitionMetrics {
    #[must_use]
    pub fn new(topic: &str, partition: i32) -> Self {
        let (topic, partition) = (topic.to_owned(), partition.to_string());
        PartitionMetrics {
            consumed: counter!(names::KAFKA_CONSUMED, "topic" => topic.clone()),
            consumed_bytes: counter!(names::KAFKA_CONSUMED_BYTES, "topic" => topic.clone()),
            lag: gauge!(names::KAFKA_LAG, "topic" => topic.clone(), "partition" => partition.clone()),
            uncommitted_age: gauge!(names::UNCOMMITTED_AGE, "topic" => topic, "partition" => partition),
            restore_seconds: histogram!(names::RESTORE_SECONDS),
        }
    }

    pub fn consumed(&self, records: usize, bytes: usize) {
        self.consumed.increment(records as u64);
        self.consumed_bytes.increment(bytes as u64);
    }

    /// Records between what may be committed and the partition's end.
    pub fn lag(&self, records: i64) {
        self.lag.set(records as f64);
    }

    /// Records that events waiting in it began to settle so long after its assignment.
    pub fn restored(&self, after: Duration) {
        self.restore_seconds.record(after);
    }

    /// Zero when everything read is committed or committable.
    pub fn uncommitted_age(&self, age: Duration) {
        self.uncommitted_age.set(age);
    }
}

impl Drop for PartitionMetrics {
    fn drop(&mut self) {
        self.lag.set(0.0);
        self.uncommitted_age.set(0.0);
    }
}

/// The consumer as a whole.
pub struct ConsumerMetrics {
    pub assigned: Counter,
    pub revoked: Counter,
    pub lost: Counter,
    pub partitions_assigned: Gauge,
    /// In the order of [`PauseReason::ALL`].
    pub partitions_paused: [Gauge; PauseReason::ALL.len()],
    pub errors: Counter,
    pub outstanding_events: Gauge,
    pub outstanding_bytes: Gauge,
    pub poll_age_seconds: Gauge,
    pub commits_ok: Counter,
    pub commits_failed: Counter,
    /// Commits of topics that are there no more.
    pub commits_absent: Counter,
    /// Offsets not stored because the partition is no longer ours: the new owner has the events.
    pub commits_stale: Counter,
    pub commit_seconds: Histogram,
}

impl ConsumerMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // handles count nothing before the recorder is installed: be explicit
    pub fn new() -> Self {
        ConsumerMetrics {
            assigned: counter!(names::REBALANCES, "kind" => "assigned"),
            revoked: counter!(names::REBALANCES, "kind" => "revoked"),
            lost: counter!(names::REBALANCES, "kind" => "lost"),
            partitions_assigned: gauge!(names::PARTITIONS_ASSIGNED),
            partitions_paused: PauseReason::ALL.map(|why| gauge!(names::PARTITIONS_PAUSED, "reason" => why.as_str())),
            errors: counter!(names::KAFKA_ERRORS),
            outstanding_events: gauge!(names::OUTSTANDING_EVENTS),
            outstanding_bytes: gauge!(names::OUTSTANDING_BYTES),
            poll_age_seconds: gauge!(names::KAFKA_POLL_AGE),
            commits_ok: counter!(names::COMMITS, "result" => "ok"),
            commits_failed: counter!(names::COMMITS, "result" => "failed"),
            commits_absent: counter!(names::COMMITS, "result" => "topic_absent"),
            commits_stale: counter!(names::COMMITS, "result" => "stale_epoch"),
            commit_seconds: histogram!(names::COMMIT_SECONDS),
        }
    }
}

/// The read window.
pub struct IntakeMetrics {
    pub window_events: Gauge,
    pub waiting_events: Gauge,
    pub leaving_per_second: Gauge,
}

impl IntakeMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        IntakeMetrics {
            window_events: gauge!(names::READ_WINDOW),
            waiting_events: gauge!(names::READ_WINDOW_WAITING),
            leaving_per_second: gauge!(names::LEAVING),
        }
    }
}

/// The router.
pub struct RoutingMetrics {
    pub routed: Counter,
    pub unmatched: Counter,
    pub receipts_opened: Counter,
}

impl RoutingMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        RoutingMetrics {
            routed: counter!(names::EVENTS_ROUTED),
            unmatched: counter!(names::EVENTS_UNMATCHED),
            receipts_opened: counter!(names::RECEIPTS_OPENED),
        }
    }
}

/// Connections to endpoints.
pub struct ConnectionMetrics {
    pub open: Gauge,
    pub http2: Gauge,
    pub closed_for_room: Counter,
}

impl ConnectionMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        ConnectionMetrics {
            open: gauge!(names::CONNECTIONS),
            http2: gauge!(names::CONNECTIONS_HTTP2),
            closed_for_room: counter!(names::CONNECTIONS_CLOSED),
        }
    }
}

/// Counters of settlements.
pub struct SettlementMetrics {
    settled: [Counter; Settlement::ALL.len()],
    pub abandoned: Counter,
}

impl SettlementMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        SettlementMetrics {
            settled: Settlement::ALL.map(|how| counter!(names::SETTLED, "settlement" => how.as_str())),
            abandoned: counter!(names::RECEIPTS_ABANDONED),
        }
    }

    pub fn settled(&self, how: Settlement, receipts: usize) {
        self.settled[how as usize].increment(receipts as u64);
    }
}

/// The endpoint actors of this process.
pub struct EndpointMetrics {
    pub actors: Gauge,
    pub restarts: Counter,
    /// Kept by [`Report::breaker`](crate::endpoint::attempt_log::Report::breaker).
    pub breaker_open: Gauge,
    pub breaker_half_open: Gauge,
    pub breaker_trips: Counter,
    pub probes_succeeded: Counter,
    pub probes_failed: Counter,
    pub probes_undecided: Counter,
    pub local_outage: [Gauge; 2],
    pub rate_limited: Counter,
}

impl EndpointMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        EndpointMetrics {
            actors: gauge!(names::ENDPOINT_ACTORS),
            restarts: counter!(names::ENDPOINT_RESTARTS),
            breaker_open: gauge!(names::BREAKER_ENDPOINTS, "state" => "open"),
            breaker_half_open: gauge!(names::BREAKER_ENDPOINTS, "state" => "half_open"),
            breaker_trips: counter!(names::BREAKER_TRIPS),
            probes_succeeded: counter!(names::BREAKER_PROBES, "result" => "succeeded"),
            probes_failed: counter!(names::BREAKER_PROBES, "result" => "failed"),
            probes_undecided: counter!(names::BREAKER_PROBES, "result" => "undecided"),
            local_outage: [gauge!(names::LOCAL_OUTAGE), gauge!(names::OWN_TROUBLE)],
            rate_limited: counter!(names::RATE_LIMITED),
        }
    }
}

/// The backlog.
pub struct BacklogMetrics {
    events: Gauge,
    bytes: Gauge,
    oldest_age: Gauge,
    pub parked: Counter,
    left: [Counter; Settlement::ALL.len()],
    pub queued_events: Gauge,
    pub write_seconds: Histogram,
    pub write_failures: Counter,
    pub read_seconds: Histogram,
    pub read_failures: Counter,
    pub pace: Gauge,
    pub live_late_ratio: Gauge,
}

impl BacklogMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        BacklogMetrics {
            events: gauge!(names::BACKLOG_EVENTS),
            bytes: gauge!(names::BACKLOG_BYTES),
            oldest_age: gauge!(names::BACKLOG_AGE),
            parked: counter!(names::BACKLOG_PARKED),
            left: Settlement::ALL.map(|how| counter!(names::BACKLOG_LEFT, "settlement" => how.as_str())),
            queued_events: gauge!(names::BACKLOG_QUEUE),
            write_seconds: histogram!(names::BACKLOG_WRITE_SECONDS),
            write_failures: counter!(names::BACKLOG_WRITE_FAILURES),
            read_seconds: histogram!(names::BACKLOG_READ_SECONDS),
            read_failures: counter!(names::BACKLOG_READ_FAILURES),
            pace: gauge!(names::BACKLOG_PACE),
            live_late_ratio: gauge!(names::LIVE_LATE_RATIO),
        }
    }

    /// Counts events that left the backlog in this way.
    pub fn left(&self, how: Settlement, events: usize) {
        self.left[how as usize].increment(events as u64);
    }

    /// Shows the waiting events, their bytes, and the age of the oldest.
    pub fn waiting(&self, events: i64, bytes: i64, oldest_age: Duration) {
        self.events.set(events as f64);
        self.bytes.set(bytes as f64);
        self.oldest_age.set(oldest_age);
    }
}

/// The dead-letter writer.
#[derive(Clone)]
pub struct DeadLetterMetrics {
    pub queue_bytes: Gauge,
    pub customers_beyond: Gauge,
    pub write_seconds: Histogram,
    pub write_failures: Counter,
    pub redriven: Counter,
}

impl DeadLetterMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        DeadLetterMetrics {
            queue_bytes: gauge!(names::DEAD_LETTER_QUEUE_BYTES),
            customers_beyond: gauge!(names::DEAD_LETTER_CUSTOMERS_BEYOND),
            write_seconds: histogram!(names::DEAD_LETTER_WRITE_SECONDS),
            write_failures: counter!(names::DEAD_LETTER_WRITE_FAILURES),
            redriven: counter!(names::REDRIVEN),
        }
    }

    /// Counts customers that came to their share of the letters that wait.
    pub fn beyond_share(&self, reason: &'static str) {
        counter!(names::DEAD_LETTER_SHARES_REFUSED, "reason" => reason).increment(1);
    }

    /// Counts events that were stored as dead letters.
    pub fn stored(&self, reason: Reason, letters: usize) {
        counter!(names::DEAD_LETTERS, "reason" => reason.as_str()).increment(letters as u64);
    }
}

/// Counters of attempts' records.
pub struct AttemptMetrics {
    pub recorded: Counter,
    pub dropped: Counter,
}

impl AttemptMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        AttemptMetrics { recorded: counter!(names::ATTEMPTS_RECORDED), dropped: counter!(names::ATTEMPTS_DROPPED) }
    }
}

/// Counters of counts by the minute.
pub struct CountMetrics {
    pub written: Counter,
    pub lost: Counter,
}

impl CountMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        CountMetrics { written: counter!(names::COUNTS_WRITTEN), lost: counter!(names::COUNTS_LOST) }
    }
}

/// The replays.
pub struct ReplayMetrics {
    pub running: Gauge,
    pub events: Counter,
    pub gap_offsets: Counter,
}

impl ReplayMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        ReplayMetrics {
            running: gauge!(names::REPLAYS_RUNNING),
            events: counter!(names::REPLAYED),
            gap_offsets: counter!(names::REPLAY_GAP),
        }
    }
}

/// The settings that this instance works by.
pub struct SettingsMetrics {
    version: Gauge,
    age_seconds: Gauge,
    subscriptions: Gauge,
    pub index_seconds: Histogram,
}

impl SettingsMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // as above
    pub fn new() -> Self {
        SettingsMetrics {
            version: gauge!(names::SETTINGS_VERSION),
            age_seconds: gauge!(names::SETTINGS_AGE),
            subscriptions: gauge!(names::SUBSCRIPTIONS),
            index_seconds: histogram!(names::INDEX_SECONDS),
        }
    }

    pub fn version(&self, version: i64) {
        self.version.set(version as f64);
    }

    pub fn subscriptions(&self, subscriptions: usize) {
        self.subscriptions.set(subscriptions as f64);
    }

    pub fn age(&self, age: Duration) {
        self.age_seconds.set(age);
    }
}
