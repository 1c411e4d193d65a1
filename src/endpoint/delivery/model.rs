//! ○ Whatever happens in whatever order: no receipt is lost or comes out twice, and every limit holds.

mod actions;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use proptest::prelude::*;

use self::actions::{Action, Plan, actions, plans};
use super::{testing::*, *};
use crate::{
    endpoint::request::sent_bytes,
    model::{
        event::Event,
        outcome::{AttemptNote, Outcome},
        settings::{Mode, OrderBy},
    },
};

/// An attempt with this number, or a later one, may go without some that it went with before.
const FAILURES_TOGETHER: u32 = 3;

/// Where a receipt is, as the books say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Held,
    Out,
}

struct Model {
    delivery: Delivery,
    settings: Settings,
    now: Instant,
    instances: u32,
    held_back: bool,
    /// One event may go although it is held back.
    trying: bool,
    gone: bool,
    partition: Arc<TestOrigin>,
    backlog: Arc<TestOrigin>,
    lost: Vec<Arc<TestOrigin>>,
    next_offset: i64,
    books: BTreeMap<i64, (Place, Arc<Event>, Instant)>,
    under_way: Vec<(AttemptId, Vec<i64>)>,
    /// For each event, the members it was sent with last, and whether they must be the same the next time.
    sent_with: BTreeMap<i64, (Vec<i64>, bool)>,
    /// For each event, the members it was sent with first.
    first_with: BTreeMap<i64, Vec<i64>>,
    /// The newest event that each lane sent for the first time, since the order was chosen.
    lanes: BTreeMap<(usize, i64), i64>,
    /// (time, events) of what went out under the present rate limit.
    passed: Vec<(Instant, usize)>,
    probe: Option<AttemptId>,
    /// In order, those that failed behind the first of a lane go back into it, and may come with others.
    was_ordered: bool,
    /// The last moment from which `park_after` may count for everything.
    clock_base: Instant,
}

impl Model {
    fn new(plan: &Plan) -> Self {
        let now = Instant::now();
        let settings = settings_of(plan, 1);
        let limits = Limits { park_after: PARK_AFTER, endpoint_bytes_max: 40_000, wait_target: ms(500) };
        Model {
            delivery: Delivery::new(Arc::new(settings.clone()), limits, 7, now),
            settings,
            now,
            instances: 1,
            held_back: false,
            trying: false,
            gone: false,
            partition: TestOrigin::new(),
            backlog: TestOrigin::stored(),
            lost: Vec::new(),
            next_offset: 0,
            books: BTreeMap::new(),
            under_way: Vec::new(),
            sent_with: BTreeMap::new(),
            first_with: BTreeMap::new(),
            lanes: BTreeMap::new(),
            passed: Vec::new(),
            probe: None,
            was_ordered: plan.ordering.is_some(),
            clock_base: now,
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Events { count, age_ms } => self.events(count, age_ms),
            Action::Stored(count) => self.stored(count),
            Action::Answer { nth, outcome, status } if !self.under_way.is_empty() => {
                self.answer(nth % self.under_way.len(), outcome, status);
            }
            Action::Answer { .. } => {}
            Action::Wait(by) => self.wait(ms(by)),
            Action::Stall(by) => {
                let due = self.delivery.poll_timeout();
                self.now += ms(by);
                if due.is_some_and(|due| due < self.now) {
                    self.clock_base = self.now;
                }
                self.delivery.handle_timeout(self.now);
                self.poll();
            }
            Action::Configure(plan) => self.configure(&plan),
            Action::LosePartition => {
                self.partition.current.store(false, Ordering::Relaxed);
                let next = TestOrigin::new();
                self.lost.push(std::mem::replace(&mut self.partition, next));
                self.backlog.current.store(false, Ordering::Relaxed);
                self.lost.push(std::mem::replace(&mut self.backlog, TestOrigin::stored()));
                // A batch comes again without its lost members.
                self.sent_with.values_mut().for_each(|(_, same)| *same = false);
            }
            Action::Drained if self.under_way.is_empty() => self.drained(),
            Action::Drained => {}
            Action::OwnTrouble(held_back) => {
                self.held_back = held_back;
                self.clock_base = self.now;
                self.delivery.handle_own_trouble(held_back, self.now);
                self.poll();
            }
            Action::Trial => {
                self.trying = true;
                self.delivery.handle_trial(self.now);
                self.poll();
                self.trying = false;
            }
            Action::BacklogRows => {
                self.delivery.handle_backlog_rows(0, self.now);
                self.poll();
            }
            Action::Instances(instances) => {
                if instances != self.instances {
                    self.passed.clear();
                }
                self.instances = instances;
                self.delivery.handle_instances(instances, self.now);
                self.poll();
            }
        }
        self.check();
    }

