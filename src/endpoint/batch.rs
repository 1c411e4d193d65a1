//! ○ What waits to become a batch, and a batch: full by events, bytes or age.

use std::{
    collections::VecDeque,
    slice,
    sync::Arc,
    time::{Duration, Instant},
};

use smallvec::SmallVec;

use super::{bisection::Bisection, outcome::AttemptNote, settings::Mode};
use crate::{event::Event, ingest::receipt::Receipt};

/// The receipts of one request; a stream's single one needs no memory of its own.
pub type Members = SmallVec<[Receipt; 1]>;

/// When a batch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    pub events_max: usize,
    /// Of [`Event::weight_bytes`]; a single event may be heavier, and then goes alone.
    pub bytes_max: usize,
    /// How old the first event may get before the batch goes as it is.
    pub wait: Duration,
}

impl BatchLimits {
    /// `burst_events` is the most that a rate limit lets through at once.
    #[must_use]
    pub fn new(mode: Mode, burst_events: Option<u32>) -> Self {
        let limits = match mode {
            Mode::Stream => BatchLimits { events_max: 1, bytes_max: usize::MAX, wait: Duration::ZERO },
            Mode::Batch { events_max, bytes_max, wait } => {
                BatchLimits { events_max: events_max.max(1) as usize, bytes_max, wait }
            }
        };
        let burst = burst_events.map_or(usize::MAX, |burst| burst.max(1) as usize);
        BatchLimits { events_max: limits.events_max.min(burst), ..limits }
    }
}

/// Events that are in no batch yet, in the order they came. Batches are formed when they can be sent, not before:
/// what waits for a free request or for the rate limit keeps filling up.
#[derive(Debug, Default)]
pub struct BatchBuffer {
    queue: VecDeque<Receipt>,
    bytes: usize,
}

impl BatchBuffer {
    pub fn push(&mut self, receipt: Receipt) {
        self.bytes += receipt.event().weight_bytes();
        self.queue.push_back(receipt);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the next batch is due: at once when it is full, else when its first event is old enough.
    #[must_use]
    pub fn due_at(&self, limits: &BatchLimits) -> Option<Instant> {
        let first = self.queue.front()?.event().received_at;
        let full = self.queue.len() >= limits.events_max || self.bytes >= limits.bytes_max;
        Some(if full { first } else { first + limits.wait })
    }

    /// How many events the next batch has, at most.
    #[must_use]
    pub fn next_len(&self, limits: &BatchLimits) -> usize {
        if limits.bytes_max == usize::MAX {
            return self.queue.len().min(limits.events_max);
        }
        let mut bytes = 0;
        let fits = |receipt: &&Receipt| {
            bytes += receipt.event().weight_bytes();
            bytes <= limits.bytes_max
        };
        let fitting = self.queue.iter().take(limits.events_max).take_while(fits).count();
        fitting.max(1).min(self.queue.len())
    }

    /// The next batch, whether it is due or not. Events that another instance owns by now are dropped on the way (silently:
    /// the new owner has them), so `None` means that nothing is left.
    pub fn take(&mut self, limits: &BatchLimits) -> Option<Batch> {
        let mut members = Members::new();
        if limits.events_max > 1 {
            members.reserve(limits.events_max.min(self.queue.len()));
        }
        let mut bytes = 0;
        let mut oldest = None;
        while members.len() < limits.events_max
            && let Some(next) = self.queue.front()
        {
            let weight = next.event().weight_bytes();
            if !members.is_empty() && bytes + weight > limits.bytes_max {
                break;
            }
            let Some(receipt) = self.queue.pop_front() else {
                break;
            };
            self.bytes -= weight;
            if receipt.event().origin.is_current() {
                let received_at = receipt.event().received_at;
                oldest = Some(oldest.map_or(received_at, |oldest: Instant| oldest.min(received_at)));
                bytes += weight;
                members.push(receipt);
            }
        }
        Some(Batch::new(members, bytes, oldest?))
    }

    /// Takes out those that `leaves` picks, in order.
    pub fn take_out(&mut self, mut leaves: impl FnMut(&Event) -> bool) -> Vec<Receipt> {
        let mut out = Vec::new();
        let mut stay = VecDeque::new();
        if !self.queue.iter().any(|receipt| leaves(receipt.event())) {
            return out;
        }
        for receipt in self.queue.drain(..) {
            if leaves(receipt.event()) {
                self.bytes -= receipt.event().weight_bytes();
                out.push(receipt);
            } else {
                stay.push_back(receipt);
            }
        }
        self.queue = stay;
        out
    }

    pub fn iter(&self) -> impl Iterator<Item = &Receipt> {
        self.queue.iter()
    }
}

/// The members of an attempt. A repeated batch keeps them, and so its id.
#[derive(Debug)]
pub struct Batch {
    pub(super) members: Members,
    pub(super) bytes: usize,
    /// When the earliest of its events was received: `park_after` counts from here.
    pub(super) since: Instant,
    /// When it was first sent.
    pub(super) first_sent: Option<Instant>,
    /// Attempts used up, the one under way not counted.
    pub(super) attempts: u32,
    /// A batch that goes well never has one.
    pub(super) trouble: Option<Box<Trouble>>,
}

/// What is remembered of a batch that did not go well.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub last: Option<AttemptNote>,
    /// Its kept-alive connection was closed under it once; the next time counts.
    pub disconnected: bool,
    pub bisection: Option<Bisection>,
    /// The members, once they were parked with the attempt still under way.
    pub parked: Vec<Arc<Event>>,
    /// They were handed out to be stored; not so when another instance owned all of them by then.
    pub stored: bool,
}

