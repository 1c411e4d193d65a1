//! ○ What is kept of an attempt. Bounded, and without secrets: an answer that repeats what we sent to prove who we are
//! has come without it already (`redaction.rs`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    endpoint::{
        batch::Batch,
        delivery::Next,
        outcome::{AttemptNote, Outcome},
        request,
        settings::Settings,
    },
    event::Event,
};

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    pub endpoint_id: Arc<str>,
    /// When it ended, milliseconds since 1970.
    pub at_ms: i64,
    pub duration_ms: u64,
    /// `webhook-id`: a batch's, or a single event's own.
    pub batch_id: String,
    /// How many events were in it; the first [`MEMBERS_MAX`] are `members`.
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
    /// When the next attempt is due.
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

/// What an attempt came to, as its shell knows it.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    pub outcome: &'a Outcome,
    pub note: &'a AttemptNote,
    pub took: Duration,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

impl AttemptRecord {
    /// Of a batch that is still with its machine; what follows is said [afterwards](AttemptRecord::followed_by).
    #[must_use]
    pub fn new(settings: &Settings, batch: &Batch, ended: Ended<'_>, stands_for: u64) -> Self {
        let (batch_id, first) = request::ids(batch.events(), settings, MEMBERS_MAX);
        let member = |(event, webhook_id): (&Arc<Event>, String)| Member {
            webhook_id,
            event_id: event.own_id().filter(|own| !own.is_empty()).map(|own| own.replace('\0', "\u{fffd}")),
            topic: event.topic().to_owned(),
            partition: event.partition(),
            offset: event.offset(),
        };
        AttemptRecord {
            endpoint_id: Arc::clone(&settings.id),
            at_ms: ended.wall_ms,
            duration_ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
            batch_id,
            events: batch.len(),
            members: batch.events().zip(first).map(member).collect(),
            attempt: batch.attempt_number(),
            outcome: word(ended.outcome),
            status: ended.note.status,
            class: ended.note.class,
            excerpt: ended.note.excerpt.to_string(),
            next: "",
            next_at_ms: None,
            stands_for,
        }
    }

    /// What becomes of the batch now.
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
pub fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Rejected => "rejected",
        Outcome::Failed { .. } => "failed",
        Outcome::Gone => "gone",
        Outcome::Disconnected => "disconnected",
        Outcome::LocalFault => "local_fault",
    }
}
