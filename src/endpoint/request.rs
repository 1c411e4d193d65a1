//! ○ Events → body and headers.
//!
//! | | stream | batch, JSON array | batch, NDJSON |
//! |---|---|---|---|
//! | envelope | one envelope | `[envelope,…]` | an envelope a line |
//! | raw | the value's bytes; empty for a tombstone | `[value,…]` | a value a line |
//!
//! A value is spliced into JSON only after it was proved to be exactly one JSON value, or it could forge a sibling event
//! under our signature. One that is not becomes `"data_base64":"…"` in an envelope and `{"data_base64":"…"}` in a raw
//! batch; a tombstone becomes `null`.
//!
//! **Invariant:** nothing here is random: the same members give the same ids and, at the same second, the same signature.

mod id;
mod json;
mod time;

use std::sync::Arc;

use bytes::Bytes;

use self::id::IdHasher;
use super::{
    settings::{BatchFormat, Format, Mode, Request, Settings},
    signature,
};
use crate::event::Event;

/// The request of a batch's members. `wall_ms` (since 1970) is what `webhook-timestamp` says.
#[must_use]
pub fn build<'a>(
    events: impl ExactSizeIterator<Item = &'a Arc<Event>> + Clone,
    settings: &Settings,
    wall_ms: i64,
) -> Request {
    let mut body = Vec::with_capacity(capacity(events.clone()));
    let ids = IdHasher::new(&settings.id);
    let (webhook_id, content_type) = match settings.delivery.mode {
        Mode::Stream => stream(events, settings.delivery.format, &ids, &mut body),
        Mode::Batch { .. } => batch(events, settings, &ids, &mut body),
    };
    let webhook_timestamp = wall_ms.div_euclid(1000);
    let webhook_signature = signature::sign(&settings.signing_keys, &webhook_id, webhook_timestamp, &body);
    Request { body: Bytes::from(body), content_type, webhook_id, webhook_timestamp, webhook_signature }
}

fn stream<'a>(
    mut events: impl ExactSizeIterator<Item = &'a Arc<Event>>,
    format: Format,
    ids: &IdHasher,
    body: &mut Vec<u8>,
) -> (String, &'static str) {
    debug_assert_eq!(events.len(), 1, "a stream's request has one event");
    let Some(event) = events.next() else { return (String::new(), OCTETS) };
    let id = ids.event_id(event);
    match format {
        Format::Envelope => {
            write_envelope(event, &id, Lines::Free, body);
            (id, JSON)
        }
        Format::Raw => {
            body.extend_from_slice(event.value().unwrap_or_default());
            // A label, not a promise: proving it would cost as much as the signature.
            (id, if json::looks_like_json(body) { JSON } else { OCTETS })
        }
    }
}

fn batch<'a>(
    events: impl Iterator<Item = &'a Arc<Event>>,
    settings: &Settings,
    ids: &IdHasher,
    body: &mut Vec<u8>,
) -> (String, &'static str) {
    let (lines, content_type) = match settings.delivery.batch_format {
        BatchFormat::JsonArray => (Lines::Free, JSON),
        BatchFormat::Ndjson => (Lines::One, NDJSON),
    };
    let mut batch_id = ids.batch();
    for (index, event) in events.enumerate() {
        if lines == Lines::Free {
            body.push(if index == 0 { b'[' } else { b',' });
        }
        let id = ids.event_id(event);
        batch_id.add(&id);
        match settings.delivery.format {
            Format::Envelope => write_envelope(event, &id, lines, body),
            Format::Raw => write_raw(event, lines, body),
        }
        if lines == Lines::One {
            body.push(b'\n');
        }
    }
    if lines == Lines::Free {
        body.push(b']');
    }
    (batch_id.finish(), content_type)
}

/// Whether raw newlines may stand in the JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    Free,
    /// All of it on one line.
    One,
}

fn write_envelope(event: &Event, id: &str, lines: Lines, body: &mut Vec<u8>) {
    body.extend_from_slice(b"{\"id\":");
    json::write_string(id, body);
    body.extend_from_slice(b",\"type\":");
    json::write_string(event.kind(), body);
    body.extend_from_slice(b",\"timestamp\":\"");
    time::write_rfc3339(event.occurred_ms, body);
    body.extend_from_slice(b"\",\"tenant\":");
    write_optional(event.tenant(), body);
    body.extend_from_slice(b",\"department\":");
    write_optional(event.department(), body);
    match event.value() {
        None => body.extend_from_slice(b",\"data\":null}"),
        Some(value) => {
            match json::one_value(value) {
                Some(value) => {
                    body.extend_from_slice(b",\"data\":");
                    json::write_value(value, lines == Lines::One, body);
                }
                None => {
                    body.extend_from_slice(b",\"data_base64\":");
                    json::write_base64(value, body);
                }
            }
            body.push(b'}');
        }
    }
}

fn write_raw(event: &Event, lines: Lines, body: &mut Vec<u8>) {
    let Some(value) = event.value() else { return body.extend_from_slice(b"null") };
    match json::one_value(value) {
        Some(value) => json::write_value(value, lines == Lines::One, body),
        None => {
            body.extend_from_slice(b"{\"data_base64\":");
            json::write_base64(value, body);
            body.push(b'}');
        }
    }
}

fn write_optional(text: Option<&str>, body: &mut Vec<u8>) {
    match text {
        Some(text) => json::write_string(text, body),
        None => body.extend_from_slice(b"null"),
    }
}

/// Room for the whole body in nearly every case; base64 grows it once.
fn capacity<'a>(events: impl ExactSizeIterator<Item = &'a Arc<Event>>) -> usize {
    events.map(|event| event.value().map_or(0, <[u8]>::len) + ENVELOPE_LEN).sum::<usize>() + 2
}

/// About what an envelope adds to its value, with a short tenant, department and type.
const ENVELOPE_LEN: usize = 224;

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const OCTETS: &str = "application/octet-stream";
