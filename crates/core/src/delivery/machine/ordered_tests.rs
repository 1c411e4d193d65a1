//! ○ An ordered endpoint: one lane after the other, in memory and through the backlog.

use super::{testing::*, *};
use crate::model::{
    outcome::Outcome,
    parking::KeyNumber,
    settings::{Mode, OnFailure, OrderBy, Ordering, Schedule},
};

fn ordered(on_failure: OnFailure) -> Settings {
    let mut settings = stream();
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Partition, on_failure });
    settings
}

#[test]
fn a_lane_sends_one_after_the_other() {
    let mut world = World::new(ordered(OnFailure::Block));
    world.events(3);
    assert_eq!(world.under_way(), [[0]]);
    world.answer(Outcome::Delivered);
    assert_eq!(world.under_way(), [[1]]);
}

#[test]
fn a_failing_event_holds_its_lane_and_is_tried_again_first() {
    let mut world = World::new(ordered(OnFailure::Block));
    world.events(3);
    world.answer(FAILED);
    assert!(world.sent.is_empty());
    world.wait(ms(150));
    assert_eq!(world.under_way(), [[0]]);
}

#[test]
fn a_lane_that_blocks_gives_nothing_up_however_often_it_is_refused() {
    let mut world = World::new(ordered(OnFailure::Block));
    world.events(1);
    for _ in 0..10 {
        if world.sent.is_empty() {
            world.wait(ms(200));
        }
        if world.sent.is_empty() {
            break;
        }
        world.answer(Outcome::Rejected);
    }
    world.wait(secs(10));
    assert!(world.given_up.is_empty());
    assert_eq!(world.parked_offsets(), [0]);
}

#[test]
fn a_lane_may_go_on_without_an_event_that_is_refused() {
    let mut world = World::new(ordered(OnFailure::DeadLetter));
    world.events(2);
    world.answer(Outcome::Rejected);
    assert_eq!(world.given_up_offsets(), [(0, Reason::Rejected)]);
    assert_eq!(world.under_way(), [[1]]);
}

#[test]
fn when_one_is_parked_the_rest_of_its_partition_follows_with_what_is_under_way() {
    let mut world = World::new(ordered(OnFailure::Block));
    world.events(3);
    world.wait(PARK_AFTER + ms(200));
    assert_eq!(world.parked_offsets().iter().copied().collect::<std::collections::BTreeSet<_>>(), [0, 1, 2].into());
    assert!(world.parked.iter().any(|parked| parked.in_flight_until.is_some()), "the first is under way");
    world.answer(Outcome::Delivered);
    assert_eq!(world.unparked, [0]);
    assert!(world.sent.is_empty(), "the others wait for their rows' turn");
}

#[test]
fn what_comes_while_much_waits_goes_to_the_backlog_behind_it() {
    let mut world = World::new(ordered(OnFailure::Block));
    world.source.ahead.store(5_000, std::sync::atomic::Ordering::Relaxed);
    world.events(2);
    assert_eq!(world.parked_offsets(), [0, 1]);
    assert!(world.sent.is_empty());
}

#[test]
fn what_comes_while_little_waits_is_held_until_that_is_gone() {
    let mut world = World::new(ordered(OnFailure::Block));
    world.source.ahead.store(3, std::sync::atomic::Ordering::Relaxed);
    world.events(2);
    assert!(world.sent.is_empty() && world.parked.is_empty());
    world.source.ahead.store(0, std::sync::atomic::Ordering::Relaxed);
    world.delivery.handle_timeout(world.now);
    world.poll();
    assert_eq!(world.under_way(), [[0]]);
    world.events(1);
    world.answer(Outcome::Delivered);
    world.answer(Outcome::Delivered);
    assert_eq!(world.under_way(), [[2]]);
}

#[test]
fn what_comes_before_it_is_known_what_waits_is_held_for_a_moment() {
    let mut world = World::new(ordered(OnFailure::Block));
    let ahead = |world: &World, rows: u64| world.source.ahead.store(rows, std::sync::atomic::Ordering::Relaxed);
    ahead(&world, AHEAD_UNKNOWN);
    world.events(2);
    assert!(world.sent.is_empty() && world.parked.is_empty(), "an assignment costs no rows");
    ahead(&world, 0);
    world.delivery.handle_timeout(world.now);
    world.poll();
    assert_eq!(world.under_way(), [[0]]);

    let mut world = World::new(ordered(OnFailure::Block));
    ahead(&world, AHEAD_UNKNOWN);
    world.events(2);
    ahead(&world, 5_000);
    world.delivery.handle_timeout(world.now);
    world.poll();
    assert_eq!(world.parked_offsets(), [0, 1], "much waits: they join it");

    let mut world = World::new(ordered(OnFailure::Block));
    ahead(&world, AHEAD_UNKNOWN);
    world.events(2);
    world.wait(PARK_AFTER + ms(200));
    assert_eq!(world.parked_offsets(), [0, 1], "the table cannot be read");
}