    fn events(&mut self, count: usize, age_ms: u64) {
        let received_at = self.now - ms(age_ms);
        let mut receipts = Vec::new();
        for offset in (self.next_offset..).take(count) {
            let receipt = keyed(&self.partition, offset, &(offset % 3).to_string(), received_at);
            self.books.insert(offset, (Place::Held, receipt.event().clone(), self.now));
            receipts.push(receipt);
        }
        self.next_offset += count as i64;
        self.delivery.handle_events(receipts, self.now);
        self.poll();
    }

    fn drained(&mut self) {
        self.partition.ahead.store(0, Ordering::Relaxed);
        self.delivery.handle_timeout(self.now);
        self.poll();
    }

    fn stored(&mut self, count: usize) {
        let mut receipts = Vec::new();
        for offset in (self.next_offset..).take(count) {
            let receipt = keyed(&self.backlog, offset, &(offset % 3).to_string(), self.now);
            self.books.insert(offset, (Place::Held, receipt.event().clone(), self.now));
            receipts.push(receipt);
        }
        self.next_offset += count as i64;
        self.delivery.handle_stored(receipts, self.now);
        self.poll();
    }

    fn answer(&mut self, nth: usize, outcome: Outcome, status: u16) {
        let (attempt, members) = self.under_way.remove(nth);
        if self.probe == Some(attempt) {
            self.probe = None;
        }
        match outcome {
            Outcome::Delivered | Outcome::Rejected => self.clock_base = self.now,
            Outcome::Gone => self.gone = true,
            _ => {}
        }
        // Only what was refused may come again in parts.
        let same = outcome != Outcome::Rejected;
        for member in &members {
            if let Some((with, must)) = self.sent_with.get_mut(member)
                && *with == members
            {
                *must &= same;
            }
        }
        let note = AttemptNote { status: Some(status), class: "http_4xx", excerpt: "".into() };
        self.delivery.handle_outcome(attempt, outcome, note, self.now);
        self.poll();
    }

    fn wait(&mut self, by: Duration) {
        let end = self.now + by;
        let mut wakes = 0;
        while let Some(at) = self.delivery.poll_timeout().filter(|at| *at <= end) {
            wakes += 1;
            assert!(wakes < 10_000, "the machine wakes its shell in vain");
            self.now = self.now.max(at);
            self.delivery.handle_timeout(self.now);
            self.poll();
        }
        self.now = end;
        self.check_parked_in_time();
    }

    fn configure(&mut self, plan: &Plan) {
        let version = self.settings.version + i64::from(plan.newer);
        self.gone &= !plan.newer;
        self.passed.clear();
        self.sent_with.values_mut().for_each(|(_, same)| *same = false);
        if plan.ordering != self.settings.delivery.ordering {
            self.lanes.clear();
        }
        self.was_ordered |= plan.ordering.is_some();
        self.settings = settings_of(plan, version);
        self.delivery.handle_settings(Arc::new(self.settings.clone()), self.now);
        self.poll();
    }

    fn poll(&mut self) {
        let mut sends = Vec::new();
        while let Some(effect) = self.delivery.poll_effect() {
            match effect {
                Effect::Send(attempt) => sends.push(attempt),
                Effect::Settle { receipts, how } => {
                    receipts.iter().for_each(|receipt| self.comes_out(receipt));
                    Receipt::settle_all(receipts, how);
                }
                Effect::Park(parked) => parked.into_iter().for_each(|parked| self.leaves(parked.receipt)),
                Effect::DeadLetter(given_up) => {
                    for given_up in given_up {
                        let attempts_max = self.settings.delivery.retry.attempts_max;
                        let enough = attempts_max.is_some_and(|max| given_up.attempts >= max);
                        let alone = self.sent_with[&given_up.receipt.event().offset()].0.len() == 1;
                        assert!(given_up.reason != Reason::Exhausted || enough && alone, "given up too early");
                        self.leaves(given_up.receipt);
                    }
                }
                Effect::Unpark(events) => {
                    assert!(events.iter().all(|event| self.books[&event.offset()].0 == Place::Out));
                }
                Effect::StateChanged(StateChange::Gone) => assert!(self.gone),
                Effect::StateChanged(_) => {}
            }
        }
        self.check_sends(&sends);
    }

