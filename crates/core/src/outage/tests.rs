//! ○ Local outages and others, by situations and against a plain account of the same attempts.

use proptest::prelude::*;

use super::*;
use crate::delivery::testing::{ms, secs};

const CUSTOMERS_MIN: usize = 3;

/// Interval of the ticks.
const TICK: Duration = Duration::from_millis(250);

/// Attempts and ticks at stated times.
struct World {
    detector: OutageDetector,
    reached_at: Option<Instant>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        World::with(CUSTOMERS_MIN)
    }

    fn with(customers_min: usize) -> Self {
        let now = Instant::now();
        World { detector: OutageDetector::new(customers_min, now), reached_at: None, now }
    }

    /// The customer's endpoint at this site cannot be connected to; whether that may not be its fault.
    fn fails(&mut self, customer: u32, site: u32) -> bool {
        let failure = UnreachedAttempt {
            endpoint: EndpointKey(customer * 100 + site),
            customer: format!("cu_{customer}").into(),
            site: format!("customer{site}.example").into(),
            at: self.now,
        };
        self.detector.failed(failure, self.reached_at)
    }

    fn reached(&mut self) {
        self.reached_at = Some(self.now);
    }

    /// Lets connections to this many customers fail, each at a site of its own.
    fn fail(&mut self, customers: u32) {
        for customer in 1..=customers {
            self.fails(customer, customer);
        }
    }

    fn tick(&mut self) -> TickResult {
        self.detector.handle_tick(self.now, self.reached_at)
    }

    /// Time passes, a tick at a time; the last one that brought something.
    fn wait(&mut self, by: Duration) -> Option<OutageChange> {
        let until = self.now + by;
        let mut change = None;
        while self.now < until {
            self.now = until.min(self.now + TICK);
            change = self.tick().change.or(change);
        }
        change
    }

    /// Three customers at three sites cannot be reached, and nobody else has anything to do.
    fn in_trouble() -> Self {
        let mut world = World::new();
        world.fail(3);
        world.wait(QUIET);
        assert!(world.detector.is_on());
        world
    }
}

#[test]
fn when_several_customers_at_several_sites_and_nobody_else_can_be_reached_the_trouble_is_ours() {
    let mut world = World::new();
    world.reached();
    world.now += ms(1);
    world.fail(3);
    assert_eq!(world.wait(QUIET - ms(2)), None);
    assert_eq!(world.wait(ms(1)), Some(OutageChange::Began));
}

#[test]
fn in_doubt_nobody_is_blamed_until_somebody_is_reached() {
    let mut world = World::new();
    assert!(!world.fails(1, 1) && !world.fails(2, 2), "two may well be in trouble by themselves");
    assert!(world.fails(3, 3) && world.fails(1, 1) && world.fails(1, 2));
    world.reached();
    world.now += ms(1);
    assert!(!world.fails(1, 1));
}

#[test]
fn one_customer_with_many_dead_endpoints_is_in_trouble_alone() {
    let mut world = World::new();
    for _ in 0..20 {
        assert!(!(1..=50).any(|site| world.fails(1, site)), "and to blame");
        assert_eq!(world.wait(ms(500)), None);
    }
}

#[test]
fn many_customers_of_one_dead_host_are_in_trouble_with_it() {
    let mut world = World::new();
    for _ in 0..20 {
        assert!(!(1..=50).any(|customer| world.fails(customer, 1)), "and to blame");
        assert_eq!(world.wait(ms(500)), None);
    }
}

#[test]
fn while_anybody_is_reached_the_trouble_is_not_ours() {
    let mut world = World::new();
    for _ in 0..20 {
        world.fail(50);
        assert_eq!(world.wait(ms(500)), None);
        world.reached();
    }
}

#[test]
fn failures_that_lie_far_apart_do_not_add_up() {
    let mut world = World::new();
    for customer in 1..=20 {
        world.fails(customer, customer);
        assert_eq!(world.wait(FORGOTTEN_AFTER), None);
    }
}

#[test]
fn one_contact_ends_it() {
    let mut world = World::in_trouble();
    world.fails(1, 1);
    assert_eq!(world.wait(secs(60)), None);
    world.reached();
    assert!(matches!(world.wait(TICK), Some(OutageChange::Ended { .. })));
    assert!(!world.detector.is_on());
    assert_eq!(world.wait(secs(60)), None, "and what failed meanwhile is forgotten");
}

#[test]
fn it_can_be_turned_off() {
    let mut world = World::with(0);
    world.fail(50);
    assert_eq!(world.wait(secs(5)), None);
    assert!(!world.fails(1, 1));
}

