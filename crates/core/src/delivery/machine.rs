//! ○ The delivery machine of one endpoint: it is told the time and the entropy, and does no I/O.
//!
//! Calling order: any number of `handle_*`, then [`Delivery::poll_effect`] until it returns `None`, then one timer
//! for [`Delivery::poll_timeout`].
//!
//! **Invariant:** a receipt that is given in is held, or has come out in exactly one of the effects `Settle`, `Park`
//! and `DeadLetter`, or was dropped because another instance owns its event by now.
//! **Invariant:** at most `in_flight_max` attempts are under way, fewer where that floats, and none begins while the breaker
//! is open.
//! **Invariant:** a repeated batch has the members, and so the id, that it had the first time.

mod outcome_handling;
mod after_backlog;
mod concurrent;
mod dispatch;
mod effect;
mod in_flight;
mod counters;
mod lagging;
mod narrowed;
mod obstacle;
mod ordered;
mod parking;
mod park_room;
mod permits;
mod renewed;
mod refusals;
mod remembered;
mod retry_queue;
mod saturation;

#[cfg(test)]
mod alone_tests;
#[cfg(test)]
mod model;
#[cfg(test)]
mod narrowed_tests;
#[cfg(test)]
mod next_tests;
#[cfg(test)]
mod ordered_tests;
#[cfg(test)]
mod permit_tests;
#[cfg(test)]
mod stored_tests;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Instant};

use rand::{SeedableRng, rngs::SmallRng};

pub use self::effect::{AttemptId, DeliveryLimits, Effect, Permits, StateChange};
pub use self::remembered::Remembered;
use self::{
    after_backlog::AfterBacklog, effect::Effects, in_flight::Flights, parking::Leave, refusals::Refusals,
    retry_queue::RetryQueue,
};
use super::{
    batch::Batch,
    breaker::{BreakerChange, BreakerState, CircuitBreaker},
    buffer::{BatchBuffer, BatchLimits},
    concurrency::ConcurrencyLimit,
    lanes::{LaneId, Lanes},
    rate_limit::RateLimiter,
};
pub use crate::model::disposition::{GivenUp, Next, Parked, Reason};
use crate::{
    flow::rate::Rate,
    model::{
        receipt::Receipt,
        settings::{EndpointState, Settings},
        source::EventSource,
    },
    routing::subscribed::Subscribed,
};

/// See the module's page.
pub struct Delivery {
    settings: Arc<Settings>,
    limits: DeliveryLimits,
    batch_limits: BatchLimits,
    /// Number of instances that share the endpoint's rate limit.
    instances: u32,
    rng: SmallRng,

    buffer: BatchBuffer,
    /// Read from the backlog. They share rate and requests with what comes from Kafka.
    stored: BatchBuffer,
    /// In the place of both, for an ordered endpoint.
    lanes: Option<Lanes>,
    /// Events of Kafka that wait for the last rows before them.
    behind: AfterBacklog,
    /// Lanes of which something was parked: the rest follows.
    parks: HashMap<LaneId, Arc<dyn EventSource>>,
    /// Batches from Kafka since the last one from the backlog, while both had some.
    live_in_row: u32,
    waiting: RetryQueue,
    flights: Flights,
    /// Subscriptions that became narrower while that was under way whose outcome is being heard.
    narrowed: Option<Arc<Subscribed>>,
    effects: Effects,
    /// Time at which this machine was made.
    began_at: Instant,
    breaker: CircuitBreaker,
    rate_limiter: Option<RateLimiter>,
    /// Floating concurrency limit of an endpoint with `auto`.
    concurrency: Option<Box<ConcurrencyLimit>>,
    /// Requests that may begin, as far as the core has permits.
    permits: Permits,
    /// Something could go if there were a permit.
    wants_permit: bool,
    /// Since when something that was due has waited for a permit, by no doing of its customer, without a break.
    short_since: Option<Instant>,
    /// Time of the last turn, where that ended before all had gone that could.
    turn_ended_at: Option<Instant>,
    /// The endpoint asked (`Retry-After`) to be left alone until then.
    silent_until: Option<Instant>,
    /// Its rate lets nothing more through before then.
    limited_until: Option<Instant>,
    last_delivered: Option<Instant>,
    /// Single events refused since something was accepted.
    refusals: Refusals,
    /// It answered 410 to these settings.
    gone: bool,
    /// The trouble is ours: nothing is sent, and nothing parked for not being sent.
    held_back: bool,
    /// All the same one event may be tried now.
    trying: bool,
    /// Time at which that was over.
    released_at: Option<Instant>,
    /// Since when events wait for a limit of the endpoint's own, without a break.
    blocked_since: Option<Instant>,
    /// Rate of events that it takes, and whether it could take more.
    delivered: Rate,
    saturation: saturation::Saturation,
    /// Events that leave memory, and the rows that wait for it.
    backlogged: lagging::Backlogged,
    /// It cannot keep up: what comes goes to the backlog until the backlog is gone.
    lagging: bool,
    /// It takes nothing.
    stalled: bool,
    stopping: bool,

