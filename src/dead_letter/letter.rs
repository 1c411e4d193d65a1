//! ○ Contents of a dead letter.

use std::{num::NonZeroI64, sync::Arc, time::Instant};

use jiff::Timestamp;

use crate::{
    model::{
        disposition::GivenUp,
        event::{ByteSpan, EndpointKey, Event, Record},
        id,
        settings::Settings,
    },
    store::{
        dead_letters::{KEY_BYTES, NewLetter},
        letter_texts,
    },
};

/// The key of a receipt for a record that never got as far as an endpoint: undecodable, or too large.
pub const NO_ENDPOINT: EndpointKey = EndpointKey(u32::MAX);

/// An event that was given up, until it is stored.
#[derive(Debug)]
pub struct Letter {
    /// Empty: the operator's.
    pub endpoint_id: Arc<str>,
    pub customer_id: Arc<str>,
    pub given_up: GivenUp,
}

/// The identity of a letter: topic, partition, offset, the record's time and the endpoint, as a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterKey(pub [u8; KEY_BYTES]);

/// Time at which a letter is written, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct LetterTime {
    pub now: Instant,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

impl Letter {
    /// An event that an endpoint did not get.
    #[must_use]
    pub fn of_endpoint(settings: &Settings, given_up: GivenUp) -> Self {
        Letter { endpoint_id: Arc::clone(&settings.id), customer_id: Arc::clone(&settings.customer_id), given_up }
    }

    /// A record that no endpoint could be found for; its receipt's endpoint is [`NO_ENDPOINT`].
    #[must_use]
    pub fn of_record(given_up: GivenUp) -> Self {
        Letter { endpoint_id: Arc::from(""), customer_id: Arc::from(""), given_up }
    }

    #[must_use]
    pub fn key(&self) -> LetterKey {
        LetterKey::of(self.event(), &self.endpoint_id)
    }

    /// The operator's: of a record that no endpoint could be found for.
    #[must_use]
    pub fn is_of_record(&self) -> bool {
        self.endpoint_id.is_empty()
    }

    /// Its weight against the writer's limit.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.event().weight_bytes()
    }

    /// The row to store. `entropy` are ten random bytes; `place` orders the rows of one statement.
    #[must_use]
    pub fn row(&self, written: LetterTime, place: usize, entropy: [u8; 10]) -> NewLetter<'_> {
        let event = self.event();
        let age_ms = written.now.saturating_duration_since(event.received_at).as_millis();
        let in_memory_since_ms = written.wall_ms.saturating_sub(i64::try_from(age_ms).unwrap_or(i64::MAX));
        let received_ms = event.first_received_ms.map_or(in_memory_since_ms, NonZeroI64::get);
        let last = self.given_up.last.as_ref();
        let texts = [event.own_id(), event.tenant(), event.department(), Some(event.kind())];
        let ([event_id, tenant, department, kind], texts_with_nul) = letter_texts::columns(texts);
        NewLetter {
            id: id::new(id::ResourceKind::DeadLetter, written.wall_ms, placed(place, entropy)),
            key: self.key().0,
            endpoint_id: &self.endpoint_id,
            customer_id: &self.customer_id,
            topic: event.topic(),
            partition: event.partition(),
            offset: event.offset(),
            record_ms: event.record.timestamp_ms,
            occurred_ms: event.occurred_ms,
            event_id,
            tenant,
            department,
            kind,
            texts_with_nul,
            record_key: event.key(),
            record_value: event.value(),
            record_headers: event.record.headers.of(&event.record.bytes),
            reason: self.given_up.reason.as_str(),
            attempts: i32::try_from(self.given_up.attempts).unwrap_or(i32::MAX),
            last_status: last.and_then(|note| note.status).and_then(|status| i16::try_from(status).ok()),
            last_class: last.map(|note| note.class),
            excerpt: last.map(|note| storable(cut(&note.excerpt))).filter(|excerpt| !excerpt.is_empty()),
            received_at: timestamp(received_ms),
            created_at: timestamp(written.wall_ms),
        }
    }

    fn event(&self) -> &Arc<Event> {
        self.given_up.receipt.event()
    }
}

