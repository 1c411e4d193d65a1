//! ○ The record of an attempt, made of its batch. An answer that repeats what we sent to prove who we are
//! has come without it already (`redaction.rs`).

use std::{sync::Arc, time::Duration};

use super::batch::Batch;
use crate::model::{
    attempt::{self, AttemptRecord, MEMBERS_MAX, Member},
    event::Event,
    outcome::{AttemptNote, Outcome},
    settings::Settings,
};
use crate::request;

/// The end of an attempt, as its shell knows it.
#[derive(Debug, Clone, Copy)]
pub struct AttemptEnd<'a> {
    pub outcome: &'a Outcome,
    pub note: &'a AttemptNote,
    pub took: Duration,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

/// Record of an attempt at a batch that is still with its machine; what follows is added by [`AttemptRecord::followed_by`].
#[must_use]
pub fn record_of(settings: &Settings, batch: &Batch, ended: AttemptEnd<'_>, stands_for: u64) -> AttemptRecord {
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
        outcome: attempt::outcome_name(ended.outcome),
        status: ended.note.status,
        class: ended.note.class,
        excerpt: ended.note.excerpt.to_string(),
        next: "",
        next_at_ms: None,
        stands_for,
    }
}
