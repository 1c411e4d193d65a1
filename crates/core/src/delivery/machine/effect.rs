//! ○ Effects: orders of the machine to its shell.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    delivery::batch::Members,
    model::{
        disposition::{GivenUp, Next, Parked},
        event::Event,
        receipt::{Receipt, Settlement},
    },
};

/// One request's turn; unique within a [`Delivery`](super::Delivery).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub u64);

/// An order to the shell.
#[derive(Debug)]
pub enum Effect {
    /// Build a request of [`Delivery::batch`](super::Delivery::batch) and send it; answer with
    /// [`Delivery::handle_outcome`](super::Delivery::handle_outcome).
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

/// Limits of memory, from the operator's configuration.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryLimits {
    /// Time that an event may wait in memory for an endpoint that does not answer 2xx.
    pub park_after: Duration,
    /// With more bytes waiting, an endpoint is lagging.
    pub endpoint_bytes_max: usize,
    /// Time that an event may wait for reasons of our own; see [`crate::flow`].
    pub wait_target: Duration,
}

/// Permits of the core for requests, as the endpoint may have them now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permits {
    /// Number of requests that may begin.
    pub free: usize,
    /// Its customer has its share already, so waiting for more is the customer's own doing and not ours.
    pub has_share: bool,
    /// Not these run out but the turn, which others on the core wait for: more may begin in the next one.
    pub ends_turn: bool,
}

impl Permits {
    pub const NONE: Permits = Permits { free: 0, has_share: false, ends_turn: false };
    pub const PLENTY: Permits = Permits { free: usize::MAX, has_share: false, ends_turn: false };
}

/// Effects not yet polled. What settles, parks or dies is gathered, so that one answer of the shell serves many events.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub sends: VecDeque<AttemptId>,
    pub changes: Vec<StateChange>,
    pub delivered: Vec<Receipt>,
    /// No longer wanted.
    pub cancelled: Vec<Receipt>,
    pub parked: Vec<Parked>,
    pub unparked: Vec<Arc<Event>>,
    pub given_up: Vec<GivenUp>,
    /// Disposition of the batch whose outcome was heard last.
    pub next: Next,
}

impl Effects {
    pub(super) fn settle(&mut self, members: Members) {
        if self.delivered.is_empty() && members.spilled() {
            self.delivered = members.into_vec();
        } else {
            self.delivered.extend(members);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sends.is_empty()
            && self.delivered.is_empty()
            && self.cancelled.is_empty()
            && self.parked.is_empty()
            && self.unparked.is_empty()
            && self.given_up.is_empty()
            && self.changes.is_empty()
    }

    /// Requests first: they are what someone waits for. An event's park comes before its unpark.
    pub(super) fn poll(&mut self) -> Option<Effect> {
        if let Some(attempt) = self.sends.pop_front() {
            return Some(Effect::Send(attempt));
        }
        if !self.delivered.is_empty() {
            let receipts = std::mem::take(&mut self.delivered);
            return Some(Effect::Settle { receipts, how: Settlement::Delivered });
        }
        if !self.cancelled.is_empty() {
            let receipts = std::mem::take(&mut self.cancelled);
            return Some(Effect::Settle { receipts, how: Settlement::Cancelled });
        }
        if !self.parked.is_empty() {
            return Some(Effect::Park(std::mem::take(&mut self.parked)));
        }
        if !self.unparked.is_empty() {
            return Some(Effect::Unpark(std::mem::take(&mut self.unparked)));
        }
        if !self.given_up.is_empty() {
            return Some(Effect::DeadLetter(std::mem::take(&mut self.given_up)));
        }
        if !self.changes.is_empty() {
            return Some(Effect::StateChanged(self.changes.remove(0)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_polled_yet_keeps_the_machine_from_being_done() {
        let mut effects = Effects { changes: vec![StateChange::Gone], ..Effects::default() };
        assert!(!effects.is_empty());
        assert!(effects.poll().is_some() && effects.is_empty());
        effects.sends.push_back(AttemptId(1));
        assert!(!effects.is_empty());
        assert!(effects.poll().is_some() && effects.is_empty());
    }
}