#[test]
fn a_batch_that_fills_takes_nothing_off_the_wait_of_those_behind() {
    let mut settings = ordered(OnFailure::Block);
    settings.delivery.mode = Mode::Batch { events_max: 10, bytes_max: 10_000, wait: secs(1) };
    let mut world = World::new(settings);
    world.source.ahead.store(3, std::sync::atomic::Ordering::Relaxed);
    world.events(1);
    // The rows before it come one by one.
    for _ in 0..4 {
        world.stored(1, 0);
        world.wait(secs(1));
        world.answer(Outcome::Delivered);
        world.wait(ms(300));
    }
    assert_eq!(world.parked_offsets(), [0]);
}

#[test]
fn a_batch_that_fills_takes_nothing_off_the_wait_of_those_whose_lane_is_busy() {
    let mut settings = ordered(OnFailure::Block);
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Key, on_failure: OnFailure::Block });
    settings.delivery.mode = Mode::Batch { events_max: 10, bytes_max: 1 << 20, wait: secs(1) };
    let mut world = World::new(settings);
    let events = |world: &mut World, offsets: std::ops::Range<i64>, key: &str| {
        let (source, now) = (Arc::clone(&world.source), world.now);
        world.delivery.handle_events(offsets.map(|offset| keyed(&source, offset, key, now)).collect(), now);
        world.poll();
    };
    events(&mut world, 0..100, "a");
    for tenth in 1..=53 {
        if tenth % 3 == 0 {
            events(&mut world, 1_000 + tenth..1_001 + tenth, "b");
        }
        world.wait(ms(100));
        if tenth % 10 == 0 {
            (0..world.sent.len()).for_each(|_| drop(world.answer(Outcome::Delivered)));
        }
    }
    assert!(world.delivery.is_lagging());
    assert!(world.parked_offsets().contains(&99));
}

#[test]
fn what_is_held_too_long_behind_others_is_parked() {
    let mut world = World::new(ordered(OnFailure::Block));
    world.source.ahead.store(3, std::sync::atomic::Ordering::Relaxed);
    world.events(2);
    world.wait(PARK_AFTER + ms(200));
    assert_eq!(world.parked_offsets(), [0, 1]);
}

#[test]
fn a_stored_event_that_fails_for_long_sends_back_all_that_were_read_with_it() {
    let mut world = World::new(ordered(OnFailure::Block));
    let first = world.stored(3, 0);
    assert_eq!(world.under_way(), [[first]]);
    world.answer(failed_for(secs(60)));
    assert_eq!(world.parked_offsets().iter().copied().collect::<std::collections::BTreeSet<_>>(), [0, 1, 2].into());
    assert!(world.delivery.is_idle());
}

#[test]
fn what_stands_behind_an_event_that_waits_long_for_its_next_attempt_is_not_sent_before_it() {
    let mut settings = ordered(OnFailure::Block);
    settings.delivery.retry.schedule = Schedule::Explicit(vec![secs(60)]);
    let mut world = World::new(settings);
    world.events(3);
    world.answer(FAILED);
    assert!(world.sent.is_empty(), "{:?}", world.under_way());
    assert_eq!(world.parked_offsets(), [0, 1, 2], "the endpoint itself could go on: it has failed once");
}

#[test]
fn an_event_that_leaves_memory_takes_the_rest_of_its_partition_along_and_no_other() {
    let mut world = World::new(ordered(OnFailure::Block));
    world.events(3);
    let other = TestSource::new();
    world.delivery.handle_events(vec![receipt(&other, 77, world.now)], world.now);
    world.poll();
    assert_eq!(world.under_way(), [[0], [77]]);
    world.answer(failed_for(secs(60)));
    assert_eq!(world.parked_offsets(), [0, 1, 2], "before anything behind it is sent");
    world.answer(Outcome::Delivered);
    assert_eq!(world.delivered, [77]);
    assert!(world.delivery.is_idle());
}

