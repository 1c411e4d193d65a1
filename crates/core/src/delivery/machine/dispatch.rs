//! ○ The next batch to send, and the time for it, if not now.

use std::time::{Duration, Instant};

use super::{Delivery, Permits, in_flight::Flight};
use crate::delivery::{batch::Batch, breaker::BreakerAllowance, buffer::BatchLimits};

/// The reason why nothing is sent, and until when, as far as time decides it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// A limit of the endpoint's own: its requests, its rate, its breaker, its order, or it asked for silence.
    Endpoint(Option<Instant>),
    /// Nothing is there, a batch is not full, a retry is not due, no permit is left for it, or the trouble is ours.
    Ours(Option<Instant>),
    /// The next turn, which comes at once: the reason is found there.
    Turn,
}

impl Wait {
    fn until(self) -> Option<Instant> {
        match self {
            Wait::Endpoint(until) | Wait::Ours(until) => until,
            Wait::Turn => None,
        }
    }
}

/// Source of the next batch.
#[derive(Clone, Copy)]
enum Source {
    /// A batch that waits for its next attempt.
    Waiting,
    /// One event of such a batch.
    WaitingOne,
    Buffer,
    /// One event, full batch or not.
    BufferOne,
    /// Events that were read from the backlog.
    Stored,
    StoredOne,
    /// Ready lanes of an ordered endpoint.
    Lanes,
    LaneOne,
}

impl Delivery {
    /// Sends all that can go now; sets the time when more can.
    pub(super) fn dispatch(&mut self, now: Instant) {
        let change = self.breaker.handle_timeout(now);
        self.report(change);
        self.wants_permit = false;
        self.excuse_turn(now);
        let wait = loop {
            match self.next_source(now) {
                Ok((source, charged)) => self.send_next(source, charged, now),
                Err(wait) => break wait,
            }
        };
        self.wake_at = wait.until();
        self.note_shortage(wait, now);
        self.note_wait(wait, now);
        self.note_stall(now);
        self.look_at_flood_again(now);
    }

    fn send_next(&mut self, source: Source, charged: usize, now: Instant) {
        let due = self.retry_due(source);
        let batch = self.take(source);
        let events = batch.as_ref().map_or(0, Batch::len);
        // In the place of a part that another instance owns by now, a larger one may be next: it is charged for itself.
        let goes = self.rate_limiter.is_none() || due.is_none() || events <= charged;
        if let Some(limiter) = &mut self.rate_limiter {
            limiter.give_back(charged, if goes { events } else { 0 });
        }
        match (batch, due) {
            (Some(batch), Some(due)) if !goes => self.waiting.insert(batch, due),
            (Some(batch), _) => self.begin(batch, due, now),
            (None, _) => {}
        }
    }

    /// The source that can send now and the events that its rate limit was charged with, or the obstacle.
    fn next_source(&mut self, now: Instant) -> Result<(Source, usize), Wait> {
        if let Some(until) = self.blocked_until(now) {
            return Err(Wait::Endpoint(Some(until)));
        }
        if self.held_back && !self.trying {
            return Err(Wait::Ours(None));
        }
        if self.has_nothing_to_send() {
            return Err(if self.behind.is_empty() { Wait::Ours(None) } else { Wait::Endpoint(None) });
        }
        if !self.may_send() {
            return Err(Wait::Endpoint(None));
        }
        let probe = match self.breaker.allowance() {
            BreakerAllowance::Requests(0) | BreakerAllowance::AwaitProbe => return Err(Wait::Endpoint(None)),
            BreakerAllowance::Requests(_) => false,
            BreakerAllowance::Probe => true,
            BreakerAllowance::Until(until) => return Err(Wait::Endpoint(Some(until))),
        };
        let is_single = probe || self.trying;
        if self.is_full(is_single, now) {
            return Err(Wait::Endpoint(self.in_flight_rises_at(now)));
        }
        let source = if is_single { self.probe_source(now) } else { self.due_source(now) }?;
        if self.permits.free == 0 {
            self.wants_permit = true;
            return Err(match self.permits {
                Permits { ends_turn: true, .. } => Wait::Turn,
                Permits { has_share: true, .. } => Wait::Endpoint(None),
                _ => Wait::Ours(None),
            });
        }
        self.limit_rate(source, now)
    }

