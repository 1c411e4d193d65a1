//! ○ An event on its way into the backlog, and back out of it.

use std::{
    num::NonZeroI64,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    model::{
        disposition::Parked,
        event::{ByteSpan, EndpointKey, Event, Field, Fields, Record},
        outcome::AttemptNote,
        receipt::Receipt,
        source::EventSource,
    },
    store::{
        backlog::{NewRow, RowKey, RowState},
        backlog_read::BacklogRow,
    },
};

/// Now, by both clocks: rows outlive the process, so they carry wall time.
#[derive(Debug, Clone, Copy)]
pub struct RowClocks {
    pub now: Instant,
    /// Milliseconds since 1970.
    pub wall_ms: i64,
}

impl RowClocks {
    fn wall_ms_of(self, at: Instant) -> i64 {
        match at.checked_duration_since(self.now) {
            Some(ahead) => self.wall_ms.saturating_add(ms(ahead)),
            None => self.wall_ms.saturating_sub(ms(self.now.saturating_duration_since(at))),
        }
    }
}

/// The key of an event's row.
#[must_use]
pub fn key(event: &Event, endpoint_id: &Arc<str>) -> RowKey {
    RowKey {
        topic: Arc::clone(&event.source.name().topic),
        partition: event.partition(),
        endpoint_id: Arc::clone(endpoint_id),
        offset: event.offset(),
        record_ms: event.record.timestamp_ms,
    }
}

/// Columns of a parked event's state with its endpoint.
#[must_use]
pub fn row_state(parked: &Parked, clocks: RowClocks) -> RowState {
    let not_before = parked.in_flight_until.or(parked.not_before);
    let last = parked.last.as_ref();
    RowState {
        attempts: i32::try_from(parked.attempts).unwrap_or(i32::MAX),
        not_before_ms: not_before.map_or(0, |at| clocks.wall_ms_of(at)),
        last_status: last.and_then(|note| note.status).and_then(|status| i16::try_from(status).ok()),
        last_class: last.map(|note| note.class),
        excerpt: last.and_then(excerpt),
    }
}

/// The row of a parked event that comes from Kafka.
#[must_use]
pub fn new_row(key: RowKey, parked: &Parked, clocks: RowClocks) -> NewRow<'_> {
    let event = parked.receipt.event();
    let length = |span: Option<ByteSpan>| span.map(|span| i32::try_from(span.len).unwrap_or(i32::MAX));
    NewRow {
        key,
        state: row_state(parked, clocks),
        received_ms: clocks.wall_ms_of(event.received_at),
        occurred_ms: event.occurred_ms,
        event_id: event.own_id().map(str::as_bytes),
        tenant: event.tenant().map(str::as_bytes),
        department: event.department().map(str::as_bytes),
        kind: Some(event.kind().as_bytes()),
        record: &event.record.bytes,
        key_bytes: length(event.record.key),
        value_bytes: length(event.record.value),
        bytes: i32::try_from(event.weight_bytes()).unwrap_or(i32::MAX),
    }
}

/// The event of a row, as it was when it was parked, and its receipt. `now` is when it came back into memory. `begin` sees
/// the event before anyone else does.
pub fn receipt(
    row: BacklogRow,
    source: Arc<dyn EventSource>,
    endpoint: EndpointKey,
    now: Instant,
    begin: impl FnOnce(&mut Event),
) -> Receipt {
    let field = |bytes: Option<Vec<u8>>| match bytes.map(String::from_utf8) {
        Some(Ok(text)) => Field::Owned(text.into()),
        _ => Field::Absent,
    };
    let fields = Fields {
        tenant: field(row.tenant),
        department: field(row.department),
        kind: field(row.kind),
        id: field(row.event_id),
        occurred_ms: Some(row.occurred_ms),
    };
    let record = record(row.offset, row.record_ms, row.record, row.key_bytes, row.value_bytes);
    let mut event = Event::new(source, record, fields, now);
    event.first_received_ms = NonZeroI64::new(row.received_ms);
    begin(&mut event);
    Arc::new(event).open_receipt(endpoint).with_attempts(u32::try_from(row.attempts).unwrap_or(0))
}

/// Key, value and headers stand one after the other, as in every [`Record`].
fn record(offset: i64, timestamp_ms: i64, bytes: Vec<u8>, key: Option<i32>, value: Option<i32>) -> Record {
    let mut start = 0;
    let mut span = |len: usize| {
        let len = len.min(bytes.len() - start);
        let span = ByteSpan { start: start as u32, len: len as u32 };
        start += len;
        span
    };
    let key = key.map(|len| span(usize::try_from(len).unwrap_or(0)));
    let value = value.map(|len| span(usize::try_from(len).unwrap_or(0)));
    let headers = span(usize::MAX);
    Record { offset, timestamp_ms, bytes: bytes.into_boxed_slice(), key, value, headers }
}

