//! ○ What the machine does, situation by situation.

use super::{testing::*, *};
use crate::endpoint::outcome::Outcome;

#[test]
fn a_stream_sends_each_event_alone_and_at_once_up_to_its_limit_under_way() {
    let mut world = World::new(stream());
    world.events(6);
    assert_eq!(world.under_way(), [[0], [1], [2], [3]]);
    world.answer(Outcome::Delivered);
    assert_eq!(world.under_way(), [[1], [2], [3], [4]]);
    assert_eq!(world.delivered, [0]);
}

#[test]
fn a_batch_goes_when_it_is_full() {
    let mut world = World::new(batch(3));
    world.events(2);
    assert!(world.under_way().is_empty());
    world.events(5);
    assert_eq!(world.under_way(), [[0, 1, 2], [3, 4, 5]]);
    assert_eq!(world.delivery.queued_events(), 1);
}

#[test]
fn a_batch_goes_when_its_first_event_is_old_enough() {
    let mut world = World::new(batch(100));
    world.events(1);
    world.wait(ms(600));
    world.events(1);
    world.wait(ms(399));
    assert!(world.under_way().is_empty());
    world.wait(ms(1));
    assert_eq!(world.under_way(), [[0, 1]]);
}

#[test]
fn a_failed_batch_is_repeated_with_the_same_members() {
    let mut world = World::new(batch(3));
    world.events(3);
    world.answer(FAILED);
    world.events(1);
    world.wait(ms(121));
    assert_eq!(world.under_way(), [[0, 1, 2]]);
    let (attempt, _) = world.sent[0];
    assert_eq!(world.delivery.batch(attempt).unwrap().attempt_number(), 2);
    world.answer(Outcome::Delivered);
    assert_eq!(world.delivered, [0, 1, 2]);
}

#[test]
fn the_last_attempt_makes_a_dead_letter() {
    let mut settings = stream();
    settings.delivery.retry.attempts_max = 2;
    let mut world = World::new(settings);
    world.events(1);
    world.answer(FAILED);
    world.wait(ms(121));
    world.answer(FAILED);
    assert_eq!(world.given_up_offsets(), [(0, Reason::Exhausted)]);
    assert_eq!(world.given_up[0].attempts, 2);
    assert!(world.delivery.is_idle());
}

#[test]
fn an_endpoint_that_does_not_answer_gets_its_events_parked_under_way() {
    let mut world = World::new(stream());
    world.events(5);
    world.wait(PARK_AFTER);
    assert_eq!(world.parked_offsets(), [4, 0, 1, 2, 3]);
    assert_eq!(world.parked[0].in_flight_until, None);
    assert_eq!(world.parked[1].in_flight_until, Some(world.now + secs(10)));
    world.answer(Outcome::Delivered);
    assert_eq!(world.unparked, [0]);
    world.answer(FAILED);
    assert_eq!(world.unparked, [0]);
    assert!(world.delivered.is_empty());
}

#[test]
fn failures_in_a_row_open_the_breaker_and_one_probe_of_one_event_closes_it() {
    let mut world = World::new(batch(2));
    world.events(12);
    for _ in 0..5 {
        world.answer(FAILED);
    }
    assert_eq!(world.changes, [StateChange::BreakerOpened { failures: 5 }]);
    while !world.sent.is_empty() {
        world.answer(FAILED);
    }
    world.wait(ms(1_200));
    assert_eq!(world.changes[1..], [StateChange::BreakerHalfOpen]);
    assert_eq!(world.under_way().len(), 1);
    assert_eq!(world.under_way()[0].len(), 1);
    world.answer(Outcome::Delivered);
    assert_eq!(world.changes[2..], [StateChange::BreakerClosed]);
    assert_eq!(world.under_way().len(), 1, "the load comes back step by step");
}

#[test]
fn retry_after_leaves_the_whole_endpoint_alone() {
    let mut world = World::new(stream());
    world.events(5);
    world.answer(failed_for(secs(3)));
    assert_eq!(world.under_way().len(), 3, "nothing follows");
    world.wait(ms(2_999));
    assert_eq!(world.under_way().len(), 3);
    world.wait(ms(1));
    assert_eq!(world.under_way().len(), 4);
}

#[test]
fn a_rate_limit_is_kept() {
    let mut world = World::new(limited(stream(), 10, 1));
    world.events(3);
    assert_eq!(world.under_way(), [[0]]);
    world.wait(ms(100));
    assert_eq!(world.under_way(), [[0], [1]]);
    world.wait(ms(100));
    assert_eq!(world.under_way(), [[0], [1], [2]]);
}

#[test]
fn a_paused_endpoint_gets_nothing_and_its_events_are_parked_in_time() {
    let mut world = World::new(stream());
    world.settings(Settings { state: State::Paused, version: 2, ..stream() });
    world.events(2);
    world.wait(PARK_AFTER - ms(1));
    assert!(world.parked.is_empty());
    world.wait(ms(1));
    assert_eq!(world.parked_offsets(), [0, 1]);
    assert!(world.under_way().is_empty());
}
