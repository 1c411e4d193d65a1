//! ○ Closed, Open, HalfOpen: when an endpoint is left alone, and how it gets its load back.
//!
//! **Invariant:** while Open nothing is sent; while HalfOpen at most one probe is under way.
//! **Invariant:** an answer to a request from before the last change of state changes nothing.

use std::time::{Duration, Instant};

use rand::Rng;

use super::retry::spread;
use crate::model::settings::Breaker as Thresholds;

/// The breaker of one endpoint.
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    state: State,
    /// Grows with every change of state, so that a late answer is known as late.
    era: u32,
    /// Requests under way that went out since then. Those from before an outage may hang on and hold up nothing.
    under_way: u32,
    /// Openings since the endpoint last carried its full load; each doubles the next open time.
    openings: u32,
    failures_in_row: u32,
    window: Window,
}

/// As `/v1/actors` and the metrics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

/// The amount that may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerAllowance {
    /// Number of further requests.
    Requests(u32),
    /// One probe of one event.
    Probe,
    /// Nothing until the probe is answered.
    AwaitProbe,
    /// Nothing before this time.
    Until(Instant),
}

/// A request's permit, which comes back with its answer.
#[derive(Clone, Copy, Debug)]
pub struct BreakerPermit {
    era: u32,
    probe: bool,
}

impl BreakerPermit {
    #[must_use]
    pub fn is_probe(self) -> bool {
        self.probe
    }
}

/// A change of state, for those who watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerChange {
    Opened { failures: u32, until: Instant },
    HalfOpened,
    Closed,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { ramp: Option<Ramp> },
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// After an outage: 1, 2, 4 … requests under way, each step once the one before was answered in full.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    requests: u32,
    answered: u32,
}

impl CircuitBreaker {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        CircuitBreaker {
            state: State::Closed { ramp: None },
            era: 0,
            under_way: 0,
            openings: 0,
            failures_in_row: 0,
            window: Window::starting_at(now),
        }
    }

    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Closed, at its full load, and nothing has failed lately.
    #[must_use]
    pub fn is_untroubled(&self) -> bool {
        matches!(self.state, State::Closed { ramp: None })
            && self.openings == 0
            && self.failures_in_row == 0
            && self.window.totals().1 == 0
    }

    /// The allowance as of the last [`handle_timeout`](Breaker::handle_timeout).
    #[must_use]
    pub fn allowance(&self) -> BreakerAllowance {
        match self.state {
            State::Closed { ramp: None } => BreakerAllowance::Requests(u32::MAX),
            State::Closed { ramp: Some(ramp) } => {
                BreakerAllowance::Requests(ramp.requests.saturating_sub(self.under_way))
            }
            State::Open { until } => BreakerAllowance::Until(until),
            State::HalfOpen { probing: false } => BreakerAllowance::Probe,
            State::HalfOpen { probing: true } => BreakerAllowance::AwaitProbe,
        }
    }

    /// Open becomes HalfOpen when its time is over.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<BreakerChange> {
        match self.state {
            State::Open { until } if until <= now => Some(self.half_open()),
            _ => None,
        }
    }

    /// Something about the endpoint was changed, which may well have been the cause: a probe is worth it now.
    pub fn probe_now(&mut self) -> Option<BreakerChange> {
        matches!(self.state, State::Open { .. }).then(|| self.half_open())
    }

    /// A request goes out, as the [`allowance`](Breaker::allowance) permits.
    pub fn begin(&mut self) -> BreakerPermit {
        let probe = match &mut self.state {
            State::HalfOpen { probing } => {
                debug_assert!(!*probing, "one probe at a time");
                *probing = true;
                true
            }
            State::Closed { .. } => false,
            State::Open { .. } => {
                debug_assert!(false, "nothing is sent while open");
                false
            }
        };
        self.under_way += 1;
        BreakerPermit { era: self.era, probe }
    }

    /// A 2xx answer.
    pub fn succeeded(
        &mut self,
        permit: BreakerPermit,
        now: Instant,
        limits: &Thresholds,
        in_flight_max: u32,
    ) -> Option<BreakerChange> {
        if !self.is_of_this_era(permit) {
            return None;
        }
        self.failures_in_row = 0;
        if permit.probe {
            self.enter(State::Closed { ramp: Some(Ramp { requests: 1, answered: 0 }) });
            self.window = Window::starting_at(now);
            return Some(BreakerChange::Closed);
        }
        self.window.at(now, limits.window).succeeded += 1;
        if let State::Closed { ramp: ramp @ Some(_) } = &mut self.state {
            climb(ramp, in_flight_max);
            if ramp.is_none() {
                self.openings = 0;
            }
        }
        None
    }

    /// The endpoint failed this request, and by that `requests` in all: blame can come later than an answer.
    pub fn failed(
        &mut self,
        permit: BreakerPermit,
        requests: u32,
        now: Instant,
        limits: &Thresholds,
        rng: &mut impl Rng,
    ) -> Option<BreakerChange> {
        if !self.is_of_this_era(permit) {
            return None;
        }
        self.failures_in_row = self.failures_in_row.saturating_add(requests);
        if permit.probe {
            return Some(self.open(now, limits, rng));
        }
        self.window.at(now, limits.window).failed += requests;
        if let State::Closed { ramp: Some(ramp) } = &mut self.state {
            *ramp = Ramp { requests: 1, answered: 0 };
        }
        let (succeeded, failed) = self.window.totals();
        let seen = succeeded + failed;
        let too_many =
            seen >= limits.requests_min.max(1) && f64::from(failed) >= limits.failure_ratio * f64::from(seen);
        (self.failures_in_row >= limits.consecutive_failures.max(1) || too_many).then(|| self.open(now, limits, rng))
    }

    /// An answer that says nothing about the endpoint's health: a probe's turn is free again.
    pub fn undecided(&mut self, permit: BreakerPermit) {
        if self.is_of_this_era(permit)
            && let State::HalfOpen { probing } = &mut self.state
        {
            *probing = false;
        }
    }

    /// The request is over. What came out of it counts only if it went out since the last change of state.
    fn is_of_this_era(&mut self, permit: BreakerPermit) -> bool {
        let counts = permit.era == self.era;
        if counts {
            self.under_way = self.under_way.saturating_sub(1);
        }
        counts
    }

    fn open(&mut self, now: Instant, limits: &Thresholds, rng: &mut impl Rng) -> BreakerChange {
        let doubled = limits.open_base.saturating_mul(1_u32.checked_shl(self.openings).unwrap_or(u32::MAX));
        let until = now + spread(doubled.min(limits.open_max), rng).min(limits.open_max);
        self.openings = self.openings.saturating_add(1);
        self.enter(State::Open { until });
        self.window = Window::starting_at(now);
        BreakerChange::Opened { failures: self.failures_in_row, until }
    }

    fn half_open(&mut self) -> BreakerChange {
        self.enter(State::HalfOpen { probing: false });
        BreakerChange::HalfOpened
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.era = self.era.wrapping_add(1);
        self.under_way = 0;
    }
}

