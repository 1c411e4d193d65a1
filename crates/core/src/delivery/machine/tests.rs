//! ○ The machine, situation by situation.

mod concurrency;
mod lagging;
mod local_outage;
mod refusals;

use super::{testing::*, *};
use crate::model::{
    outcome::Outcome,
    settings::{DeliverySettings, Mode, Schedule},
};

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
    settings.delivery.retry.attempts_max = Some(2);
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
    assert_eq!(world.delivery.poll_timeout(), None, "what is parked need not be looked at again before its answer");
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
fn a_paused_endpoint_gets_nothing_and_its_events_are_parked_at_once() {
    let mut world = World::new(stream());
    world.settings(Settings { state: EndpointState::Paused, version: 2, ..stream() });
    world.events(2);
    assert_eq!(world.parked_offsets(), [0, 1]);
    assert!(world.under_way().is_empty());
}

#[test]
fn a_closed_connection_is_tried_again_at_once_and_counts_the_second_time() {
    let mut world = World::new(stream());
    world.events(1);
    world.answer(Outcome::Disconnected);
    assert_eq!(world.under_way(), [[0]]);
    assert_eq!(world.delivery.batch(world.sent[0].0).unwrap().attempt_number(), 1);
    world.answer(Outcome::Disconnected);
    assert!(world.under_way().is_empty());
    world.wait(ms(121));
    assert_eq!(world.delivery.batch(world.sent[0].0).unwrap().attempt_number(), 2);
}

#[test]
fn a_retry_that_would_come_too_late_is_parked_at_once() {
    let mut settings = stream();
    settings.delivery.retry.schedule = Schedule::Explicit(vec![ms(100), secs(300)]);
    let mut world = World::new(settings);
    world.events(1);
    world.answer(FAILED);
    world.wait(ms(121));
    world.answer(FAILED);
    assert_eq!(world.parked_offsets(), [0]);
    assert_eq!((world.parked[0].attempts, world.parked[0].in_flight_until), (2, None));
    assert!(world.parked[0].last.is_some());
    assert!(world.delivery.is_idle());
}

#[test]
fn what_cannot_be_sent_before_it_would_have_to_leave_leaves_at_once() {
    let mut world = World::new(stream());
    world.events(6);
    world.answer(failed_for(secs(60)));
    assert_eq!(world.parked_offsets(), [0, 4, 5]);
    world.events(1);
    assert_eq!(world.parked_offsets(), [0, 4, 5, 6]);
    world.wait(secs(56));
    world.events(1);
    assert_eq!(world.delivery.queued_events(), 1, "this one has time until the pause is over");
}

#[test]
fn a_disabled_endpoint_parks_at_once() {
    let mut world = World::new(Settings { state: EndpointState::Disabled, ..stream() });
    world.events(2);
    assert_eq!(world.parked_offsets(), [0, 1]);
    assert!(world.delivery.is_idle());
}

#[test]
fn abandons_count_as_attempts() {
    let mut world = World::new(stream());
    let first = receipt(&world.source, 0, world.now);
    drop(first);
    let abandoned = world.source.abandoned.lock().pop().unwrap();
    world.delivery.handle_events(vec![abandoned.into_receipt()], world.now);
    world.poll();
    for _ in 0..3 {
        world.answer(FAILED);
        world.wait(ms(121));
    }
    assert_eq!(world.given_up_offsets(), [(0, Reason::Exhausted)]);
    assert_eq!(world.given_up[0].attempts, 4);
}

#[test]
fn what_another_instance_owns_by_now_is_neither_sent_nor_parked() {
    let mut world = World::new(stream());
    world.events(6);
    world.source.current.store(false, std::sync::atomic::Ordering::Relaxed);
    world.answer(FAILED);
    world.answer(Outcome::Delivered);
    world.wait(secs(10));
    assert_eq!(world.under_way(), [[2], [3]]);
    assert!(world.parked.is_empty());
    assert_eq!(world.delivery.queued_events(), 0);
}

