//! ○ Events from the backlog among those from Kafka.

use std::sync::atomic::Ordering;

use super::{testing::*, *};
use crate::model::{outcome::Outcome, receipt::Settlement, settings::Schedule};

fn one_at_a_time() -> Settings {
    let mut settings = stream();
    settings.delivery.in_flight_max = 1;
    settings
}

/// For each of the next requests, true if it is of the backlog.
fn next_are_stored(world: &mut World, first_stored: i64, count: usize) -> Vec<bool> {
    (0..count).map(|_| world.answer(Outcome::Delivered)[0] >= first_stored).collect()
}

#[test]
fn every_fifth_batch_is_of_the_backlog_while_both_have_some() {
    let mut world = World::new(one_at_a_time());
    world.events(20);
    let first = world.stored(20, 0);
    let turns = next_are_stored(&mut world, first, 15);
    assert_eq!(turns.iter().filter(|stored| **stored).count(), 3, "{turns:?}");
}

#[test]
fn the_backlog_gets_everything_while_nothing_else_comes() {
    let mut world = World::new(one_at_a_time());
    let first = world.stored(5, 0);
    assert!(next_are_stored(&mut world, first, 5).iter().all(|stored| *stored));
    assert!(world.delivery.is_idle());
}

#[test]
fn what_is_stored_shares_no_batch_with_what_is_not() {
    let mut world = World::new(batch(10));
    world.events(5);
    world.stored(5, 0);
    world.wait(secs(1));
    assert_eq!(world.under_way(), [vec![0, 1, 2, 3, 4], vec![5, 6, 7, 8, 9]]);
}

#[test]
fn attempts_from_before_count_and_the_last_one_is_the_last() {
    let mut world = World::new(one_at_a_time());
    let first = world.stored(1, 3);
    world.answer(FAILED);
    assert_eq!(world.given_up_offsets(), [(first, Reason::Exhausted)]);
    assert_eq!(world.given_up[0].attempts, 4);
}

#[test]
fn an_open_breaker_sends_what_is_stored_back_untouched() {
    let mut world = World::new(stream());
    world.events(5);
    let first = world.stored(3, 2);
    for _ in 0..4 {
        world.answer(failed_for(secs(60)));
    }
    let of_backlog = world.parked.iter().filter(|parked| parked.receipt.event().offset() >= first);
    let attempts: Vec<u32> = of_backlog.map(|parked| parked.attempts).collect();
    assert_eq!(attempts, [2, 2, 2], "no attempt was used up");
}

#[test]
fn a_failed_probe_uses_up_no_attempt() {
    let mut world = World::new(stream());
    world.events(5);
    while world.delivery.breaker_state() == BreakerState::Closed {
        world.answer(FAILED);
    }
    while !world.sent.is_empty() {
        world.answer(FAILED);
    }
    world.wait(secs(2));
    let first = world.stored(1, 3);
    world.wait(secs(1));
    let probes = world.under_way();
    assert_eq!(probes.len(), 1, "one probe");
    world.answer(FAILED);
    assert!(
        world.given_up.is_empty(),
        "the last attempt is not used up by a probe: {:?} {first}",
        world.given_up_offsets()
    );
}

#[test]
fn an_attempt_that_hangs_is_not_stored_twice() {
    let mut world = World::new(one_at_a_time());
    world.stored(1, 0);
    world.wait(PARK_AFTER + secs(1));
    assert!(world.parked.is_empty(), "its row is there already");
    world.answer(Outcome::Delivered);
    assert!(world.unparked.is_empty());
    assert!(world.delivery.is_idle());
}

#[test]
fn a_stop_leaves_the_backlog_alone() {
    let mut world = World::new(one_at_a_time());
    world.stored(3, 0);
    world.delivery.handle_stop(world.now);
    world.poll();
    assert_eq!(world.parked_offsets(), [1, 2]);
    world.answer(Outcome::Delivered);
    assert!(world.sent.is_empty() && world.delivery.is_idle());
}

#[test]
fn an_attempt_that_was_under_way_when_its_rows_were_to_be_read_anew_counts_and_says_when_the_next_one_is_due() {
    let mut settings = stream();
    settings.delivery.retry.schedule = Schedule::Explicit(vec![secs(2)]);
    let mut world = World::new(settings);
    world.stored(1, 1);
    let backlog = Arc::clone(world.backlog.as_ref().expect("a backlog"));
    backlog.owned.store(true, Ordering::Relaxed);
    backlog.current.store(false, Ordering::Relaxed);
    world.answer(FAILED);
    let parked = world.parked.pop().expect("it is written down");
    assert_eq!(parked.attempts, 2);
    assert!(parked.not_before.is_some_and(|at| at >= world.now + ms(1_600)), "{parked:?}");
    parked.receipt.settle(Settlement::Backlogged);
    backlog.owned.store(false, Ordering::Relaxed);
}
