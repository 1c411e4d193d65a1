//! ● Fixtures for tests of the shells around a partition. Their dead letters go nowhere, and nobody subscribes.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use actix::Actor as _;
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    actor::IngestActor,
    backpressure::PartitionLimits,
    decode::{Decoder, FieldSources},
    ledger::PartitionLedger,
    partition::Partition,
};
use crate::{
    clock,
    dead_letter::writer::{DeadLetterWriter, DeadLetterWriterOptions},
    endpoint::supervisor::Notices,
    flow::counters::FlowCounters,
    model::{
        event::{Event, Fields, Record},
        receipt::Abandoned,
        record::RecordParts,
        source::EventSource,
    },
    router::{actor::Router, table::RoutingTable},
    store::{Pool, pool::PoolOptions},
};

pub fn dead_letters() -> DeadLetterWriter {
    let second = Duration::from_secs(1);
    let options = PoolOptions {
        url: "postgres://nobody@127.0.0.1:1/none".into(),
        connections_max: 1,
        connect_timeout: second,
        statement_timeout: second,
        session: "",
    };
    let pool = Pool::open(&options).expect("it connects to nothing yet");
    let options = DeadLetterWriterOptions { batch_rows_max: 1, batch_wait: second, queue_bytes_max: 1 << 20 };
    DeadLetterWriter::start(pool, options, &Handle::current())
}

pub fn router() -> Router {
    let table = Arc::new(RoutingTable::new(Arc::new(FlowCounters::new(1))));
    let load = Arc::new(vec![AtomicU64::new(0)]);
    Router::new(table, Notices::channel().0, dead_letters(), load, 0)
}

/// A ledger that begins at 0.
pub fn ledger() -> Arc<PartitionLedger> {
    let abandoned: mpsc::UnboundedSender<Abandoned> = mpsc::unbounded_channel().0;
    Arc::new(PartitionLedger::new("orders".into(), 3, 1, Some(0), abandoned))
}

/// A partition whose actors run as soon as the test waits.
pub fn partition(ledger: &Arc<PartitionLedger>) -> Partition {
    let (decoder, handed) = (Decoder::new(&FieldSources::default()), (Arc::new(vec![AtomicU64::new(0)]), 0));
    let ingest = IngestActor::new(
        Arc::clone(ledger),
        decoder,
        RECORD_BYTES_MAX,
        router().start().recipient(),
        dead_letters(),
        handed,
    );
    let limits = PartitionLimits::new(10_000, 1 << 30);
    Partition::new(Arc::clone(ledger), ingest.start(), limits)
}

/// Larger records are dead letters.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

pub fn record(offset: i64) -> Record {
    record_with(offset, b"null")
}

pub fn record_of_size(offset: i64, bytes: usize) -> Record {
    record_with(offset, &vec![b' '; bytes])
}

fn record_with(offset: i64, value: &[u8]) -> Record {
    let parts = RecordParts { offset, timestamp_ms: 1_767_225_600_000, key: None, value: Some(value) };
    Record::copy_from(parts, std::iter::empty::<(&str, Option<&[u8]>)>())
}

/// An event that its ledger knows of.
pub fn tracked(ledger: &Arc<PartitionLedger>, offset: i64) -> Arc<Event> {
    let now = clock::now();
    ledger.track_chunk(&[offset], now).expect("within the span");
    let event = Event::new(Arc::clone(ledger) as Arc<dyn EventSource>, record(offset), Fields::default(), now);
    ledger.received(1, event.weight_bytes() as u64);
    Arc::new(event)
}
