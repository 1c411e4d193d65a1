//! ● Traces of an endpoint's events: what its actor does to them. All of it is left out while nobody traces.

use std::time::Instant;

use super::EndpointActor;
use crate::{
    endpoint::{attempt_record::AttemptEnd, batch::Batch, delivery::AttemptId},
    model::receipt::Receipt,
    telemetry::otlp::{self, Linked},
    trace::attempt_spans,
};

impl EndpointActor {
    /// An attempt's number, which no other attempt at the endpoint has, whichever actor made it.
    pub(super) fn attempt_number(&self, attempt: AttemptId) -> u64 {
        self.seed ^ attempt.0
    }

    /// An attempt has ended. What is logged while the returned value is held belongs to its trace.
    pub(super) fn trace_attempt(
        &self,
        attempt: AttemptId,
        batch: &Batch,
        (sent_at, ended_at): (Instant, Instant),
        ended: AttemptEnd<'_>,
    ) -> Option<Linked> {
        let tracer = self.core.tracer.as_ref()?;
        let ended = attempt_spans::TracedAttempt {
            number: self.attempt_number(attempt),
            settings: &self.settings,
            sent_at,
            ended_at,
            events: batch.len(),
            attempt: batch.attempt_number(),
            outcome: ended.outcome,
            note: ended.note,
        };
        let (trace_id, span_id) = tracer.attempted(batch.events(), self.queue.key, ended)?;
        Some(otlp::link(trace_id, span_id))
    }

    /// These leave memory for Postgres.
    pub(super) fn trace_storing<'a>(&self, receipts: impl Iterator<Item = &'a Receipt>, now: Instant) {
        if self.core.tracer.is_none() {
            return;
        }
        for traced in receipts.filter_map(|receipt| receipt.event().traced.as_ref()) {
            traced.storing(self.queue.key, &self.settings.id, now);
        }
    }
}
