//! ○ The obstacle that keeps the endpoint's events from being sent at this moment.

use std::time::Instant;

use super::Delivery;
use crate::{delivery::breaker::BreakerAllowance, stall::endpoints::Obstacle};

impl Delivery {
    /// The outermost obstacle first; `None` while nothing is held, or nothing keeps it from being sent.
    #[must_use]
    pub fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        if self.held_events() == 0 {
            return None;
        }
        if self.held_back {
            return Some(Obstacle::LocalOutage);
        }
        if self.is_off() {
            return Some(Obstacle::Off);
        }
        if self.silent_until.is_some_and(|until| until > now) {
            return Some(Obstacle::Silent);
        }
        let allowance = self.breaker.allowance();
        if matches!(allowance, BreakerAllowance::Until(until) if until > now) {
            return Some(Obstacle::Breaker);
        }
        if self.flights.len() > 0 {
            return Some(Obstacle::Answer);
        }
        if self.limited_until.is_some_and(|until| until > now) {
            return Some(Obstacle::RateLimit);
        }
        if self.waiting.first_due().is_some_and(|(due, _)| due > now) {
            return Some(Obstacle::Retry);
        }
        (!self.behind.is_empty()).then_some(Obstacle::Order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        delivery::machine::testing::{FAILED, World, limited, ms, secs, stream},
        model::outcome::Outcome,
    };

    fn obstacle(world: &World) -> Option<Obstacle> {
        world.delivery.obstacle(world.now)
    }

    #[test]
    fn it_is_known_what_keeps_an_event_from_being_sent() {
        let mut world = World::new(stream());
        assert_eq!(obstacle(&world), None, "there is nothing to do");
        world.events(1);
        assert_eq!(obstacle(&world), Some(Obstacle::Answer), "its request is under way");
        world.answer(FAILED);
        assert_eq!(obstacle(&world), Some(Obstacle::Retry));
        world.wait(ms(121));
        world.answer(Outcome::Failed { retry_after: Some(secs(3)) });
        assert_eq!(obstacle(&world), Some(Obstacle::Silent), "it asked for it");
        world.delivery.handle_local_outage(true, world.now);
        assert_eq!(obstacle(&world), Some(Obstacle::LocalOutage));
    }

    #[test]
    fn an_open_breaker_and_a_rate_limit_are_told_apart() {
        let mut world = World::new(limited(stream(), 1, 1));
        world.events(2);
        world.answer(Outcome::Delivered);
        assert_eq!(obstacle(&world), Some(Obstacle::RateLimit));
        let mut settings = stream();
        settings.delivery.breaker.consecutive_failures = 1;
        settings.delivery.breaker.open_base = secs(4);
        let mut world = World::new(settings);
        world.events(1);
        world.answer(FAILED);
        assert_eq!(obstacle(&world), Some(Obstacle::Breaker));
    }
}
