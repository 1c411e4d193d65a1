//! ○ Events that failed with others are tried alone; memory of failures.

use super::{testing::*, *};
use crate::model::{
    outcome::{AttemptNote, Outcome},
    settings::{OnFailure, OrderBy, Ordering, Retry, Schedule},
};

/// Sends a batch of 20 to an endpoint that fails every request with the event 7 in it; returns how many it got.
fn poison(world: &mut World) -> usize {
    let mut requests = 0;
    world.events(20);
    for _ in 0..1_000 {
        if world.sent.is_empty() {
            world.wait(ms(50));
            continue;
        }
        requests += 1;
        let has_it = world.sent[0].1.contains(&7);
        world.answer(if has_it { FAILED } else { Outcome::Delivered });
    }
    requests
}

fn patient(attempts_max: Option<u32>) -> Settings {
    let mut settings = batch(20);
    settings.delivery.retry = Retry { attempts_max, schedule: Schedule::Explicit(vec![ms(50)]) };
    settings.delivery.breaker.consecutive_failures = 1_000;
    settings.delivery.breaker.requests_min = 1_000;
    settings
}

#[test]
fn nothing_is_given_up_before_it_was_tried_alone() {
    for (attempts_max, requests_max) in [(1, 21), (2, 21), (3, 22), (12, 32)] {
        let mut world = World::new(patient(Some(attempts_max)));
        let requests = poison(&mut world);
        assert_eq!(world.given_up_offsets(), [(7, Reason::Exhausted)], "of at most {attempts_max} attempts");
        assert!(requests <= requests_max, "{requests} requests for at most {attempts_max} attempts");
        assert_eq!((world.delivered.len(), world.parked.len()), (19, 0));
    }
}

#[test]
fn an_event_that_fails_its_batch_costs_the_others_five_attempts_and_itself_none_of_its_time() {
    let mut world = World::new(patient(None));
    poison(&mut world);
    world.wait(PARK_AFTER);
    assert_eq!((world.delivered.len(), world.given_up.len()), (19, 0));
    assert_eq!(world.parked_offsets(), [7], "age alone ends its attempts");
}

#[test]
fn events_that_failed_before_come_out_of_the_backlog_alone() {
    let mut world = World::new(patient(None));
    world.stored(3, 9);
    world.wait(secs(1));
    assert_eq!(world.under_way(), [[0], [1], [2]]);
}

#[test]
fn what_failed_with_others_of_its_lane_goes_back_behind_the_first_of_them() {
    let mut settings = patient(Some(3));
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Partition, on_failure: OnFailure::DeadLetter });
    let mut world = World::new(settings);
    poison(&mut world);
    assert_eq!(world.given_up_offsets(), [(7, Reason::Exhausted)]);
    assert_eq!(world.delivered, (0..20).filter(|offset| *offset != 7).collect::<Vec<_>>(), "in their order");
}

#[test]
fn what_goes_back_behind_the_first_keeps_its_attempts() {
    let mut settings = patient(Some(3));
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Partition, on_failure: OnFailure::DeadLetter });
    let mut world = World::new(settings.clone());
    world.events(20);
    let mut requests = 0;
    while world.given_up.len() < 20 {
        if world.sent.is_empty() {
            world.wait(ms(50));
            continue;
        }
        requests += usize::from(world.answer(FAILED).contains(&19));
        assert!(requests <= 3, "the last of them is sent as often as the first");
    }
    assert!(world.given_up.iter().all(|given_up| given_up.attempts == 3));

    settings.delivery.retry.schedule = Schedule::Explicit(vec![ms(50), secs(60)]);
    settings.delivery.retry.attempts_max = Some(4);
    let mut world = World::new(settings);
    world.events(20);
    while world.parked.is_empty() {
        match world.sent.is_empty() {
            true => world.wait(ms(50)),
            false => drop(world.answer(FAILED)),
        }
    }
    assert_eq!(world.parked.len(), 20);
    let attempts: Vec<_> = world.parked.iter().map(|parked| parked.attempts).collect();
    assert!(attempts.iter().all(|attempts| *attempts >= 2), "{attempts:?}");
}

