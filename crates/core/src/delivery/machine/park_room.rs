//! ○ Bound on what leaves memory in one turn: what one customer parks makes nobody on its core wait for all of it.
//!
//! What is in lanes leaves all at once, for what stays must not be sent past it.

use std::time::Instant;

use super::{Delivery, parking::Leave};
use crate::{delivery::buffer::BatchBuffer, model::event::Event};

impl Delivery {
    /// Sets the number of events that may leave memory from now on. What has waited for room leaves with the next
    /// [`handle_timeout`](Delivery::handle_timeout).
    pub fn handle_park_room(&mut self, events: usize, now: Instant) {
        self.park_room = events;
        if events > 0 && std::mem::take(&mut self.wants_park_room) {
            self.park_check_at = Some(now);
        }
    }

    /// There is more that should leave than there was room for.
    #[must_use]
    pub fn wants_park_room(&self) -> bool {
        self.wants_park_room
    }

    /// Room for one event that leaves; false when it has to stay for now.
    pub(super) fn takes_park_room(&mut self) -> bool {
        let is_there = self.park_room > 0;
        self.park_room -= usize::from(is_there);
        self.wants_park_room |= !is_there;
        is_there
    }

    /// Parks what `leaves` picks, as far as there is room.
    pub(super) fn park_some(&mut self, buffer: &mut BatchBuffer, leaves: impl Fn(&Delivery, &Event) -> bool) {
        let out = buffer.take_some(self.park_room, |event| leaves(self, event));
        self.park_room -= out.len();
        for receipt in out {
            self.park_one(receipt, 0, &None, Leave::default());
        }
        if self.park_room == 0 && buffer.iter().any(|receipt| leaves(self, receipt.event())) {
            self.wants_park_room = true;
        }
    }

    /// Parks what found no room when the endpoint was to be left alone.
    pub(super) fn park_the_blocked(&mut self, now: Instant) {
        if let Some(until) = self.blocked_until(now) {
            let leaves = |delivery: &Delivery, event: &Event| {
                delivery.park_at(event.received_at, None).is_some_and(|at| at < until)
            };
            self.park_buffered(leaves);
            self.park_stored(leaves);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::model::outcome::Outcome;

    fn room(world: &mut World, events: usize) {
        world.delivery.handle_park_room(events, world.now);
        world.delivery.handle_timeout(world.now);
        world.poll();
    }

    #[test]
    fn what_should_leave_leaves_as_far_as_there_is_room_and_then_the_rest() {
        let mut world = World::new(stream());
        room(&mut world, 0);
        world.events(104);
        world.wait(PARK_AFTER + ms(200));
        assert_eq!((world.parked.len(), world.delivery.wants_park_room()), (4, true), "those under way leave at once");
        for parked in [44, 84] {
            room(&mut world, 40);
            assert_eq!((world.parked.len(), world.delivery.wants_park_room()), (parked, true));
        }
        room(&mut world, 40);
        assert_eq!((world.parked.len(), world.delivery.wants_park_room()), (104, false));
        assert!(world.delivery.is_lagging());
    }

    #[test]
    fn what_comes_for_a_lagging_endpoint_waits_for_room_too() {
        let mut world = World::new(stream());
        world.events(5);
        world.wait(PARK_AFTER + ms(200));
        assert!(world.delivery.is_lagging());
        room(&mut world, 2);
        world.events(5);
        assert_eq!((world.parked.len(), world.delivery.wants_park_room()), (7, true));
        room(&mut world, 10);
        assert_eq!((world.parked.len(), world.delivery.wants_park_room()), (10, false));
    }

    #[test]
    fn what_a_silence_makes_leave_finds_its_room_later() {
        let mut world = World::new(stream());
        room(&mut world, 0);
        world.events(20);
        world.answer(failed_for(secs(60)));
        assert!(world.delivery.wants_park_room());
        room(&mut world, 8);
        room(&mut world, 100);
        // What is under way may still be answered.
        assert_eq!((world.parked.len(), world.delivery.wants_park_room()), (17, false));
        assert!(!world.delivery.is_lagging(), "it asked for it");
        world.answer(Outcome::Delivered);
    }

    #[test]
    fn the_end_of_a_stop_waits_for_no_room() {
        let mut world = World::new(stream());
        room(&mut world, 0);
        world.events(20);
        world.delivery.handle_stop(world.now);
        assert_eq!(world.delivery.take_held().len(), 20);
    }
}
