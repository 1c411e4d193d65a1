//! ○ Parking: events leave memory for the backlog.
//!
//! An event that was not sent yet is parked once it has waited for the endpoint (`lagging.rs`) for `park_after`. One that
//! was sent is parked `park_after` after the latest of
//! - when it was received,
//! - the endpoint's last 2xx, but no later than
//! - when the event was first sent: from there on a hanging or failing attempt would hold up its partition's commit. What it
//!   had waited for the endpoint by then counts as well, but for a fifth of `park_after`, which any attempt has.

use std::time::{Duration, Instant};

use super::{Delivery, in_flight::Flight};
use crate::{
    delivery::{batch::Batch, lanes::Lanes},
    model::{disposition::Parked, event::Event, outcome::AttemptNote, receipt::Receipt, settings::EndpointState},
};

impl Delivery {
    /// Time at which an event leaves memory if nothing changes; `None` while the trouble is ours.
    pub(super) fn park_at(&self, received_at: Instant, endpoint_waits_since: Option<Instant>) -> Option<Instant> {
        if self.held_back {
            return None;
        }
        let from = match self.settings.state {
            _ if self.is_off() => return Some(received_at),
            EndpointState::Paused | EndpointState::Disabled => return Some(received_at),
            EndpointState::Enabled => {
                let answered = match (self.last_delivered, endpoint_waits_since) {
                    (Some(delivered), Some(since)) => delivered.min(since),
                    (Some(delivered), None) => delivered,
                    (None, _) => received_at,
                };
                answered.max(received_at)
            }
        };
        // What waited for us meanwhile gets its time again.
        let from = self.released_at.map_or(from, |released| from.max(released));
        Some(from + self.limits.park_after)
    }

    /// Time at which an event that comes from Kafka and was never sent leaves memory: after `park_after` in which it
    /// waited for the endpoint, however well that answers. `None` while it waits for us.
    fn unsent_park_at(&self, received_at: Instant) -> Option<Instant> {
        let waits_for_endpoint = self.blocked_since.is_some() || self.is_off() || self.lagging;
        self.unsent_check_at(received_at).filter(|_| waits_for_endpoint)
    }

    /// Not before then may such an event have to leave. By then it may have been sent, and wait for its answer.
    fn unsent_check_at(&self, received_at: Instant) -> Option<Instant> {
        if self.held_back {
            return None;
        }
        if self.is_off() || self.lagging {
            return Some(received_at);
        }
        let from = [self.blocked_since, self.released_at].into_iter().flatten().fold(received_at, Instant::max);
        Some(from + self.limits.park_after)
    }

    /// An event that was received then is held from now on.
    pub(super) fn expect_park(&mut self, received_at: Instant, stored: bool, now: Instant) {
        let at = match stored {
            true => self.park_at(received_at, None),
            false if self.holds_too_much() => Some(now),
            false => self.unsent_check_at(received_at),
        };
        let Some(at) = at else { return };
        // Looking at all that is held for each chunk that comes would cost too much.
        let at = self.park_checked_at.map_or(at, |checked| at.max(checked + PARK_CHECK_SPACING)).max(now);
        self.park_check_at = Some(self.park_check_at.map_or(at, |planned| planned.min(at)));
    }

    /// Parks all that has waited long enough, and finds when to look again.
    pub(super) fn park_overdue(&mut self, now: Instant) {
        self.look_at_rows_again(now);
        // What waits for a replay of what was missed says nothing of how the endpoint keeps up.
        self.park_in_behind(|delivery, event| {
            event.source.backlog().ahead(&delivery.settings.id, None).has_missed
                && delivery.park_at(event.received_at, None).is_some_and(|at| at <= now)
        });
        self.park_the_blocked(now);
        let parked = self.effects.parked.len();
        self.park_buffered(|delivery, event| delivery.unsent_park_at(event.received_at).is_some_and(|at| at <= now));
        let waited_too_long = self.effects.parked.len() > parked && !self.is_off();
        if waited_too_long || self.blocked_since.is_some() && self.holds_too_much() {
            self.fall_behind();
        }
        // What is stored costs no commit any time: it may wait for its turn as long as the endpoint answers.
        self.park_stored(|delivery, event| delivery.park_at(event.received_at, None).is_some_and(|at| at <= now));
        self.park_waiting(|delivery, batch, due| {
            let waits_for_us = due <= now && delivery.waits_for_our_permit();
            !waits_for_us && delivery.park_at(batch.since, batch.endpoint_waits_since()).is_some_and(|at| at <= now)
        });
        self.park_in_flight(now);
        self.park_checked_at = Some(now);
        let looks = [self.next_park_at(), self.backlogged.look_again_at()];
        let next = if self.holds_too_much() { Some(now) } else { looks.into_iter().flatten().min() };
        self.park_check_at = next.map(|at| at.max(now + PARK_CHECK_SPACING));
    }

    /// The endpoint is to be left alone until then: parks what would have to leave before it.
    pub(super) fn park_what_must_leave_before(&mut self, until: Instant) {
        let leaves =
            |delivery: &Delivery, event: &Event| delivery.park_at(event.received_at, None).is_some_and(|at| at < until);
        self.park_buffered(leaves);
        self.park_stored(leaves);
        self.park_waiting(|delivery, batch, due| {
            delivery.park_at(batch.since, batch.endpoint_waits_since()).is_some_and(|at| at < until.max(due))
        });
    }