impl Batch {
    pub(super) fn new(members: Members, bytes: usize, since: Instant) -> Self {
        Batch { members, bytes, since, first_sent: None, attempts: 0, trouble: None }
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

    /// What its members weigh.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Which attempt this is, counted from 1.
    #[must_use]
    pub fn attempt_number(&self) -> u32 {
        self.attempts + 1
    }

    /// When each event that it holds or has under way was received.
    pub(super) fn received_at(&self) -> impl Iterator<Item = Instant> {
        let rest = self.bisection().into_iter().flat_map(Bisection::receipts).map(Receipt::event);
        self.events().chain(rest).map(|event| event.received_at)
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

    pub(super) fn take_receipts(&mut self) -> Members {
        let mut receipts = std::mem::take(&mut self.members);
        if let Some(mut bisection) = self.trouble.as_mut().and_then(|trouble| trouble.bisection.take()) {
            receipts.extend(bisection.dissolve());
        }
        self.bytes = 0;
        receipts
    }

    /// Drops the members that another instance owns by now.
    pub(super) fn drop_lost(&mut self) {
        if self.members.iter().any(|receipt| !receipt.event().origin.is_current()) {
            self.members.retain(|receipt| receipt.event().origin.is_current());
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
        Some(self.single(receipt))
    }

    /// All that it holds, each alone.
    pub(super) fn into_singles(mut self) -> impl Iterator<Item = Batch> {
        self.take_receipts().into_iter().map(move |receipt| self.single(receipt))
    }

    fn single(&self, receipt: Receipt) -> Batch {
        let (weight, received_at) = (receipt.event().weight_bytes(), receipt.event().received_at);
        let mut single = Batch::new(Members::from_iter([receipt]), weight, received_at);
        single.first_sent = self.first_sent;
        single.attempts = self.attempts;
        if let Some(last) = self.last() {
            single.trouble().last = Some(last.clone());
        }
        single
    }

    pub(super) fn bisection(&self) -> Option<&Bisection> {
        self.trouble.as_ref()?.bisection.as_ref()
    }

    pub(super) fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    pub(super) fn last(&self) -> Option<&AttemptNote> {
        self.trouble.as_ref()?.last.as_ref()
    }

    pub(super) fn is_parked(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| !trouble.parked.is_empty())
    }
}

/// Attempts that a receipt has used up before this machine got it: each abandon counts as one.
pub(super) fn attempts_before(receipt: &Receipt) -> u32 {
    u32::from(receipt.abandons())
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
