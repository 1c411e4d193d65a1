//! ● Permits of the core, asked for before anything is done: to begin requests, and to park more than a little. An endpoint
//! has one place in each queue, however much it has to do. No request begins while its customer's dead letters wait beyond
//! their share.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
    time::Instant,
};

use actix::Addr;

use super::{EndpointActor, TakeTurn};
use crate::endpoint::{delivery::Permits, shares::Unit};

/// An actor's place in a queue, and what it was handed there until the end of its turn.
#[derive(Default)]
pub(super) struct PermitRequest {
    is_waiting: Cell<bool>,
    handed: RefCell<Option<Unit>>,
}

impl PermitRequest {
    /// Waits for what `asked` brings, if it does not yet, and wakes the actor then.
    fn wait(self: &Rc<Self>, asked: impl Future<Output = Unit> + 'static, address: Addr<EndpointActor>) {
        if self.is_waiting.replace(true) {
            return;
        }
        let place = Rc::clone(self);
        actix_rt::spawn(async move {
            let unit = asked.await;
            place.is_waiting.set(false);
            *place.handed.borrow_mut() = Some(unit);
            // A full mailbox holds a wake already; what a dead actor was handed goes with its place.
            let _ = address.try_send(TakeTurn);
        });
    }

    fn has_unit(&self) -> bool {
        self.handed.borrow().is_some()
    }

    fn take(&self) -> Option<Unit> {
        self.handed.borrow_mut().take()
    }
}

impl EndpointActor {
    /// Tells the machine how many requests may begin in this turn, and how much may be parked. To be called before it hears of
    /// anything else.
    pub(super) fn offer_permits(&mut self, now: Instant) {
        let max = (self.settings.delivery.in_flight_max as usize).min(TURN_SENDS_MAX);
        let customer = &self.settings.customer_id;
        let permits = if self.core.dead_letters.is_beyond_share(customer) {
            // By its own doing: what it sends may bring more letters.
            Permits { has_share: true, ..Permits::NONE }
        } else {
            let mut permits = self.core.client.permits(customer, &self.settings.id, max);
            permits.ends_turn = permits.free >= TURN_SENDS_MAX;
            permits.free += usize::from(self.to_send.has_unit());
            permits
        };
        self.delivery.handle_permits(permits);
        let room = if self.to_park.has_unit() { TURN_PARKS_MAX } else { 0 };
        self.delivery.handle_park_room(room, now);
    }

    /// Something that it waited for is there.
    pub(super) fn was_handed_something(&self) -> bool {
        self.to_send.has_unit() || self.to_park.has_unit()
    }

    /// The permit of a request that begins now.
    pub(super) fn take_permit(&self) -> Option<Unit> {
        let free = || self.core.client.try_permit(&self.settings.customer_id, &self.settings.id);
        let permit = self.to_send.take().or_else(free);
        debug_assert!(permit.is_some(), "the machine begins no more requests than there are permits");
        permit
    }

    /// The end of a turn: what was handed over and is not needed goes to others; whoever has more to do waits.
    pub(super) fn settle_permits(&self, address: impl Fn() -> Addr<Self>) {
        drop((self.to_send.take(), self.to_park.take()));
        let (customer, endpoint) = (&self.settings.customer_id, &self.settings.id);
        if self.delivery.wants_permit() {
            let (client, letters) = (Rc::clone(&self.core.client), self.core.dead_letters.clone());
            let (customer, endpoint) = (customer.clone(), endpoint.clone());
            let asked = async move {
                letters.room(&customer).await;
                client.permit(&customer, &endpoint).await
            };
            self.to_send.wait(asked, address());
        }
        if self.delivery.wants_park_room() {
            let (turns, customer, endpoint) = (self.core.park_turns.clone(), customer.clone(), endpoint.clone());
            self.to_park.wait(async move { turns.unit(&customer, &endpoint).await }, address());
        }
    }
}

/// Requests that begin in one turn: others on the core have theirs in between.
const TURN_SENDS_MAX: usize = 64;
/// Events that are parked in one turn, of all endpoints of the core.
const TURN_PARKS_MAX: usize = 256;
