//! ● The source of redriven events: each comes from its own letter.

use std::sync::Arc;

use super::{Dropped, Shared, in_flight::FlightPlace};
use crate::{
    clock,
    dead_letter::letter::{LetterKey, record},
    ingest::ledger::PartitionLedger,
    model::{
        event::{EndpointKey, Event, Field, Fields},
        receipt::{Abandoned, Done, Receipt, Settlement},
        source::{Claim, EventSource, NoBacklog, SourceBacklog, SourceKind, SourceName},
    },
    store::redrives::RedriveRow,
    trace,
};

/// A letter's place in flight; given back when the last one who holds it lets go, however that comes.
pub(super) struct Lease {
    shared: Arc<Shared>,
    pub(super) place: FlightPlace,
}

impl Lease {
    pub(super) fn of(shared: &Arc<Shared>, place: FlightPlace) -> Arc<Lease> {
        Arc::new(Lease { shared: Arc::clone(shared), place })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.in_flight.lock().give_back(&self.place);
        self.shared.room.notify_one();
    }
}

/// The source of a redriven event: its own letter.
struct RedriveSource {
    name: SourceName,
    lease: Arc<Lease>,
    /// Ledger of the present assignment of its partition.
    ledger: Arc<PartitionLedger>,
    endpoint_id: Arc<str>,
    customer_id: Arc<str>,
    key: LetterKey,
}

impl EventSource for RedriveSource {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn claim(&self) -> Claim {
        self.ledger.claim()
    }

    fn backlog(&self) -> &dyn SourceBacklog {
        &NoBacklog
    }

    fn settled(&self, how: Settlement, receipts: usize, _done: &[Done]) {
        let shared = &self.lease.shared;
        match how {
            // Out of the letters, and only then free for another redrive.
            Settlement::Delivered => {
                shared.metrics.redriven.increment(receipts as u64);
                shared.writer.remove(&self.endpoint_id, vec![self.key], Some(self.lease.clone()));
            }
            // Still a letter on its redrive, or dead again: the writer has written that down.
            Settlement::Backlogged | Settlement::DeadLettered => {}
            Settlement::Cancelled | Settlement::Skipped => shared.ended.lock().push(Arc::clone(&self.lease)),
        }
    }

    fn abandoned(&self, receipt: Abandoned) {
        let (endpoint_id, customer_id) = (Arc::clone(&self.endpoint_id), Arc::clone(&self.customer_id));
        self.lease.shared.abandoned.lock().push(Dropped { endpoint_id, customer_id, receipt });
    }
}

impl std::fmt::Debug for RedriveSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedriveSource").field("letter", &self.lease.place.id).finish_non_exhaustive()
    }
}

/// The event that the letter was about, with the same ids, and its receipt.
pub(super) fn receipt(lease: Arc<Lease>, row: RedriveRow, ledger: Arc<PartitionLedger>, key: EndpointKey) -> Receipt {
    let field = |text: Option<String>| text.map_or(Field::Absent, |text| Field::Owned(text.into()));
    let record =
        record(row.offset, row.record_ms, row.record_key.as_deref(), row.record_value.as_deref(), &row.record_headers);
    let source = RedriveSource {
        name: SourceName { kind: SourceKind::Redrive, topic: ledger.topic_name(), partition: ledger.partition() },
        lease,
        ledger,
        endpoint_id: Arc::from(row.endpoint_id),
        customer_id: Arc::from(row.customer_id),
        key: LetterKey(row.key),
    };
    let fields = Fields {
        tenant: field(row.tenant),
        department: field(row.department),
        kind: field(row.kind),
        id: field(row.event_id),
        occurred_ms: Some(row.occurred_ms),
    };
    let mut event = Event::new(Arc::new(source), record, fields, clock::now());
    trace::begin(&mut event);
    let attempts = u32::try_from(row.attempts).unwrap_or(0);
    Arc::new(event).open_receipt(key).with_attempts(attempts)
}
