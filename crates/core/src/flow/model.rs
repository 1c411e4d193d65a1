//! ○ A process in virtual time: arrivals, a core that does so much, endpoints with real delivery machines, and receivers.
//! Whatever is offered, nothing is parked that its endpoint would have taken, and reading settles at what leaves.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::read_window::{ReadCounts, ReadWindow, ReadWindowOptions};
use crate::{
    delivery::machine::{
        AttemptId, Delivery, DeliveryLimits, Effect,
        testing::{TestSource, ms, receipt, secs, stream},
    },
    model::{
        event::weight_bytes,
        outcome::{AttemptNote, Outcome},
        receipt::{Receipt, Settlement},
    },
};

const STEP: Duration = ms(1);
const WAIT_TARGET: Duration = ms(500);
const PARK_AFTER: Duration = secs(5);

/// Answers of an endpoint's receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answers {
    After(Duration),
    /// All of these together answer so many a second, the longest waiting first.
    Together(u32),
    Never,
}

/// The load that is offered, and the limits that it meets.
struct Plan {
    /// Events that are there before the start.
    lag: u64,
    /// Events a second by the second of the run.
    arrivals: fn(u64) -> u64,
    /// Events a second that the core delivers, by the second of the run.
    core: fn(u64) -> u64,
    endpoints: Vec<(Answers, u32)>,
    seconds: u64,
}

struct Endpoint {
    delivery: Delivery,
    answers: Answers,
    under_way: BTreeMap<(Instant, AttemptId), ()>,
    waiting: usize,
    delivered: u64,
    parked: u64,
    longest_wait: Duration,
    received: BTreeMap<i64, Instant>,
}

struct World {
    plan: Plan,
    now: Instant,
    started: Instant,
    entropy: SmallRng,
    source: Arc<TestSource>,
    window: ReadWindow,
    lag: u64,
    offset: i64,
    /// Read, and waiting for the core.
    inbox: VecDeque<(usize, Receipt)>,
    endpoints: Vec<Endpoint>,
    shared: VecDeque<(usize, AttemptId)>,
    /// Budgets left of the core and of the shared receiver: parts of an event included.
    core_left: f64,
    shared_left: f64,
    /// The window at the end of each tenth of a second.
    windows: Vec<u64>,
}

impl World {
    fn new(plan: Plan) -> Self {
        let now = Instant::now();
        let endpoint_bytes_max = 64 << 20;
        let bytes_max = ReadWindowOptions::bytes_max_of_endpoint(endpoint_bytes_max);
        let options = ReadWindowOptions { wait_target: WAIT_TARGET, events_min: 256, bytes_max };
        let limits = DeliveryLimits { park_after: PARK_AFTER, endpoint_bytes_max, wait_target: WAIT_TARGET };
        let settings = Arc::new({
            let mut settings = stream();
            settings.delivery.request_timeout = secs(30);
            settings
        });
        let endpoint = |(answers, _): &(Answers, u32)| Endpoint {
            delivery: Delivery::new(Arc::clone(&settings), limits, 1, now),
            answers: *answers,
            under_way: BTreeMap::new(),
            waiting: 0,
            delivered: 0,
            parked: 0,
            longest_wait: Duration::ZERO,
            received: BTreeMap::new(),
        };
        World {
            now,
            started: now,
            entropy: SmallRng::seed_from_u64(7),
            source: TestSource::new(),
            window: ReadWindow::new(options, now),
            lag: plan.lag,
            offset: 0,
            inbox: VecDeque::new(),
            endpoints: plan.endpoints.iter().map(endpoint).collect(),
            shared: VecDeque::new(),
            core_left: 0.0,
            shared_left: 0.0,
            windows: Vec::new(),
            plan,
        }
    }

    fn run(mut self) -> Self {
        for step in 1..=self.plan.seconds * 1_000 {
            self.now = self.started + STEP * u32::try_from(step).expect("a short run");
            let second = (step - 1) / 1_000;
            let due = |per_second: u64| per_second * step / 1_000 - per_second * (step - 1) / 1_000;
            self.lag += due((self.plan.arrivals)(second));
            self.answer();
            self.read();
            self.core_left = (self.core_left + (self.plan.core)(second) as f64 / 1_000.0).min(64.0);
            self.work();
            if step % 100 == 0 {
                self.windows.push(self.window.events_max());
            }
        }
        self
    }

