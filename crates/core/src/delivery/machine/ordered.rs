//! ○ Delivery to an ordered endpoint.
//!
//! Its events wait in [`Lanes`]. When one of a lane is parked, everything of that lane that is in memory is parked as well, and
//! what comes later goes the same way until the rows are gone: so a lane is either in memory or in the backlog, and in both it
//! is sent in the order of its offsets.
//!
//! **Invariant (I7):** of a lane, no event is sent before all earlier ones were delivered, given up or cancelled.

use std::{sync::Arc, time::Instant};

use super::{Delivery, after_backlog::AfterBacklog, parking::Leave};
use crate::{
    delivery::{
        batch::Batch,
        lanes::{LaneId, Lanes},
    },
    model::{
        event::Event,
        parking::{KeyNumber, Parking},
        receipt::Receipt,
        settings::{OnFailure, OrderBy, Ordering},
        source::EventSource,
    },
};

impl Delivery {
    pub(super) fn take_into_lanes(&mut self, receipts: Vec<Receipt>, now: Instant) {
        self.let_in(now);
        let until = if self.is_off() { Some(now) } else { self.blocked_until(now) };
        let mut oldest: Option<(Instant, bool)> = None;
        for receipt in receipts {
            let source = &receipt.event().source;
            if !source.is_current() {
                continue; // its new owner has it, or it is read again
            }
            let (received_at, stored) = (receipt.event().received_at, source.is_stored());
            let ahead = self.ahead(receipt.event());
            let too_long = until.zip(self.park_at(received_at, None)).is_some_and(|(until, at)| at <= until);
            let joins = ahead.is_some_and(|rows| rows > AHEAD_MAX || (rows > 0 && until.is_some()));
            let overtakes = self.lagging && !stored;
            if too_long || joins || overtakes {
                self.park_one(receipt, 0, &None, Leave::default());
                continue;
            }
            oldest = Some(oldest.filter(|(oldest, _)| *oldest <= received_at).unwrap_or((received_at, stored)));
            // Where it is not known yet what waits, it is in a moment.
            let lane = self.lane_of(&receipt);
            let waits = ahead != Some(0) || (!stored && self.behind.has_of(lane));
            match &mut self.lanes {
                Some(lanes) if !waits => lanes.push(receipt),
                _ => self.behind.push(lane, receipt),
            }
        }
        if let Some((oldest, stored)) = oldest {
            self.expect_park(oldest, stored, now);
        }
        self.advance(now);
    }

    /// Lets events into their lanes that waited for the last rows of their partition, once those are gone.
    pub(super) fn let_in(&mut self, now: Instant) {
        if self.behind.is_empty() {
            return;
        }
        let mut still = AfterBacklog::default();
        for receipt in self.behind.take() {
            if !receipt.is_current() {
                continue;
            }
            let ahead = self.ahead(receipt.event());
            if ahead > Some(AHEAD_MAX) {
                self.park_one(receipt, 0, &None, Leave::default());
                continue;
            }
            let lane = self.lane_of(&receipt);
            let waits = ahead != Some(0) || still.has_of(lane);
            match &mut self.lanes {
                Some(lanes) if !waits => lanes.push(receipt),
                _ => still.push(lane, receipt),
            }
        }
        self.behind = still;
        self.park_in_behind(|delivery, event| delivery.park_at(event.received_at, None).is_some_and(|at| at <= now));
    }

    pub(super) fn park_in_behind(&mut self, leaves: impl Fn(&Delivery, &Event) -> bool) {
        for receipt in self.behind.take() {
            if leaves(self, receipt.event()) {
                self.park_one(receipt, 0, &None, Leave::default());
            } else {
                self.behind.push(self.lane_of(&receipt), receipt);
            }
        }
    }

    /// The endpoint becomes ordered, or orders by something else, or no more. What is under way goes on as it is.
    pub(super) fn change_order(&mut self, before: Option<Ordering>, now: Instant) {
        let after = self.settings.delivery.ordering;
        if before.map(|ordering| ordering.by) == after.map(|ordering| ordering.by) {
            return;
        }
        let mut queued: Vec<Receipt> = self.buffer.take_out(|_| true);
        queued.extend(self.stored.take_out(|_| true));
        queued.extend(self.lanes.iter_mut().flat_map(|lanes| lanes.take_out(|_| true)));
        queued.append(&mut self.behind.take());
        queued.sort_by_key(|receipt| receipt.event().offset());
        self.lanes = after.map(|ordering| self.lanes_with_what_is_out(ordering.by));
        self.park_what_may_not_go_again();
        let (stored, live): (Vec<_>, Vec<_>) =
            queued.into_iter().partition(|receipt| receipt.event().source.is_stored());
        self.take_in(live, false, now);
        if before.is_some_and(|ordering| ordering.by == OrderBy::Key) && after.is_some() {
            // They were read key by key, each key apart from the others: they are read again in the order of their partition.
            return stored.into_iter().for_each(|receipt| self.park_one(receipt, 0, &None, Leave::default()));
        }
        self.take_in(stored, true, now);
    }

    fn lanes_with_what_is_out(&self, by: OrderBy) -> Lanes {
        let mut lanes = Lanes::new(by);
        self.out().for_each(|receipt| lanes.holds(receipt.event()));
        lanes
    }