fn climb(ramp: &mut Option<Ramp>, in_flight_max: u32) {
    let Some(step) = ramp else { return };
    step.answered += 1;
    if step.answered >= step.requests {
        *step = Ramp { requests: step.requests.saturating_mul(2), answered: 0 };
        if step.requests >= in_flight_max {
            *ramp = None;
        }
    }
}

/// Answers of the last `window`, in [`SLOTS`] slots: a slot is forgotten whole, so the window is exact to one slot.
#[derive(Debug, Clone)]
struct Window {
    slots: [Slot; SLOTS],
    current: usize,
    /// Time at which the current slot began.
    since: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    succeeded: u32,
    failed: u32,
}

impl Window {
    fn starting_at(now: Instant) -> Self {
        Window { slots: [Slot::default(); SLOTS], current: 0, since: now }
    }

    /// The slot of now. On the path of every answer: one comparison, unless a slot is over.
    fn at(&mut self, now: Instant, window: Duration) -> &mut Slot {
        let slot = window / SLOTS as u32;
        let over = now.saturating_duration_since(self.since);
        if over >= slot {
            let slots = over.as_nanos().checked_div(slot.as_nanos()).unwrap_or(SLOTS as u128);
            let slots = slots.min(SLOTS as u128) as u32;
            // By whole slots, or the window would grow with every answer that comes late in one.
            self.since = if slots < SLOTS as u32 { self.since + slot * slots } else { now };
            self.forget(slots);
        }
        &mut self.slots[self.current]
    }

    fn forget(&mut self, slots: u32) {
        for _ in 0..slots {
            self.current = (self.current + 1) % SLOTS;
            self.slots[self.current] = Slot::default();
        }
    }

    fn totals(&self) -> (u32, u32) {
        self.slots.iter().fold((0, 0), |(succeeded, failed), slot| (succeeded + slot.succeeded, failed + slot.failed))
    }
}

const SLOTS: usize = 10;

#[cfg(test)]
mod tests;