    fn read(&mut self) {
        let left = self.endpoints.iter().map(|endpoint| endpoint.delivered + endpoint.parked).sum();
        let wait_min = self.inbox.front().map(|(_, first)| self.now - first.event().received_at);
        self.window.observe(ReadCounts { left, wait_min, event_bytes: Some(weight_bytes(512) as f64) }, self.now);
        let waiting: usize = self.endpoints.iter().map(|endpoint| endpoint.waiting).sum();
        let room = self.window.room((waiting + self.inbox.len()) as u64, self.now);
        let weights: u32 = self.plan.endpoints.iter().map(|(_, weight)| weight).sum();
        for _ in 0..room.min(self.lag).min(2_048) {
            let mut pick = self.entropy.random_range(0..weights);
            let place = self.plan.endpoints.iter().position(|(_, weight)| {
                let found = pick < *weight;
                pick = pick.saturating_sub(*weight);
                found
            });
            let place = place.expect("the weights add up");
            self.inbox.push_back((place, receipt(&self.source, self.offset, self.now)));
            self.endpoints[place].received.insert(self.offset, self.now);
            (self.offset, self.lag) = (self.offset + 1, self.lag - 1);
        }
    }

    /// The core takes events in the order in which they were read.
    fn work(&mut self) {
        while self.core_left >= 1.0 {
            let Some((place, receipt)) = self.inbox.pop_front() else { break };
            self.core_left -= 1.0;
            self.endpoints[place].delivery.handle_events(vec![receipt], self.now);
            self.carry_out(place);
        }
        for place in 0..self.endpoints.len() {
            if self.endpoints[place].delivery.poll_timeout().is_some_and(|due| due <= self.now) {
                self.endpoints[place].delivery.handle_timeout(self.now);
                self.carry_out(place);
            }
        }
    }

    fn answer(&mut self) {
        for place in 0..self.endpoints.len() {
            while let Some(((due, attempt), ())) = self.endpoints[place].under_way.first_key_value()
                && *due <= self.now
            {
                let attempt = *attempt;
                self.endpoints[place].under_way.pop_first();
                self.answered(place, attempt);
            }
        }
        let together = self.plan.endpoints.iter().find_map(|(answers, _)| match answers {
            Answers::Together(per_second) => Some(*per_second),
            _ => None,
        });
        self.shared_left = (self.shared_left + f64::from(together.unwrap_or(0)) / 1_000.0).min(2.0);
        while self.shared_left >= 1.0 {
            let Some((place, attempt)) = self.shared.pop_front() else { break };
            self.shared_left -= 1.0;
            self.answered(place, attempt);
        }
    }

    fn answered(&mut self, place: usize, attempt: AttemptId) {
        let machine = &mut self.endpoints[place].delivery;
        machine.handle_outcome(attempt, Outcome::Delivered, AttemptNote::default(), self.now);
        self.carry_out(place);
    }

    fn carry_out(&mut self, place: usize) {
        let endpoint = &mut self.endpoints[place];
        while let Some(effect) = endpoint.delivery.poll_effect() {
            match effect {
                Effect::Send(attempt) => match endpoint.answers {
                    Answers::After(delay) => drop(endpoint.under_way.insert((self.now + delay, attempt), ())),
                    Answers::Together(_) => self.shared.push_back((place, attempt)),
                    Answers::Never => {}
                },
                Effect::Settle { receipts, how } => {
                    for receipt in &receipts {
                        let received = endpoint.received.remove(&receipt.event().offset()).expect("received once");
                        endpoint.longest_wait = endpoint.longest_wait.max(self.now - received);
                    }
                    endpoint.delivered += receipts.len() as u64;
                    Receipt::settle_all(receipts, how);
                }
                Effect::Park(parked) => {
                    endpoint.parked += parked.len() as u64;
                    Receipt::settle_all(parked.into_iter().map(|parked| parked.receipt), Settlement::Backlogged);
                }
                _ => {}
            }
        }
        endpoint.waiting = endpoint.delivery.window_events(self.now);
    }

    fn delivered(&self) -> u64 {
        self.endpoints.iter().map(|endpoint| endpoint.delivered).sum()
    }

    fn parked(&self) -> u64 {
        self.endpoints.iter().map(|endpoint| endpoint.parked).sum()
    }

