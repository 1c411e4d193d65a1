//! ○ The single events that were refused since something was accepted. So many different ones blame the endpoint: one that is
//! sent and refused again and again counts once.

use smallvec::SmallVec;

use crate::{delivery::bisection::REFUSALS_MAX, model::event::Event};

/// See the module's page. At most [`REFUSALS_MAX`] are remembered.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    events: SmallVec<[RefusedEvent; REFUSALS_MAX]>,
    /// A bisection found it to be the endpoint.
    is_blamed: bool,
}

/// The identity of an event, but for its topic: two topics would have to be refused at one offset and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RefusedEvent {
    partition: i32,
    offset: i64,
    record_ms: i64,
}

impl Refusals {
    /// An event was refused alone. True when so many others were refused before it that it is not the events' fault.
    #[must_use]
    pub(super) fn blame_endpoint(&self, event: &Event) -> bool {
        self.is_blamed || self.events.len() >= REFUSALS_MAX && !self.events.contains(&RefusedEvent::of(event))
    }

    pub(super) fn add(&mut self, event: &Event) {
        let place = RefusedEvent::of(event);
        if self.events.len() < REFUSALS_MAX && !self.events.contains(&place) {
            self.events.push(place);
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

impl RefusedEvent {
    fn of(event: &Event) -> Self {
        RefusedEvent { partition: event.partition(), offset: event.offset(), record_ms: event.record.timestamp_ms }
    }
}
