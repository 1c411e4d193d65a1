//! ○ Permits of the core for requests: how many may begin, and whose fault it is when that is too few.

use std::time::Instant;

use super::{Delivery, Permits, dispatch::Wait};

impl Delivery {
    /// Sets the number of requests that may begin from now on.
    pub fn handle_permits(&mut self, permits: Permits) {
        self.permits = permits;
    }

    /// Something could go if there were a permit.
    #[must_use]
    pub fn wants_permit(&self) -> bool {
        self.wants_permit
    }

    /// True if a batch that is due waits for a permit although its customer has less than its share: the shortage is
    /// ours.
    pub(super) fn waits_for_our_permit(&self) -> bool {
        self.wants_permit && !self.permits.has_share && !self.permits.ends_turn
    }

    /// Dispatching has ended, for this reason. The end of a turn says nothing of a shortage.
    pub(super) fn note_shortage(&mut self, wait: Wait, now: Instant) {
        self.short_since = match wait {
            Wait::Turn => self.short_since,
            _ if self.waits_for_our_permit() => self.short_since.or(Some(now)),
            _ => None,
        };
        self.turn_ended_at = matches!(wait, Wait::Turn).then_some(now);
    }

    /// The next turn: that it did not come sooner is no fault of the endpoint's.
    pub(super) fn excuse_turn(&mut self, now: Instant) {
        let waited = self.turn_ended_at.take().map(|ended| now.saturating_duration_since(ended));
        self.blocked_since = self.blocked_since.map(|since| since + waited.unwrap_or_default());
    }
}
