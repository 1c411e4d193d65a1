//! ○ Disposition of a batch after an attempt.

use std::time::Instant;

use super::{testing::*, *};
use crate::model::{outcome::Outcome, settings::Settings};

/// Disposition after this answer to the first attempt, and the time of the answer.
fn next(settings: Settings, events: usize, outcome: Outcome) -> (Next, Instant) {
    let mut world = World::new(settings);
    world.events(events);
    let (attempt, _) = world.sent[0];
    (world.delivery.handle_outcome(attempt, outcome, Default::default(), world.now), world.now)
}

#[test]
fn what_was_delivered_is_over() {
    assert_eq!(next(stream(), 1, Outcome::Delivered).0, Next::Ended);
}

#[test]
fn a_failed_attempt_says_when_the_next_one_is_due() {
    let (next, now) = next(batch(3), 3, FAILED);
    assert!(matches!(next, Next::Retry { at } if at > now && at < now + secs(5)), "{next:?}");
}

#[test]
fn the_last_attempt_and_a_refused_event_are_dead_letters() {
    let mut settings = stream();
    settings.delivery.retry.attempts_max = Some(1);
    assert_eq!(next(settings, 1, FAILED).0, Next::DeadLetter);
    assert_eq!(next(stream(), 1, Outcome::Rejected).0, Next::DeadLetter);
}

#[test]
fn a_refused_batch_goes_on_in_parts_at_once() {
    let (next, now) = next(batch(4), 4, Outcome::Rejected);
    assert_eq!(next, Next::Retry { at: now });
}

#[test]
fn what_an_endpoint_that_is_gone_does_not_take_is_stored() {
    assert_eq!(next(stream(), 1, Outcome::Gone).0, Next::Backlog { at: None });
}