    /// Smallest and largest window in these seconds.
    fn windows(&self, seconds: std::ops::Range<usize>) -> (u64, u64) {
        let windows = &self.windows[seconds.start * 10..seconds.end * 10];
        (*windows.iter().min().expect("some"), *windows.iter().max().expect("some"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.source.current.store(false, std::sync::atomic::Ordering::Relaxed);
    }
}

fn nothing(_: u64) -> u64 {
    0
}

fn fast(_: u64) -> u64 {
    1_000_000
}

fn four_a_millisecond(_: u64) -> u64 {
    4_000
}

#[test]
fn a_catch_up_goes_as_fast_as_the_core_and_nothing_is_parked() {
    let endpoints = vec![(Answers::After(ms(2)), 1); 100];
    let plan = Plan { lag: 200_000, arrivals: nothing, core: four_a_millisecond, endpoints, seconds: 20 };
    let world = World::new(plan).run();
    assert_eq!(world.parked(), 0);
    assert!(world.delivered() >= 76_000, "{}", world.delivered());
    let longest = world.endpoints.iter().map(|endpoint| endpoint.longest_wait).max();
    assert!(longest < Some(ms(1_500)), "{longest:?}");
    let (least, most) = world.windows(5..20);
    assert!(most - least <= most / 4, "it swings between {least} and {most}");
}

#[test]
fn a_receiver_that_all_share_is_kept_busy_and_nothing_is_parked() {
    let endpoints = vec![(Answers::Together(1_000), 1); 200];
    let plan = Plan { lag: 200_000, arrivals: nothing, core: fast, endpoints, seconds: 30 };
    let world = World::new(plan).run();
    assert_eq!(world.parked(), 0);
    assert!(world.delivered() >= 28_500, "{}", world.delivered());
}

#[test]
fn of_a_slow_tenth_only_its_own_events_wait() {
    let mut endpoints = vec![(Answers::After(ms(2)), 1); 100];
    endpoints.iter_mut().step_by(10).for_each(|endpoint| endpoint.0 = Answers::After(ms(4_000)));
    let plan = Plan { lag: 0, arrivals: |_| 1_000, core: four_a_millisecond, endpoints, seconds: 30 };
    let world = World::new(plan).run();
    for (place, endpoint) in world.endpoints.iter().enumerate() {
        if place % 10 == 0 {
            assert!(endpoint.delivery.is_lagging() && endpoint.parked > 0);
        } else {
            assert_eq!(endpoint.parked, 0);
            assert!(endpoint.longest_wait <= ms(10), "{:?}", endpoint.longest_wait);
        }
    }
}

#[test]
fn a_hot_endpoint_that_cannot_keep_up_does_not_hold_up_a_catch_up() {
    let mut endpoints = vec![(Answers::After(ms(2)), 1); 50];
    endpoints[0] = (Answers::After(ms(200)), 10);
    let plan = Plan { lag: 60_000, arrivals: nothing, core: four_a_millisecond, endpoints, seconds: 20 };
    let world = World::new(plan).run();
    assert_eq!(world.lag, 0, "all is read");
    assert!(world.endpoints[1..].iter().all(|endpoint| endpoint.parked == 0 && endpoint.delivered > 800));
}

#[test]
fn endpoints_that_hang_from_the_start_hold_up_nobody_for_long() {
    let mut endpoints = vec![(Answers::After(ms(2)), 1); 100];
    endpoints.iter_mut().step_by(10).for_each(|endpoint| endpoint.0 = Answers::Never);
    let plan = Plan { lag: 0, arrivals: |_| 2_000, core: four_a_millisecond, endpoints, seconds: 20 };
    let world = World::new(plan).run();
    let healthy = world.endpoints.iter().enumerate().filter(|(place, _)| place % 10 != 0);
    assert!(healthy.clone().all(|(_, endpoint)| endpoint.parked == 0));
    let longest = healthy.map(|(_, endpoint)| endpoint.longest_wait).max();
    assert!(longest <= Some(ms(50)), "{longest:?}");
}

#[test]
fn a_core_that_slows_down_to_a_quarter_is_followed_there_and_back() {
    let endpoints = vec![(Answers::After(ms(2)), 1); 100];
    let core = |second| if (10..20).contains(&second) { 1_000 } else { 4_000 };
    let plan = Plan { lag: 1_000_000, arrivals: nothing, core, endpoints, seconds: 30 };
    let world = World::new(plan).run();
    assert_eq!(world.parked(), 0);
    let ((_, before), (slow, _), (after, _)) = (world.windows(8..10), world.windows(16..20), world.windows(26..30));
    assert!(slow <= before / 3 && after >= before * 3 / 4, "{before} {slow} {after}");
}

#[test]
fn a_spike_becomes_lag_in_kafka_and_is_gone_when_it_can_be() {
    let arrivals = |second| if second < 10 { 8_000 } else { 1_000 };
    let endpoints = vec![(Answers::After(ms(2)), 1); 100];
    let plan = Plan { lag: 0, arrivals, core: four_a_millisecond, endpoints, seconds: 27 };
    let world = World::new(plan).run();
    assert_eq!((world.parked(), world.lag), (0, 0));
}