#[test]
fn failures_add_up_although_the_machine_retires_between_them() {
    let settings = Arc::new(stream());
    let now = Instant::now();
    let limits = DeliveryLimits { park_after: PARK_AFTER, endpoint_bytes_max: 1 << 20, wait_target: ms(500) };
    let new = |seed| Delivery::new(Arc::clone(&settings), limits, seed, now);
    let mut delivery = new(0);
    let source = TestSource::new();
    for failures in 1..=5 {
        assert_eq!(delivery.breaker_state(), BreakerState::Closed, "{failures}");
        delivery.handle_events(vec![receipt(&source, failures, now)], now);
        let Some(Effect::Send(attempt)) = delivery.poll_effect() else { panic!("it is sent") };
        delivery.handle_outcome(attempt, FAILED, AttemptNote::default(), now);
        for parked in delivery.take_held() {
            parked.receipt.settle(crate::model::receipt::Settlement::Backlogged);
        }
        let remembered = delivery.remember().expect("it failed");
        delivery = new(failures as u64).remembering(remembered, now);
    }
    assert_eq!(delivery.breaker_state(), BreakerState::Open);
    let mut newer = stream();
    newer.version += 1;
    let remembered = delivery.remember().expect("it is open");
    let delivery = Delivery::new(Arc::new(newer), limits, 9, now).remembering(remembered, now);
    assert_eq!(delivery.breaker_state(), BreakerState::HalfOpen, "other settings are worth a probe");
    assert!(new(9).remember().is_none(), "of an endpoint that never failed there is nothing to remember");
}

/// Days in virtual time, with the default waits: whenever it is parked, it comes out of the backlog once it is due.
#[test]
fn a_quiet_endpoint_that_is_down_for_two_days_loses_nothing() {
    let mut settings = stream();
    settings.delivery.retry =
        Retry { attempts_max: None, schedule: Schedule::Exponential { base: ms(500), max: secs(3_600) } };
    let mut world = World::new(settings);
    let up_again = world.now + secs(2 * 86_400);
    world.events(1);
    let mut attempts = 0;
    while world.now < up_again {
        if !world.sent.is_empty() {
            attempts += 1;
            world.answer(FAILED);
        }
        let Some(parked) = world.parked.pop() else {
            world.wait(secs(1));
            continue;
        };
        let used_up = parked.attempts;
        let silent = world.delivery.silent_until(world.now);
        let due = parked.not_before.max(silent).unwrap_or(world.now + secs(1));
        parked.receipt.settle(crate::model::receipt::Settlement::Backlogged);
        world.wait(due.saturating_duration_since(world.now) + ms(1));
        world.stored(1, used_up);
    }
    assert!(attempts > 40, "{attempts} attempts");
    assert!(world.given_up.is_empty(), "{:?}", world.given_up_offsets());
    while world.delivered.is_empty() {
        if world.sent.is_empty() {
            world.wait(secs(60));
            if let Some(parked) = world.parked.pop() {
                let used_up = parked.attempts;
                parked.receipt.settle(crate::model::receipt::Settlement::Backlogged);
                world.stored(1, used_up);
            }
        } else {
            world.answer(Outcome::Delivered);
        }
    }
    assert_eq!(world.delivered.len(), 1, "it is delivered on its return");
}

#[test]
fn one_event_that_is_refused_again_and_again_is_not_three_events() {
    let mut world = World::new(stream());
    let again = |world: &mut World| {
        let receipt = receipt(&world.source, 77, world.now);
        world.delivery.handle_events(vec![receipt], world.now);
        world.poll();
        world.answer(Outcome::Rejected);
    };
    for refused in 1..=4 {
        again(&mut world);
        assert_eq!(world.given_up.len(), refused, "it is given up each time");
    }
    for _ in 0..2 {
        world.events(1);
        world.answer(Outcome::Rejected);
    }
    assert_eq!(world.given_up.len(), 6);
    world.events(1);
    world.answer(Outcome::Rejected);
    assert_eq!(world.given_up.len(), 6, "a fourth one is the endpoint's fault");
}

#[test]
fn the_next_attempt_is_due_when_the_endpoints_silence_is_over() {
    let mut world = World::new(stream());
    world.events(1);
    let (attempt, _) = world.sent.remove(0);
    let until = world.now + secs(1_800);
    let next = world.delivery.handle_outcome(attempt, failed_for(secs(1_800)), AttemptNote::default(), world.now);
    assert_eq!(next, Next::Backlog { at: Some(until) });
}