fn excerpt(note: &AttemptNote) -> Option<Vec<u8>> {
    let cut = &note.excerpt[..note.excerpt.floor_char_boundary(EXCERPT_BYTES_MAX)];
    (!cut.is_empty()).then(|| cut.as_bytes().to_vec())
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Bytes kept of an answer: as many as in a dead letter.
const EXCERPT_BYTES_MAX: usize = 1024;

/// A row that nobody here subscribes to may be for a subscription that is news to this instance, but not to the one that
/// stored it. Whoever received it then knew nothing that was committed later, so settings that are complete up to after that
/// time tell. Clocks of two instances agree to a few seconds.
#[must_use]
pub fn may_be_cancelled(received_ms: i64, settings_complete_to_ms: i64) -> bool {
    settings_complete_to_ms.saturating_sub(received_ms) > CLOCKS_APART_MS
}

/// Clocks of two instances are at most so far apart.
pub const CLOCKS_APART_MS: i64 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        endpoint::delivery::testing::{TestSource, receipt as new_receipt, secs},
        model::parking::Parking,
    };

    fn clocks() -> RowClocks {
        RowClocks { now: Instant::now(), wall_ms: 1_700_000_000_000 }
    }

    fn parked(received_at: Instant) -> Parked {
        let last = AttemptNote { status: Some(503), class: "http_5xx", excerpt: "é".repeat(1_000).into() };
        let receipt = new_receipt(&TestSource::new(), 7, received_at);
        let parking = Parking::begin(&receipt.event().source, &"ep_1".into(), None);
        Parked { receipt, attempts: 3, last: Some(last), in_flight_until: None, not_before: None, parking }
    }

    fn settled(parked: Parked) {
        parked.receipt.settle(crate::model::receipt::Settlement::Backlogged);
    }

    #[test]
    fn a_row_carries_wall_time_counted_from_both_clocks() {
        let clocks = clocks();
        let mut parked = parked(clocks.now - secs(5));
        parked.not_before = Some(clocks.now + secs(60));
        let row = new_row(key(parked.receipt.event(), &"ep_1".into()), &parked, clocks);
        assert_eq!((row.received_ms, row.state.not_before_ms), (1_699_999_995_000, 1_700_000_060_000));
        assert_eq!((row.state.attempts, row.state.last_status), (3, Some(503)));
        assert_eq!(row.state.excerpt.as_ref().map(Vec::len), Some(1_024));
        settled(parked);
    }

    #[test]
    fn an_attempt_under_way_keeps_others_from_the_row_until_its_deadline() {
        let clocks = clocks();
        let mut parked = parked(clocks.now);
        (parked.in_flight_until, parked.not_before) = (Some(clocks.now + secs(15)), Some(clocks.now));
        assert_eq!(row_state(&parked, clocks).not_before_ms, 1_700_000_015_000);
        settled(parked);
    }

    #[test]
    fn a_record_comes_back_from_its_row_with_key_value_and_headers_apart() {
        let record = record(7, 1_000, b"keyvalueheaders".to_vec(), Some(3), Some(5));
        assert_eq!(record.key.map(|span| span.of(&record.bytes)), Some(&b"key"[..]));
        assert_eq!(record.value.map(|span| span.of(&record.bytes)), Some(&b"value"[..]));
        assert_eq!(record.headers.of(&record.bytes), b"headers");
    }

    #[test]
    fn a_tombstone_comes_back_as_a_tombstone_and_wrong_lengths_do_not_panic() {
        let tombstone = record(7, 1_000, b"key".to_vec(), Some(3), None);
        assert_eq!((tombstone.value, tombstone.headers.len), (None, 0));
        let wrong = record(7, 1_000, b"abc".to_vec(), Some(-1), Some(99));
        assert_eq!(wrong.value.map(|span| span.of(&wrong.bytes).len()), Some(3));
    }

    #[test]
    fn nothing_is_cancelled_by_settings_that_may_be_older_than_its_subscription() {
        let received_ms = 1_000_000;
        assert!(!may_be_cancelled(received_ms, received_ms + 4_000), "the other's clock may be ahead");
        assert!(may_be_cancelled(received_ms, received_ms + 6_000));
        assert!(!may_be_cancelled(received_ms, 0), "nothing was loaded yet");
    }
}
