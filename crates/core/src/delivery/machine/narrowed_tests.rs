//! Events that are held when subscriptions become narrower.

use super::{testing::*, *};
use crate::model::{
    outcome::Outcome,
    settings::{OnFailure, OrderBy, Ordering},
};

const REJECTED: Outcome = Outcome::Rejected;

/// A stream that has one request at a time.
fn one_at_a_time() -> Settings {
    let mut settings = stream();
    settings.delivery.in_flight_max = 1;
    settings
}

fn ordered(by: OrderBy) -> Settings {
    let mut settings = one_at_a_time();
    settings.delivery.ordering = Some(Ordering { by, on_failure: OnFailure::Block });
    settings
}

/// Delivers all that is under way, and what follows.
fn deliver_all(world: &mut World) {
    while !world.sent.is_empty() {
        world.answer(Outcome::Delivered);
    }
}

#[test]
fn what_no_longer_matches_is_cancelled_and_the_rest_is_sent() {
    let mut world = World::new(one_at_a_time());
    world.events_of(&["2", "2", "3", "2", "3"]);
    world.narrow(&["3"], false);
    assert_eq!((world.under_way(), &world.cancelled), (vec![vec![0]], &vec![1, 3]));
    deliver_all(&mut world);
    assert_eq!(world.delivered, [0, 2, 4]);
    assert!(world.delivery.is_idle() && world.parked.is_empty());
}

#[test]
fn subscriptions_that_still_match_all_change_nothing() {
    let mut world = World::new(batch(4));
    world.events_of(&["2", "3", "2", "3", "2"]);
    world.narrow(&["2", "3"], false);
    world.answer(FAILED);
    world.wait(ms(200));
    assert_eq!(world.under_way(), [[0, 1, 2, 3]], "a repeated batch has the members that it had");
    deliver_all(&mut world);
    world.wait(secs(1));
    deliver_all(&mut world);
    assert_eq!(world.delivered, [0, 1, 2, 3, 4]);
}

#[test]
fn nothing_is_sent_before_the_settings_are_known_that_may_have_changed_as_well() {
    let mut world = World::new(one_at_a_time());
    world.events_of(&["2"]);
    world.answer(FAILED);
    world.now += secs(60);
    world.delivery.handle_narrowed(&subscribed_to(&["2"], false));
    assert!(world.delivery.poll_effect().is_none());
    world.wait(ms(0));
    assert_eq!(world.under_way(), [[0]]);
}

#[test]
fn what_is_under_way_is_not_sent_again() {
    for outcome in [FAILED, Outcome::Disconnected, Outcome::LocalFault] {
        let mut world = World::new(one_at_a_time());
        world.events_of(&["2"]);
        world.narrow(&[], false);
        assert!(world.cancelled.is_empty(), "it may arrive");
        world.answer(outcome.clone());
        world.wait(secs(60));
        assert_eq!((world.under_way(), &world.cancelled), (vec![], &vec![0]), "{outcome:?}");
        assert!(world.delivery.is_idle());
    }
}

#[test]
fn what_came_after_the_change_is_not_matched_by_it() {
    let mut world = World::new(batch(2));
    world.events_of(&["2", "2"]);
    world.narrow(&[], false);
    world.events_of(&["2", "2"]); // it has subscribed again
    world.answer_nth(1, FAILED);
    world.wait(ms(200));
    assert_eq!((world.under_way(), &world.cancelled), (vec![vec![0, 1], vec![2, 3]], &vec![]));
    world.answer(FAILED);
    assert_eq!(world.cancelled, [0, 1]);
    deliver_all(&mut world);
}

#[test]
fn what_is_wanted_again_when_its_attempt_fails_is_sent_again() {
    for (again, cancelled) in [(vec!["2", "3"], vec![]), (vec!["3"], vec![0])] {
        let mut world = World::new(batch(2));
        world.events_of(&["2", "3"]);
        world.narrow(&[], false);
        let attempt = world.sent[0].0;
        world.delivery.match_by_newest(attempt, || subscribed_to(&again, false));
        world.answer(FAILED);
        world.wait(secs(1));
        let left = if cancelled.is_empty() { vec![0, 1] } else { vec![1] };
        assert_eq!((world.under_way(), &world.cancelled), (vec![left], &cancelled));
        deliver_all(&mut world);
        assert!(world.delivery.is_idle());
    }
}

#[test]
fn an_attempt_that_began_after_the_change_is_not_matched() {
    let mut world = World::new(one_at_a_time());
    world.narrow(&[], false);
    world.events_of(&["2"]);
    let attempt = world.sent[0].0;
    world.delivery.match_by_newest(attempt, || unreachable!("it was matched by these or by newer ones"));
    world.answer(Outcome::Delivered);
}

#[test]
fn a_batch_goes_again_without_what_was_lost_under_way_or_while_it_waited() {
    for under_way in [true, false] {
        let mut world = World::new(batch(4));
        world.events_of(&["2", "3", "2", "3"]);
        if under_way {
            world.narrow(&["3"], false);
            world.answer(FAILED);
        } else {
            world.answer(FAILED);
            world.narrow(&["3"], false);
        }
        world.wait(ms(200));
        assert_eq!((world.under_way(), &world.cancelled), (vec![vec![1, 3]], &vec![0, 2]));
        let batch = world.delivery.batch(world.sent[0].0).expect("under way");
        assert_eq!(batch.attempt_number(), 2, "the attempt before counts");
        deliver_all(&mut world);
        assert!(world.delivery.is_idle());
    }
}