#[test]
fn by_key_an_event_that_leaves_memory_takes_its_key_along_and_what_comes_of_others_is_sent() {
    let mut settings = ordered(OnFailure::Block);
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Key, on_failure: OnFailure::Block });
    settings.delivery.retry.schedule = Schedule::Explicit(vec![secs(60)]);
    let mut world = World::new(settings);
    let events = |world: &mut World, events: &[(i64, &str)]| {
        let (source, now) = (Arc::clone(&world.source), world.now);
        world.delivery.handle_events(events.iter().map(|(n, key)| keyed(&source, *n, key, now)).collect(), now);
        world.poll();
    };
    events(&mut world, &[(0, "bad"), (1, "good"), (2, "bad"), (3, "good")]);
    assert_eq!(world.under_way(), [[0], [1]]);
    world.answer(FAILED);
    assert_eq!(world.parked_offsets(), [0, 2], "its key alone");
    events(&mut world, &[(4, "new"), (5, "bad"), (6, "good")]);
    (0..4).for_each(|_| drop(world.answer(Outcome::Delivered)));
    world.wait(PARK_AFTER + ms(200));
    assert_eq!((world.delivered.len(), world.parked_offsets()), (4, vec![0, 2, 5]), "what comes of it waits behind it");
    assert!(world.delivery.is_idle());
}

#[test]
fn by_key_what_waits_behind_rows_does_not_wait_for_a_row_that_comes_after_it() {
    let mut settings = ordered(OnFailure::Block);
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Key, on_failure: OnFailure::Block });
    settings.delivery.retry.schedule = Schedule::Explicit(vec![secs(60)]);
    let mut world = World::new(settings);
    world.source.keys.lock().insert(Some(KeyNumber::of(Some(b"good"))));
    world.source.ahead.store(1, std::sync::atomic::Ordering::Relaxed);
    let now = world.now;
    let events = vec![keyed(&world.source, 90, "good", now), keyed(&world.source, 100, "bad", now)];
    world.delivery.handle_events(events, now);
    world.poll();
    assert_eq!(world.under_way(), [[100]]);
    world.answer(FAILED);
    let mut parked = world.parked_offsets();
    parked.sort_unstable();
    assert_eq!(parked, [90, 100], "the row of 100 is read only when 90 has ended or is a row itself");
}

#[test]
fn an_endpoint_that_orders_by_partition_from_now_on_gets_stored_events_in_that_order() {
    let mut settings = ordered(OnFailure::Block);
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Key, on_failure: OnFailure::Block });
    let mut world = World::new(settings);
    let [one, other] = [TestSource::stored(), TestSource::stored()];
    let now = world.now;
    world
        .delivery
        .handle_stored(vec![keyed(&one, 5, "a", now), keyed(&other, 6, "b", now), keyed(&one, 7, "a", now)], now);
    world.poll();
    assert_eq!(world.under_way(), [[5], [6]]);
    world.delivery.handle_settings(Arc::new(ordered(OnFailure::Block)), now);
    world.poll();
    assert_eq!(world.parked_offsets(), [7], "what was not sent yet is read again");
}

#[test]
fn another_order_holds_what_is_behind_those_under_way_and_those_that_wait_for_another_attempt() {
    let by = |by: OrderBy| {
        let mut settings = ordered(OnFailure::Block);
        settings.delivery.ordering = Some(Ordering { by, on_failure: OnFailure::Block });
        settings
    };
    for (before, after) in [(OrderBy::Key, OrderBy::Partition), (OrderBy::Partition, OrderBy::Key)] {
        for fails in [false, true] {
            let mut world = World::new(by(before));
            let (source, now) = (Arc::clone(&world.source), world.now);
            world.delivery.handle_events((0..3).map(|offset| keyed(&source, offset, "a", now)).collect(), now);
            world.poll();
            if fails {
                world.answer(FAILED);
            }
            world.settings(by(after));
            assert_eq!(world.under_way().len(), usize::from(!fails), "the second waits for the first");
            if fails {
                world.wait(ms(200));
            }
            let order: Vec<_> = (0..3).flat_map(|_| world.answer(Outcome::Delivered)).collect();
            assert_eq!(order, [0, 1, 2]);
            assert!(world.delivery.is_idle());
        }
    }
}

