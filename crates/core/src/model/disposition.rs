//! ○ The disposition of an event after an attempt: retried, parked in the backlog, or given up as a dead letter.

use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{outcome::AttemptNote, parking::Parking, receipt::Receipt};

/// Disposition of a batch after an attempt. For people to look at: nothing is decided by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Next {
    /// Delivered, or no longer ours.
    #[default]
    Ended,
    /// It waits in memory for its next attempt; when the endpoint's breaker opens it may go into the backlog meanwhile.
    Retry {
        at: Instant,
    },
    /// It is stored; its next attempt is not due before `at`.
    Backlog {
        at: Option<Instant>,
    },
    DeadLetter,
}

/// An event that leaves memory, still to be delivered.
#[derive(Debug)]
pub struct Parked {
    pub receipt: Receipt,
    pub attempts: u32,
    pub last: Option<AttemptNote>,
    /// Its attempt is still under way until this deadline; a 2xx takes it out of the backlog again.
    pub in_flight_until: Option<Instant>,
    /// Its next attempt is due then; at once, as far as the event is concerned, where there is none.
    pub not_before: Option<Instant>,
    /// To be dropped once its row is counted.
    pub parking: Parking,
}

impl Parked {
    /// True if it was sent, or is being sent.
    #[must_use]
    pub fn is_attempted(&self) -> bool {
        self.attempts > 0 || self.in_flight_until.is_some()
    }
}

/// An event that will not be delivered.
#[derive(Debug)]
pub struct GivenUp {
    pub receipt: Receipt,
    pub reason: Reason,
    pub attempts: u32,
    pub last: Option<AttemptNote>,
}

/// The cause of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Reason {
    /// The endpoint refused the event for good (400, 413, 422).
    Rejected,
    /// Its attempts or its time were used up.
    Exhausted,
    /// The record could not be decoded.
    Undecodable,
    /// It was larger than an event may be.
    TooLarge,
    /// A fault of this service: it was abandoned three times.
    Internal,
}

impl Reason {
    pub const ALL: [Reason; 5] =
        [Reason::Rejected, Reason::Exhausted, Reason::Undecodable, Reason::TooLarge, Reason::Internal];

    /// Its word, in metrics and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Rejected => "rejected",
            Reason::Exhausted => "exhausted",
            Reason::Undecodable => "undecodable",
            Reason::TooLarge => "too_large",
            Reason::Internal => "internal",
        }
    }
}
