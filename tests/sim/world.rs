//! The clock of the simulation and everything that happens at its times.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::{Duration, Instant},
};

use postrider::{
    endpoint::delivery::AttemptId,
    model::{
        event::EndpointKey,
        outcome::{AttemptNote, Outcome},
        scope::Scope,
    },
    router::{index::SubscriptionChange, subscription::Subscription},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::{
    audit::{Audit, Key, Totals},
    endpoint::{ENDPOINTS, Sent, TIMEOUT},
    faults::Fault,
    instance::Instance,
    kafka::{DEPARTMENTS, Kafka, PARTITIONS, TENANTS, TOPICS},
    receiver::{Reaction, ReceiverMode},
};

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub instances: usize,
    pub has_faults: bool,
    /// Events are produced and faults occur for so long; then everything must come to its end.
    pub lasts: Duration,
}

impl Plan {
    pub const FAULTS: Plan = Plan { instances: 3, has_faults: true, lasts: Duration::from_secs(60) };
    pub const CALM: Plan = Plan { instances: 2, has_faults: false, lasts: Duration::from_secs(20) };
}

/// So long after the last fault everything has ended. The endpoint with a rate limit sets the pace: a small partition
/// waits `park_after` for each 200 of its events.
const ENDS_WITHIN: Duration = Duration::from_secs(240);

/// Whom something is meant for: a process, an endpoint's machine in it, and which lives of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub instance: usize,
    pub incarnation: u64,
    pub endpoint: u32,
    pub version: u64,
}

pub enum Happening {
    Produce,
    Poll(usize, u64),
    Commit(usize, u64),
    Wake(Address),
    Arrive(Address, AttemptId, Vec<Key>),
    Answer(Address, AttemptId, Outcome),
    ReceiverMode(u32),
    Change,
    Group,
    Fault,
    /// An instance hears that it lost a partition some time ago.
    LearnLoss(usize, u64, usize, u64),
    Start(usize),
    Stopped(usize, u64),
    SessionTimeout(usize, u64),
}