#[test]
fn a_batch_that_fails_goes_again_from_memory_without_what_another_instance_owns_by_now() {
    let mut world = World::new(batch(4));
    world.events(2);
    let moved = std::mem::replace(&mut world.source, TestSource::new());
    world.events(2);
    assert_eq!(world.under_way(), [[0, 1, 2, 3]]);
    moved.current.store(false, std::sync::atomic::Ordering::Relaxed);
    world.answer(FAILED);
    assert!(world.parked.is_empty());
    world.wait(ms(121));
    assert_eq!(world.under_way(), [[2, 3]]);
    world.answer(Outcome::Delivered);
    assert!(world.delivery.is_idle());
}

#[test]
fn a_graceful_stop_sends_what_is_there_and_hands_out_the_rest() {
    let mut settings = batch(100);
    settings.delivery.in_flight_max = 1;
    let mut world = World::new(settings);
    world.events(1);
    world.delivery.handle_stop(world.now);
    world.poll();
    assert_eq!(world.under_way(), [[0]], "it does not wait to be full");
    world.events(2);
    world.answer(FAILED);
    assert_eq!(world.parked_offsets(), [0], "nothing waits for a retry any more");
    assert_eq!(world.under_way(), [[1, 2]]);
    world.events(1);
    let held: Vec<_> = world.delivery.take_held();
    let offsets: Vec<_> = held.iter().map(|parked| parked.receipt.event().offset()).collect();
    assert_eq!(offsets, [3, 1, 2]);
    assert_eq!(held[1].in_flight_until, Some(world.now + secs(15)));
    world.answer(Outcome::Delivered);
    assert!(world.delivered.is_empty() && world.delivery.is_idle());
}

#[test]
fn a_hanging_request_from_before_an_outage_does_not_hold_up_the_load_that_comes_back() {
    let mut world = World::new(stream());
    world.events(9);
    for _ in 0..5 {
        world.answer_nth(1, FAILED);
    }
    assert_eq!(world.delivery.breaker_state(), BreakerState::Open);
    let hanging = world.under_way().len();
    assert!(hanging >= 1);
    world.wait(ms(1_300));
    world.events(4);
    assert_eq!(world.under_way().len(), hanging + 1, "the probe");
    world.answer_nth(hanging, Outcome::Delivered);
    assert_eq!(world.under_way().len(), hanging + 1, "the first of the ramp");
}

#[test]
fn a_stream_made_of_a_batch_endpoint_sends_what_waits_one_by_one() {
    let mut world = World::new(batch(3));
    world.events(3);
    world.answer(FAILED);
    world.settings(Settings { version: 2, ..stream() });
    world.wait(ms(121));
    assert_eq!(world.under_way(), [[0], [1], [2]]);
}

#[test]
fn answers_are_settled_together() {
    let mut world = World::new(stream());
    world.events(4);
    let attempts: Vec<_> = world.sent.drain(..).collect();
    for (attempt, _) in attempts {
        world.delivery.handle_outcome(attempt, Outcome::Delivered, Default::default(), world.now);
    }
    let effect = world.delivery.poll_effect();
    let Some(Effect::Settle { receipts, .. }) = effect else { panic!("not {effect:?}") };
    assert_eq!(receipts.len(), 4);
    Receipt::settle_all(receipts, crate::model::receipt::Settlement::Delivered);
}

#[test]
fn an_answer_nobody_waits_for_changes_nothing() {
    let mut world = World::new(stream());
    world.events(1);
    let (attempt, _) = world.sent[0];
    world.answer(Outcome::Delivered);
    world.delivery.handle_outcome(attempt, Outcome::Delivered, Default::default(), world.now);
    world.delivery.handle_outcome(AttemptId(u64::MAX), Outcome::Gone, Default::default(), world.now);
    world.poll();
    assert_eq!((world.delivered.len(), world.changes.len()), (1, 0));
}