    /// Receipts that are under way or wait for another attempt.
    fn out(&self) -> impl Iterator<Item = &Receipt> {
        let flying = self.flights.iter().map(|flight| &flight.batch);
        self.waiting.iter().chain(flying).flat_map(Batch::receipts)
    }

    /// Parks the events that went out in another order and that this one does not allow to go again, before anything is sent.
    fn park_what_may_not_go_again(&mut self) {
        let Some(by) = self.lanes.as_ref().map(Lanes::by) else { return };
        // A lane that has rows is in the backlog.
        let has_rows = |receipt: &&Receipt| self.ahead(receipt.event()) != Some(0);
        let lane = |receipt: &Receipt| (LaneId::of(receipt.event(), by), Arc::clone(&receipt.event().source));
        let leaving: Vec<_> = self.out().filter(has_rows).map(lane).collect();
        self.parks.extend(leaving);
        self.park_waiting(|delivery, batch, _| delivery.shares_a_lane(batch));
    }

    /// True if another batch of one of its lanes is out as well: both were sent before the endpoint had this order.
    pub(super) fn shares_a_lane(&self, batch: &Batch) -> bool {
        self.lanes.as_ref().is_some_and(|lanes| lanes.has_others_out(batch.receipts().map(Receipt::event)))
    }

    /// An event that cannot be delivered holds its lane.
    pub(super) fn blocks(&self) -> bool {
        self.settings.delivery.ordering.is_some_and(|ordering| ordering.on_failure == OnFailure::Block)
    }

    /// The part of its lane that waits in the backlog, or may: an event that comes from there says it of its head.
    fn ahead(&self, event: &Event) -> Option<u64> {
        event.source.backlog().ahead(&self.settings.id, self.key_of(event)).events
    }

    /// Its key, where that makes its lane.
    fn key_of(&self, event: &Event) -> Option<KeyNumber> {
        let by = self.settings.delivery.ordering.map(|ordering| ordering.by);
        (by == Some(OrderBy::Key)).then(|| KeyNumber::of(event.key()))
    }

    /// Its lane; `None` where none are made.
    pub(super) fn lane_of(&self, receipt: &Receipt) -> Option<LaneId> {
        self.lanes.as_ref().map(|lanes| LaneId::of(receipt.event(), lanes.by()))
    }

    /// Something was parked: what else there is of its lane follows.
    pub(super) fn follow(&mut self, event: &Event) -> Parking {
        let parking = Parking::begin(&event.source, &self.settings.id, self.key_of(event));
        if let Some(Ordering { by, .. }) = self.settings.delivery.ordering {
            self.parks.insert(LaneId::of(event, by), Arc::clone(&event.source));
        }
        parking
    }

    /// Before anything is sent: of the lanes of which something was parked, nothing stays. Nor does what waits behind the
    /// rows of its partition: the new row is one of those, and is read only after what comes before it.
    pub(super) fn park_the_rest(&mut self) {
        let Some(Ordering { by, .. }) = self.settings.delivery.ordering else { return self.parks.clear() };
        while !self.parks.is_empty() {
            let leaving = std::mem::take(&mut self.parks);
            let of_them = |event: &Event| leaving.contains_key(&LaneId::of(event, by));
            let mut live: Vec<&Arc<dyn EventSource>> = leaving.values().filter(|source| !source.is_stored()).collect();
            live.dedup_by(|one, other| Arc::ptr_eq(one, other));
            self.park_in_behind(|_, event| live.iter().any(|source| Arc::ptr_eq(source, &event.source)));
            self.park_in_lanes(|_, event| of_them(event));
            self.park_waiting(|_, batch, _| batch.all_events().any(|event| of_them(event)));
            let mut flights = std::mem::take(&mut self.flights);
            // What is under way of the backlog has its rows.
            for flight in flights.iter_mut().filter(|flight| !flight.batch.is_stored()) {
                if flight.batch.all_events().any(|event| of_them(event)) {
                    self.park_members_in_flight(flight);
                }
            }
            self.flights = flights;
            self.parks.retain(|lane, _| !leaving.contains_key(lane));
        }
    }

    pub(super) fn park_in_lanes(&mut self, leaves: impl Fn(&Delivery, &Event) -> bool) {
        self.park_in_behind(&leaves);
        let Some(mut lanes) = self.lanes.take() else { return };
        let out = lanes.take_out(|event| leaves(self, event));
        self.lanes = Some(lanes);
        for receipt in out {
            self.park_one(receipt, 0, &None, Leave::default());
        }
    }

    /// An event that was taken out of the lanes has ended, or left.
    pub(super) fn ended(&mut self, event: &Event) {
        if let Some(lanes) = &mut self.lanes {
            lanes.ended(event);
        }
    }

    pub(super) fn all_ended(&mut self, batch: &Batch) {
        if self.lanes.is_some() {
            batch.members.iter().for_each(|receipt| self.ended(receipt.event()));
        }
    }

    /// Drops the members that another instance owns by now.
    pub(super) fn drop_lost(&mut self, batch: &mut Batch) {
        if let Some(lanes) = &mut self.lanes {
            let lost = batch.members.iter().filter(|receipt| !receipt.is_current());
            lost.for_each(|receipt| lanes.ended(receipt.event()));
        }
        batch.drop_lost();
    }
}

/// While so few rows are left of a partition, new events wait for them in memory: otherwise, with events coming all the
/// time, the last row would never be the last.
const AHEAD_MAX: u64 = 1_000;
