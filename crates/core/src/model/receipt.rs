//! ○ Each (event, endpoint) travels as a [`Receipt`], which settles exactly once.
//!
//! **Invariant:** an event is done when all of its receipts have settled, and not before.
//! **Invariant:** a receipt dropped without [`settle`](Receipt::settle) (a panic, a forgotten branch) reports itself as
//! abandoned, so a bug can cost latency, but no event.

pub mod suspects; // whose handling may be what panics
pub mod tally; // how many there are

use std::{fmt, sync::Arc};

use smallvec::SmallVec;

use super::{
    event::{EndpointKey, Event},
    parking::KeyNumber,
};

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

/// A source of events: a partition's assignment, a redrive, the backlog, a replay. Called from any thread;
/// implementations take a short lock and never block.
pub trait Origin: Send + Sync + fmt::Debug {
    fn topic(&self) -> &str;
    /// The topic, for those who keep it.
    fn topic_name(&self) -> Arc<str> {
        Arc::from(self.topic())
    }
    fn partition(&self) -> i32;
    /// False when the assignment it was read in is over: the new owner has the event, so nothing more of it is sent.
    fn is_current(&self) -> bool;
    /// True while what becomes of its events is for us to write down, although nothing more of it may be sent: rows of an
    /// ordered endpoint that are to be read again.
    fn is_owned(&self) -> bool {
        self.is_current()
    }
    /// Events of it were lost before they had receipts (a panic while decoding or routing): what is not settled must
    /// be read again. Origins that keep their events until they settle have nothing to do.
    fn fail(&self) {}
    /// So many of its events were seen by a router. Origins that are not read from Kafka have nothing to count.
    fn routed(&self, _events: usize) {}

    /// True where the events are stored in Postgres, by rows of the backlog or as letters: leaving memory costs them nothing but an attempt's note.
    fn is_stored(&self) -> bool {
        false
    }
    /// True where its event is a dead letter on a redrive: leaving memory undelivered, it stays that letter.
    fn is_letter(&self) -> bool {
        false
    }
    /// Time at which the event at this offset was first received, milliseconds since 1970, if that was before it came
    /// into memory.
    fn first_received_ms(&self, _offset: i64) -> Option<i64> {
        None
    }
    /// Number of the partition's events that wait in the backlog for this endpoint: an ordered one gets nothing past
    /// them. `None`: that is not known yet.
    fn parked_ahead(&self, _endpoint_id: &str) -> Option<u64> {
        Some(0)
    }
    /// The same for an endpoint that is ordered by key: what waits of other keys alone is not in the way of this one.
    fn parked_ahead_of_key(&self, endpoint_id: &str, _key: KeyNumber) -> Option<u64> {
        self.parked_ahead(endpoint_id)
    }
    /// True if an event that comes for this endpoint is to be skipped: it is suspended, or ordered and what it missed is still
    /// being replayed. Each yes is answered by [`Origin::skipped`].
    fn skips(&self, _endpoint_id: &Arc<str>, _offset: i64, _suspended: bool) -> bool {
        false
    }
    /// The same of an event that would leave memory for the backlog of an ordered endpoint.
    fn skips_instead_of_parking(&self, _endpoint_id: &Arc<str>, _offset: i64) -> bool {
        false
    }
    /// True if something of it that this endpoint missed has not come back yet.
    fn misses(&self, _endpoint_id: &str) -> bool {
        false
    }
    /// The position of a skipped event is stored, or it comes again.
    fn skipped(&self, _endpoint_id: &str) {}
    /// An event of it leaves memory for the backlog; see [`Parking`](crate::model::parking::Parking).
    fn parking(&self, _endpoint_id: &Arc<str>, _key: Option<KeyNumber>) {}
    /// So many of these have their rows, or come back unstored.
    fn parked(&self, _endpoint_id: &str, _events: u64) {}
    /// `receipts` receipts settled in this way.
    fn receipts_settled(&self, how: Settlement, receipts: usize);
    /// All receipts of these events have settled, the last of each in this way (of no meaning where nothing matched).
    fn events_done(&self, done: &[Done], how: Settlement);
    /// A receipt was dropped unsettled; it must be tried again, or given up after the third time.
    /// Not called once [`Origin::is_current`] is false.
    fn abandoned(&self, receipt: Abandoned);
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
        Receipt { event: Some(self.event), endpoint: self.endpoint, attempts: self.attempts, abandons: self.abandons }
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
    abandons: u8,
}

impl Receipt {
    /// So many are about to be made.
    pub(crate) fn opening(receipts: usize) {
        tally::TALLY.opened(receipts);
    }

    /// Counted already, by [`Receipt::opening`].
    pub(crate) fn new(event: Arc<Event>, endpoint: EndpointKey) -> Self {
        Receipt { event: Some(event), endpoint, attempts: 0, abandons: 0 }
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

    pub fn settle(self, how: Settlement) {
        Receipt::settle_all(std::iter::once(self), how);
    }

    /// Settles many in the same way, telling each origin once for a run of its events.
    pub fn settle_all(receipts: impl IntoIterator<Item = Receipt>, how: Settlement) {
        let mut run: Option<Run> = None;
        for mut receipt in receipts {
            let Some(event) = receipt.event.take() else { continue };
            if let Some(traced) = &event.traced {
                traced.settled(receipt.endpoint, how);
            }
            match &mut run {
                Some(current) if Arc::ptr_eq(&current.first.origin, &event.origin) => current.add(&event),
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
        if !event.origin.is_current() {
            return;
        }
        let origin = Arc::clone(&event.origin);
        let abandons = self.abandons.saturating_add(u8::from(suspects::may_be_to_blame(&event)));
        let (endpoint, attempts) = (self.endpoint, self.attempts);
        origin.abandoned(Abandoned { event, endpoint, attempts, abandons });
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("event", &self.event).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Consecutive receipts of one origin. Holding the first event lends us the origin without touching its
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
        self.first.origin.receipts_settled(how, self.receipts);
        if !self.done.is_empty() {
            self.first.origin.events_done(&self.done, how);
        }
    }
}
