//! ○ Each (event, endpoint) travels as a [`Receipt`], which settles exactly once.
//!
//! **Invariant:** an event is done when all of its receipts have settled, and not before.
//! **Invariant:** a receipt dropped without [`settle`](Receipt::settle) (a panic, a forgotten branch) reports itself as
//! abandoned, so a bug can cost latency, but no event.

pub mod suspects; // whose handling may be what panics
pub mod tally; // how many there are

use std::{fmt, sync::Arc};

use smallvec::SmallVec;

use super::event::{EndpointKey, Event};

/// The end of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// A 2xx answer.
    Delivered,
    /// Stored, still to be delivered: in the backlog, or as the letter that it was before its redrive.
    Backlogged,
    /// Stored as a dead letter.
    DeadLettered,
    /// The endpoint or the subscription is gone.
    Cancelled,
    /// The endpoint is suspended: the event's position is stored, so that it can be replayed.
    Skipped,
}

impl Settlement {
    pub const ALL: [Settlement; 5] = [
        Settlement::Delivered,
        Settlement::Backlogged,
        Settlement::DeadLettered,
        Settlement::Cancelled,
        Settlement::Skipped,
    ];

    /// The word in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Settlement::Delivered => "delivered",
            Settlement::Backlogged => "backlogged",
            Settlement::DeadLettered => "dead_lettered",
            Settlement::Cancelled => "cancelled",
            Settlement::Skipped => "skipped",
        }
    }
}

/// An event whose receipts have all settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub offset: i64,
    pub weight_bytes: usize,
}

/// An abandon counts as an attempt, and the third is the last: an event that we cannot handle must not loop. What is
/// abandoned this often is given up (`internal`).
pub const ABANDONS_MAX: u8 = 3;

/// The rest of a receipt that was dropped unsettled. Still owed: [`Abandoned::into_receipt`] goes on with it.
#[derive(Debug)]
pub struct Abandoned {
    event: Arc<Event>,
    endpoint: EndpointKey,
    attempts: u32,
    failures: u32,
    /// Number of times that this receipt was abandoned, this time included.
    pub abandons: u8,
}

impl Abandoned {
    #[must_use]
    pub fn endpoint(&self) -> EndpointKey {
        self.endpoint
    }

    /// The same receipt again, with its count of abandons.
    pub fn into_receipt(self) -> Receipt {
        tally::TALLY.opened(1);
        let Abandoned { event, endpoint, attempts, failures, abandons } = self;
        Receipt { event: Some(event), endpoint, attempts, failures, abandons }
    }
}

/// One event on its way to one endpoint.
#[must_use = "a receipt that is dropped unsettled counts as abandoned"]
pub struct Receipt {
    /// `None` only after settling.
    event: Option<Arc<Event>>,
    endpoint: EndpointKey,
    /// Used up before it was read from the backlog.
    attempts: u32,
    /// Used up since then, in memory.
    failures: u32,
    abandons: u8,
}

impl Receipt {
    /// Counts receipts that are about to be made.
    pub(crate) fn opening(receipts: usize) {
        tally::TALLY.opened(receipts);
    }

    /// Counted already, by [`Receipt::opening`].
    pub(crate) fn new(event: Arc<Event>, endpoint: EndpointKey) -> Self {
        Receipt { event: Some(event), endpoint, attempts: 0, failures: 0, abandons: 0 }
    }

    /// The same receipt, for an event that has had so many attempts already.
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    #[must_use]
    pub fn event(&self) -> &Arc<Event> {
        self.event.as_ref().expect("a receipt has its event until it settles")
    }

    /// True if its event may still be sent: its source is not another instance's by now.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.event().source.is_current()
    }

    #[must_use]
    pub fn endpoint(&self) -> EndpointKey {
        self.endpoint
    }

    /// Number of times that this (event, endpoint) was abandoned; each counts as an attempt, and the third is the last.
    #[must_use]
    pub fn abandons(&self) -> u8 {
        self.abandons
    }

    /// Attempts used up when the event was read from the backlog; 0 for one that comes from Kafka.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Counts attempts that were used up, of which no row tells.
    pub fn add_failures(&mut self, attempts: u32) {
        self.failures += attempts;
    }

    /// Attempts that are used up: those its row tells of, those since it was read, and each abandon counts as one.
    #[must_use]
    pub fn attempts_so_far(&self) -> u32 {
        self.attempts + self.failures + u32::from(self.abandons)
    }

    pub fn settle(self, how: Settlement) {
        Receipt::settle_all(std::iter::once(self), how);
    }

    /// Settles many in the same way, telling each source once for a run of its events.
    pub fn settle_all(receipts: impl IntoIterator<Item = Receipt>, how: Settlement) {
        let mut run: Option<Run> = None;
        for mut receipt in receipts {
            let Some(event) = receipt.event.take() else { continue };
            if let Some(traced) = &event.traced {
                traced.settled(receipt.endpoint, how);
            }
            match &mut run {
                Some(current) if Arc::ptr_eq(&current.first.source, &event.source) => current.add(&event),
                _ => {
                    if let Some(finished) = run.replace(Run::starting_with(event)) {
                        finished.report(how);
                    }
                }
            }
        }
        if let Some(finished) = run {
            finished.report(how);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let Some(event) = self.event.take() else { return };
        tally::TALLY.ended(1);
        if !event.source.is_current() {
            return;
        }
        let source = Arc::clone(&event.source);
        let abandons = self.abandons.saturating_add(u8::from(suspects::may_be_to_blame(&event)));
        let (endpoint, attempts, failures) = (self.endpoint, self.attempts, self.failures);
        source.abandoned(Abandoned { event, endpoint, attempts, failures, abandons });
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("event", &self.event).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Consecutive receipts of one source. Holding the first event lends us the source without touching its
/// reference count, which the other cores are counting on too.
struct Run {
    first: Arc<Event>,
    receipts: usize,
    done: SmallVec<[Done; 8]>,
}

impl Run {
    fn starting_with(event: Arc<Event>) -> Self {
        let mut run = Run { first: Arc::clone(&event), receipts: 0, done: SmallVec::new() };
        run.add(&event);
        run
    }

    fn add(&mut self, event: &Event) {
        self.receipts += 1;
        if event.settle_one() {
            self.done.push(Done { offset: event.offset(), weight_bytes: event.weight_bytes() });
        }
    }

    fn report(self, how: Settlement) {
        tally::TALLY.ended(self.receipts);
        self.first.source.settled(how, self.receipts, &self.done);
    }
}
