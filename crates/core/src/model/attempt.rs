//! ○ The record of an attempt, for people to look at. Bounded, and without secrets.

use std::{sync::Arc, time::Instant};

use serde::Serialize;

use super::{disposition::Next, outcome::Outcome};

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    pub endpoint_id: Arc<str>,
    /// Time of its end, milliseconds since 1970.
    pub at_ms: i64,
    pub duration_ms: u64,
    /// `webhook-id`: a batch's, or a single event's own.
    pub batch_id: String,
    /// Number of events in it; the first [`MEMBERS_MAX`] are `members`.
    pub events: usize,
    pub members: Vec<Member>,
    /// Counted from 1, over restarts and the backlog.
    pub attempt: u32,
    pub outcome: &'static str,
    pub status: Option<u16>,
    pub class: &'static str,
    /// The beginning of the answer's body or of the error; empty for a 2xx.
    pub excerpt: String,
    pub next: &'static str,
    /// Time at which the next attempt is due.
    pub next_at_ms: Option<i64>,
    /// Stands for about so many like it: 1 but for sampled successes.
    pub stands_for: u64,
}

/// An event of an attempt, by the id its receiver sees and by where Kafka has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its id at the endpoint.
    pub webhook_id: String,
    /// The producer's own, where it has one.
    pub event_id: Option<String>,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// Events of one attempt that are named.
pub const MEMBERS_MAX: usize = 20;

impl AttemptRecord {
    /// Adds what becomes of the batch.
    #[must_use]
    pub fn followed_by(mut self, next: Next, now: Instant) -> Self {
        let wall = |at: Instant| {
            let wait_ms = at.saturating_duration_since(now).as_millis();
            self.at_ms.saturating_add(i64::try_from(wait_ms).unwrap_or(i64::MAX))
        };
        let (word, at) = match next {
            Next::Ended => ("none", None),
            Next::Retry { at } => ("retry", Some(wall(at))),
            Next::Backlog { at } => ("backlog", at.map(wall)),
            Next::DeadLetter => ("dead_letter", None),
        };
        (self.next, self.next_at_ms) = (word, at);
        self
    }
}

/// The stable word for an outcome.
#[must_use]
pub fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Rejected => "rejected",
        Outcome::Failed { .. } => "failed",
        Outcome::Gone => "gone",
        Outcome::Disconnected => "disconnected",
        Outcome::LocalFault => "local_fault",
    }
}
