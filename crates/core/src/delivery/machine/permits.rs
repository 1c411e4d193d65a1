//! ○ Permits of the core for requests: how many may begin, and whose fault it is when that is too few.

use super::{Delivery, Permits};

impl Delivery {
    /// So many requests may begin from now on, until this is said again.
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
        self.wants_permit && !self.permits.has_share
    }
}
