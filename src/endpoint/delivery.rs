//! ○ The delivery machine of one endpoint: it is told the time and the dice, and does no I/O.
//!
//! Calling order: any number of `handle_*`, then [`Delivery::poll_effect`] until it returns `None`, then one timer
//! for [`Delivery::poll_timeout`].

use std::{sync::Arc, time::Instant};

use super::{
    outcome::{AttemptNote, Outcome},
    settings::Settings,
};
use crate::{
    event::Event,
    ingest::receipt::{Receipt, Settlement},
};

/// One request's turn; unique within a [`Delivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub u64);

/// What the shell must do.
#[derive(Debug)]
pub enum Effect {
    /// Build a request of [`Delivery::batch`] and send it; answer with [`Delivery::handle_outcome`].
    Send(AttemptId),
    /// These settled.
    Settle { receipts: Vec<Receipt>, how: Settlement },
    /// These have waited for `park_after`: they belong in the backlog. Settle them once they are stored.
    Park(Vec<Parked>),
    /// An event that was parked while its attempt was in flight was delivered after all: take it out of the backlog.
    Unpark(Vec<Arc<Event>>),
    /// These are given up. Settle them once they are stored.
    DeadLetter(Vec<GivenUp>),
    /// For metrics, logs and the other instances.
    StateChanged(StateChange),
}

/// An event that leaves memory, still to be delivered.
#[derive(Debug)]
pub struct Parked {
    pub receipt: Receipt,
    pub attempts: u32,
    pub last: Option<AttemptNote>,
    /// Its attempt is still under way until this deadline; a 2xx brings an [`Effect::Unpark`].
    pub in_flight_until: Option<Instant>,
}

/// An event that will not be delivered.
#[derive(Debug)]
pub struct GivenUp {
    pub receipt: Receipt,
    pub reason: Reason,
    pub attempts: u32,
    pub last: Option<AttemptNote>,
}

/// Why an event became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The endpoint refused this event (400, 413, 422).
    Rejected,
    /// Attempts or age used up.
    Exhausted,
    /// The record could not be decoded.
    Undecodable,
    TooLarge,
    /// Our own fault: abandoned three times.
    Internal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    BreakerOpened {
        failures: u32,
    },
    BreakerHalfOpen,
    BreakerClosed,
    /// The endpoint answered 410.
    Gone,
}

/// What memory may hold, from the operator's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long an event may wait in memory for an endpoint that does not answer 2xx.
    pub park_after: std::time::Duration,
    /// Above this many bytes waiting, an endpoint that cannot keep up sheds what is older than `park_after`.
    pub endpoint_bytes_max: usize,
}

/// The members of an attempt.
#[derive(Debug)]
pub struct Batch;

/// See the module's page.
pub struct Delivery {
    _settings: Arc<Settings>,
}

impl Delivery {
    /// `seed` is the dice of this machine.
    #[must_use]
    pub fn new(settings: Arc<Settings>, _limits: Limits, _seed: u64, _now: Instant) -> Self {
        Delivery { _settings: settings }
    }

    pub fn handle_events(&mut self, _receipts: Vec<Receipt>, _now: Instant) {}
    pub fn handle_outcome(&mut self, _attempt: AttemptId, _outcome: Outcome, _note: AttemptNote, _now: Instant) {}
    pub fn handle_timeout(&mut self, _now: Instant) {}
    pub fn handle_settings(&mut self, _settings: Arc<Settings>, _now: Instant) {}

    pub fn poll_effect(&mut self) -> Option<Effect> {
        None
    }

    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
