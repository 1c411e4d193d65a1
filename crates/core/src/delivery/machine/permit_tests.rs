//! ○ Permits of the core: waiting for one is our fault or the customer's own, and the machine knows which.

use super::{testing::*, *};
use crate::model::outcome::Outcome;

/// No more than these may begin.
fn permits(world: &mut World, free: usize, has_share: bool) {
    world.delivery.handle_permits(Permits { free, has_share, ends_turn: false });
    world.delivery.handle_timeout(world.now);
    world.poll();
}

#[test]
fn no_more_begins_than_there_are_permits() {
    let mut world = World::new(stream());
    permits(&mut world, 2, false);
    world.events(3);
    assert_eq!(world.under_way(), [[0], [1]]);
    assert!(world.delivery.wants_permit());
    permits(&mut world, 1, false);
    assert_eq!(world.under_way(), [[0], [1], [2]]);
    assert!(!world.delivery.wants_permit(), "nothing is left to be sent");
}

#[test]
fn what_waits_for_our_permit_is_never_parked_and_counts_in_the_read_window() {
    let mut world = World::new(stream());
    permits(&mut world, 0, false);
    world.events(10);
    world.wait(20 * PARK_AFTER);
    assert!(world.parked.is_empty() && !world.delivery.is_lagging());
    assert_eq!(world.delivery.window_events(world.now), 10);
    permits(&mut world, 4, false);
    assert_eq!(world.under_way(), [[0], [1], [2], [3]]);
    world.wait(PARK_AFTER - ms(1));
    assert!(world.parked.is_empty(), "only now does it wait for its endpoint");
    world.wait(ms(200));
    assert_eq!(world.parked.len(), 10, "which does not answer");
}

#[test]
fn an_endpoint_that_is_slower_than_what_comes_lags_however_many_turns_its_requests_take() {
    let mut world = World::new(stream());
    world.events(1_000);
    let turn = |world: &mut World| {
        world.delivery.handle_permits(Permits { free: 2, has_share: false, ends_turn: true });
        world.delivery.handle_timeout(world.now);
        world.poll();
    };
    for _ in 0..53 {
        (0..world.sent.len()).for_each(|_| drop(world.answer(Outcome::Delivered)));
        (0..3).for_each(|_| turn(&mut world));
        assert!(world.sent.len() == 4 || world.delivery.is_lagging());
        world.wait(ms(100));
    }
    assert!(world.delivery.is_lagging() && world.parked_offsets().contains(&999));
}

#[test]
fn what_waits_for_the_next_turn_counts_in_the_read_window() {
    let mut world = World::new(stream());
    world.delivery.handle_permits(Permits { free: 2, has_share: false, ends_turn: true });
    world.events(3);
    assert_eq!((world.sent.len(), world.delivery.window_events(world.now)), (2, 1));
}

#[test]
fn a_turn_that_comes_late_is_no_wait_for_the_endpoint() {
    let mut world = World::new(stream());
    world.events(1_000);
    world.wait(ms(100));
    for _ in 0..60 {
        world.delivery.handle_permits(Permits { free: 2, has_share: false, ends_turn: true });
        (0..world.sent.len()).for_each(|_| drop(world.answer(Outcome::Delivered)));
        assert!(!world.delivery.wants_permit() || world.sent.len() == 2);
        world.wait(ms(100));
    }
    assert!(!world.delivery.is_lagging() && world.parked.is_empty());
}

#[test]
fn what_waited_for_our_permit_gets_that_time_again_and_no_more() {
    let mut world = World::new(stream());
    world.events(1);
    world.wait(secs(3));
    permits(&mut world, 0, false);
    world.answer(FAILED);
    world.wait(secs(1));
    permits(&mut world, 1, false);
    assert_eq!(world.under_way(), [[0]]);
    world.wait(ms(900));
    assert!(world.parked.is_empty());
    world.wait(ms(1_200));
    assert_eq!(world.parked_offsets(), [0]);
}

#[test]
fn a_retry_that_is_due_and_waits_for_our_permit_is_not_parked() {
    let mut world = World::new(stream());
    world.events(1);
    permits(&mut world, 0, false);
    world.answer(FAILED);
    world.wait(20 * PARK_AFTER);
    assert!(world.parked.is_empty());
    permits(&mut world, 1, false);
    assert_eq!(world.under_way(), [[0]]);
    world.answer(Outcome::Delivered);
    assert_eq!(world.delivered, [0]);
}

#[test]
fn a_customer_that_has_its_share_waits_by_its_own_doing() {
    let mut world = World::new(stream());
    permits(&mut world, 1, true);
    world.events(10);
    assert_eq!(world.under_way(), [[0]]);
    assert!(world.delivery.window_events(world.now) < 9, "nobody else's reading waits for it");
    world.wait(PARK_AFTER + ms(200));
    assert_eq!(world.parked.len(), 10, "the hanging one and all behind it");
    assert!(world.delivery.is_lagging());
}

#[test]
fn a_permit_that_is_not_needed_is_not_asked_for() {
    let mut world = World::new(limited(stream(), 1, 1));
    world.events(3);
    permits(&mut world, 0, false);
    assert_eq!(world.under_way(), [[0]]);
    world.answer(Outcome::Delivered);
    assert!(world.delivery.wants_permit(), "only the limit itself knows when it lets through more");
    permits(&mut world, 1, false);
    assert_eq!((world.under_way().len(), world.delivery.wants_permit()), (0, false));
}

#[test]
fn an_endpoint_that_takes_nothing_is_stalled_until_its_first_answer() {
    let mut world = World::new(stream());
    world.events(1);
    world.wait(PARK_AFTER - ms(1));
    assert!(!world.delivery.is_stalled());
    world.wait(ms(1));
    assert!(world.delivery.is_stalled(), "its request hangs");
    world.answer(Outcome::Delivered);
    assert!(!world.delivery.is_stalled());
    permits(&mut world, 0, true);
    world.wait(PARK_AFTER);
    assert!(!world.delivery.is_stalled(), "nothing came");
    world.stored(5, 0);
    assert!(world.delivery.is_stalled(), "its customer has its share");
}

#[test]
fn an_endpoint_has_not_caught_up_while_what_it_parked_has_no_rows_yet() {
    let mut world = World::new(stream());
    permits(&mut world, 1, true);
    world.events(1_000);
    world.wait(PARK_AFTER + ms(200));
    world.rows_wait(3);
    assert!(world.delivery.is_lagging(), "three of a thousand have their rows");
    world.wait(secs(5));
    world.rows_wait(3);
    assert!(!world.delivery.is_lagging());
}