    /// Parks the waiting batches that `leaves` picks by when they are due.
    pub(super) fn park_waiting(&mut self, leaves: impl Fn(&Delivery, &Batch, Instant) -> bool) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for (due, batch) in waiting.take_out(|batch, due| leaves(self, batch, due)) {
            self.park(batch, Some(due));
        }
        self.waiting = waiting;
    }

    /// Parks what a batch holds; its next attempt is due at `not_before`.
    pub(super) fn park(&mut self, mut batch: Batch, not_before: Option<Instant>) {
        let (last, attempts) = (batch.last().cloned(), batch.attempts);
        for receipt in batch.take_receipts() {
            self.ended(receipt.event());
            self.park_one(receipt, attempts, &last, Leave { not_before, in_flight_until: None });
        }
    }

    /// Takes out all that is held, the attempts under way included, to be stored in the backlog: the end of a
    /// graceful stop. Later answers to those attempts are of no effect.
    pub fn take_held(&mut self) -> Vec<Parked> {
        self.park_room = usize::MAX;
        self.park_buffered(|_, _| true);
        self.park_stored(|_, _| true);
        self.park_waiting(|_, _, _| true);
        for mut flight in std::mem::take(&mut self.flights).into_flights() {
            self.park_members_in_flight(&mut flight);
        }
        self.wake_at = None;
        self.park_check_at = None;
        std::mem::take(&mut self.effects.parked)
    }

    pub(super) fn park_buffered(&mut self, leaves: impl Fn(&Delivery, &Event) -> bool) {
        self.park_in_lanes(|delivery, event| !event.source.is_stored() && leaves(delivery, event));
        let mut buffer = std::mem::take(&mut self.buffer);
        self.park_some(&mut buffer, leaves);
        self.buffer = buffer;
    }

    pub(super) fn park_stored(&mut self, leaves: impl Fn(&Delivery, &Event) -> bool) {
        self.park_in_lanes(|delivery, event| event.source.is_stored() && leaves(delivery, event));
        let mut stored = std::mem::take(&mut self.stored);
        self.park_some(&mut stored, leaves);
        self.stored = stored;
    }

    fn park_in_flight(&mut self, now: Instant) {
        let mut flights = std::mem::take(&mut self.flights);
        for flight in flights.iter_mut() {
            let at = self.park_at(flight.batch.since, flight.batch.endpoint_waits_since());
            if at.is_some_and(|at| at <= now) && !flight.batch.is_stored() {
                self.park_members_in_flight(flight);
            }
        }
        self.flights = flights;
    }

    /// The attempt goes on. It counts as used up: if it fails, nobody counts it later.
    pub(super) fn park_members_in_flight(&mut self, flight: &mut Flight) {
        let batch = &mut flight.batch;
        if batch.is_parked() {
            return;
        }
        let (last, attempts) = (batch.last().cloned(), batch.attempts);
        let stored = batch.members.iter().any(|receipt| receipt.is_current());
        if stored {
            self.drop_lost(batch);
        }
        let members = std::mem::take(&mut batch.members);
        batch.trouble().stored = stored;
        batch.trouble().parked = members.iter().map(|receipt| receipt.event().clone()).collect();
        for receipt in members {
            self.ended(receipt.event());
            let leave = Leave { in_flight_until: Some(flight.deadline), not_before: None };
            self.park_one(receipt, attempts + 1, &last, leave);
        }
        for receipt in batch.take_receipts() {
            self.ended(receipt.event());
            self.park_one(receipt, attempts, &last, Leave::default());
        }
    }

    pub(super) fn park_one(
        &mut self,
        receipt: Receipt,
        attempts: u32,
        last: &Option<AttemptNote>,
        Leave { in_flight_until, not_before }: Leave,
    ) {
        // What another instance owns by now is dropped silently: its backlog is the new owner's as well.
        if receipt.event().source.is_owned() {
            if !receipt.event().source.is_stored() {
                self.backlogged.parks();
            }
            let parking = self.follow(receipt.event());
            let (attempts, last) = (attempts + receipt.attempts_so_far(), last.clone());
            self.effects.parked.push(Parked { receipt, attempts, last, in_flight_until, not_before, parking });
        }
    }

    /// The earliest time at which something that is held now would have to leave.
    fn next_park_at(&self) -> Option<Instant> {
        let of_lanes = |stored: bool| {
            let lanes = self.lanes.iter().flat_map(Lanes::iter).chain(self.behind.iter());
            lanes.filter(move |receipt| receipt.event().source.is_stored() == stored)
        };
        let buffered = self.buffer.iter().chain(of_lanes(false)).filter_map(|receipt| {
            let received_at = receipt.event().received_at;
            self.unsent_check_at(received_at)
        });
        let stored = self.stored.iter().chain(of_lanes(true));
        let stored = stored.filter_map(|receipt| self.park_at(receipt.event().received_at, None));
        let waiting = self.waiting.iter();
        let flying = self.flights.iter().map(|flight| &flight.batch);
        let flying = flying.filter(|batch| !batch.is_parked() && !batch.is_stored());
        let batches = waiting.chain(flying).filter_map(|batch| self.park_at(batch.since, batch.endpoint_waits_since()));
        buffered.chain(stored).chain(batches).min()
    }
}

/// Knowledge about the next attempt of an event that leaves memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leave {
    pub in_flight_until: Option<Instant>,
    pub not_before: Option<Instant>,
}

/// Between two looks at all that is held. It adds to `park_after`.
const PARK_CHECK_SPACING: Duration = Duration::from_millis(100);