#[test]
fn a_refused_batch_is_searched_without_what_was_lost() {
    let mut world = World::new(batch(4));
    world.events_of(&["3", "2", "3", "2"]);
    world.answer(REJECTED);
    assert_eq!(world.under_way(), [[0, 1]]);
    world.narrow(&["3"], false);
    world.answer(REJECTED);
    assert_eq!((world.under_way(), &world.cancelled), (vec![vec![0, 2]], &vec![1, 3]));
    deliver_all(&mut world);
    assert!(world.delivery.is_idle() && world.given_up.is_empty());

    // Halves that the others' delivery would send next.
    let mut world = World::new(batch(4));
    world.events_of(&["3", "2", "2", "3"]);
    world.answer(REJECTED);
    world.narrow(&["3"], false);
    world.answer(Outcome::Delivered);
    assert_eq!((world.under_way(), &world.cancelled), (vec![vec![3]], &vec![2]));
    deliver_all(&mut world);
    assert!(world.delivery.is_idle());
}

#[test]
fn a_row_goes_back_and_a_letter_stays_the_letter_that_it_was() {
    let mut world = World::new(one_at_a_time());
    let (rows, letters) = (TestSource::stored(), TestSource::redrive());
    world.stored_of(&rows, &["2", "2", "3"]);
    world.stored_of(&letters, &["2", "3"]);
    world.narrow(&["3"], false);
    assert_eq!((world.parked_offsets(), &world.cancelled), (vec![1], &vec![3]));
    world.answer(FAILED);
    world.wait(secs(1));
    assert_eq!(world.parked_offsets(), [1, 0], "its row says of the attempt");
    assert_eq!(world.parked[1].attempts, 1);
    deliver_all(&mut world);
    assert_eq!(world.delivered, [2, 4]);
    [rows, letters].iter().for_each(|source| source.current.store(false, std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn what_nobody_knows_of_waits_in_the_backlog() {
    let mut world = World::new(one_at_a_time());
    world.events_of(&["2", "2", "3"]);
    world.stored_of(&TestSource::redrive(), &["2"]);
    world.narrow(&["3"], true);
    assert_eq!((world.parked_offsets(), &world.cancelled), (vec![1, 3], &vec![]));
    world.answer(FAILED);
    assert_eq!((world.parked_offsets(), world.under_way()), (vec![1, 3, 0], vec![vec![2]]));
    let source = Arc::clone(&world.source);
    let receipts = world.receipts_of(&source, &["2", "3"]);
    let left = world.delivery.still_wanted(receipts, &subscribed_to(&["3"], true));
    assert_eq!(left.iter().map(|receipt| receipt.event().offset()).collect::<Vec<_>>(), [5]);
    world.poll();
    assert_eq!(world.parked_offsets(), [1, 3, 0, 4]);
    world.delivery.handle_events(left, world.now);
    world.poll();
    deliver_all(&mut world);
    assert_eq!(world.delivered, [2, 5]);
    world.parked.iter().for_each(|parked| assert!(parked.receipt.is_current()));
    std::mem::take(&mut world.parked).into_iter().for_each(|parked| {
        parked.receipt.settle(crate::model::receipt::Settlement::Backlogged);
    });
}

#[test]
fn a_lane_goes_on_behind_what_was_cancelled_and_in_its_order() {
    for by in [OrderBy::Partition, OrderBy::Key] {
        let mut world = World::new(ordered(by));
        world.events_of(&["2", "3", "2", "3"]);
        world.narrow(&["3"], false);
        world.answer(FAILED);
        assert_eq!(world.cancelled.len(), 2, "{:?}", world.cancelled);
        world.wait(secs(1));
        deliver_all(&mut world);
        assert_eq!(world.delivered, [1, 3], "{by:?}");
        assert!(world.delivery.is_idle() && world.parked.is_empty());
    }
}

#[test]
fn a_lane_of_which_something_waits_in_the_backlog_waits_there_whole() {
    let mut world = World::new(ordered(OrderBy::Partition));
    world.events_of(&["3", "2", "3"]);
    world.narrow(&["3"], true);
    let mut parked = world.parked_offsets();
    parked.sort_unstable();
    assert_eq!((parked, world.cancelled.len()), (vec![0, 1, 2], 0), "what is under way has its row as well");
    world.answer(Outcome::Delivered);
    assert_eq!((world.unparked.clone(), world.under_way().len()), (vec![0], 0));
}

#[test]
fn what_another_instance_owns_by_now_is_left_to_it() {
    let mut world = World::new(one_at_a_time());
    world.events_of(&["2", "2"]);
    world.source.current.store(false, std::sync::atomic::Ordering::Relaxed);
    world.narrow(&[], false);
    assert_eq!((&world.cancelled, world.parked_offsets()), (&vec![], vec![]));
}
