//! ○ A batch: the members of an attempt. A stream's batches have one.

use std::{
    slice,
    sync::Arc,
    time::{Duration, Instant},
};

use smallvec::SmallVec;

use super::{bisection::Bisection, buffer::BatchLimits};
use crate::model::{event::Event, outcome::AttemptNote, receipt::Receipt};

/// The receipts of one request; a stream's single one needs no memory of its own.
pub type Members = SmallVec<[Receipt; 1]>;

/// The limit that filled a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilledBy {
    /// Nobody filled it: an event that is sent alone.
    Nothing,
    Events,
    Bytes,
    /// It was not full when its first event had waited long enough, or when the endpoint was told to send what there is.
    Time,
}

impl FilledBy {
    /// The limits that are told apart.
    pub const COUNTED: [FilledBy; 3] = [FilledBy::Events, FilledBy::Bytes, FilledBy::Time];

    /// The word in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FilledBy::Nothing => "nothing",
            FilledBy::Events => "events",
            FilledBy::Bytes => "bytes",
            FilledBy::Time => "time",
        }
    }

    /// The limit that filled a batch of this size, which leaves `more` behind it.
    #[must_use]
    pub fn of(events: usize, bytes: usize, more: bool, limits: &BatchLimits) -> Self {
        match limits.events_max {
            ..=1 => FilledBy::Nothing,
            most if events >= most => FilledBy::Events,
            _ if more || bytes >= limits.bytes_max => FilledBy::Bytes,
            _ => FilledBy::Time,
        }
    }
}

/// The members of an attempt. A repeated batch keeps them, and so its id.
#[derive(Debug)]
pub struct Batch {
    pub(super) members: Members,
    pub(super) bytes: usize,
    /// Time at which the earliest of its events was received: `park_after` counts from here.
    pub(super) since: Instant,
    /// Time at which it was first sent.
    pub(super) first_sent: Option<Instant>,
    /// Time for which it had waited for a limit of the endpoint by then.
    pub(super) waited: Duration,
    /// Attempts used up, the one under way not counted.
    pub(super) attempts: u32,
    pub(super) filled_by: FilledBy,
    /// A batch that goes well never has one.
    pub(super) trouble: Option<Box<BatchTrouble>>,
}

/// Memory of a batch that did not go well.
#[derive(Debug, Default)]
pub(super) struct BatchTrouble {
    pub last: Option<AttemptNote>,
    /// Its kept-alive connection was closed under it once; the next time counts.
    pub disconnected: bool,
    pub bisection: Option<Bisection>,
    /// Time at which it was first refused whole.
    pub bisected_since: Option<Instant>,
    /// The members, once they were parked with the attempt still under way.
    pub parked: Vec<Arc<Event>>,
    /// They were handed out to be stored; not so when another instance owned all of them by then.
    pub stored: bool,
}

impl Batch {
    pub(super) fn new(members: Members, bytes: usize, since: Instant) -> Self {
        Batch {
            members,
            bytes,
            since,
            first_sent: None,
            waited: Duration::ZERO,
            attempts: 0,
            filled_by: FilledBy::Nothing,
            trouble: None,
        }
    }

    /// Time from which on the endpoint keeps it waiting, before it was sent and since; `None` while it was never sent.
    pub(super) fn endpoint_waits_since(&self) -> Option<Instant> {
        self.first_sent.map(|sent| sent.checked_sub(self.waited).unwrap_or(sent))
    }

    /// Gives back the time for which it waited for us.
    pub(super) fn excuse(&mut self, waited: Duration) {
        self.since += waited;
        self.first_sent = self.first_sent.map(|sent| sent + waited);
        if let Some(trouble) = &mut self.trouble {
            trouble.bisected_since = trouble.bisected_since.map(|began| began + waited);
        }
    }

    /// The limit that filled it, for the attempt that is the batch's first.
    #[must_use]
    pub fn filled_by(&self) -> FilledBy {
        if self.attempts == 0 && self.last().is_none() { self.filled_by } else { FilledBy::Nothing }
    }

