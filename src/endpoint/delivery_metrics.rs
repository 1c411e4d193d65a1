//! ○ Metrics of attempts.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use crate::{
    endpoint::batch::FilledBy,
    model::outcome::{NO_STREAM, Outcome},
    telemetry::names,
};

/// Attempts of the endpoints of one mode (`"stream"`, `"batch"`); one set serves all endpoints of a core.
pub struct DeliveryMetrics {
    events: [Counter; OUTCOMES.len()],
    requests: [Counter; OUTCOMES.len()],
    duration: Histogram,
    end_to_end: Histogram,
    event_age: Histogram,
    batch_events: Option<Histogram>,
    /// In the order of [`FilledBy::COUNTED`].
    batches: [Counter; FilledBy::COUNTED.len()],
    delivered_after: Histogram,
    given_up_after: Histogram,
    local_faults: Counter,
}

/// In the order of [`outcome_index`].
const OUTCOMES: [&str; 6] = ["delivered", "rejected", "failed", "gone", "disconnected", "local_fault"];

impl DeliveryMetrics {
    #[must_use]
    pub fn new(mode: &'static str) -> Self {
        DeliveryMetrics {
            events: OUTCOMES.map(|outcome| counter!(names::DELIVERIES, "outcome" => outcome, "mode" => mode)),
            requests: OUTCOMES.map(|outcome| counter!(names::REQUESTS, "outcome" => outcome, "mode" => mode)),
            duration: histogram!(names::DELIVERY_SECONDS, "mode" => mode),
            end_to_end: histogram!(names::END_TO_END_SECONDS, "mode" => mode),
            event_age: histogram!(names::EVENT_AGE_SECONDS, "mode" => mode),
            batch_events: (mode == "batch").then(|| histogram!(names::BATCH_EVENTS)),
            batches: FilledBy::COUNTED.map(|by| counter!(names::BATCHES, "filled_by" => by.as_str())),
            delivered_after: delivered_after(),
            given_up_after: histogram!(names::ATTEMPTS_USED, "settlement" => "dead_lettered"),
            local_faults: counter!(names::LOCAL_FAULTS),
        }
    }

    /// An attempt of so many events ended; `class` is the [note](crate::model::outcome::AttemptNote)'s word.
    pub fn attempted(&self, outcome: &Outcome, class: &'static str, events: usize, took: Duration) {
        let index = outcome_index(outcome);
        self.events[index].increment(events as u64);
        self.requests[index].increment(1);
        self.duration.record(took);
        if let Some(batch_events) = &self.batch_events {
            batch_events.record(events as f64);
        }
        match outcome {
            Outcome::Failed { .. } | Outcome::Disconnected => counter!(names::RETRIES, "reason" => class).increment(1),
            // Nothing of ours is wrong.
            Outcome::LocalFault if class == NO_STREAM => counter!(names::RETRIES, "reason" => class).increment(1),
            Outcome::LocalFault => self.local_faults.increment(1),
            Outcome::Delivered | Outcome::Rejected | Outcome::Gone => {}
        }
    }

    /// A batch was sent for the first time.
    pub fn batch_sent(&self, filled_by: FilledBy) {
        if let Some(place) = FilledBy::COUNTED.iter().position(|counted| *counted == filled_by) {
            self.batches[place].increment(1);
        }
    }

    /// A request was delivered with this attempt.
    pub fn delivered_after(&self, attempts: u32) {
        self.delivered_after.record(f64::from(attempts));
    }

    /// An event was given up after this attempt.
    pub fn given_up_after(&self, attempts: u32) {
        self.given_up_after.record(f64::from(attempts));
    }

    /// So old were events by their own timestamps when they were delivered.
    pub fn events_were_old(&self, age: Option<Duration>, events: usize) {
        if let Some(age) = age {
            self.event_age.record_many(age.as_secs_f64(), events);
        }
    }

    /// Events of this age, counted from their timestamp in Kafka, were delivered.
    pub fn delivered_at_age(&self, age: Duration, events: usize) {
        self.end_to_end.record_many(age.as_secs_f64(), events);
    }
}

/// Attempts that delivered a request; of the first ones, the usual ones, the sampler tells.
pub fn delivered_after() -> Histogram {
    histogram!(names::ATTEMPTS_USED, "settlement" => "delivered")
}

fn outcome_index(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Delivered => 0,
        Outcome::Rejected => 1,
        Outcome::Failed { .. } => 2,
        Outcome::Gone => 3,
        Outcome::Disconnected => 4,
        Outcome::LocalFault => 5,
    }
}
