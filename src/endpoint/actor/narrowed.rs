//! ● Narrower subscriptions: what the actor has, and what waits for it, is matched again before anything is sent.

use std::{sync::Arc, time::Instant};

use super::EndpointActor;
use crate::{
    endpoint::subscribed::Subscribed,
    model::receipt::{Receipt, Settlement},
};

impl EndpointActor {
    /// First of all in a turn, which may send what the machine holds.
    pub(super) fn adopt_narrowed(&mut self, now: Instant) {
        if let Some(subscribed) = self.queue.narrowed() {
            self.delivery.handle_narrowed(&subscribed, now);
        }
    }

    /// The same for what is taken out of the queue. Returns what is left of the stored events.
    pub(super) fn match_again(
        &mut self,
        stored: Vec<Receipt>,
        subscribed: &Arc<Subscribed>,
        now: Instant,
    ) -> Vec<Receipt> {
        self.delivery.handle_narrowed(subscribed, now);
        let taken = std::mem::take(&mut self.taken);
        self.taken = self.delivery.still_wanted(taken, subscribed);
        self.delivery.still_wanted(stored, subscribed)
    }

    pub(super) fn note_cancelled(&self, receipts: &[Receipt], how: Settlement) {
        if how == Settlement::Cancelled {
            tracing::info!(
                endpoint.id = %self.queue.id, events = receipts.len(),
                "what waited for an endpoint that no longer subscribes to it is cancelled"
            );
        }
    }
}
