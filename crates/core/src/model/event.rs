//! ○ A decoded Kafka record, shared by every endpoint that it matched.
//!
//! **Invariant:** all text fields are spans of the record's own bytes where they stand there literally, so an event
//! is two allocations (itself and its bytes) however many fields are configured.

use std::{
    any::Any,
    fmt,
    num::NonZeroI64,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use super::{
    receipt::{Receipt, Settlement},
    source::EventSource,
};

/// One endpoint within this process: dense, handed out in order, never used twice while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointKey(pub u32);

/// A part of a record's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSpan {
    pub start: u32,
    pub len: u32,
}

impl ByteSpan {
    #[must_use]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..self.start as usize + self.len as usize]
    }
}

/// A text found in a record: literally there (a span that was proved to be UTF-8), or unescaped into its own memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field {
    #[default]
    Absent,
    Literal(ByteSpan),
    Owned(Box<str>),
}

impl Field {
    /// The text of a field that was found in this record.
    #[must_use]
    pub fn text<'a>(&'a self, record: &'a Record) -> Option<&'a str> {
        match self {
            Field::Absent => None,
            // Decoding proved the span to be UTF-8; a second look costs less than an unsafe block is worth.
            Field::Literal(span) => std::str::from_utf8(span.of(&record.bytes)).ok(),
            Field::Owned(text) => Some(text),
        }
    }
}

/// A record as Kafka gave it, copied out of the fetch buffer into one allocation
/// (a borrowed message would pin megabytes of it).
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    /// The record's own timestamp, milliseconds since 1970; 0 when it has none.
    pub timestamp_ms: i64,
    /// Key, value and headers, one after the other.
    pub bytes: Box<[u8]>,
    pub key: Option<ByteSpan>,
    /// `None` is a tombstone.
    pub value: Option<ByteSpan>,
    /// Encoded by [`HeaderBlock`](crate::model::record::HeaderBlock).
    pub headers: ByteSpan,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload belongs to the customer: it never reaches a log by accident.
        f.debug_struct("Record").field("offset", &self.offset).field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A decoded record, on its way to the endpoints that it matched.
pub struct Event {
    /// The event's source, which is told when all its receipts have settled.
    pub source: Arc<dyn EventSource>,
    pub record: Record,
    /// Time at which this process received it; `park_after` counts from here.
    pub received_at: Instant,
    /// Time at which it was first received, milliseconds since 1970, where that was before it came into memory.
    pub first_received_ms: Option<NonZeroI64>,
    pub tenant: Field,
    pub department: Field,
    /// The event's type; the topic's name where it has none of its own.
    pub kind: Field,
    /// The event's own id, when the producer gave it one.
    pub id: Field,
    /// Time at which it happened (milliseconds since 1970): the configured field, or the record's timestamp.
    pub occurred_ms: i64,
    /// Its trace; most have none.
    pub traced: Option<Box<dyn EventTrace>>,
    /// Receipts not yet settled. Set once by [`Event::open_receipts`], before the first dispatch.
    pending: AtomicU32,
}

/// The trace of one event: it is told the event's steps, and ends when it is dropped. The room `trace` has the one
/// implementation; `Any` lets it know its own again.
pub trait EventTrace: Any + Send + Sync {
    /// Receipts for these endpoints are about to be opened.
    fn routed(&self, endpoints: &[EndpointKey]);
    /// The event leaves memory for Postgres.
    fn storing(&self, endpoint: EndpointKey, endpoint_id: &str, now: Instant);
    /// One of the event's receipts has settled.
    fn settled(&self, endpoint: EndpointKey, how: Settlement);
}

/// The fields that decoding finds in a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub tenant: Field,
    pub department: Field,
    pub kind: Field,
    pub id: Field,
    pub occurred_ms: Option<i64>,
}

/// The place of an event in Kafka. The record's timestamp tells apart the events of a topic that was made again.
#[derive(Clone, Copy, Debug)]
pub struct KafkaPosition<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub record_ms: i64,
}

impl Event {
    #[must_use]
    pub fn new(source: Arc<dyn EventSource>, record: Record, fields: Fields, received_at: Instant) -> Self {
        let occurred_ms = fields.occurred_ms.unwrap_or(record.timestamp_ms);
        Event {
            source,
            record,
            received_at,
            first_received_ms: None,
            tenant: fields.tenant,
            department: fields.department,
            kind: fields.kind,
            id: fields.id,
            occurred_ms,
            traced: None,
            pending: AtomicU32::new(0),
        }
    }

    #[must_use]
    pub fn topic(&self) -> &str {
        &self.source.name().topic
    }

    #[must_use]
    pub fn partition(&self) -> i32 {
        self.source.name().partition
    }

    #[must_use]
    pub fn offset(&self) -> i64 {
        self.record.offset
    }

    #[must_use]
    pub fn position(&self) -> KafkaPosition<'_> {
        KafkaPosition {
            topic: self.topic(),
            partition: self.partition(),
            offset: self.offset(),
            record_ms: self.record.timestamp_ms,
        }
    }

    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.text(&self.tenant)
    }

    #[must_use]
    pub fn department(&self) -> Option<&str> {
        self.text(&self.department)
    }

    /// The event's type; the topic where the producer named none.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text(&self.kind).unwrap_or_else(|| self.topic())
    }

    /// The id that the producer gave the event, if any.
    #[must_use]
    pub fn own_id(&self) -> Option<&str> {
        self.text(&self.id)
    }

    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.record.key.map(|span| span.of(&self.record.bytes))
    }

    /// The payload; `None` is a tombstone.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.record.value.map(|span| span.of(&self.record.bytes))
    }

    /// Weight of the event against the byte limits: its bytes and about what its bookkeeping takes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        weight_bytes(self.record.bytes.len())
    }

    /// Makes one receipt for each endpoint that matched, all before the first of them is dispatched, so that
    /// the event cannot be done while a dispatch is still to come.
    pub fn open_receipts(self: &Arc<Self>, endpoints: &[EndpointKey], mut each: impl FnMut(EndpointKey, Receipt)) {
        debug_assert_eq!(self.pending.load(Ordering::Relaxed), 0, "receipts are opened once");
        self.pending.store(u32::try_from(endpoints.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
        if let Some(traced) = &self.traced {
            traced.routed(endpoints);
        }
        Receipt::opening(endpoints.len());
        for endpoint in endpoints {
            each(*endpoint, Receipt::new(Arc::clone(self), *endpoint));
        }
    }

    /// The same for one endpoint.
    pub fn open_receipt(self: &Arc<Self>, endpoint: EndpointKey) -> Receipt {
        let mut opened = None;
        self.open_receipts(&[endpoint], |_, receipt| opened = Some(receipt));
        opened.expect("invariant: a receipt for each endpoint")
    }

    /// One receipt has settled; true for the last one.
    pub(crate) fn settle_one(&self) -> bool {
        self.pending.fetch_sub(1, Ordering::AcqRel) == 1
    }

    fn text<'a>(&'a self, field: &'a Field) -> Option<&'a str> {
        field.text(&self.record)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

/// Weight of a record of this many bytes: 240 bytes is about an [`Event`] with its reference counts.
#[must_use]
pub fn weight_bytes(record_bytes: usize) -> usize {
    record_bytes + 240
}
