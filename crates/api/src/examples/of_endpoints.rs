//! ○ Examples of endpoints: their settings, numbers, backlogs, replays, and attempts at them.

use super::{Example, TOPIC, WEBHOOK_ID, id_of, minutes_later, some};
use crate::{
    attempt::{AttemptOutcome, AttemptPage, AttemptView, AttemptedEvent, TestView},
    customer::CustomerName,
    endpoint::EndpointSettings,
    endpoint_backlog::{BacklogView, PartitionBacklog, PurgeResult, WaitingEvents},
    endpoint_health::{
        BreakerStatus, CountPoint, CountSpan, EndpointCounts, EndpointError, EndpointHealth, EndpointRates,
        EndpointStatus, QueuedEvents, RequestDurations, StatsView, StoredEvents,
    },
    endpoint_view::{EndpointMembers, EndpointView, IssuedEndpoint, ListedEndpoint, WrittenEndpoint},
    replay::{ReplayState, ReplayView, ReplayedPartition},
    resource::{ListPage, RowStamps},
};
use postrider_core::model::{id::ResourceKind, settings::EndpointState};

impl Example for EndpointMembers {
    fn example() -> Self {
        EndpointMembers {
            id: id_of(ResourceKind::Endpoint),
            uid: some("acme-erp"),
            customer_id: id_of(ResourceKind::Customer),
            state: EndpointState::Enabled,
            state_reason: "api".to_owned(),
            suspended_at: None,
            url: "https://erp.example.com/webhooks".to_owned(),
            settings: EndpointSettings::default(),
            stamps: RowStamps::example(),
        }
    }
}

impl Example for EndpointView {
    fn example() -> Self {
        EndpointView { endpoint: EndpointMembers::example(), secrets_unreadable: None }
    }
}

impl Example for ListedEndpoint {
    fn example() -> Self {
        ListedEndpoint {
            endpoint: EndpointMembers::example(),
            health: Some(EndpointHealth::example()),
            customer: Some(CustomerName::example()),
        }
    }
}

impl Example for IssuedEndpoint {
    fn example() -> Self {
        IssuedEndpoint { endpoint: EndpointMembers::example(), secret: SECRET.to_owned() }
    }
}

impl Example for WrittenEndpoint {
    fn example() -> Self {
        WrittenEndpoint { id: id_of(ResourceKind::Endpoint), secret: some(SECRET) }
    }
}

/// A secret that nobody uses: the one of the Standard Webhooks specification.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

impl Example for EndpointError {
    fn example() -> Self {
        EndpointError {
            at: Some(minutes_later(1)),
            class: "http_5xx".to_owned(),
            status: Some(503),
            excerpt: "try again later".to_owned(),
        }
    }
}

impl Example for EndpointHealth {
    fn example() -> Self {
        EndpointHealth {
            status: EndpointStatus::Healthy,
            breaker: BreakerStatus::Closed,
            backlog_events: 0,
            backlog_oldest_ms: None,
            dead_letters: 0,
            delivered_per_minute: 240,
            failed_per_minute: 0,
            last_error: Some(EndpointError::example()),
            silent_until: None,
            standing: None,
        }
    }
}

impl Example for EndpointCounts {
    fn example() -> Self {
        let point = CountPoint { at: minutes_later(0), delivered: 240, failed_attempts: 1 };
        EndpointCounts {
            per: CountSpan::Minute,
            since: minutes_later(0),
            until: minutes_later(1),
            delivered: point.delivered,
            failed_attempts: point.failed_attempts,
            data: vec![point],
        }
    }
}

