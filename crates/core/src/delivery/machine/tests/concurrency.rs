//! ○ The number of requests under way, where it floats.

use std::time::Duration;

use super::*;
use crate::model::{outcome::AttemptNote, settings::InFlight, url::EndpointUrl};

fn auto(in_flight_max: u32) -> Settings {
    let mut settings = stream();
    settings.delivery.in_flight = InFlight::Auto;
    settings.delivery.in_flight_max = in_flight_max;
    settings
}

/// A world in which nothing leaves memory.
fn patient(settings: Settings) -> World {
    let mut world = World::new(settings);
    world.delivery.limits =
        DeliveryLimits { park_after: secs(1_000), endpoint_bytes_max: usize::MAX, wait_target: ms(500) };
    world
}

fn limit(world: &World) -> usize {
    world.delivery.in_flight_limit(world.now) as usize
}

/// After so long, all requests under way are answered, having waited for us for that part of it.
fn round(world: &mut World, took: Duration, waited: Duration, outcome: &Outcome) {
    world.wait(took);
    for (attempt, _) in std::mem::take(&mut world.sent) {
        world.delivery.handle_waited(attempt, waited);
        world.delivery.handle_outcome(
            attempt,
            outcome.clone(),
            AttemptNote { status: Some(503), ..Default::default() },
            world.now,
        );
    }
    world.poll();
}

fn rounds(world: &mut World, rounds: usize, took: Duration, waited: Duration) {
    for _ in 0..rounds {
        round(world, took, waited, &Outcome::Delivered);
    }
}

#[test]
fn as_many_are_under_way_as_the_limit_says_and_it_grows_while_it_is_used() {
    let mut world = patient(auto(32));
    world.events(2_000);
    assert_eq!(world.sent.len(), 4);
    rounds(&mut world, 20, ms(100), ms(0));
    assert_eq!((world.sent.len(), limit(&world)), (32, 32));
}

#[test]
fn it_falls_with_the_latency_but_not_for_a_wait_of_ours() {
    let mut world = patient(auto(32));
    world.events(4_000);
    rounds(&mut world, 20, ms(100), ms(0));
    rounds(&mut world, 10, ms(400), ms(300));
    assert_eq!(limit(&world), 32, "the endpoint took no longer");
    rounds(&mut world, 3, ms(400), ms(0));
    assert!(limit(&world) < 20, "{}", limit(&world));
    assert!(world.sent.len() <= 20);
}

#[test]
fn it_falls_when_the_endpoint_says_that_it_is_too_much() {
    let mut settings = auto(32);
    settings.delivery.breaker.consecutive_failures = 1_000;
    let mut world = patient(settings);
    world.events(2_000);
    rounds(&mut world, 20, ms(100), ms(0));
    round(&mut world, ms(100), ms(0), &FAILED);
    assert!(limit(&world) <= 23, "{}", limit(&world));
}

#[test]
fn an_outage_costs_it_little() {
    let mut settings = auto(32);
    settings.delivery.breaker.open_base = ms(500);
    let mut world = patient(settings);
    world.events(3_000);
    rounds(&mut world, 20, ms(100), ms(0));
    round(&mut world, ms(100), ms(0), &FAILED);
    assert_eq!(world.delivery.breaker_state(), BreakerState::Open);
    world.wait(ms(700));
    rounds(&mut world, 20, ms(100), ms(0));
    assert!(limit(&world) >= 24, "{}", limit(&world));
}

#[test]
fn what_hangs_from_before_an_outage_holds_up_no_probe() {
    let mut settings = auto(32);
    settings.delivery.breaker.open_base = ms(500);
    settings.delivery.breaker.consecutive_failures = 12;
    let mut world = patient(settings);
    world.events(3_000);
    rounds(&mut world, 20, ms(100), ms(0));
    let note = AttemptNote { status: Some(503), ..Default::default() };
    while world.delivery.breaker_state() == BreakerState::Closed {
        let (attempt, _) = world.sent.pop().expect("some are under way");
        world.delivery.handle_outcome(attempt, FAILED, note.clone(), world.now);
        world.poll();
    }
    assert!(world.delivery.in_flight() > limit(&world), "the limit fell, and the others hang");
    world.sent.clear();
    world.wait(ms(700));
    assert_eq!((world.delivery.breaker_state(), world.sent.len()), (BreakerState::HalfOpen, 1));
}

#[test]
fn the_end_of_a_probe_lets_more_go_although_nothing_comes_back() {
    let mut world = patient(auto(32));
    world.events(20_000);
    let mut took = 0;
    while world.delivery.in_flight_rises_at(world.now).is_none() {
        round(&mut world, ms(100), ms(0), &Outcome::Delivered);
        took += 1;
        assert!(took < 600, "a probe begins once in half a minute");
    }
    let end = world.delivery.in_flight_rises_at(world.now).expect("a probe ends");
    let hanging = world.sent.len();
    assert_eq!(hanging, 16, "half of them while it runs");
    assert!(world.delivery.poll_timeout().is_some_and(|at| at <= end));
    world.wait(end.saturating_duration_since(world.now));
    assert_eq!(world.sent.len(), 32);
}

#[test]
fn the_next_machine_goes_on_with_it() {
    let mut world = patient(auto(32));
    world.events(1_000);
    rounds(&mut world, 60, ms(100), ms(0));
    assert!(world.delivery.is_idle());
    let before = limit(&world);
    let next = Delivery::new(Arc::new(auto(32)), world.delivery.limits, 2, world.now);
    assert_eq!(next.in_flight_limit(world.now), 4);
    let next = next.remembering(world.delivery.remember().expect("a limit is worth it"), world.now);
    assert_eq!(next.in_flight_limit(world.now) as usize, before);
}

#[test]
fn other_settings_hold_at_once_and_another_receiver_is_another_matter() {
    let mut world = patient(auto(32));
    world.events(4_000);
    rounds(&mut world, 20, ms(100), ms(0));
    world.settings(auto(9));
    assert_eq!(limit(&world), 9);
    world.settings(auto(64));
    assert_eq!(limit(&world), 9, "it has to be found out");
    let url = EndpointUrl::parse("https://example.com/other").unwrap();
    world.settings(Settings { url, ..auto(64) });
    assert_eq!(limit(&world), 4);
    let mut fixed = auto(64);
    fixed.delivery.in_flight = InFlight::Fixed;
    world.settings(fixed);
    assert_eq!(limit(&world), 64);
}