#[test]
fn who_was_not_tried_yet_is_tried_first_and_then_everybody_in_turn() {
    let mut world = World::in_trouble();
    let next = |world: &mut World| {
        world.now += TRIAL_SPACING;
        let tried = world.tick().trial;
        assert!(tried.is_none_or(|endpoint| world.detector.takes_trial(endpoint)), "whoever is told may try");
        assert!(tried.is_none_or(|endpoint| !world.detector.takes_trial(endpoint)), "once");
        tried.map(|endpoint| endpoint.0)
    };
    assert_eq!(next(&mut world), None);
    for endpoint in [1, 2, 2] {
        world.detector.wants_trial(EndpointKey(endpoint));
    }
    assert_eq!(next(&mut world), Some(2));
    world.detector.wants_trial(EndpointKey(2));
    assert_eq!(next(&mut world), Some(1));
    world.detector.wants_trial(EndpointKey(1));
    world.detector.wants_trial(EndpointKey(3));
    assert_eq!([next(&mut world), next(&mut world), next(&mut world)], [Some(3), Some(2), Some(1)]);
    assert_eq!(next(&mut world), None);
}

#[test]
fn partitions_may_read_a_little_and_a_little_more_as_it_lasts() {
    let mut world = World::in_trouble();
    let first = world.tick().events_max.expect("the trouble is ours");
    assert!(first > 0, "whoever can be reached must be heard of");
    world.wait(secs(60));
    assert!(world.tick().events_max.expect("still") > first);
    world.reached();
    assert_eq!(world.tick().events_max, None);
}

/// An event of the world, at most this many milliseconds after the one before.
#[derive(Clone, Debug)]
enum Event {
    Fails { customer: u32, site: u32 },
    Reached,
    Wants(u32),
    Wait(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        20 => (1_u32..5, 1_u32..5).prop_map(|(customer, site)| Event::Fails { customer, site }),
        1 => Just(Event::Reached),
        5 => (1_u32..9).prop_map(Event::Wants),
        15 => (0_u64..900).prop_map(Event::Wait),
        1 => (0_u64..20_000).prop_map(Event::Wait),
    ];
    prop::collection::vec(event, 0..150)
}

/// The same attempts, all of them, in plain lists.
struct Account {
    started: Instant,
    failed: Vec<(Instant, u32, u32)>,
    reached: Option<Instant>,
    trials: Vec<Instant>,
}

/// Time within which a doubt is decided, before its evidence is forgotten.
const IN_DOUBT: Duration = FORGOTTEN_AFTER.saturating_add(QUIET).saturating_add(TICK);

impl Account {
    /// True if those who failed since the last contact, and not longer ago than this, are enough.
    fn is_enough(&self, now: Instant, memory: Duration) -> bool {
        let speaks = |at: Instant| self.reached.is_none_or(|reached| at > reached) && now - at < memory;
        let speaking = || self.failed.iter().filter(|(at, ..)| speaks(*at));
        let customers: HashSet<_> = speaking().map(|(_, customer, _)| customer).collect();
        let sites: HashSet<_> = speaking().map(|(.., site)| site).collect();
        customers.len() >= CUSTOMERS_MIN && sites.len() >= CUSTOMERS_MIN
    }

    fn check(&mut self, world: &World, tick: &TickResult) {
        let quiet = world.now - self.reached.unwrap_or(self.started) >= QUIET;
        let enough = self.is_enough(world.now, FORGOTTEN_AFTER);
        if tick.change == Some(OutageChange::Began) {
            assert!(quiet, "somebody was just reached");
            assert!(self.is_enough(world.now, IN_DOUBT), "those who fail are to blame");
        }
        assert!(world.detector.is_on() || !quiet || !enough, "nobody can be reached");
        assert_eq!(tick.events_max.is_some(), world.detector.is_on());
        if tick.trial.is_some() {
            assert!(world.detector.is_on());
            assert!(self.trials.last().is_none_or(|last| world.now - *last >= TRIAL_SPACING), "too many trials");
            self.trials.push(world.now);
        }
    }
}

proptest! {
    #[test]
    fn it_is_ours_exactly_when_nobody_is_reached_and_enough_are_not(events in events()) {
        let mut world = World::new();
        let mut account = Account { started: world.now, failed: Vec::new(), reached: None, trials: Vec::new() };
        for event in events {
            match event {
                Event::Fails { customer, site } => {
                    let excused = world.fails(customer, site);
                    account.failed.push((world.now, customer, site));
                    let enough = account.is_enough(world.now, IN_DOUBT);
                    prop_assert!(!excused || enough || world.detector.is_on(), "who is to blame is blamed");
                }
                Event::Reached => {
                    world.reached();
                    account.reached = Some(world.now);
                    let tick = world.tick();
                    prop_assert!(!world.detector.is_on());
                    account.check(&world, &tick);
                    world.now += ms(1);
                }
                Event::Wants(endpoint) => world.detector.wants_trial(EndpointKey(endpoint)),
                Event::Wait(by) => {
                    let until = world.now + ms(by);
                    while world.now < until {
                        world.now = until.min(world.now + TICK);
                        let tick = world.tick();
                        account.check(&world, &tick);
                    }
                }
            }
        }
    }
}