impl Example for StatsView {
    fn example() -> Self {
        let rates = |per_minute: u64| EndpointRates {
            since_start: 1_000 * per_minute,
            last_minute: per_minute,
            per_minute_5: per_minute as f64,
            per_minute_15: per_minute as f64,
        };
        StatsView {
            endpoint_id: id_of(ResourceKind::Endpoint),
            status: EndpointStatus::Healthy,
            breaker: BreakerStatus::Closed,
            delivered: rates(240),
            failed_attempts: rates(1),
            attempts_by_class: [("http_2xx".to_owned(), 240_000), ("http_5xx".to_owned(), 1_000)].into(),
            duration_ms: RequestDurations { p50: Some(21.5), p90: Some(48.0), p99: Some(130.0) },
            queue: QueuedEvents { events: 3, bytes: 1_536, in_flight: 2, in_flight_limit: 8 },
            backlog: StoredEvents { events: 0, oldest_ms: None },
            dead_letters: 0,
            counts: EndpointCounts::example(),
            last_success_at: Some(minutes_later(2)),
            last_failure_at: Some(minutes_later(1)),
            last_error: Some(EndpointError::example()),
            silent_until: None,
            standing: None,
            unreachable: Vec::new(),
        }
    }
}

impl Example for AttemptView {
    fn example() -> Self {
        AttemptView {
            id: id_of(ResourceKind::Attempt),
            endpoint_id: id_of(ResourceKind::Endpoint),
            ended_at: minutes_later(1),
            webhook_id: WEBHOOK_ID.to_owned(),
            events: 1,
            first_events: vec![AttemptedEvent {
                webhook_id: some(WEBHOOK_ID),
                event_id: some("4711"),
                topic: TOPIC.to_owned(),
                partition: 3,
                offset: 1_042,
            }],
            attempt: 1,
            next: "retry".to_owned(),
            next_at: Some(minutes_later(2)),
            stands_for: 1,
            outcome: AttemptOutcome {
                outcome: "failed".to_owned(),
                status: Some(503),
                class: "http_5xx".to_owned(),
                duration_ms: 48,
                excerpt: "try again later".to_owned(),
            },
        }
    }
}

impl Example for AttemptPage {
    fn example() -> Self {
        AttemptPage { page: ListPage::example(), counts: Some(EndpointCounts::example()) }
    }
}

impl Example for TestView {
    fn example() -> Self {
        TestView {
            endpoint_id: id_of(ResourceKind::Endpoint),
            state: EndpointState::Enabled,
            webhook_id: WEBHOOK_ID.to_owned(),
            kind: "postrider.test".to_owned(),
            outcome: AttemptOutcome {
                outcome: "delivered".to_owned(),
                status: Some(200),
                class: "http_2xx".to_owned(),
                duration_ms: 21,
                excerpt: "ok".to_owned(),
            },
        }
    }
}

impl Example for BacklogView {
    fn example() -> Self {
        let waiting = WaitingEvents { events: 120, bytes: 61_440, oldest_received_at: Some(minutes_later(0)) };
        BacklogView {
            endpoint_id: id_of(ResourceKind::Endpoint),
            waiting,
            oldest_given_up_at: Some(minutes_later(72 * 60)),
            partitions: vec![PartitionBacklog { topic: TOPIC.to_owned(), partition: 3, waiting }],
            suspended_at: None,
            gaps: Vec::new(),
        }
    }
}

impl Example for PurgeResult {
    fn example() -> Self {
        PurgeResult {
            endpoint_id: id_of(ResourceKind::Endpoint),
            purged_events: 120,
            purged_bytes: 61_440,
            events: 0,
            finished: true,
        }
    }
}

impl Example for ReplayView {
    fn example() -> Self {
        let partition = ReplayedPartition {
            partition: 3,
            from_offset: 1_000,
            to_offset: 1_999,
            next_offset: 1_600,
            events_sent: 600,
            delivered: 590,
            backlogged: 10,
            dead_lettered: 0,
            gap_offsets: 0,
            begins_at_log_start: false,
        };
        ReplayView {
            id: id_of(ResourceKind::Replay),
            endpoint_id: id_of(ResourceKind::Endpoint),
            topic: TOPIC.to_owned(),
            from_time: Some(minutes_later(0)),
            to_time: Some(minutes_later(60)),
            state: ReplayState::Running,
            created_at: minutes_later(90),
            cancelled_at: None,
            cancel_reason: None,
            events_sent: partition.events_sent,
            gap_offsets: partition.gap_offsets,
            partitions: vec![partition],
        }
    }
}
