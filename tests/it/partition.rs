//! A partition that counts what its receipts come to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use postrider::{
    clock,
    model::{
        disposition::{GivenUp, Reason},
        event::{EndpointKey, Event, Fields},
        outcome::AttemptNote,
        receipt::{Abandoned, Done, Settlement},
        record::RecordParts,
        source::{Claim, EventSource, NoBacklog, SourceBacklog, SourceKind, SourceName},
    },
};

#[derive(Debug)]
pub struct Partition {
    name: SourceName,
    counts: Mutex<HashMap<Settlement, usize>>,
    abandoned: Mutex<Vec<Abandoned>>,
}

impl Partition {
    pub fn new(topic: &str, partition: i32) -> Arc<Partition> {
        let name = SourceName { kind: SourceKind::Live, topic: Arc::from(topic), partition };
        let (counts, abandoned) = (Mutex::default(), Mutex::default());
        Arc::new(Partition { name, counts, abandoned })
    }

    pub fn settled(&self, how: Settlement) -> usize {
        self.counts.lock().expect("counts").get(&how).copied().unwrap_or(0)
    }

    pub fn abandoned(&self) -> usize {
        self.abandoned.lock().expect("abandoned").len()
    }
}

impl EventSource for Partition {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn claim(&self) -> Claim {
        Claim::Current
    }

    fn backlog(&self) -> &dyn SourceBacklog {
        &NoBacklog
    }

    fn settled(&self, how: Settlement, receipts: usize, _: &[Done]) {
        *self.counts.lock().expect("counts").entry(how).or_default() += receipts;
    }

    fn abandoned(&self, receipt: Abandoned) {
        self.abandoned.lock().expect("abandoned").push(receipt);
    }
}

/// An event of this partition.
pub fn event(partition: &Arc<Partition>, offset: i64, value: &[u8]) -> Arc<Event> {
    let parts = RecordParts { offset, timestamp_ms: 1_700_000_000_000 + offset, key: Some(b"k"), value: Some(value) };
    let headers = [(&b"tenant"[..], Some(&b"2"[..]))];
    let record = postrider::model::event::Record::copy_from(parts, headers.into_iter());
    Arc::new(Event::new(Arc::clone(partition) as Arc<dyn EventSource>, record, Fields::default(), clock::now()))
}

/// The event, given up by its only endpoint.
pub fn given_up(event: &Arc<Event>, reason: Reason) -> GivenUp {
    let mut receipt = None;
    event.open_receipts(&[EndpointKey(1)], |_, opened| receipt = Some(opened));
    let last = AttemptNote { status: Some(500), class: "http_5xx", excerpt: "it hurts".into() };
    GivenUp { receipt: receipt.expect("a receipt"), reason, attempts: 12, last: Some(last) }
}