    /// In the order in which they are sent.
    #[must_use]
    pub fn events(&self) -> Events<'_> {
        match &self.trouble {
            Some(trouble) if !trouble.parked.is_empty() => Events(Source::Parked(trouble.parked.iter())),
            _ => Events(Source::Held(self.members.iter())),
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.events().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Weight of its members.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of this attempt, counted from 1, those before it left the backlog included.
    #[must_use]
    pub fn attempt_number(&self) -> u32 {
        self.attempts + self.members.first().map_or(0, Receipt::attempts_so_far) + 1
    }

    /// Times at which the events that it holds or has under way were received.
    pub(super) fn received_at(&self) -> impl Iterator<Item = Instant> {
        self.all_events().map(|event| event.received_at)
    }

    /// Its members, and what a bisection of it still holds.
    pub(super) fn all_events(&self) -> impl Iterator<Item = &Arc<Event>> {
        let rest = self.bisection().into_iter().flat_map(Bisection::receipts).map(Receipt::event);
        self.events().chain(rest)
    }

    /// Receipts that it holds: what was parked while it was under way is not among them.
    pub(super) fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.members.iter().chain(self.bisection().into_iter().flat_map(Bisection::receipts))
    }

    pub(super) fn held_len(&self) -> usize {
        self.members.len() + self.bisection().map_or(0, Bisection::len)
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.bytes + self.bisection().map_or(0, Bisection::bytes)
    }

    /// Other members, of the same batch.
    pub(super) fn set_members(&mut self, members: Members) {
        self.bytes = members.iter().map(|receipt| receipt.event().weight_bytes()).sum();
        self.members = members;
    }

    /// All that it holds, in its order.
    pub(super) fn take_receipts(&mut self) -> Members {
        self.bytes = 0;
        let part = std::mem::take(&mut self.members);
        match self.trouble.as_mut().and_then(|trouble| trouble.bisection.take()) {
            Some(mut bisection) => bisection.dissolve(part),
            None => part,
        }
    }

    /// Drops the members that another instance owns by now.
    pub(super) fn drop_lost(&mut self) {
        if self.members.iter().any(|receipt| !receipt.is_current()) {
            self.members.retain(|receipt| receipt.is_current());
            let left = std::mem::take(&mut self.members);
            self.set_members(left);
        }
    }

    /// Takes a single event out, to be sent alone.
    pub(super) fn split_first(&mut self) -> Option<Batch> {
        if self.members.is_empty() {
            return None;
        }
        let receipt = self.members.remove(0);
        self.bytes -= receipt.event().weight_bytes();
        Some(self.part(Members::from_iter([receipt])))
    }

    /// A batch of some of its members, which have the same behind them.
    pub(super) fn part(&self, members: Members) -> Batch {
        let since = members.iter().map(|receipt| receipt.event().received_at).min().unwrap_or(self.since);
        let mut part = Batch::new(Members::new(), 0, since);
        part.set_members(members);
        (part.first_sent, part.waited) = (self.first_sent, self.waited);
        part.attempts = self.attempts;
        if let Some(last) = self.last() {
            part.trouble().last = Some(last.clone());
        }
        part
    }

    pub(super) fn bisection(&self) -> Option<&Bisection> {
        self.trouble.as_ref()?.bisection.as_ref()
    }

    pub(super) fn trouble(&mut self) -> &mut BatchTrouble {
        self.trouble.get_or_insert_default()
    }

    pub(super) fn last(&self) -> Option<&AttemptNote> {
        self.trouble.as_ref()?.last.as_ref()
    }

    /// Its members have rows in the backlog. A batch has either such members or others, never both.
    pub(super) fn is_stored(&self) -> bool {
        self.members.first().is_some_and(|first| first.event().source.is_stored())
    }

    pub(super) fn is_parked(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| !trouble.parked.is_empty())
    }
}

/// The events of a batch.
#[derive(Clone, Debug)]
pub struct Events<'a>(Source<'a>);

#[derive(Clone, Debug)]
enum Source<'a> {
    Held(slice::Iter<'a, Receipt>),
    Parked(slice::Iter<'a, Arc<Event>>),
}

impl<'a> Iterator for Events<'a> {
    type Item = &'a Arc<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Held(receipts) => receipts.next().map(Receipt::event),
            Source::Parked(events) => events.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Source::Held(receipts) => receipts.size_hint(),
            Source::Parked(events) => events.size_hint(),
        }
    }
}

impl ExactSizeIterator for Events<'_> {}
