//! Events of a partition that counts the ends of its receipts.

use std::sync::Arc;

use postrider::{
    clock,
    model::{
        disposition::{GivenUp, Reason},
        event::{EndpointKey, Event, Fields},
        outcome::AttemptNote,
        record::RecordParts,
    },
};
use postrider_core::testing::TestSource;

/// An event of this partition.
pub fn event(partition: &Arc<TestSource>, offset: i64, value: &[u8]) -> Arc<Event> {
    let parts = RecordParts { offset, timestamp_ms: 1_700_000_000_000 + offset, key: Some(b"k"), value: Some(value) };
    let headers = [(&b"tenant"[..], Some(&b"2"[..]))];
    let record = postrider::model::event::Record::copy_from(parts, headers.into_iter());
    Arc::new(Event::new(Arc::clone(partition) as _, record, Fields::default(), clock::now()))
}

/// The event, given up by its only endpoint.
pub fn given_up(event: &Arc<Event>, reason: Reason) -> GivenUp {
    let last = AttemptNote { status: Some(500), class: "http_5xx", excerpt: "it hurts".into() };
    GivenUp { receipt: event.open_receipt(EndpointKey(1)), reason, attempts: 12, last: Some(last) }
}
