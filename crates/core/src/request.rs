//! ○ Events → body and headers.
//!
//! | | stream | batch, JSON array | batch, NDJSON |
//! |---|---|---|---|
//! | envelope | one envelope | `[envelope,…]` | an envelope a line |
//! | raw | the value's bytes; empty for a tombstone | `[value,…]` | a value a line |
//!
//! A value is spliced into JSON only after it was proved to be exactly one JSON value, or it could forge a sibling event
//! under our signature. One that is not becomes `"data_base64":"…"` in an envelope and `{"data_base64":"…"}` in a raw
//! batch; a tombstone becomes `null`. Where an event comes from stands in its envelope; beside a raw value, in headers
//! (`source.rs`).
//!
//! **Invariant:** nothing here is random: the same members give the same ids and, at the same second, the same signature.

mod id;
mod json;
mod source;
mod time;

#[cfg(test)]
mod tests;

use std::{io::Write as _, sync::Arc};

use bytes::Bytes;

use self::id::{BatchId, write_event_id};
pub use self::source::Source;
use crate::model::trace_context::TraceContext;
use crate::model::{
    event::{Event, KafkaPosition},
    settings::{BatchFormat, Format, Mode, Settings},
    signature,
};

/// A request ready to be sent: what [`crate::request::build`] makes of a batch.
#[derive(Debug, Clone)]
pub struct Request {
    pub body: Bytes,
    pub content_type: &'static str,
    pub webhook_id: String,
    /// Seconds since 1970.
    pub webhook_timestamp: i64,
    /// `v1,… v1,…`
    pub webhook_signature: String,
    /// Source of a raw value, in headers; not signed.
    pub source: Option<Box<Source>>,
    /// The trace that it is part of; not signed.
    pub trace: Option<TraceContext>,
}

/// The request of a batch's members. `wall_ms` (since 1970) is what `webhook-timestamp` says.
#[must_use]
pub fn build<'a>(
    events: impl ExactSizeIterator<Item = &'a Arc<Event>> + Clone,
    settings: &Settings,
    wall_ms: i64,
) -> Request {
    let mut id = Vec::with_capacity(ID_LEN);
    let mut body = Vec::with_capacity(capacity(events.clone()));
    let is_bare =
        settings.delivery.mode == Mode::Stream && settings.delivery.format == Format::Raw && events.len() == 1;
    let source = events.clone().next().filter(|_| is_bare).map(|event| Box::new(source::of(event)));
    let content_type = match settings.delivery.mode {
        Mode::Stream if events.len() == 1 => stream(events, settings, &mut id, &mut body),
        // A batch that was formed before its endpoint became a stream must not lose a member.
        _ => batch(events, settings, &mut id, &mut body),
    };
    let webhook_id = String::from_utf8(id).expect("an id is ASCII");
    let webhook_timestamp = wall_ms.div_euclid(1000);
    let webhook_signature = signature::sign(&settings.signing_keys, &webhook_id, webhook_timestamp, &body);
    let body = Bytes::from(body);
    Request { body, content_type, webhook_id, webhook_timestamp, webhook_signature, source, trace: None }
}

/// The id by which an endpoint knows an event, of one that is not there any more.
#[must_use]
pub fn event_id(position: KafkaPosition<'_>, own_id: Option<&str>, endpoint_id: &str) -> String {
    let mut id = Vec::with_capacity(ID_LEN);
    id::write_id(position, own_id, endpoint_id, &mut id);
    String::from_utf8_lossy(&id).into_owned()
}

/// The id of such a request, and those of its first `events_max` events.
#[must_use]
pub fn ids<'a>(
    events: impl ExactSizeIterator<Item = &'a Arc<Event>>,
    settings: &Settings,
    events_max: usize,
) -> (String, Vec<String>) {
    let text = |id: &[u8]| String::from_utf8_lossy(id).into_owned();
    let alone = settings.delivery.mode == Mode::Stream && events.len() == 1;
    let (mut batch_id, mut first) = (BatchId::new(&settings.id), Vec::with_capacity(events.len().min(events_max)));
    let mut event_id = Vec::with_capacity(ID_LEN);
    for event in events {
        event_id.clear();
        write_event_id(event, &settings.id, &mut event_id);
        if first.len() < events_max {
            first.push(text(&event_id));
        }
        if alone {
            return (text(&event_id), first);
        }
        batch_id.add(&event_id);
    }
    let mut id = Vec::with_capacity(ID_LEN);
    batch_id.write(&mut id);
    (text(&id), first)
}

/// The request's id is the event's.
fn stream<'a>(
    mut events: impl Iterator<Item = &'a Arc<Event>>,
    settings: &Settings,
    request_id: &mut Vec<u8>,
    body: &mut Vec<u8>,
) -> &'static str {
    let Some(event) = events.next() else { return OCTETS };
    write_event_id(event, &settings.id, request_id);
    match settings.delivery.format {
        Format::Envelope => {
            write_envelope(event, request_id, Lines::Free, body);
            JSON
        }
        Format::Raw => {
            body.extend_from_slice(event.value().unwrap_or_default());
            // A label, not a promise: proving it would cost as much as the signature.
            if json::looks_like_json(body) { JSON } else { OCTETS }
        }
    }
}

