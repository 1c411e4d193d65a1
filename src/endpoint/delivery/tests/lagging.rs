//! ○ Endpoints that cannot keep up.

use super::*;

/// One request at a time, answered after a second each.
fn slow(events: usize) -> World {
    let mut settings = stream();
    settings.delivery.in_flight_max = 1;
    let mut world = World::new(settings);
    world.events(events);
    world
}

fn answer_each_second(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.wait(secs(1));
        world.answer(Outcome::Delivered);
    }
}

#[test]
fn a_burst_that_an_endpoint_takes_within_park_after_stays_in_memory() {
    let mut world = slow(5);
    answer_each_second(&mut world, 5);
    assert_eq!((world.delivered.len(), world.parked.len()), (5, 0));
    assert!(!world.delivery.is_lagging());
}

#[test]
fn an_endpoint_whose_events_wait_for_it_longer_than_park_after_is_lagging() {
    let mut world = slow(21);
    answer_each_second(&mut world, 4);
    assert!(world.parked.is_empty() && !world.delivery.is_lagging());
    answer_each_second(&mut world, 1);
    assert!(world.delivery.is_lagging());
    assert_eq!(world.parked_offsets(), (5..21).collect::<Vec<_>>());
}

#[test]
fn what_comes_for_a_lagging_endpoint_is_parked_at_once_until_its_backlog_is_gone() {
    let mut world = slow(21);
    world.wait(secs(5));
    let parked = world.parked.len();
    let next = world.events(2);
    assert_eq!(world.parked_offsets()[parked..], [next, next + 1]);
    world.stored(1, 0);
    world.answer(Outcome::Delivered);
    assert_eq!(world.under_way(), [[next + 2]], "what comes from the backlog is sent");
    world.delivery.handle_backlog_rows(20, world.now);
    assert!(world.delivery.is_lagging());
    world.delivery.handle_backlog_rows(2, world.now);
    world.poll();
    let parked = world.parked.len();
    world.events(1);
    assert_eq!(world.parked.len(), parked);
}

#[test]
fn a_new_burst_has_its_own_time() {
    let mut world = slow(4);
    answer_each_second(&mut world, 4);
    world.wait(secs(60));
    world.events(5);
    answer_each_second(&mut world, 4);
    assert!(world.parked.is_empty());
}

#[test]
fn above_its_share_of_memory_an_endpoint_is_lagging_at_once() {
    let mut world = slow(6_000);
    world.wait(ms(200));
    assert!(world.delivery.is_lagging());
    assert_eq!(world.parked.len(), 5_999);
    assert!(world.parked.iter().all(|parked| parked.attempts == 0));
}

#[test]
fn far_behind_its_rate_limit_an_endpoint_is_lagging_at_once() {
    let mut world = World::new(limited(stream(), 10, 1));
    world.events(200);
    world.wait(ms(200));
    assert!(world.delivery.is_lagging());
    assert!(world.parked.len() >= 190, "{} parked", world.parked.len());
}

#[test]
fn time_in_which_the_process_stood_still_is_not_the_endpoints() {
    let mut world = slow(3);
    world.now += secs(30); // stopped by the host
    world.delivery.handle_timeout(world.now);
    world.poll();
    assert!(world.parked.is_empty());
    answer_each_second(&mut world, 3);
    assert_eq!(world.delivered.len(), 3);
}

#[test]
fn what_waits_counts_in_the_read_window_as_far_as_the_endpoint_takes_it_soon() {
    let mut world = slow(100);
    assert_eq!(world.delivery.window_events(world.now), 4, "it has answered nothing yet");
    for _ in 0..60 {
        world.wait(ms(10));
        world.answer(Outcome::Delivered);
    }
    let counted = world.delivery.window_events(world.now);
    assert_eq!(counted, 39, "100 a second, for a second: all that waits");
    world.wait(secs(4));
    assert_eq!(world.delivery.window_events(world.now), 4, "it hangs");
    world.wait(secs(1));
    assert_eq!(world.delivery.window_events(world.now), 0, "its events are in the backlog");
}