    /// Time at which something more can be sent, as far as time decides it.
    wake_at: Option<Instant>,
    /// Not before then is anything old enough to be parked.
    park_check_at: Option<Instant>,
    park_checked_at: Option<Instant>,
    /// Events that may leave memory in this turn.
    park_room: usize,
    /// True if more should leave than may.
    wants_park_room: bool,
}

impl Delivery {
    /// `seed` is the entropy of this machine.
    #[must_use]
    pub fn new(settings: Arc<Settings>, limits: DeliveryLimits, seed: u64, now: Instant) -> Self {
        let mut delivery = Delivery {
            batch_limits: BatchLimits::new(
                settings.delivery.mode,
                settings.delivery.format,
                None,
                settings.delivery.retry.attempts_max,
            ),
            limits,
            instances: 1,
            rng: SmallRng::seed_from_u64(seed),
            buffer: BatchBuffer::default(),
            stored: BatchBuffer::default(),
            lanes: settings.delivery.ordering.map(|ordering| Lanes::new(ordering.by)),
            behind: AfterBacklog::default(),
            parks: HashMap::new(),
            live_in_row: 0,
            waiting: RetryQueue::default(),
            flights: Flights::default(),
            narrowed: None,
            effects: Effects::default(),
            began_at: now,
            breaker: CircuitBreaker::new(now),
            rate_limiter: None,
            concurrency: None,
            permits: Permits::PLENTY,
            wants_permit: false,
            short_since: None,
            turn_ended_at: None,
            silent_until: None,
            limited_until: None,
            last_delivered: None,
            refusals: Refusals::default(),
            gone: false,
            held_back: false,
            trying: false,
            released_at: None,
            blocked_since: None,
            delivered: Rate::new(now),
            saturation: saturation::Saturation::new(now),
            backlogged: lagging::Backlogged::new(now),
            lagging: false,
            stalled: false,
            stopping: false,
            settings,
            wake_at: None,
            park_check_at: None,
            park_checked_at: None,
            park_room: usize::MAX,
            wants_park_room: false,
        };
        delivery.renew_rate_limiter(now);
        delivery.renew_concurrency(now);
        delivery
    }

    /// More events from Kafka, in the order in which they shall be sent.
    pub fn handle_events(&mut self, receipts: Vec<Receipt>, now: Instant) {
        self.saturation.came(receipts.len() as u64, now);
        self.take_in(receipts, false, now);
    }

    /// Events that were read from the backlog. Those that cannot go in time come out in an [`Effect::Park`] again.
    pub fn handle_stored(&mut self, receipts: Vec<Receipt>, now: Instant) {
        self.take_in(receipts, true, now);
    }

    fn take_in(&mut self, receipts: Vec<Receipt>, stored: bool, now: Instant) {
        if self.lanes.is_some() {
            return self.take_into_lanes(receipts, now);
        }
        let mut oldest: Option<Instant> = None;
        let until = if self.is_off() { Some(now) } else { self.blocked_until(now) };
        for receipt in receipts {
            let received_at = receipt.event().received_at;
            let overtakes = self.lagging && !stored;
            let leaves = overtakes || until.zip(self.park_at(received_at, None)).is_some_and(|(until, at)| at <= until);
            if leaves && self.takes_park_room() {
                self.park_one(receipt, 0, &None, Leave::default());
                continue;
            }
            oldest = Some(oldest.map_or(received_at, |oldest| oldest.min(received_at)));
            let buffer = if stored { &mut self.stored } else { &mut self.buffer };
            buffer.push(receipt);
        }
        let Some(oldest) = oldest else { return };
        self.expect_park(oldest, stored, now);
        self.advance(now);
    }

