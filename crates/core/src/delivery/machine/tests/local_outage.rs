//! ○ Trouble of our own.

use super::*;

#[test]
fn our_own_faults_use_up_no_attempt_and_do_not_open_the_breaker() {
    let mut world = World::new(stream());
    world.events(1);
    for _ in 0..5 {
        world.answer(Outcome::LocalFault);
        assert!(world.under_way().is_empty());
        world.wait(ms(750));
    }
    assert_eq!(world.delivery.batch(world.sent[0].0).unwrap().attempt_number(), 1);
    assert!(world.changes.is_empty());
}

#[test]
fn while_the_trouble_is_ours_nothing_is_sent_or_parked_and_afterwards_everything_has_its_time_again() {
    let mut world = World::new(stream());
    world.delivery.handle_local_outage(true, world.now);
    world.events(2);
    world.wait(secs(60));
    assert!(world.under_way().is_empty() && world.parked.is_empty());
    world.delivery.handle_local_outage(false, world.now);
    world.poll();
    assert_eq!(world.under_way(), [[0], [1]]);
    world.wait(PARK_AFTER - ms(1));
    assert!(world.parked.is_empty());
    world.wait(ms(1));
    assert_eq!(world.parked_offsets(), [0, 1]);
}

#[test]
fn while_the_trouble_is_ours_a_trial_lets_one_event_through() {
    let mut world = World::new(batch(4));
    world.delivery.handle_local_outage(true, world.now);
    world.events(3);
    world.delivery.handle_trial(world.now);
    world.poll();
    assert_eq!(world.under_way(), [[0]], "full batch or not, one event is enough to see");
    world.wait(secs(60));
    assert_eq!(world.under_way(), [[0]]);
    world.answer(Outcome::LocalFault);
    world.wait(secs(60));
    assert!(world.under_way().is_empty(), "once each time it is told to");
    world.delivery.handle_local_outage(false, world.now);
    world.poll();
    assert!(world.under_way().contains(&vec![0]));
}

#[test]
fn a_breaker_that_our_own_trouble_opened_lets_a_probe_through_when_it_is_over() {
    let mut world = World::new(stream());
    world.events(20);
    while world.delivery.breaker_state() != BreakerState::Open {
        world.answer(FAILED);
    }
    world.delivery.handle_local_outage(true, world.now);
    world.poll();
    assert_eq!(world.delivery.breaker_state(), BreakerState::HalfOpen);
    while !world.under_way().is_empty() {
        world.answer(Outcome::LocalFault);
    }
    world.delivery.handle_local_outage(false, world.now);
    world.poll();
    assert_eq!(world.under_way().len(), 1, "at once, and one event only");
}

#[test]
fn an_endpoint_that_was_seen_to_take_something_is_probed_at_once() {
    let mut world = World::new(stream());
    world.events(20);
    while world.delivery.breaker_state() != BreakerState::Open {
        world.answer(FAILED);
    }
    while !world.under_way().is_empty() {
        world.answer(FAILED);
    }
    world.delivery.handle_probe_wanted(world.now);
    world.poll();
    assert_eq!((world.delivery.breaker_state(), world.under_way().len()), (BreakerState::HalfOpen, 1));
    // Asked again while the probe is under way, nothing more is sent.
    world.delivery.handle_probe_wanted(world.now);
    world.poll();
    assert_eq!(world.under_way().len(), 1);
    world.answer(Outcome::Delivered);
    assert_eq!(world.delivery.breaker_state(), BreakerState::Closed);
}
