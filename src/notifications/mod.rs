//! ● Operator events by name, besides metrics and logs: [`emit`] from anywhere, on any thread.
//!
//! **Invariant:** telling is never in the way of delivering: `emit` takes a short lock, waits for nothing, and what
//! does not fit into the outbox is counted and left out.

mod event; // ○ what there is to tell
mod outbox; // ○ what waits to be told
mod dedup; // ○ the same is not told twice
pub mod notifier; // ● to a webhook, to a Kafka topic

use std::sync::LazyLock;

use metrics::counter;

pub use self::{
    event::{OperatorEvent, Subject},
    outbox::{OUTBOX_EVENTS_MAX, Outbox},
};
use crate::{clock, telemetry::names};

/// Tells the operators: a log line, a count, and what `[operator_events]` says. The same again within
/// `operator_events.repeat_after_ms` is said once, by one of the instances.
pub fn emit(event: OperatorEvent) {
    let word = event.as_str();
    counter!(names::OPERATOR_EVENTS, "type" => word).increment(1);
    tracing::warn!(operator_event = word, subject = %event.subject(), "{event}");
    if !OUTBOX.push(event, clock::wall_ms()) {
        counter!(names::OPERATOR_EVENTS_DROPPED).increment(1);
    }
}

/// Outbox for emitted events, until they are told.
#[must_use]
pub fn outbox() -> &'static Outbox {
    &OUTBOX
}

/// One a process, as the recorder of metrics is: whoever has something to tell needs nothing handed in for it.
static OUTBOX: LazyLock<Outbox> = LazyLock::new(Outbox::default);