    /// The time that [`poll_timeout`](Delivery::poll_timeout) named has come (or any other: too early does no harm).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// While the trouble is ours (`held_back`), nothing is sent and nothing leaves memory for it. An open breaker may
    /// have opened for the same trouble, so the endpoint is probed as soon as anybody can be reached.
    pub fn handle_local_outage(&mut self, held_back: bool, now: Instant) {
        if self.held_back && !held_back {
            self.released_at = Some(now);
        }
        if held_back {
            let change = self.breaker.probe_now();
            self.report(change);
        }
        self.held_back = held_back;
        self.park_check_at = Some(now);
        self.advance(now);
    }

    /// The endpoint was seen to take something: an open breaker finds out now, not when its time is over.
    pub fn handle_probe_wanted(&mut self, now: Instant) {
        let change = self.breaker.probe_now();
        self.report(change);
        self.park_check_at = Some(now);
        self.advance(now);
    }

    /// Tries the endpoint during a local outage: one event is sent, if any can be.
    pub fn handle_trial(&mut self, now: Instant) {
        self.trying = self.held_back;
        self.advance(now);
        self.trying = false;
    }

    /// A graceful stop has begun: batches go as they are, and nothing waits for a retry any more.
    /// What cannot go now stays until [`take_held`](Delivery::take_held).
    pub fn handle_stop(&mut self, now: Instant) {
        self.stopping = true;
        self.park_room = usize::MAX;
        self.park_stored(|_, _| true);
        self.park_waiting(|_, _, _| true);
        self.advance(now);
    }

    /// Drops all that is held, the effects not yet polled included: the receipts report themselves.
    pub fn abandon(&mut self) {
        let (settings, limits, now) = (Arc::clone(&self.settings), self.limits, self.began_at);
        *self = Delivery::new(settings, limits, 0, now);
    }

    /// `None` until the next `handle_*`.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.poll()
    }

    /// Time of the next [`handle_timeout`](Delivery::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.wake_at, self.park_check_at) {
            (Some(wake), Some(park)) => Some(wake.min(park)),
            (wake, park) => wake.or(park),
        }
    }

    /// The members of an attempt under way.
    #[must_use]
    pub fn batch(&self, attempt: AttemptId) -> Option<&Batch> {
        self.flights.get(attempt).map(|flight| &flight.batch)
    }

    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Nothing is sent, whatever the time: until someone changes the settings, or our own trouble is over.
    #[must_use]
    pub fn sends_nothing(&self) -> bool {
        !self.may_send()
    }

    /// The time before which the endpoint is left alone: its breaker is open, or it asked for it.
    #[must_use]
    pub fn silent_until(&self, now: Instant) -> Option<Instant> {
        self.blocked_until(now)
    }

    /// Nothing is held, under way or waiting to be polled.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.has_nothing_to_send() && self.behind.is_empty() && self.flights.len() == 0 && self.effects.is_empty()
    }

    fn has_nothing_to_send(&self) -> bool {
        let no_lanes = self.lanes.as_ref().is_none_or(Lanes::is_empty);
        self.buffer.is_empty() && self.stored.is_empty() && no_lanes && self.waiting.is_empty()
    }

    /// Nothing is sent until someone changes that.
    fn is_off(&self) -> bool {
        self.gone || self.settings.state != EndpointState::Enabled
    }

    /// The settings let us send.
    fn may_send(&self) -> bool {
        self.settings.delivery.in_flight_max > 0
            && self.settings.state == EndpointState::Enabled
            && !self.gone
            && (!self.held_back || self.trying)
    }

    /// Does all that time allows: parks what is due, then sends what can go.
    fn advance(&mut self, now: Instant) {
        self.excuse_late_turn(now);
        let parked = self.effects.parked.len();
        if self.park_check_at.is_some_and(|at| at <= now) {
            self.park_overdue(now);
        }
        self.let_in(now);
        self.park_the_rest();
        self.backlogged.left((self.effects.parked.len() - parked) as u64, now);
        self.dispatch(now);
    }

    fn report(&mut self, change: Option<BreakerChange>) {
        let Some(change) = change else { return };
        self.effects.changes.push(match change {
            BreakerChange::Opened { failures, .. } => StateChange::BreakerOpened { failures },
            BreakerChange::HalfOpened => StateChange::BreakerHalfOpen,
            BreakerChange::Closed => StateChange::BreakerClosed,
        });
    }
}
