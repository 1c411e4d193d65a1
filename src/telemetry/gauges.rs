//! ○ Gauges of how things stand, set every few seconds by whoever looks at everything.

use metrics::{Gauge, gauge};

use super::names;
use crate::model::settings::EndpointStateCounts;

/// Gauges of this instance, unless one says otherwise.
pub struct InstanceGauges {
    instances: Gauge,
    endpoints: [Gauge; 3],
    lagging: Gauge,
    in_flight: Gauge,
    in_flight_limit: Gauge,
    queue_events: Gauge,
    queue_bytes: Gauge,
    queue_largest: Gauge,
    dead_letters: Gauge,
    unaccounted: Gauge,
    stray: Gauge,
}

/// Events that wait for endpoints in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueTotals {
    pub lagging: usize,
    /// Requests under way.
    pub in_flight: u64,
    /// Requests that the endpoints' own limits allow.
    pub in_flight_limit: u64,
    pub events: usize,
    pub bytes: usize,
    /// Bytes of the endpoint that has most.
    pub largest_bytes: usize,
}

impl InstanceGauges {
    #[must_use]
    #[allow(clippy::new_without_default)] // handles count nothing before the recorder is installed: be explicit
    pub fn new() -> Self {
        InstanceGauges {
            instances: gauge!(names::INSTANCES),
            endpoints: ["enabled", "paused", "disabled"].map(|state| gauge!(names::ENDPOINTS, "state" => state)),
            lagging: gauge!(names::LAGGING_ENDPOINTS),
            in_flight: gauge!(names::IN_FLIGHT),
            in_flight_limit: gauge!(names::IN_FLIGHT_LIMIT),
            queue_events: gauge!(names::ENDPOINT_QUEUE_EVENTS),
            queue_bytes: gauge!(names::ENDPOINT_QUEUE_BYTES),
            queue_largest: gauge!(names::ENDPOINT_QUEUE_LARGEST),
            dead_letters: gauge!(names::DEAD_LETTERS_STANDING),
            unaccounted: gauge!(names::UNACCOUNTED),
            stray: gauge!(names::STRAY),
        }
    }

    /// Live instances, this one counted.
    pub fn instances(&self, count: usize) {
        self.instances.set(count as f64);
    }

    pub fn endpoints(&self, counts: EndpointStateCounts) {
        let EndpointStateCounts { enabled, paused, disabled } = counts;
        for (gauge, count) in self.endpoints.iter().zip([enabled, paused, disabled]) {
            gauge.set(count as f64);
        }
    }

    pub fn queues(&self, totals: QueueTotals) {
        self.lagging.set(totals.lagging as f64);
        self.in_flight.set(totals.in_flight as f64);
        self.in_flight_limit.set(totals.in_flight_limit as f64);
        self.queue_events.set(totals.events as f64);
        self.queue_bytes.set(totals.bytes as f64);
        self.queue_largest.set(totals.largest_bytes as f64);
    }

    /// Sets the dead letters of all instances; as it was while Postgres does not say.
    pub fn dead_letters(&self, letters: Option<u64>) {
        if let Some(letters) = letters {
            self.dead_letters.set(letters as f64);
        }
    }

    pub fn unaccounted(&self, events: u64) {
        self.unaccounted.set(events as f64);
    }

    pub fn stray(&self, deliveries: u64) {
        self.stray.set(deliveries as f64);
    }
}

/// A table of Postgres, with its partitions.
pub fn table(table: &str, bytes: i64, dead_rows: i64) {
    gauge!(names::TABLE_BYTES, "table" => table.to_owned()).set(bytes as f64);
    gauge!(names::TABLE_DEAD_ROWS, "table" => table.to_owned()).set(dead_rows as f64);
}

/// Transactions since the oldest that holds vacuum back.
pub fn oldest_transaction(transactions: i64) {
    gauge!(names::OLDEST_TRANSACTION).set(transactions as f64);
}

/// Shows the bytes that one component holds in memory, and its limit. `room` is the old name of the label.
pub fn memory(component: &'static str, bytes: usize, bytes_max: usize) {
    gauge!(names::MEMORY_BYTES, "component" => component, "room" => component).set(bytes as f64);
    gauge!(names::MEMORY_LIMIT, "component" => component, "room" => component).set(bytes_max as f64);
}
