//! ○ Narrower subscriptions: what is held and no longer matches leaves unsent.
//!
//! An attempt under way goes on. What it has is matched when it would be sent again, by the newest subscriptions of then.

use std::{sync::Arc, time::Instant};

use super::{AttemptId, Delivery, parking::Leave};
use crate::{
    delivery::batch::{Batch, Members},
    model::{disposition::Next, event::Event, outcome::AttemptNote, receipt::Receipt, source::SourceKind},
    routing::subscribed::{Match, Subscribed},
};

impl Delivery {
    /// The endpoint may get less from now on: all that is held is matched against this. Nothing is sent here: the settings may
    /// have changed as well, and are to be known before.
    pub fn handle_narrowed(&mut self, subscribed: &Arc<Subscribed>) {
        let leaves = |event: &Event| subscribed.of(event) != Match::Wanted;
        let mut out = self.buffer.take_out(leaves);
        out.append(&mut self.stored.take_out(leaves));
        out.extend(self.lanes.iter_mut().flat_map(|lanes| lanes.take_out(leaves)));
        for receipt in self.behind.take() {
            match leaves(receipt.event()) {
                true => out.push(receipt),
                false => self.behind.push(self.lane_of(&receipt), receipt),
            }
        }
        for receipt in out {
            self.leave_unsent(receipt, subscribed, 0, &None, None);
        }
        let waiting = self.waiting.take_out(|batch, _| batch.receipts().any(|receipt| leaves(receipt.event())));
        for (due, batch) in waiting {
            if let Some(rest) = self.wanted_of(batch, subscribed, Some(due)) {
                self.waiting.insert(rest, due);
            }
        }
        for flight in self.flights.iter_mut() {
            flight.narrowed = Some(Arc::clone(subscribed));
        }
        self.park_the_rest();
    }

    /// Events that are about to come in, but were matched earlier: those that still match. The others leave.
    #[must_use]
    pub fn still_wanted(&mut self, receipts: Vec<Receipt>, subscribed: &Subscribed) -> Vec<Receipt> {
        let is_wanted = |receipt: &Receipt| subscribed.of(receipt.event()) == Match::Wanted;
        let (wanted, out): (Vec<_>, Vec<_>) = receipts.into_iter().partition(is_wanted);
        for receipt in out {
            self.leave_unsent(receipt, subscribed, 0, &None, None);
        }
        wanted
    }

    /// To be called before the outcome of each attempt. Subscriptions may have become wider since they became narrower, of which
    /// nobody is told: what they want again is not lost.
    pub fn match_by_newest(&mut self, attempt: AttemptId, newest: impl FnOnce() -> Arc<Subscribed>) {
        if let Some(narrowed) = self.flights.get_mut(attempt).and_then(|flight| flight.narrowed.as_mut()) {
            *narrowed = newest();
        }
    }

    /// A batch that would be sent again, without what its endpoint lost while it was under way.
    pub(super) fn not_narrowed(&mut self, batch: Batch, not_before: Option<Instant>) -> Option<Batch> {
        let Some(subscribed) = self.narrowed.clone() else { return Some(batch) };
        if batch.receipts().all(|receipt| subscribed.of(receipt.event()) == Match::Wanted) {
            return Some(batch);
        }
        self.wanted_of(batch, &subscribed, not_before)
    }

    /// The rest of a batch, as a batch of its own: a bisection begins again, for its halves are others.
    fn wanted_of(&mut self, mut batch: Batch, subscribed: &Subscribed, not_before: Option<Instant>) -> Option<Batch> {
        let (last, attempts) = (batch.last().cloned(), batch.attempts);
        let mut wanted = Members::new();
        for receipt in batch.take_receipts() {
            if subscribed.of(receipt.event()) == Match::Wanted {
                wanted.push(receipt);
            } else {
                self.ended(receipt.event());
                self.leave_unsent(receipt, subscribed, attempts, &last, not_before);
            }
        }
        (!wanted.is_empty()).then(|| batch.part(wanted))
    }

    /// Cancels an event that is wanted no more. One of which nobody knows waits in the backlog, and a row does so in any case:
    /// those who read it know how new it may be for the settings that they have.
    fn leave_unsent(
        &mut self,
        receipt: Receipt,
        subscribed: &Subscribed,
        attempts: u32,
        last: &Option<AttemptNote>,
        not_before: Option<Instant>,
    ) {
        let source = &receipt.event().source;
        if subscribed.of(receipt.event()) == Match::Unknown || source.name().kind == SourceKind::Backlog {
            self.effects.next = Next::Backlog { at: not_before };
            return self.park_one(receipt, attempts, last, Leave { not_before, in_flight_until: None });
        }
        // What another instance owns by now is dropped silently: the new owner matches it itself.
        if source.is_owned() {
            self.effects.cancelled.push(receipt);
        }
    }
}
