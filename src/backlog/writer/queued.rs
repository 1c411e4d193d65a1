//! ○ Receipts that wait for the writer.

use std::sync::atomic::Ordering;

use super::Shared;

/// The count of what waits in hand: given back when it is stored, and after a panic as well.
pub(super) struct Queued<'a> {
    pub counter: Counter,
    pub shared: &'a Shared,
    pub events: usize,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        match self.counter {
            Counter::Inserts => self.shared.carried_out(self.events),
            Counter::Known => {
                self.shared.known_receipts.fetch_sub(self.events, Ordering::Relaxed);
            }
        }
    }
}

pub(super) enum Counter {
    Inserts,
    Known,
}