    /// The time before which the endpoint must be left alone.
    pub(super) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        let open_until = match self.breaker.allowance() {
            BreakerAllowance::Until(until) => Some(until),
            _ => None,
        };
        open_until.max(self.silent_until).filter(|until| *until > now)
    }

    fn due_source(&self, now: Instant) -> Result<Source, Wait> {
        let retry_at = self.waiting.first_due().map(|(due, _)| due);
        if retry_at.is_some_and(|due| due <= now) {
            return Ok(Source::Waiting);
        }
        if let Some(lanes) = &self.lanes {
            let lanes_at = lanes.due_at(&self.batch_limits).map(|due| if self.stopping { now } else { due });
            return match lanes_at {
                Some(due) if due <= now => Ok(Source::Lanes),
                Some(due) => {
                    let until = Some(retry_at.map_or(due, |retry| retry.min(due)));
                    // A batch that fills takes nothing off the wait of those behind, nor of those whose lane is busy.
                    let waits_for_us = self.behind.is_empty() && !lanes.has_blocked();
                    Err(if waits_for_us { Wait::Ours(until) } else { Wait::Endpoint(until) })
                }
                // An answer comes first, for every lane has something under way.
                None => Err(Wait::Endpoint(retry_at)),
            };
        }
        let live_at = self.buffer.due_at(&self.batch_limits).map(|due| if self.stopping { now } else { due });
        let stored_at = self.stored.due_at(&self.batch_limits);
        match (live_at.filter(|due| *due <= now), stored_at.filter(|due| *due <= now)) {
            (Some(_), Some(_)) if self.live_in_row >= LIVE_IN_ROW_MAX => Ok(Source::Stored),
            (Some(_), _) => Ok(Source::Buffer),
            (None, Some(_)) => Ok(Source::Stored),
            (None, None) => Err(Wait::Ours([retry_at, live_at, stored_at].into_iter().flatten().min())),
        }
    }

    /// A probe is a single event: a batch that waits is taken apart only when there is no other.
    fn probe_source(&self, now: Instant) -> Result<Source, Wait> {
        let waiting = self.waiting.first_due();
        let lane = self.lanes.as_ref().and_then(|lanes| lanes.due_at(&self.batch_limits));
        match waiting {
            // Taken apart, its lane would have two under way.
            Some((due, _)) if due <= now && self.lanes.is_some() => Ok(Source::Waiting),
            _ if lane.is_some() => Ok(Source::LaneOne),
            Some((due, batch)) if due <= now && batch.held_len() == 1 => Ok(Source::Waiting),
            _ if !self.buffer.is_empty() => Ok(Source::BufferOne),
            _ if !self.stored.is_empty() => Ok(Source::StoredOne),
            Some((due, _)) if due <= now => Ok(Source::WaitingOne),
            Some((due, _)) => Err(Wait::Endpoint(Some(due))),
            None => Err(Wait::Endpoint(None)),
        }
    }

    fn limit_rate(&mut self, source: Source, now: Instant) -> Result<(Source, usize), Wait> {
        let Some(limiter) = &mut self.rate_limiter else {
            return Ok((source, 0));
        };
        let events = match source {
            Source::Waiting => self.waiting.first_due().map_or(0, |(_, batch)| batch.len()),
            Source::Buffer => self.buffer.next_len(&self.batch_limits),
            Source::Stored => self.stored.next_len(&self.batch_limits),
            Source::Lanes => self.lanes.as_ref().map_or(0, |lanes| lanes.next_len(&self.batch_limits)),
            Source::WaitingOne | Source::BufferOne | Source::StoredOne | Source::LaneOne => 1,
        };
        limiter.take(events, now).map(|()| (source, events)).map_err(|until| {
            self.limited_until = Some(until);
            Wait::Endpoint(Some(until))
        })
    }

    fn take(&mut self, source: Source) -> Option<Batch> {
        match source {
            Source::Buffer => {
                self.live_in_row += 1;
                self.buffer.take(&self.batch_limits)
            }
            Source::Stored => {
                self.live_in_row = 0;
                self.stored.take(&self.batch_limits)
            }
            Source::Lanes => self.lanes.as_mut()?.take(&self.batch_limits),
            Source::LaneOne => self.lanes.as_mut()?.take(&BatchLimits { events_max: 1, ..self.batch_limits }),
            Source::BufferOne => self.buffer.take(&BatchLimits { events_max: 1, ..self.batch_limits }),
            Source::StoredOne => self.stored.take(&BatchLimits { events_max: 1, ..self.batch_limits }),
            Source::Waiting => {
                let batch = self.waiting.pop_first()?;
                self.still_ours(batch)
            }
            Source::WaitingOne => {
                let (due, _) = self.waiting.first_due()?;
                let batch = self.waiting.pop_first()?;
                let mut batch = self.still_ours(batch)?;
                let single = batch.split_first();
                let left = if batch.members.is_empty() { self.next_part(batch) } else { Some(batch) };
                if let Some(left) = left {
                    self.waiting.insert(left, due);
                }
                single
            }
        }
    }

    /// Without the members that another instance owns by now: they are dropped silently, for the new owner has them.
    pub(super) fn still_ours(&mut self, mut batch: Batch) -> Option<Batch> {
        self.drop_lost(&mut batch);
        while batch.members.is_empty() {
            batch = self.next_part(batch)?;
            self.drop_lost(&mut batch);
        }
        Some(batch)
    }

    /// The time at which a batch of this source is due that was sent before.
    fn retry_due(&self, source: Source) -> Option<Instant> {
        let is_retry = matches!(source, Source::Waiting | Source::WaitingOne);
        self.waiting.first_due().filter(|_| is_retry).map(|(due, _)| due)
    }

    fn begin(&mut self, mut batch: Batch, due: Option<Instant>, now: Instant) {
        self.trying = false;
        self.permits.free -= 1;
        if let Some(short_since) = self.short_since {
            let waited_from = due.unwrap_or(batch.since).max(short_since);
            batch.excuse(now.saturating_duration_since(waited_from));
        }
        if batch.first_sent.is_none() {
            batch.first_sent = Some(now);
            // A row holds no commit up, and in order an event may have waited for those before it, or for their rows.
            if self.lanes.is_none() && !batch.is_stored() {
                batch.waited = self.waited_for_endpoint(batch.since, now);
            }
        }
        let permit = self.breaker.begin();
        let deadline = now + self.settings.delivery.request_timeout;
        let departure = self.departure(now);
        let (version, waited) = (self.settings.version, Duration::ZERO);
        let attempt =
            self.flights.insert(Flight { batch, permit, departure, version, waited, deadline, narrowed: None });
        self.effects.sends.push_back(attempt);
    }
}

/// While both have something to send, the backlog gets at least every fifth batch.
const LIVE_IN_ROW_MAX: u32 = 4;
