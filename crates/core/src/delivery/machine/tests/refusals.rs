//! ○ Events that the endpoint refuses.

use std::sync::atomic::Ordering;

use super::*;

fn batches_of(settings: Settings, events_max: u32) -> Settings {
    let mode = Mode::Batch { events_max, bytes_max: 1 << 20, wait: ms(100) };
    Settings { delivery: DeliverySettings { mode, ..settings.delivery.clone() }, ..settings }
}

#[test]
fn a_refused_event_of_a_stream_is_a_dead_letter_and_its_neighbours_are_not() {
    let mut world = World::new(stream());
    world.events(3);
    world.answer(Outcome::Rejected);
    world.answer(Outcome::Delivered);
    world.answer(Outcome::Rejected);
    assert_eq!(world.given_up_offsets(), [(0, Reason::Rejected), (2, Reason::Rejected)]);
    assert_eq!(world.given_up[0].attempts, 1);
    assert_eq!(world.delivered, [1]);
}

#[test]
fn after_three_refused_in_a_row_it_is_the_endpoints_fault() {
    let mut world = World::new(stream());
    world.events(5);
    for _ in 0..4 {
        world.answer(Outcome::Rejected);
    }
    assert_eq!(world.given_up.len(), 3);
    assert_eq!(world.delivery.queued_events(), 1, "the fourth waits for its next attempt");
    world.answer(Outcome::Delivered);
    world.wait(ms(121));
    world.answer(Outcome::Rejected);
    assert_eq!(world.given_up.len(), 4, "something was accepted, so the event is to blame again");
}

#[test]
fn the_guilty_event_of_a_batch_is_found_and_the_others_are_delivered() {
    let mut world = World::new(batches_of(stream(), 100));
    world.events(100);
    let mut requests = 0;
    while let Some((_, members)) = world.sent.first() {
        let guilty = members.contains(&42);
        requests += 1;
        world.answer(if guilty { Outcome::Rejected } else { Outcome::Delivered });
    }
    assert_eq!(world.given_up_offsets(), [(42, Reason::Rejected)]);
    assert_eq!(world.delivered.len(), 99);
    assert!(requests - 1 <= 13, "2 × log2(100) more, not {}", requests - 1);
    assert!(world.delivery.is_idle());
}

#[test]
fn a_part_that_takes_the_place_of_a_smaller_one_waits_for_its_own_room_in_the_rate_limit() {
    let mut world = World::new(limited(batches_of(stream(), 12), 10, 12));
    let (leaving, start) = (TestSource::new(), world.now);
    let sources = [&leaving, &world.source].map(Arc::clone);
    let events = (0..12).map(|offset| receipt(&sources[usize::from(offset >= 6)], offset, start));
    world.delivery.handle_events(events.collect(), start);
    let mut sent = Vec::new();
    while sent.len() < 5 {
        world.wait(ms(1));
        let Some((_, members)) = world.sent.first() else { continue };
        sent.push((world.now, members.len()));
        world.answer(Outcome::Rejected);
        if sent.len() == 3 {
            leaving.current.store(false, Ordering::Relaxed); // with the part of one event that is next
        }
    }
    assert_eq!(sent.iter().map(|(_, events)| *events).collect::<Vec<_>>(), [12, 6, 3, 6, 3]);
    let passed: Vec<_> = sent.windows(2).map(|two| (two[1].0 - two[0].0).as_millis()).collect();
    assert_eq!(passed, [600, 300, 600, 300], "at 10 events a second, and nothing is charged twice");
}

#[test]
fn an_endpoint_that_refuses_every_batch_keeps_its_events() {
    let mut world = World::new(batches_of(stream(), 8));
    world.events(8);
    let mut requests = 0;
    while !world.sent.is_empty() {
        requests += 1;
        world.answer(Outcome::Rejected);
    }
    assert!(requests < 10);
    assert!(world.given_up.is_empty());
    world.wait(ms(121));
    assert_eq!(world.under_way(), [[0, 1, 2, 3, 4, 5, 6, 7]], "the same batch again");
    let (attempt, _) = world.sent[0];
    assert_eq!(world.delivery.batch(attempt).unwrap().attempt_number(), 2);
}

#[test]
fn a_410_stops_everything_and_parks_what_waits() {
    let mut world = World::new(stream());
    world.events(6);
    world.answer(Outcome::Gone);
    assert_eq!(world.changes, [StateChange::Gone]);
    assert_eq!(world.parked_offsets(), [0, 4, 5, 1, 2, 3]);
    world.answer(FAILED);
    world.answer(Outcome::Gone);
    assert_eq!(world.changes, [StateChange::Gone], "told once");
    world.answer(Outcome::Delivered);
    assert_eq!(world.unparked, [3]);
    world.events(1);
    assert_eq!(world.parked_offsets(), [0, 4, 5, 1, 2, 3, 6]);
    world.settings(Settings { version: 2, ..stream() });
    world.events(1);
    assert_eq!(world.under_way(), [[7]], "other settings are another try");
}

#[test]
fn a_410_or_a_wish_for_silence_that_answers_older_settings_says_nothing_of_the_newer_ones() {
    let mut world = World::new(stream());
    world.events(3);
    world.settings(Settings { version: 2, ..stream() });
    world.answer(Outcome::Gone);
    assert_eq!((world.changes.len(), world.parked.len()), (0, 0));
    assert!(world.under_way().contains(&vec![0]), "it goes again at once");
    world.answer(failed_for(secs(60)));
    assert_eq!(world.delivery.silent_until(world.now), None);
    world.answer(Outcome::Delivered);
    world.answer(Outcome::Gone);
    assert_eq!(world.changes, [StateChange::Gone], "the newer ones are gone as well");
}

#[test]
fn an_endpoint_that_a_bisection_blamed_loses_no_single_event_either() {
    let mut world = World::new(batches_of(stream(), 8));
    world.events(8);
    while !world.sent.is_empty() {
        world.answer(Outcome::Rejected);
    }
    world.events(1);
    world.wait(ms(121));
    let alone = world.under_way().iter().position(|members| *members == [8]).expect("the ninth goes alone");
    world.answer_nth(alone, Outcome::Rejected);
    assert!(
        world.given_up.is_empty(),
        "three refused ones of a bisection blame the endpoint, until it accepts something"
    );
}

#[test]
fn a_bisection_that_takes_too_long_goes_on_in_the_backlog() {
    let mut world = World::new(batches_of(stream(), 100));
    world.events(100);
    let began = world.now;
    let answer = |world: &mut World, accepted: i64| {
        let members = &world.sent[0].1;
        let outcome = if *members == [accepted] { Outcome::Delivered } else { Outcome::Rejected };
        world.wait(ms(500));
        world.answer(outcome);
    };
    while !world.sent.is_empty() {
        answer(&mut world, 0);
    }
    assert!(world.now - began <= PARK_AFTER + secs(1), "{:?}", world.now - began);
    assert_eq!(world.delivered, [0]);
    assert_eq!(world.given_up.len() + world.parked.len(), 99);
    assert!(world.delivery.is_idle() && world.parked.iter().all(|parked| parked.attempts == 1));
    let first = world.stored(50, 1);
    world.wait(ms(100));
    while !world.sent.is_empty() {
        answer(&mut world, first);
    }
    assert_eq!(
        (world.delivered.len(), world.parked.len() + world.given_up.len()),
        (2, 99 + 49),
        "a row holds up nothing"
    );
}