/// The request's id is of all its events' ids.
fn batch<'a>(
    events: impl Iterator<Item = &'a Arc<Event>>,
    settings: &Settings,
    request_id: &mut Vec<u8>,
    body: &mut Vec<u8>,
) -> &'static str {
    let (lines, content_type) = match settings.delivery.batch_format {
        BatchFormat::JsonArray => (Lines::Free, JSON),
        BatchFormat::Ndjson => (Lines::One, NDJSON),
    };
    let mut batch_id = BatchId::new(&settings.id);
    let mut event_id = Vec::with_capacity(ID_LEN);
    for (index, event) in events.enumerate() {
        if lines == Lines::Free {
            body.push(if index == 0 { b'[' } else { b',' });
        }
        event_id.clear();
        write_event_id(event, &settings.id, &mut event_id);
        batch_id.add(&event_id);
        match settings.delivery.format {
            Format::Envelope => write_envelope(event, &event_id, lines, body),
            Format::Raw => write_raw(event, lines, body),
        }
        if lines == Lines::One {
            body.push(b'\n');
        }
    }
    if lines == Lines::Free {
        body.push(b']');
    }
    batch_id.write(request_id);
    content_type
}

/// True if raw newlines may stand in the JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    Free,
    /// All of it on one line.
    One,
}

fn write_envelope(event: &Event, id: &[u8], lines: Lines, body: &mut Vec<u8>) {
    body.extend_from_slice(b"{\"id\":\"");
    body.extend_from_slice(id);
    body.extend_from_slice(b"\",\"type\":");
    json::write_string(event.kind(), body);
    body.extend_from_slice(b",\"timestamp\":\"");
    time::write_rfc3339(event.occurred_ms, body);
    body.extend_from_slice(b"\",\"tenant\":");
    write_optional(event.tenant(), body);
    body.extend_from_slice(b",\"department\":");
    write_optional(event.department(), body);
    write_source(event, body);
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

/// Writes the event's source: the producer's own id, and its position in Kafka.
fn write_source(event: &Event, body: &mut Vec<u8>) {
    body.extend_from_slice(b",\"event_id\":");
    write_optional(event.own_id(), body);
    body.extend_from_slice(b",\"topic\":");
    json::write_string(event.topic(), body);
    // Writing to a vector cannot fail.
    let _ = write!(body, ",\"partition\":{},\"offset\":{}", event.partition(), event.offset());
    match event.key().map(|key| (key, std::str::from_utf8(key))) {
        Some((key, Err(_))) => {
            body.extend_from_slice(b",\"key_base64\":");
            json::write_base64(key, body);
        }
        Some((_, Ok(key))) => {
            body.extend_from_slice(b",\"key\":");
            json::write_string(key, body);
        }
        None => body.extend_from_slice(b",\"key\":null"),
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

/// Bytes of the event in a batch's body, its separator included.
#[must_use]
pub fn sent_bytes(event: &Event, format: Format) -> usize {
    let mut body = Vec::with_capacity(event.value().map_or(0, <[u8]>::len) + ENVELOPE_LEN);
    match format {
        Format::Envelope => {
            let mut id = Vec::with_capacity(ID_LEN);
            write_event_id(event, "", &mut id); // as long as with any endpoint
            write_envelope(event, &id, Lines::Free, &mut body);
        }
        Format::Raw => write_raw(event, Lines::Free, &mut body),
    }
    body.len() + 1
}

/// At most so many, found without a look at the value: as if all of it were encoded.
#[must_use]
pub fn sent_bytes_max(event: &Event) -> usize {
    let texts = [event.tenant(), event.department(), event.own_id(), event.own_id(), Some(event.kind())];
    let texts: usize = texts.into_iter().flatten().map(str::len).sum();
    let texts = texts + event.topic().len() + event.key().map_or(0, <[u8]>::len);
    event.value().map_or(0, <[u8]>::len).div_ceil(3) * 4 + ESCAPED_LEN_MAX * texts + ENVELOPE_LEN_MAX
}

/// Room for the whole body in nearly every case; base64 grows it once.
fn capacity<'a>(events: impl ExactSizeIterator<Item = &'a Arc<Event>>) -> usize {
    events.map(|event| event.value().map_or(0, <[u8]>::len) + ENVELOPE_LEN).sum::<usize>() + 2
}

/// As long as an id of ours; an own id may be longer.
const ID_LEN: usize = 36;
/// About what an envelope adds to its value, with a short tenant, department and type.
const ENVELOPE_LEN: usize = 352;
/// Largest size of an envelope, its texts left out.
const ENVELOPE_LEN_MAX: usize = 512;
/// A byte of a text may become `\u0000`.
const ESCAPED_LEN_MAX: usize = 6;

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const OCTETS: &str = "application/octet-stream";
