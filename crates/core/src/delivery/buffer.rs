//! ○ Events that wait to become a batch: full by events, bytes or age.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    batch::{Batch, FilledBy, Members},
    body_size::BodySize,
};
use crate::model::{
    event::Event,
    receipt::Receipt,
    settings::{Format, Mode},
};

/// Limits at which a batch is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    pub events_max: usize,
    /// Bytes of the body that is sent; a single event may make a larger one, and then goes alone.
    pub bytes_max: usize,
    pub format: Format,
    /// The age of the first event at which the batch goes as it is.
    pub wait: Duration,
    /// An event with so many attempts behind it goes alone: the next one may be its last.
    pub alone_after: u32,
}

/// An endpoint that sets no end to attempts gets an event alone after so many: often enough for a failure that passes, and
/// soon enough for those that share a batch with an event that never will.
const ALONE_AFTER: u32 = 5;
/// Before it goes alone, an event goes with a part of a batch: few requests find the one that fails all others.
const PARTS: usize = 16;

impl BatchLimits {
    /// `burst_events` is the most that a rate limit lets through at once, `attempts_max` what ends an event's attempts.
    #[must_use]
    pub fn new(mode: Mode, format: Format, burst_events: Option<u32>, attempts_max: Option<u32>) -> Self {
        let alone_after = attempts_max.map_or(ALONE_AFTER, |attempts| attempts.saturating_sub(1).clamp(1, ALONE_AFTER));
        let limits = match mode {
            Mode::Stream => {
                BatchLimits { events_max: 1, bytes_max: usize::MAX, format, wait: Duration::ZERO, alone_after }
            }
            Mode::Batch { events_max, bytes_max, wait } => {
                BatchLimits { events_max: events_max.max(1) as usize, bytes_max, format, wait, alone_after }
            }
        };
        let burst = burst_events.map_or(usize::MAX, |burst| burst.max(1) as usize);
        BatchLimits { events_max: limits.events_max.min(burst), ..limits }
    }

    /// Number of events that may share a batch with this one. One whose handling panicked goes alone: if it does so
    /// again, nobody else is suspected.
    #[must_use]
    pub fn company_of(&self, receipt: &Receipt) -> usize {
        if receipt.abandons() > 0 { 1 } else { self.company_max(receipt.attempts_so_far()) }
    }

    /// Number of events that may share a batch with one that has so many attempts behind it, as far as these say.
    #[must_use]
    pub fn company_max(&self, attempts: u32) -> usize {
        match self.alone_after.saturating_sub(attempts) {
            _ if attempts == 0 => usize::MAX,
            0 => 1,
            1 => (self.events_max / PARTS).max(1),
            _ => usize::MAX,
        }
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

    /// Time at which the next batch is due: at once when it is full, else when its first event is old enough.
    #[must_use]
    pub fn due_at(&self, limits: &BatchLimits) -> Option<Instant> {
        let first = self.queue.front()?.event().received_at;
        let full = self.queue.len() >= limits.events_max || self.bytes >= limits.bytes_max;
        Some(if full { first } else { first + limits.wait })
    }

    /// Largest number of events in the next batch.
    #[must_use]
    pub fn next_len(&self, limits: &BatchLimits) -> usize {
        if limits.events_max == 1 {
            return self.queue.len().min(1);
        }
        // What another instance owns by now is in no batch.
        let current = || self.queue.iter().filter(|receipt| receipt.is_current());
        let (mut size, mut events, mut events_max) = (BodySize::default(), 0, limits.events_max);
        let fits = |receipt: &&Receipt| {
            events_max = events_max.min(limits.company_of(receipt));
            let fits = events < events_max && size.add(receipt.event(), limits, current().take(events));
            events += 1;
            fits
        };
        let fitting = current().take_while(fits).count();
        fitting.max(1).min(self.queue.len())
    }

    /// The next batch, whether it is due or not. Events that another instance owns by now are dropped on the way (silently:
    /// the new owner has them), so `None` means that nothing is left.
    pub fn take(&mut self, limits: &BatchLimits) -> Option<Batch> {
        let mut members = Members::new();
        if limits.events_max > 1 {
            members.reserve(limits.events_max.min(self.queue.len()));
        }
        let (mut bytes, mut size) = (0, BodySize::default());
        let mut oldest = None;
        let mut events_max = limits.events_max;
        while members.len() < events_max
            && let Some(next) = self.queue.front()
        {
            let weight = next.event().weight_bytes();
            let company_max = limits.company_of(next);
            let is_ours = next.is_current();
            let has_room = members.is_empty() || members.len() < company_max;
            if is_ours && !(has_room && size.add(next.event(), limits, members.iter())) {
                break;
            }
            let Some(receipt) = self.queue.pop_front() else {
                break;
            };
            self.bytes -= weight;
            if is_ours {
                let received_at = receipt.event().received_at;
                oldest = Some(oldest.map_or(received_at, |oldest: Instant| oldest.min(received_at)));
                bytes += weight;
                events_max = events_max.min(company_max);
                members.push(receipt);
            }
        }
        let filled_by = FilledBy::of(members.len(), size.bytes(), !self.queue.is_empty(), limits);
        let mut batch = Batch::new(members, bytes, oldest?);
        batch.filled_by = filled_by;
        Some(batch)
    }

    /// Takes out those that `leaves` picks, in order.
    pub fn take_out(&mut self, leaves: impl FnMut(&Event) -> bool) -> Vec<Receipt> {
        self.take_some(usize::MAX, leaves)
    }

    /// Takes out those that `leaves` picks, in order, at most so many.
    pub fn take_some(&mut self, events_max: usize, mut leaves: impl FnMut(&Event) -> bool) -> Vec<Receipt> {
        let mut out = Vec::new();
        // As a rule the oldest leave first.
        while out.len() < events_max && self.queue.front().is_some_and(|first| leaves(first.event())) {
            out.extend(self.queue.pop_front());
        }
        if out.len() < events_max && self.queue.iter().any(|receipt| leaves(receipt.event())) {
            for receipt in std::mem::take(&mut self.queue) {
                if out.len() < events_max && leaves(receipt.event()) {
                    out.push(receipt);
                } else {
                    self.queue.push_back(receipt);
                }
            }
        }
        self.bytes -= out.iter().map(|receipt| receipt.event().weight_bytes()).sum::<usize>();
        out
    }

    pub fn iter(&self) -> impl Iterator<Item = &Receipt> {
        self.queue.iter()
    }
}

#[cfg(test)]
mod tests;