/// The attempt fails, and its endpoint becomes ordered before that or behind it.
fn fails_and_becomes_ordered(world: &mut World, nth: usize, fails_first: bool) {
    if fails_first {
        world.answer_nth(nth, FAILED);
    }
    world.settings(ordered(OnFailure::Block));
    if !fails_first {
        world.answer_nth(nth, FAILED);
    }
    world.wait(ms(200));
}

#[test]
fn of_two_that_were_sent_before_there_was_an_order_none_is_sent_beside_the_other() {
    for fails_first in [true, false] {
        let mut world = World::new(stream());
        world.events(2);
        fails_and_becomes_ordered(&mut world, 1, fails_first);
        assert_eq!((world.under_way(), world.parked_offsets()), (vec![vec![0]], vec![1, 0]));
        world.answer(Outcome::Delivered);
        assert!(world.unparked == [0] && world.delivery.is_idle());
    }
}

#[test]
fn what_was_sent_past_rows_before_there_was_an_order_goes_behind_them() {
    for fails_first in [true, false] {
        let mut world = World::new(stream());
        world.events(1);
        world.source.ahead.store(1, std::sync::atomic::Ordering::Relaxed);
        fails_and_becomes_ordered(&mut world, 0, fails_first);
        assert!(world.sent.is_empty() && world.parked_offsets() == [0] && world.delivery.is_idle());
    }
}

#[test]
fn a_batch_of_an_ordered_endpoint_that_became_a_stream_goes_on_in_the_backlog_in_its_order() {
    let mut settings = ordered(OnFailure::DeadLetter);
    settings.delivery.mode = Mode::Batch { events_max: 4, bytes_max: 10_000, wait: secs(1) };
    for outcomes in [&[FAILED][..], &[Outcome::Rejected, Outcome::Rejected, Outcome::Rejected, FAILED]] {
        let mut world = World::new(settings.clone());
        world.events(4);
        for outcome in &outcomes[..outcomes.len() - 1] {
            world.answer(outcome.clone());
        }
        world.settings(ordered(OnFailure::DeadLetter));
        world.answer(FAILED);
        world.wait(ms(200));
        assert!(world.sent.is_empty(), "{:?}", world.under_way());
        assert_eq!(world.parked_offsets(), [0, 1, 2, 3]);
        assert!(world.delivery.is_idle());
    }
}

#[test]
fn batches_that_are_full_by_their_bytes_get_all_of_the_rate_limit() {
    let mut settings = limited(ordered(OnFailure::Block), 10, 10);
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Key, on_failure: OnFailure::Block });
    settings.delivery.mode = Mode::Batch { events_max: 10, bytes_max: 600, wait: ms(1) };
    let mut world = World::new(settings);
    let (source, now) = (Arc::clone(&world.source), world.now);
    let events = (0..50).map(|offset| keyed(&source, offset, &offset.to_string(), now));
    world.delivery.handle_events(events.collect(), now);
    world.poll();
    for _ in 0..40 {
        (0..world.sent.len()).for_each(|_| assert!(world.answer(Outcome::Delivered).len() < 5));
        world.wait(ms(100));
    }
    assert!((30..=50).contains(&world.delivered.len()), "{} of 40", world.delivered.len());
}

#[test]
fn an_endpoint_that_becomes_ordered_keeps_what_it_has() {
    let mut settings = stream();
    settings.delivery.in_flight_max = 1;
    let mut world = World::new(settings);
    world.events(4);
    let mut settings = ordered(OnFailure::Block);
    settings.version = 2;
    world.settings(settings);
    let mut order = Vec::new();
    while !world.sent.is_empty() {
        order.extend(world.answer(Outcome::Delivered));
    }
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2, 3]);
    assert!(world.delivery.is_idle());
}

#[test]
fn what_waits_for_a_replay_of_what_was_missed_leaves_in_time_and_does_not_make_the_endpoint_lag() {
    use std::sync::atomic::Ordering::Relaxed;
    for misses in [true, false] {
        let mut world = World::new(ordered(OnFailure::Block));
        world.source.ahead.store(1, Relaxed);
        world.source.misses.store(misses, Relaxed);
        world.events(2);
        world.wait(PARK_AFTER + secs(1));
        assert_eq!(world.parked_offsets(), [0, 1]);
        assert_eq!(world.delivery.is_lagging(), !misses);
    }
}