impl LetterKey {
    #[must_use]
    pub fn of(event: &Event, endpoint_id: &str) -> Self {
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        // Lengths before texts: no two keys run into each other.
        for text in [event.topic(), endpoint_id] {
            digest.update(&(text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        }
        digest.update(&event.partition().to_be_bytes());
        digest.update(&event.offset().to_be_bytes());
        digest.update(&event.record.timestamp_ms.to_be_bytes());
        let digest = digest.finish();
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(&digest.as_ref()[..KEY_BYTES]);
        LetterKey(key)
    }
}

/// Strips a row that Postgres refuses: everything is left but the producer's data, and the reason is added.
pub fn strip(row: &mut NewLetter<'_>, refusal: &str) {
    row.event_id = None;
    row.tenant = None;
    row.department = None;
    row.kind = None;
    row.texts_with_nul = None;
    row.record_key = None;
    row.record_value = None;
    row.record_headers = &[];
    row.excerpt = Some(storable(cut(&format!("the record's data could not be stored: {refusal}"))));
}

/// A record from what was stored of it.
#[must_use]
pub fn record(offset: i64, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[u8]) -> Record {
    let mut bytes = Vec::with_capacity(key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers.len());
    let mut append = |part: &[u8]| {
        let start = bytes.len();
        bytes.extend_from_slice(part);
        let length = |length| u32::try_from(length).expect("invariant: Postgres keeps no value above 1 GiB");
        ByteSpan { start: length(start), len: length(part.len()) }
    };
    let (key, value, headers) = (key.map(&mut append), value.map(&mut append), append(headers));
    Record { offset, timestamp_ms, bytes: bytes.into_boxed_slice(), key, value, headers }
}

/// An excerpt is at most this long.
pub const EXCERPT_BYTES_MAX: usize = 1024;

/// Postgres keeps every text but NUL. What is only shown has another character in its place.
fn storable(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(EXCERPT_BYTES_MAX)]
}

/// Ids of one millisecond sort by their first twelve random bits.
fn placed(place: usize, mut entropy: [u8; 10]) -> [u8; 10] {
    entropy[0] = ((place >> 8) & 0x0f) as u8;
    entropy[1] = (place & 0xff) as u8;
    entropy
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::{
        endpoint::delivery::testing::TestSource,
        model::{
            disposition::Reason,
            event::{Field, Fields},
            outcome::AttemptNote,
        },
    };

    /// A letter about offset 7 with this tenant and answer.
    fn letter(tenant: &str, excerpt: &str, received_at: Instant) -> Letter {
        letter_from(None, tenant, excerpt, received_at)
    }

    /// The same of an event that was first received then, milliseconds since 1970.
    fn letter_from(first_received_ms: Option<i64>, tenant: &str, excerpt: &str, received_at: Instant) -> Letter {
        let fields = Fields { tenant: Field::Owned(tenant.into()), ..Fields::default() };
        let record = record(7, 1_000, Some(b"k"), None, b"");
        let source = TestSource::new();
        source.current.store(false, Ordering::Relaxed); // its receipts may be dropped
        let mut event = Event::new(source, record, fields, received_at);
        event.first_received_ms = first_received_ms.and_then(NonZeroI64::new);
        let last = AttemptNote { status: Some(503), class: "http_5xx", excerpt: excerpt.into() };
        let receipt = Arc::new(event).open_receipt(NO_ENDPOINT);
        let given_up = GivenUp { receipt, reason: Reason::Exhausted, attempts: 12, last: Some(last) };
        Letter { endpoint_id: Arc::from("ep_1"), customer_id: Arc::from("cus_1"), given_up }
    }

    fn written() -> LetterTime {
        LetterTime { now: crate::clock::now(), wall_ms: 1_700_000_000_000 }
    }

    #[test]
    fn the_key_tells_letters_apart_and_nothing_else_does() {
        let now = crate::clock::now();
        let key = letter("a", "", now).key();
        assert_eq!(key, letter("b", "other answer", now).key());
        let other = Letter { endpoint_id: Arc::from("ep_2"), ..letter("a", "", now) };
        assert_ne!(key, other.key());
    }

    #[test]
    fn rows_of_one_statement_sort_as_they_were_given_up() {
        let written = written();
        let letter = letter("a", "", written.now);
        let ids: Vec<String> = (0..500).map(|place| letter.row(written, place, [0xff; 10]).id).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_excerpt_is_made_such_that_postgres_keeps_it() {
        let written = written();
        let letter = letter("tenant", &format!("\0{}", "é".repeat(1_000)), written.now);
        let excerpt = letter.row(written, 0, [0; 10]).excerpt.expect("an excerpt");
        assert!(excerpt.starts_with("\u{fffd}é") && !excerpt.contains('\0'));
    }

    #[test]
    fn the_time_of_receipt_is_counted_back_from_now() {
        let written = written();
        let received_at = written.now - std::time::Duration::from_secs(5);
        let letter = letter("a", "", received_at);
        let row = letter.row(written, 0, [0; 10]);
        assert_eq!(row.received_at.as_millisecond(), 1_699_999_995_000);
        assert_eq!(row.created_at.as_millisecond(), 1_700_000_000_000);
    }

    #[test]
    fn an_event_that_waited_in_the_backlog_was_received_when_it_first_came() {
        let written = written();
        let letter = letter_from(Some(1_690_000_000_000), "a", "", written.now);
        assert_eq!(letter.row(written, 0, [0; 10]).received_at.as_millisecond(), 1_690_000_000_000);
    }

    #[test]
    fn a_stripped_row_keeps_where_and_why_but_nothing_of_the_producer() {
        let written = written();
        let letter = letter("a", "<b>", written.now);
        let mut row = letter.row(written, 0, [0; 10]);
        strip(&mut row, "too large");
        assert_eq!((row.topic, row.partition, row.offset, row.reason), ("orders", 3, 7, "exhausted"));
        assert_eq!((row.record_key, row.record_value, row.tenant), (None, None, None));
        assert!(row.excerpt.is_some_and(|excerpt| excerpt.contains("too large")));
    }

    #[test]
    fn a_record_comes_back_from_its_parts() {
        let record = record(7, 1_000, Some(b"key"), Some(b"value"), b"\x01\0\0\0\xff\xff\xff\xffn");
        assert_eq!(record.key.map(|span| span.of(&record.bytes)), Some(&b"key"[..]));
        assert_eq!(record.value.map(|span| span.of(&record.bytes)), Some(&b"value"[..]));
        let headers: Vec<_> = record.headers().map(|header| (header.name, header.value)).collect();
        assert_eq!(headers, [(&b"n"[..], None)]);
    }
}