pub struct World {
    pub plan: Plan,
    pub rng: SmallRng,
    pub now: Instant,
    started: Instant,
    happenings: BinaryHeap<Reverse<(Instant, u64)>>,
    what: BTreeMap<u64, Happening>,
    scheduled: u64,
    pub kafka: Kafka,
    pub audit: Audit,
    pub instances: Vec<Instance>,
    modes: Vec<ReceiverMode>,
    changes: Vec<SubscriptionChange>,
    pub store_down_until: Instant,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "the beginning of virtual time")]
    pub fn new(seed: u64, plan: Plan) -> Self {
        let now = Instant::now();
        let mut world = World {
            plan,
            rng: SmallRng::seed_from_u64(seed),
            now,
            started: now,
            happenings: BinaryHeap::new(),
            what: BTreeMap::new(),
            scheduled: 0,
            kafka: Kafka::new(),
            audit: Audit::default(),
            instances: (0..plan.instances).map(|_| Instance::new(0)).collect(),
            modes: vec![ReceiverMode::Well; ENDPOINTS as usize],
            changes: Vec::new(),
            store_down_until: now,
        };
        (0..24).for_each(|_| world.change());
        (0..plan.instances).for_each(|instance| world.happens(Happening::Start(instance)));
        for first in [Happening::Group, Happening::Produce, Happening::Change] {
            world.later(1_000, first);
        }
        if plan.has_faults {
            world.later(3_000, Happening::Fault);
            (0..ENDPOINTS).for_each(|endpoint| world.later(2_000, Happening::ReceiverMode(endpoint)));
        }
        world
    }

    pub fn run(&mut self) {
        while let Some(Reverse((at, id))) = self.happenings.pop() {
            assert!(at <= self.started + self.plan.lasts + ENDS_WITHIN, "something never ends: {}", self.summary());
            self.now = at;
            let happening = self.what.remove(&id).expect("scheduled once");
            self.happens(happening);
            if !self.goes_on() && self.kafka.is_done() {
                break;
            }
        }
        assert!(self.kafka.is_done(), "the world stands still");
        for (number, assigned) in self.instances.iter().flat_map(|instance| &instance.assigned) {
            if assigned.generation == self.kafka.partitions[*number].generation {
                assert_eq!(assigned.ledger.outstanding(), (0, 0), "partition {number} still owes something");
            }
        }
        self.audit.close(self.now);
    }

    /// Events and faults still come.
    pub fn goes_on(&self) -> bool {
        self.now < self.started + self.plan.lasts
    }

    pub fn totals(&self) -> Totals {
        self.audit.totals
    }

    pub fn summary(&self) -> String {
        let positions: Vec<_> =
            self.kafka.partitions.iter().map(|p| (p.committed, p.log.last().map(|r| r.offset))).collect();
        format!("after {:?}: {:?}, committed of last {positions:?}", self.now - self.started, self.audit.totals)
    }

    pub fn later(&mut self, ms: u64, happening: Happening) {
        self.at(self.now + Duration::from_millis(ms), happening);
    }

    fn at(&mut self, at: Instant, happening: Happening) {
        self.scheduled += 1;
        self.happenings.push(Reverse((at, self.scheduled)));
        self.what.insert(self.scheduled, happening);
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Produce => self.produce(),
            Happening::Poll(instance, incarnation) => self.poll(instance, incarnation),
            Happening::Commit(instance, incarnation) => self.commit(instance, incarnation),
            Happening::Wake(address) => self.wake(address),
            Happening::Arrive(from, attempt, events) => self.arrive(from, attempt, &events),
            Happening::Answer(to, attempt, outcome) => self.answer(to, attempt, outcome),
            Happening::ReceiverMode(endpoint) => self.change_mood(endpoint),
            Happening::Change => self.change_subscriptions(),
            Happening::Group => self.assign_ownerless(),
            Happening::Fault => self.fault(),
            Happening::LearnLoss(instance, incarnation, number, generation) => {
                self.learn_loss(instance, incarnation, number, generation);
            }
            Happening::Start(instance) => self.start(instance),
            Happening::Stopped(instance, incarnation) => self.stopped(instance, incarnation),
            Happening::SessionTimeout(number, generation) => self.kafka.give_up(number, generation),
        }
    }

    fn produce(&mut self) {
        if self.goes_on() {
            (0..self.rng.random_range(1..6)).for_each(|_| {
                self.audit.totals.produced += 1;
                self.kafka.produce(&mut self.rng);
            });
            let pause = self.rng.random_range(1..40);
            self.later(pause, Happening::Produce);
        }
    }

    fn start(&mut self, instance: usize) {
        self.instances[instance].start(self.now);
        let incarnation = self.instances[instance].incarnation;
        self.instances[instance].see_changes(&self.changes);
        self.later(5, Happening::Poll(instance, incarnation));
        self.later(500, Happening::Commit(instance, incarnation));
    }

    /// The process, if it still is the one that was meant.
    fn alive(&mut self, instance: usize, incarnation: u64) -> Option<&mut Instance> {
        let found = &mut self.instances[instance];
        (found.is_running && found.incarnation == incarnation).then_some(found)
    }

    fn poll(&mut self, number: usize, incarnation: u64) {
        if self.alive(number, incarnation).is_none() {
            return;
        }
        let is_store_up = self.now >= self.store_down_until;
        let World { instances, kafka, audit, now, changes, rng, .. } = self;
        let instance = &mut instances[number];
        if rng.random_bool(0.02) {
            instance.see_changes(changes);
        }
        if !instance.is_stopping {
            instance.poll(kafka, *now, audit);
        }
        instance.lane.settle_answered(*now, audit);
        if is_store_up {
            instance.lane.commit(*now, audit);
        }
        (0..ENDPOINTS).for_each(|endpoint| self.carry_out(number, endpoint));
        self.later(20, Happening::Poll(number, incarnation));
    }

    fn commit(&mut self, instance: usize, incarnation: u64) {
        if self.alive(instance, incarnation).is_none() {
            return;
        }
        for number in 0..PARTITIONS {
            if !self.instances[instance].commit(number, &mut self.kafka, &mut self.audit) {
                self.instances[instance].revoke(number, self.now, &mut self.audit);
            }
        }
        self.later(500, Happening::Commit(instance, incarnation));
    }

    /// Carries out what a machine asks for, and sets its timer.
    pub fn carry_out(&mut self, instance: usize, endpoint: u32) {
        let World { instances, audit, .. } = self;
        let Instance { machines, lane, incarnation, .. } = &mut instances[instance];
        let incarnation = *incarnation;
        let machine = &mut machines[endpoint as usize];
        let address = Address { instance, incarnation, endpoint, version: machine.version };
        let sent = machine.carry_out(endpoint, lane, audit);
        let wake = machine.delivery.poll_timeout();
        if wake != machine.wake {
            machine.wake = wake;
            if let Some(at) = wake {
                let at = at.max(self.now + Duration::from_micros(100));
                self.at(at, Happening::Wake(address));
            }
        }
        for Sent { attempt, events } in sent {
            let travels = self.rng.random_range(0..4);
            self.later(travels, Happening::Arrive(address, attempt, events));
        }
    }

    /// The machine that was meant, if it still lives.
    fn is_alive(&mut self, address: Address) -> bool {
        let Address { instance, incarnation, endpoint, version } = address;
        self.alive(instance, incarnation).is_some_and(|found| found.machines[endpoint as usize].version == version)
    }

    fn wake(&mut self, address: Address) {
        if self.is_alive(address) {
            let machine = &mut self.instances[address.instance].machines[address.endpoint as usize];
            if machine.wake.is_some_and(|at| at <= self.now) {
                machine.wake = None;
                machine.delivery.handle_timeout(self.now);
                self.carry_out(address.instance, address.endpoint);
            }
        }
    }

    fn arrive(&mut self, from: Address, attempt: AttemptId, events: &[Key]) {
        let mode = self.modes[from.endpoint as usize];
        let Reaction { accepted, after, outcome } = mode.react(events, TIMEOUT, &mut self.rng);
        if accepted {
            events.iter().for_each(|key| self.audit.accepted(*key));
        }
        self.at(self.now + after, Happening::Answer(from, attempt, outcome));
    }

    fn answer(&mut self, to: Address, attempt: AttemptId, outcome: Outcome) {
        if self.is_alive(to) {
            let machine = &mut self.instances[to.instance].machines[to.endpoint as usize];
            machine.delivery.handle_outcome(attempt, outcome, AttemptNote::default(), self.now);
            self.carry_out(to.instance, to.endpoint);
        }
    }

    fn change_mood(&mut self, endpoint: u32) {
        // One endpoint never answers, to the end and beyond.
        self.modes[endpoint as usize] = match endpoint {
            2 => ReceiverMode::Hanging,
            _ if self.goes_on() => ReceiverMode::any(&mut self.rng),
            _ => ReceiverMode::Well,
        };
        if self.goes_on() {
            let lasts = self.rng.random_range(500..9_000);
            self.later(lasts, Happening::ReceiverMode(endpoint));
        }
    }

    fn change_subscriptions(&mut self) {
        if self.goes_on() {
            self.change();
            self.later(1_500, Happening::Change);
        }
    }

    fn change(&mut self) {
        let rng = &mut self.rng;
        let id = format!("sub_{}", rng.random_range(0..30));
        if rng.random_bool(0.15) {
            return self.changes.push(SubscriptionChange::Remove { id });
        }
        let mut some = |names: &[&str]| -> Vec<String> {
            names.iter().filter(|_| rng.random_bool(0.4)).map(|name| (*name).to_owned()).collect()
        };
        let (tenants, departments) = (some(&TENANTS), some(&DEPARTMENTS));
        let scope = match rng.random_range(0..8) {
            0 => Scope::Topic,
            1..5 => Scope::Tenants { tenants: tenants.into_iter().collect() },
            _ => Scope::Departments {
                departments: tenants.into_iter().map(|t| (t, departments.iter().cloned().collect())).collect(),
            },
        };
        let endpoint = EndpointKey(rng.random_range(0..ENDPOINTS));
        let topic = TOPICS[rng.random_range(0..TOPICS.len())].to_owned();
        self.changes.push(SubscriptionChange::Put(Subscription { id, endpoint, topic, scope }));
    }

    /// The group gives partitions without an owner to whoever runs.
    fn assign_ownerless(&mut self) {
        let running: Vec<_> = (0..self.instances.len())
            .filter(|n| self.instances[*n].is_running && !self.instances[*n].is_stopping)
            .collect();
        for number in 0..PARTITIONS {
            if !running.is_empty() && self.kafka.partitions[number].owner.is_none() {
                let instance = running[self.rng.random_range(0..running.len())];
                self.hand_to(number, instance);
            }
        }
        self.later(400, Happening::Group);
    }

    pub fn hand_to(&mut self, number: usize, instance: usize) {
        let World { instances, kafka, audit, now, .. } = self;
        instances[instance].revoke(number, *now, audit);
        let assignment = kafka.assign(number, instance);
        instances[instance].assign(number, kafka.partitions[number].topic, assignment, audit);
    }

    fn fault(&mut self) {
        if self.goes_on() {
            let fault = Fault::any(&mut self.rng);
            self.inject(fault);
            let pause = self.rng.random_range(100..2_500);
            self.later(pause, Happening::Fault);
        }
    }
}
