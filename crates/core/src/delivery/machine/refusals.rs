//! ○ The single events that were refused since something was accepted. So many different ones blame the endpoint: one that is
//! sent and refused again and again counts once.

use smallvec::SmallVec;

use crate::{delivery::bisection::REFUSALS_MAX, model::event::Event};

/// See the module's page. At most [`REFUSALS_MAX`] are remembered.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    events: SmallVec<[EventIdentity; REFUSALS_MAX]>,
    /// A bisection found it to be the endpoint.
    is_blamed: bool,
}

/// The identity of an event, but for its topic: two topics would have to be refused at one offset and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EventIdentity {
    partition: i32,
    offset: i64,
    record_ms: i64,
}

impl Refusals {
    /// An event was refused alone. True when so many others were refused before it that it is not the events' fault.
    #[must_use]
    pub(super) fn blame_endpoint(&self, event: &Event) -> bool {
        self.is_blamed || self.events.len() >= REFUSALS_MAX && !self.events.contains(&EventIdentity::of(event))
    }

    pub(super) fn add(&mut self, event: &Event) {
        let identity = EventIdentity::of(event);
        if self.events.len() < REFUSALS_MAX && !self.events.contains(&identity) {
            self.events.push(identity);
        }
    }

    pub(super) fn blame(&mut self) {
        self.is_blamed = true;
    }

    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.is_blamed
    }
}

impl EventIdentity {
    fn of(event: &Event) -> Self {
        EventIdentity { partition: event.partition(), offset: event.offset(), record_ms: event.record.timestamp_ms }
    }
}