    fn comes_out(&mut self, receipt: &Receipt) {
        let (place, ..) = self.books.get_mut(&receipt.event().offset()).expect("only what went in comes out");
        assert_eq!(*place, Place::Held, "a receipt comes out once");
        *place = Place::Out;
    }

    fn leaves(&mut self, receipt: Receipt) {
        self.comes_out(&receipt);
        receipt.settle(crate::model::receipt::Settlement::Backlogged);
    }

    fn check_sends(&mut self, sends: &[AttemptId]) {
        let breaker = self.delivery.breaker_state();
        for attempt in sends {
            let batch = self.delivery.batch(*attempt).expect("an attempt has members");
            let events: Vec<_> = batch.events().cloned().collect();
            let members: Vec<i64> = events.iter().map(|event| event.offset()).collect();
            let bytes: usize = events.iter().map(|event| sent_bytes(event, self.settings.delivery.format)).sum();
            // Only what failed again and again comes again in parts.
            let whole = batch.attempt_number() < FAILURES_TOGETHER;
            assert!(!members.is_empty());
            let stored = events.iter().filter(|event| event.origin.is_stored()).count();
            assert!(stored == 0 || stored == members.len(), "what is stored and what is not share no batch");
            assert!(events.iter().all(|event| event.origin.is_current()), "another instance owns it");
            assert!(self.settings.state == State::Enabled && !self.gone);
            // The batch that holds a lane goes whole, or its lane would have two under way.
            let one = members.len() == 1 || self.settings.delivery.ordering.is_some();
            assert!(!self.held_back || self.trying && sends.len() == 1 && one, "the trouble is ours");
            assert_ne!(breaker, BreakerState::Open, "nothing is sent while open");
            if breaker == BreakerState::HalfOpen {
                assert!(self.probe.is_none() && one, "one probe of one event");
                self.probe = Some(*attempt);
            }
            self.check_order(&events);
            self.check_members(&members, bytes, breaker, whole);
            self.passed.push((self.now, members.len()));
            self.under_way.push((*attempt, members));
        }
        if !sends.is_empty() {
            assert!(self.under_way.len() <= self.settings.delivery.in_flight_max as usize, "too many under way");
            self.check_rate();
        }
        if breaker != BreakerState::HalfOpen {
            self.probe = None;
        }
        assert_eq!(self.delivery.in_flight(), self.under_way.len());
    }

    /// What goes out for the first time goes out behind all of its lane that went before.
    fn check_order(&mut self, events: &[Arc<Event>]) {
        let Some(ordering) = self.settings.delivery.ordering else { return };
        for event in events.iter().filter(|event| !self.sent_with.contains_key(&event.offset())) {
            let origin = Arc::as_ptr(&event.origin).cast::<()>() as usize;
            let key = if ordering.by == OrderBy::Key { event.offset() % 3 } else { 0 };
            let last = self.lanes.insert((origin, key), event.offset());
            assert!(last < Some(event.offset()), "{last:?} of the lane went before {}", event.offset());
        }
    }

    fn check_members(&mut self, members: &[i64], bytes: usize, breaker: BreakerState, whole: bool) {
        // A probe, and a trial while the trouble is ours.
        let alone = breaker == BreakerState::HalfOpen || self.trying;
        match self.sent_with.get(&members[0]) {
            None => {
                let (events_max, bytes_max) = match self.settings.delivery.mode {
                    Mode::Stream => (1, usize::MAX),
                    Mode::Batch { events_max, bytes_max, .. } => (events_max as usize, bytes_max),
                };
                assert!(members.len() <= events_max && (bytes <= bytes_max || members.len() == 1));
                let is_new = |member| !self.sent_with.contains_key(member);
                assert!(self.was_ordered || members.iter().all(is_new));
            }
            Some((with, same)) => {
                let first = &self.first_with[&members[0]];
                let stays = |member| first.contains(member) || self.was_ordered;
                assert!(members.iter().all(stays), "no strangers join a repeated batch");
                if *same && !alone && whole && !self.was_ordered {
                    assert_eq!(members, with, "a repeated batch keeps its members");
                }
            }
        }
        if alone {
            // A probe may be taken out of a batch, which then comes again without it.
            let with = self.sent_with.get(&members[0]).map(|(with, _)| with.clone()).unwrap_or_default();
            for member in with {
                self.sent_with.entry(member).and_modify(|(_, same)| *same = false);
            }
        }
        for member in members {
            self.sent_with.insert(*member, (members.to_vec(), true));
            self.first_with.entry(*member).or_insert_with(|| members.to_vec());
        }
    }

