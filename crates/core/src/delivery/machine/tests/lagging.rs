//! ○ Endpoints that cannot keep up.

use std::{collections::VecDeque, time::Duration};

use super::*;
use crate::model::{
    parking::RowCount,
    settings::{OnFailure, OrderBy, Ordering},
};

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
    let mut world = slow(4);
    answer_each_second(&mut world, 4);
    assert_eq!((world.delivered.len(), world.parked.len()), (4, 0));
    assert!(!world.delivery.is_lagging());
}

#[test]
fn an_endpoint_whose_events_wait_for_it_longer_than_park_after_is_lagging() {
    let mut world = slow(21);
    answer_each_second(&mut world, 4);
    assert!(world.parked.is_empty() && !world.delivery.is_lagging());
    answer_each_second(&mut world, 1);
    assert!(world.delivery.is_lagging());
    assert_eq!(world.parked_offsets(), (5..21).chain([4]).collect::<Vec<_>>(), "the last is under way");
}

#[test]
fn what_waited_for_its_endpoint_before_it_was_sent_holds_its_commit_up_no_longer_than_others() {
    let mut world = slow(2);
    world.wait(secs(3));
    world.answer(Outcome::Delivered);
    assert_eq!(world.under_way(), [[1]], "sent after three seconds");
    world.wait(secs(2));
    assert_eq!(world.parked_offsets(), [1]);
    assert!(world.parked[0].in_flight_until.is_some(), "its attempt goes on");
}

#[test]
fn an_attempt_has_its_time_however_long_its_event_waited_for_the_endpoint() {
    let mut world = slow(2);
    world.wait(ms(4_900));
    world.answer(Outcome::Delivered);
    world.wait(ms(900));
    assert!(world.parked.is_empty());
    world.wait(ms(300));
    assert_eq!(world.parked_offsets(), [1]);
}

#[test]
fn of_its_backlog_a_lagging_endpoint_has_in_memory_what_it_takes_soon() {
    let mut world = slow(100);
    assert_eq!(world.delivery.stored_wanted_events(world.now), 2, "two rounds of its one request");
    for _ in 0..60 {
        world.wait(ms(10));
        world.answer(Outcome::Delivered);
    }
    let wanted = world.delivery.stored_wanted_events(world.now);
    assert!((200..=260).contains(&wanted), "{wanted}: 100 a second, for two and a half");
    world.answer(FAILED);
    assert_eq!(
        world.delivery.stored_wanted_events(world.now),
        wanted + 1,
        "what waits for another attempt takes no room"
    );
    world.wait(secs(60));
    assert_eq!(world.delivery.stored_wanted_events(world.now), 2, "it hangs");
}

#[test]
fn in_order_any_stored_event_may_be_the_one_that_the_others_wait_for() {
    let mut settings = stream();
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Key, on_failure: OnFailure::Block });
    let world = World::new(settings);
    assert_eq!(world.delivery.stored_wanted_events(world.now), usize::MAX);
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
    world.rows_wait(20);
    assert!(world.delivery.is_lagging());
    world.rows_wait(2);
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

#[test]
fn a_flood_counts_in_the_read_window_before_anybody_knows_what_the_endpoint_takes() {
    let mut world = slow(0);
    while world.delivery.queued_bytes() < ENDPOINT_BYTES_MAX / 2 {
        world.events(100);
    }
    let unsent = world.delivery.queued_events();
    assert_eq!(world.delivery.window_events(world.now), unsent, "reading goes no further than that");
    world.now = world.delivery.poll_timeout().expect("it looks again by itself");
    world.delivery.handle_timeout(world.now);
    assert_eq!(world.delivery.window_events(world.now), 4, "it takes nothing, so nobody waits for it");
}

/// Events come 300 a second, are parked, and come back that much later; the endpoint answers up to so many every 10 ms. Returns
/// the number of events that were parked in the last second.
fn through_a_backlog(world: &mut World, way: Duration, answers: usize, seconds: u64) -> usize {
    const TICK: Duration = ms(10);
    let mut on_their_way = VecDeque::new();
    let (before, ticks) = (world.delivered.len(), seconds * 100);
    let (mut parked, mut parked_then) = (world.parked.len(), 0);
    for tick in 0..ticks {
        world.events(3);
        on_their_way.push_back((world.now + way, world.parked.len() - parked));
        parked = world.parked.len();
        while let Some((_, rows)) = on_their_way.pop_front_if(|(at, _)| *at <= world.now) {
            world.stored(rows, 0);
        }
        (0..answers.min(world.sent.len())).for_each(|_| drop(world.answer(Outcome::Delivered)));
        let rows = (parked + before).saturating_sub(world.delivered.len());
        world.rows_wait(rows as u64);
        world.poll();
        if tick == ticks - 100 {
            parked_then = parked;
        }
        world.wait(TICK);
    }
    world.parked.len() - parked_then
}

fn lagging() -> World {
    let mut world = World::new(stream());
    world.events(21);
    world.wait(secs(6));
    assert!(world.delivery.is_lagging());
    world
}

#[test]
fn the_way_through_the_backlog_does_not_keep_an_endpoint_there_that_takes_all_at_once() {
    let mut world = lagging();
    assert_eq!(through_a_backlog(&mut world, ms(2_000), 100, 20), 0);
    assert!(!world.delivery.is_lagging());
}

#[test]
fn an_endpoint_whose_backlog_is_gone_at_once_stops_lagging_though_that_is_told_once() {
    let mut world = World::new(stream());
    world.events(200);
    world.wait(secs(6));
    assert!(world.delivery.is_lagging());
    world.rows_wait(0);
    world.poll();
    assert!(world.delivery.is_lagging(), "what left a moment ago may have no rows yet");
    world.wait(PARK_AFTER + ms(200));
    assert!(!world.delivery.is_lagging());
}

#[test]
fn a_count_of_rows_from_before_the_newest_parking_says_nothing() {
    let mut world = World::new(stream());
    world.events(200);
    world.wait(secs(6));
    let counted_at = world.now;
    world.rows_wait(0);
    world.poll();
    world.wait(ms(100));
    world.events(1);
    world.wait(PARK_AFTER + secs(1));
    assert!(world.delivery.is_lagging(), "what was told before they were parked is not looked at again");
    world.delivery.handle_backlog_rows(RowCount { rows: 0, counted_at }, world.now);
    assert!(world.delivery.is_lagging(), "nor does it count when it comes late");
    world.rows_wait(0);
    assert!(!world.delivery.is_lagging(), "they have had their rows");
}

#[test]
fn an_endpoint_with_many_rows_is_not_looked_at_again_before_there_is_news() {
    let mut world = World::new(stream());
    world.events(200);
    world.wait(secs(6));
    world.rows_wait(0);
    world.rows_wait(500);
    world.poll();
    world.wait(secs(60));
    assert!(world.delivery.is_lagging());
}

#[test]
fn an_endpoint_that_takes_less_than_comes_stays_in_the_backlog() {
    let mut world = lagging();
    assert!(through_a_backlog(&mut world, ms(2_000), 1, 20) >= 297);
    assert!(world.delivery.is_lagging());
}
