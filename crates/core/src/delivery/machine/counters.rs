//! ○ Counters of held events, for monitoring.

use std::time::Instant;

use super::{AttemptId, Delivery};
use crate::delivery::{batch::Batch, lanes::Lanes};

impl Delivery {
    /// Events of the backlog that are held and were not yet sent.
    #[must_use]
    pub fn stored_events(&self) -> usize {
        self.stored.len()
    }

    /// Events held and not in flight, those of the backlog that were not yet sent left out.
    #[must_use]
    pub fn queued_events(&self) -> usize {
        self.buffer.len() + self.lanes.as_ref().map_or(0, Lanes::len) + self.behind.len() + self.waiting.events()
    }

    /// Weight of the queued events.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.buffer.bytes() + self.lanes.as_ref().map_or(0, Lanes::bytes) + self.behind.bytes() + self.waiting.bytes()
    }

    /// All that is held, in flight or not.
    #[must_use]
    pub fn held_events(&self) -> usize {
        let flying: usize = self.flights.iter().map(|flight| flight.batch.held_len()).sum();
        self.queued_events() + self.stored.len() + flying
    }

    /// True if an attempt under way asks if the endpoint is back.
    #[must_use]
    pub fn is_probe(&self, attempt: AttemptId) -> bool {
        self.flights.get(attempt).is_some_and(|flight| flight.permit.is_probe())
    }

    /// Attempts under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Time at which the oldest event that is held, in flight or not, was received. Looks at all of them.
    #[must_use]
    pub fn oldest_received_at(&self) -> Option<Instant> {
        let lanes = self.lanes.iter().flat_map(Lanes::iter).chain(self.behind.iter());
        let buffered = self.buffer.iter().chain(self.stored.iter()).chain(lanes);
        let buffered = buffered.map(|receipt| receipt.event().received_at);
        let waiting = self.waiting.iter();
        let flying = self.flights.iter().map(|flight| &flight.batch);
        let batched = waiting.chain(flying).flat_map(Batch::received_at);
        buffered.chain(batched).min()
    }
}
