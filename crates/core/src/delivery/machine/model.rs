//! ○ A model of the machine: in any order of actions no receipt is lost or comes out twice, and every limit holds.

mod actions;
mod checks;
mod subscriptions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use proptest::prelude::*;

use self::actions::{Action, Plan, actions, plans, undisturbed_actions};
use super::{testing::*, *};
use crate::{
    model::{
        event::Event,
        outcome::{AttemptNote, Outcome},
        parking::{KeyNumber, RowCount},
        settings::{InFlight, Mode, OrderBy},
    },
    request::sent_bytes,
};

/// An attempt with this number, or a later one, may go without some that it went with before.
const FAILURES_TOGETHER: u32 = 3;

/// Place of a receipt, as the model accounts for it.
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
    partition: Arc<TestSource>,
    backlog: Arc<TestSource>,
    lost: Vec<Arc<TestSource>>,
    next_offset: i64,
    accounts: BTreeMap<i64, (Place, Arc<Event>, Instant)>,
    under_way: Vec<(AttemptId, Vec<i64>)>,
    /// Attempts of these that were sent with older settings.
    outdated: BTreeSet<AttemptId>,
    /// For each event, the members it was sent with last, and whether they must be the same the next time.
    sent_with: BTreeMap<i64, (Vec<i64>, bool)>,
    /// For each event, the members it was sent with first.
    first_with: BTreeMap<i64, Vec<i64>>,
    /// The newest event that each lane sent for the first time, since the order was chosen.
    lanes: BTreeMap<(usize, i64), i64>,
    /// Events that no longer match: they are sent no more.
    unwanted: BTreeSet<i64>,
    newest: Option<Arc<Subscribed>>,
    /// (time, events) of what went out under the present rate limit.
    passed: Vec<(Instant, usize)>,
    probe: Option<AttemptId>,
    /// In order, those that failed behind the first of a lane go back into it, and may come with others.
    was_ordered: bool,
    /// The last moment from which `park_after` may count for everything.
    clock_base: Instant,
    /// The shell keeps its timer, and nobody interferes, from then on.
    kept_since: Instant,
}