    fn check_rate(&self) {
        let Some(limit) = self.settings.delivery.rate_limit else { return };
        let mut sum = 0;
        for (from, events) in self.passed.iter().rev() {
            sum += events;
            let window = (self.now - *from).as_secs_f64();
            let most = f64::from(limit.events_per_second) * window + f64::from(limit.burst_events);
            assert!(sum as f64 <= most + 1e-6, "{sum} events in {window} s");
        }
    }

    fn check(&self) {
        let wants = self.delivery.poll_timeout();
        assert!(wants.is_none_or(|at| at > self.now), "the machine wants to be called again at once");
        for origin in self.lost.iter().chain([&self.partition, &self.backlog]) {
            assert!(origin.abandoned.lock().is_empty(), "a receipt was dropped unsettled");
        }
        if self.lost.is_empty() {
            let held = self.books.values().filter(|(place, ..)| *place == Place::Held).count();
            let flying = self.delivery.flights.iter().map(|flight| flight.batch.held_len()).sum::<usize>();
            assert_eq!(held, self.delivery.queued_events() + self.delivery.stored_events() + flying);
            assert_eq!(held, self.delivery.held_events());
        }
    }

    /// With the timer kept, nothing current waits longer than it may.
    fn check_parked_in_time(&self) {
        // A batch that is not full yet waits for us.
        let fills = match self.settings.delivery.mode {
            Mode::Stream => Duration::ZERO,
            Mode::Batch { wait, .. } => wait,
        };
        let slack = ms(101) + fills;
        if self.held_back || self.now < self.clock_base + PARK_AFTER + slack {
            return;
        }
        for (offset, (place, event, came_in_at)) in &self.books {
            // Before it came in it waited for us.
            let due = *came_in_at + PARK_AFTER + slack;
            // What is stored costs no commit any time.
            let counts = event.origin.is_current() && !event.origin.is_stored();
            let late = *place == Place::Held && counts && due < self.now;
            assert!(!late, "event {offset} waits for {:?}", self.now - event.received_at);
        }
    }

    /// In the end the endpoint answers well, and all that is held gets there.
    fn drain(&mut self) {
        self.held_back = false;
        self.clock_base = self.now; // what waited for us gets its time again
        self.delivery.handle_own_trouble(false, self.now);
        self.poll();
        self.drained();
        let ordering = self.settings.delivery.ordering;
        let state = State::Enabled;
        let plan = Plan { mode: Mode::Stream, in_flight_max: 5, rate_limit: None, ordering, state, newer: true };
        self.configure(&plan);
        for _ in 0..10_000 {
            if self.delivery.is_idle() {
                break;
            }
            match self.under_way.is_empty() {
                true => {
                    self.drained();
                    self.wait(ms(100));
                }
                false => self.answer(0, Outcome::Delivered, 200),
            }
            self.check();
        }
        assert!(self.delivery.is_idle(), "all that is held gets out in the end");
        let held: Vec<_> = self.books.iter().filter(|(_, (place, ..))| *place == Place::Held).collect();
        assert!(held.iter().all(|(_, (_, event, _))| !event.origin.is_current()), "nothing is forgotten: {held:?}");
    }

    /// Or the process stops: what is held comes out to be stored.
    fn stop(&mut self) {
        self.delivery.handle_stop(self.now);
        self.poll();
        for parked in self.delivery.take_held() {
            self.leaves(parked.receipt);
        }
        let left = self.books.values().filter(|(place, event, _)| *place == Place::Held && event.origin.is_current());
        assert_eq!(left.count(), 0, "nothing is forgotten");
        assert_eq!(self.delivery.poll_timeout(), None);
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.backlog.current.store(false, Ordering::Relaxed);
        self.partition.current.store(false, Ordering::Relaxed);
    }
}

fn settings_of(plan: &Plan, version: i64) -> Settings {
    let mut settings = stream();
    settings.version = version;
    settings.state = plan.state;
    settings.delivery.mode = plan.mode;
    settings.delivery.in_flight_max = plan.in_flight_max;
    settings.delivery.rate_limit = plan.rate_limit;
    settings.delivery.ordering = plan.ordering;
    settings
}

proptest! {
    #[test]
    fn no_receipt_is_lost_and_every_limit_holds(plan in plans(), actions in actions(), stops in any::<bool>()) {
        let mut model = Model::new(&plan);
        for action in actions {
            model.apply(action);
        }
        if stops { model.stop() } else { model.drain() }
    }
}
