//! ○ An attempt, in the traces of those of its events that are traced.
//!
//! A batch is one request for many traces: its span hangs in the trace of the first traced event and links to the others,
//! each of which has a span of the same time that links back.

use std::{borrow::Cow, time::Instant};

use super::{
    event_trace::SpanParent,
    sampling::span_below,
    span::{Attribute, Parent, TraceSpan, TraceSpanKind, Value, number},
};
use crate::model::{
    outcome::{AttemptNote, Outcome},
    settings::{Mode, Settings},
};

/// Traced events of one attempt that are shown.
pub const MEMBERS_MAX: usize = 32;

/// An attempt that has ended.
#[derive(Clone, Copy)]
pub struct TracedAttempt<'a> {
    /// Different for each attempt at an endpoint.
    pub number: u64,
    pub settings: &'a Settings,
    pub sent_at: Instant,
    pub ended_at: Instant,
    /// Number of events in it.
    pub events: usize,
    /// Counted from 1, over restarts and the backlog.
    pub attempt: u32,
    pub outcome: &'a Outcome,
    pub note: &'a AttemptNote,
}

/// The span of the attempt of this number.
#[must_use]
pub fn id(place: SpanParent, number: u64) -> u64 {
    span_below(place.leg, number)
}

/// The spans of an attempt with these traced events, the request's own first.
pub fn spans(places: &[SpanParent], ended: TracedAttempt<'_>) -> impl Iterator<Item = TraceSpan> {
    let own = move |place: &SpanParent| (place.trace_id, id(*place, ended.number));
    let first = places.first().map(own);
    places.iter().enumerate().map(move |(index, place)| TraceSpan {
        trace_id: place.trace_id,
        span_id: id(*place, ended.number),
        parent: Some(Parent { span_id: place.leg, is_remote: false }),
        // One request is one client's span, or it would be counted twice.
        kind: if index == 0 { TraceSpanKind::Client } else { TraceSpanKind::Internal },
        name: Cow::Borrowed("POST"),
        from: ended.sent_at,
        to: ended.ended_at,
        attributes: attributes(ended),
        links: if index == 0 { places[1..].iter().map(own).collect() } else { first.into_iter().collect() },
        error: (*ended.outcome != Outcome::Delivered).then_some(ended.note.class),
    })
}

/// Attributes of an attempt; of the URL only its host, for its path may be a secret of the customer's.
fn attributes(ended: TracedAttempt<'_>) -> Vec<Attribute> {
    let TracedAttempt { settings, note, .. } = ended;
    let url = settings.url.url();
    let mut all: Vec<Attribute> = vec![
        ("http.request.method", Value::from("POST")),
        ("server.address", crate::trace::span::text(url.host_str().unwrap_or_default())),
        ("server.port", number(url.port_or_known_default().unwrap_or(0))),
        ("url.scheme", if url.scheme() == "https" { Value::from("https") } else { Value::from("http") }),
        ("postrider.endpoint.id", crate::trace::span::text(&settings.id)),
        ("postrider.customer.id", crate::trace::span::text(&settings.customer_id)),
        ("postrider.attempt", number(ended.attempt)),
        ("postrider.outcome", Value::from(note.class)),
    ];
    if let Some(status) = note.status {
        all.push(("http.response.status_code", number(status)));
    }
    if ended.attempt > 1 {
        all.push(("http.request.resend_count", number(ended.attempt - 1)));
    }
    if matches!(settings.delivery.mode, Mode::Batch { .. }) {
        all.push(("messaging.batch.message_count", number(ended.events)));
    }
    if *ended.outcome != Outcome::Delivered {
        let code = note.status.map(|status| Value::Text(Cow::Owned(status.to_string())));
        all.push(("error.type", code.unwrap_or(Value::from(note.class))));
    }
    all
}