impl Model {
    fn new(plan: &Plan) -> Self {
        let now = Instant::now();
        let settings = settings_of(plan, 1);
        let limits = DeliveryLimits { park_after: PARK_AFTER, endpoint_bytes_max: 40_000, wait_target: ms(500) };
        Model {
            delivery: Delivery::new(Arc::new(settings.clone()), limits, 7, now),
            settings,
            now,
            instances: 1,
            held_back: false,
            trying: false,
            gone: false,
            partition: TestSource::new(),
            backlog: TestSource::stored(),
            lost: Vec::new(),
            next_offset: 0,
            accounts: BTreeMap::new(),
            under_way: Vec::new(),
            outdated: BTreeSet::new(),
            sent_with: BTreeMap::new(),
            first_with: BTreeMap::new(),
            lanes: BTreeMap::new(),
            unwanted: BTreeSet::new(),
            newest: None,
            passed: Vec::new(),
            probe: None,
            was_ordered: plan.ordering.is_some(),
            clock_base: now,
            kept_since: now,
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
                    (self.clock_base, self.kept_since) = (self.now, self.now);
                }
                self.delivery.handle_timeout(self.now);
                self.poll();
            }
            Action::Configure(plan) => self.configure(&plan),
            Action::LosePartition => {
                self.partition.current.store(false, Ordering::Relaxed);
                let next = TestSource::new();
                self.lost.push(std::mem::replace(&mut self.partition, next));
                self.backlog.current.store(false, Ordering::Relaxed);
                self.lost.push(std::mem::replace(&mut self.backlog, TestSource::stored()));
                // A batch comes again without its lost members.
                self.sent_with.values_mut().for_each(|(_, same)| *same = false);
            }
            Action::Narrow { tenant, held } => self.narrow(&tenant.to_string(), held),
            Action::Widen => self.widen(),
            Action::Drained if self.under_way.is_empty() => self.drained(),
            Action::Drained => {}
            Action::LocalOutage(held_back) => {
                self.held_back = held_back;
                (self.clock_base, self.kept_since) = (self.now, self.now);
                self.delivery.handle_local_outage(held_back, self.now);
                self.poll();
            }
            Action::Trial => {
                self.trying = true;
                self.delivery.handle_trial(self.now);
                self.poll();
                self.trying = false;
            }
            Action::BacklogRows => {
                self.delivery.handle_backlog_rows(RowCount { rows: 0, counted_at: self.now }, self.now);
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
            let receipt = of_tenant(&self.partition, offset, &(offset % 3).to_string(), received_at);
            self.accounts.insert(offset, (Place::Held, receipt.event().clone(), self.now));
            receipts.push(receipt);
        }
        self.next_offset += count as i64;
        self.delivery.handle_events(receipts, self.now);
        self.poll();
    }

    fn drained(&mut self) {
        self.partition.ahead.store(0, Ordering::Relaxed);
        self.partition.keys.lock().clear();
        self.delivery.handle_timeout(self.now);
        self.poll();
    }

    fn stored(&mut self, count: usize) {
        let mut receipts = Vec::new();
        for offset in (self.next_offset..).take(count) {
            let receipt = of_tenant(&self.backlog, offset, &(offset % 3).to_string(), self.now);
            self.accounts.insert(offset, (Place::Held, receipt.event().clone(), self.now));
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
            Outcome::Gone => self.gone |= !self.outdated.contains(&attempt),
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
        self.show_newest(attempt);
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
        self.check_held_in_time();
    }

    fn configure(&mut self, plan: &Plan) {
        let version = self.settings.version + i64::from(plan.newer);
        self.gone &= !plan.newer;
        if plan.newer {
            self.outdated.extend(self.under_way.iter().map(|(attempt, _)| attempt));
        }
        self.passed.clear();
        self.kept_since = self.now;
        self.sent_with.values_mut().for_each(|(_, same)| *same = false);
        if plan.ordering != self.settings.delivery.ordering {
            self.lanes.clear();
        }
        self.was_ordered |= plan.ordering.is_some();
        // What is held may have waited for a batch to fill, which waits for us.
        let (fills, now) = (self.fills(), self.now);
        for (_, _, came_in_at) in self.accounts.values_mut() {
            *came_in_at = (*came_in_at + fills).min(now);
        }
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
                    let is_cancelled = how == crate::model::receipt::Settlement::Cancelled;
                    let may_be = |receipt: &Receipt| self.unwanted.contains(&receipt.event().offset());
                    assert!(!is_cancelled || receipts.iter().all(may_be), "cancelled, and still wanted");
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
                    assert!(events.iter().all(|event| self.accounts[&event.offset()].0 == Place::Out));
                }
                Effect::StateChanged(StateChange::Gone) => assert!(self.gone),
                Effect::StateChanged(_) => {}
            }
        }
        self.check_sends(&sends);
    }

    fn comes_out(&mut self, receipt: &Receipt) {
        let (place, ..) = self.accounts.get_mut(&receipt.event().offset()).expect("only what went in comes out");
        assert_eq!(*place, Place::Held, "a receipt comes out once");
        *place = Place::Out;
    }

    fn leaves(&mut self, receipt: Receipt) {
        self.comes_out(&receipt);
        receipt.settle(crate::model::receipt::Settlement::Backlogged);
    }

    /// In the end the endpoint answers well, and all that is held gets there.
    fn drain(&mut self) {
        self.held_back = false;
        (self.clock_base, self.kept_since) = (self.now, self.now); // what waited for us gets its time again
        self.delivery.handle_local_outage(false, self.now);
        self.poll();
        let ordering = self.settings.delivery.ordering;
        let state = EndpointState::Enabled;
        let plan = Plan {
            mode: Mode::Stream,
            in_flight: InFlight::Auto,
            in_flight_max: 5,
            rate_limit: None,
            ordering,
            state,
            newer: true,
        };
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
        let held: Vec<_> = self.accounts.iter().filter(|(_, (place, ..))| *place == Place::Held).collect();
        assert!(held.iter().all(|(_, (_, event, _))| !event.source.is_current()), "nothing is forgotten: {held:?}");
    }

    /// Or the process stops: what is held comes out to be stored.
    fn stop(&mut self) {
        self.delivery.handle_stop(self.now);
        self.poll();
        for parked in self.delivery.take_held() {
            self.leaves(parked.receipt);
        }
        let left =
            self.accounts.values().filter(|(place, event, _)| *place == Place::Held && event.source.is_current());
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
    settings.delivery.in_flight = plan.in_flight;
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

    #[test]
    fn no_commit_is_held_for_long(plan in plans(), actions in undisturbed_actions()) {
        let mut model = Model::new(&plan);
        for action in actions {
            model.apply(action);
        }
        model.drain();
    }
}
