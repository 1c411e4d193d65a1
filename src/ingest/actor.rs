//! ● One ingest actor per assigned partition: decodes chunks of records and hands events to the router of its core.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, dev::SendError};

use super::{decode::Decoder, ledger::PartitionLedger};
use crate::{
    clock,
    dead_letter::{
        letter::{Letter, NO_ENDPOINT},
        writer::DeadLetterWriter,
    },
    model::{
        disposition::{GivenUp, Reason},
        event::{Event, Fields, Record},
        source::EventSource,
    },
    trace::{self, Tracer},
};

/// Records of one partition, tracked already, in offset order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Chunk {
    pub records: Vec<Record>,
    pub received_at: Instant,
}

/// Events of one partition, in offset order, and its ledger, which hears that they were routed: for the router of the core.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RouteEvents {
    pub ledger: Arc<PartitionLedger>,
    pub events: Vec<Arc<Event>>,
}

/// Chunks that may wait for one ingest actor; beyond it they wait with the poll thread, which pauses the partition.
const MAILBOX_CHUNKS_MAX: usize = 64;
/// A router without room is asked again this soon.
const ROUTER_RETRY: Duration = Duration::from_millis(1);

pub struct IngestActor {
    ledger: Arc<PartitionLedger>,
    decoder: Decoder,
    event_bytes_max: usize,
    router: Recipient<RouteEvents>,
    dead_letters: DeadLetterWriter,
    /// Events that each core's router was handed, and which of them is this one's.
    handed: (Arc<Vec<AtomicU64>>, usize),
    tracer: Option<Arc<Tracer>>,
    /// Decoded, but the router had no room: they join the next hand-over, in order.
    waiting: Vec<Arc<Event>>,
}

impl IngestActor {
    #[must_use]
    pub fn new(
        ledger: Arc<PartitionLedger>,
        decoder: Decoder,
        event_bytes_max: usize,
        router: Recipient<RouteEvents>,
        dead_letters: DeadLetterWriter,
        handed: (Arc<Vec<AtomicU64>>, usize),
    ) -> Self {
        let (tracer, waiting) = (trace::tracer(), Vec::new());
        IngestActor { ledger, decoder, event_bytes_max, router, dead_letters, handed, tracer, waiting }
    }

    fn decode(&mut self, record: Record, received_at: Instant) {
        let (fields, reason) = if record.bytes.len() > self.event_bytes_max {
            (Fields::default(), Some(Reason::TooLarge))
        } else {
            // A payload that makes our own code panic must not take the partition with it, again and again.
            let decoding = || {
                panic_if_told(&record);
                self.decoder.decode(&record)
            };
            match catch_unwind(AssertUnwindSafe(decoding)) {
                Ok(Ok(fields)) => (fields, None),
                Ok(Err(_)) => (Fields::default(), Some(Reason::Undecodable)),
                Err(_) => (Fields::default(), Some(Reason::Internal)),
            }
        };
        let fields = happened(fields, &record);
        let source: Arc<dyn EventSource> = Arc::clone(&self.ledger) as _;
        let mut event = Event::new(source, record, fields, received_at);
        if let Some(tracer) = &self.tracer {
            tracer.begin(&mut event);
        }
        let event = Arc::new(event);
        match reason {
            None => self.waiting.push(event),
            Some(reason) => {
                self.ledger.routed(1); // no router is to see it
                let receipt = event.open_receipt(NO_ENDPOINT);
                let given_up = GivenUp { receipt, reason, attempts: 0, last: None };
                self.dead_letters.submit([Letter::of_record(given_up)]);
            }
        }
    }

    fn hand_over(&mut self, ctx: &mut Context<Self>) {
        if self.waiting.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.waiting);
        let count = events.len() as u64;
        match self.router.try_send(RouteEvents { ledger: Arc::clone(&self.ledger), events }) {
            Ok(()) => {
                self.handed.0[self.handed.1].fetch_add(count, Ordering::Relaxed);
            }
            Err(SendError::Full(RouteEvents { events, .. })) => {
                self.waiting = events;
                ctx.run_later(ROUTER_RETRY, |actor, ctx| actor.hand_over(ctx));
            }
            // The router died: what it had is read again.
            Err(SendError::Closed(_)) => self.ledger.fail(),
        }
    }
}

/// A record without a time of its own happened when it came, as far as anybody can tell.
pub(crate) fn happened(fields: Fields, record: &Record) -> Fields {
    if fields.occurred_ms.is_some() || record.timestamp_ms > 0 {
        return fields;
    }
    Fields { occurred_ms: Some(clock::wall_ms()), ..fields }
}

/// Compiled in for the tests alone: records with this word in them are poisonous.
fn panic_if_told(_record: &Record) {
    fail::fail_point!("decode-record", |word| {
        let word = word.unwrap_or_default();
        let found = _record.bytes.windows(word.len().max(1)).any(|bytes| bytes == word.as_bytes());
        assert!(!found, "a poisonous record");
    });
}

impl Actor for IngestActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX_CHUNKS_MAX);
    }
}

impl Handler<Chunk> for IngestActor {
    type Result = ();

    fn handle(&mut self, chunk: Chunk, ctx: &mut Context<Self>) {
        if !self.ledger.is_current() {
            return; // revoked while it was on its way: the new owner reads it
        }
        self.waiting.reserve(chunk.records.len());
        for record in chunk.records {
            self.decode(record, chunk.received_at);
        }
        self.hand_over(ctx);
    }
}

impl Drop for IngestActor {
    fn drop(&mut self) {
        if !self.waiting.is_empty() || std::thread::panicking() {
            self.ledger.fail();
        }
    }
}
