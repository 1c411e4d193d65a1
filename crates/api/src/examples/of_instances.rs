//! ○ Examples of all instances at one glance, and of actors.

use serde_json::json;

use super::{Example, TOPIC, id_of, minutes_later, some};
use crate::{
    actor::{ActorEverywhere, ActorPage, ActorView},
    instance::InstanceView,
    overview::{
        BacklogOverview, BreakerCounts, DeadLetterTotal, EventLatencies, Overview, OverviewTotals, RatePoint,
        TopicOverview,
    },
};
use postrider_core::{
    flow::counters::FlowView,
    model::{id::ResourceKind, settings::EndpointStateCounts},
};

const INSTANCE: &str = "in_019c14a1a0007000a1b2c3d4e5f60718";

impl Example for ActorView {
    fn example() -> Self {
        ActorView {
            kind: "endpoint",
            id: id_of(ResourceKind::Endpoint),
            instance: INSTANCE.to_owned(),
            state: "running".to_owned(),
            queue_events: 3,
            queue_bytes: 1_536,
            in_flight: 2,
            in_flight_limit: Some(8),
            breaker: Some("closed"),
            delivered: 240_000,
            events_last_minute: 240,
            oldest_ms: Some(12),
            ..ActorView::default()
        }
    }
}

impl Example for ActorPage {
    fn example() -> Self {
        ActorPage {
            instance: INSTANCE.to_owned(),
            data: vec![json!(ActorView::example())],
            next_cursor: None,
            unreachable: Vec::new(),
        }
    }
}

impl Example for ActorEverywhere {
    fn example() -> Self {
        let actor = ActorView::example();
        ActorEverywhere {
            id: actor.id.clone(),
            kind: some(actor.kind),
            data: vec![json!(actor)],
            unreachable: Vec::new(),
        }
    }
}

impl Example for Overview {
    fn example() -> Self {
        Overview {
            at: minutes_later(0).as_millisecond(),
            instances: vec![InstanceView {
                id: INSTANCE.to_owned(),
                started_at: minutes_later(-60),
                seen_at: minutes_later(0),
                version: some(env!("CARGO_PKG_VERSION")),
            }],
            unreachable: Vec::new(),
            totals: totals(),
        }
    }
}

fn totals() -> OverviewTotals {
    OverviewTotals {
        events_in_per_second: 1_000.0,
        delivered_per_second: 4_000.0,
        failed_attempts_per_second: 0.5,
        latency_ms: EventLatencies { p50: Some(12.0), p99: Some(85.0) },
        flow: FlowView { waiting_events: 40, window_events: 8_000, leaving_per_second: 4_000, ..FlowView::default() },
        topics: vec![TopicOverview {
            topic: TOPIC.to_owned(),
            partitions: 8,
            in_per_second: 1_000.0,
            lag: 20,
            oldest_uncommitted_ms: 90,
        }],
        standing: Vec::new(),
        breakers: BreakerCounts { closed: 24, open: 1, half_open: 0 },
        endpoints: EndpointStateCounts { enabled: 25, paused: 1, disabled: 0 },
        backlog: BacklogOverview { events: 120, bytes: Some(61_440), oldest_ms: Some(300_000), change_per_minute: -40 },
        dead_letters: DeadLetterTotal { total: Some(3), change_per_minute: 0 },
        history: vec![RatePoint {
            at: minutes_later(-15).as_millisecond(),
            events_in_per_second: 950.0,
            delivered_per_second: 3_800.0,
            failed_attempts_per_second: 0.0,
            latency_p50_ms: Some(11.0),
            latency_p99_ms: Some(80.0),
            backlog_events: 700,
            dead_letters: Some(3),
            lag: 15,
        }],
    }
}
