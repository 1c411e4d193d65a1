//! ● Narrower subscriptions: what the actor has, and what waits for it, is matched again before anything is sent.

use std::sync::Arc;

use super::EndpointActor;
use crate::{
    endpoint::subscribed::Subscribed,
    model::receipt::{Receipt, Settlement},
};

impl EndpointActor {
    /// First of all, before anything that the machine holds may be sent. Returns the subscriptions that it was matched against.
    pub(super) fn adopt_narrowed(&mut self) -> Option<Arc<Subscribed>> {
        let subscribed = self.queue.narrowed()?;
        self.delivery.handle_narrowed(&subscribed);
        Some(subscribed)
    }

    /// The same for what is taken out of the queue. Returns what is left of the stored events.
    pub(super) fn match_again(
        &mut self,
        stored: Vec<Receipt>,
        subscribed: &Arc<Subscribed>,
        adopted: Option<Arc<Subscribed>>,
    ) -> Vec<Receipt> {
        if adopted.is_none_or(|adopted| !adopted.are_as(subscribed)) {
            self.delivery.handle_narrowed(subscribed);
        }
        let taken = std::mem::take(&mut self.taken);
        self.taken = self.delivery.still_wanted(taken, subscribed);
        self.delivery.still_wanted(stored, subscribed)
    }

    pub(super) fn note_cancelled(&self, receipts: &[Receipt], how: Settlement) {
        if how == Settlement::Cancelled {
            tracing::info!(
                endpoint.id = %self.queue.id, events = receipts.len(),
                "cancelled events that no longer match a subscription"
            );
        }
    }
}
