//! ● Answers since an endpoint actor's last turn. Every request brings one, whatever becomes of it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use actix::Addr;

use super::{EndpointActor, TakeTurn};
use crate::{
    clock,
    endpoint::{attempt_record::AttemptEnd, breaker::BreakerState, delivery::AttemptId, request_sender::SentRequest},
    model::outcome::{self, Answer, AttemptNote, Contact, LastError, Outcome},
};

/// Answers that came in since the last turn; one wake serves all of them.
#[derive(Default)]
pub(super) struct Answers {
    pub arrived: RefCell<Vec<ArrivedAnswer>>,
    pub woken: Cell<bool>,
}

pub(super) struct ArrivedAnswer {
    pub attempt: AttemptId,
    pub answer: Answer,
    pub sent_at: Instant,
    /// Time that it waited for us since then, before it was under way or between.
    pub waited: Duration,
    /// Time at which it was there; the turn that hears of it may be later.
    pub ended_at: Instant,
}

/// The machine gets its answer however the request's future ends; one that panics must not cost a slot for ever.
pub(super) struct OwedAnswer {
    pub answers: Rc<Answers>,
    pub address: Addr<EndpointActor>,
    pub attempt: AttemptId,
    pub sent_at: Instant,
    pub sent: Option<SentRequest>,
}

impl OwedAnswer {
    pub(super) fn arrive(mut self, sent: SentRequest) {
        self.sent = Some(sent);
    }
}

impl Drop for OwedAnswer {
    fn drop(&mut self) {
        let broken = || Answer::Broken("the request ended without an answer".into());
        let SentRequest { answer, waited } =
            self.sent.take().unwrap_or_else(|| SentRequest { answer: broken(), waited: Duration::ZERO });
        let (attempt, sent_at) = (self.attempt, self.sent_at);
        self.answers.arrived.borrow_mut().push(ArrivedAnswer {
            attempt,
            answer,
            sent_at,
            waited,
            ended_at: clock::now(),
        });
        if !self.answers.woken.replace(true) {
            // A full mailbox holds a wake already.
            let _ = self.address.try_send(TakeTurn);
        }
    }
}

impl EndpointActor {
    pub(super) fn take_answers(&mut self, now: Instant) {
        self.answers.woken.set(false);
        let mut arrived = std::mem::take(&mut *self.answers.arrived.borrow_mut());
        if arrived.is_empty() {
            return;
        }
        fail::fail_point!("answers-arrived", |_| std::process::abort());
        let wall_ms = clock::wall_ms();
        for ArrivedAnswer { attempt, answer, sent_at, waited, ended_at } in arrived.drain(..) {
            let (outcome, note) = self.judge(&answer, wall_ms, now);
            let took = now.duration_since(sent_at).saturating_sub(waited);
            let ended = AttemptEnd { outcome: &outcome, note: &note, took, wall_ms };
            let batch = self.delivery.batch(attempt);
            if batch.is_some() {
                self.queue.health.attempted(note.class, ended.took);
            }
            let traced = batch.and_then(|batch| self.trace_attempt(attempt, batch, (sent_at, now), ended));
            let record = batch.and_then(|batch| self.core.report.attempt(&self.settings, batch, ended));
            drop(traced);
            if outcome != Outcome::Delivered {
                self.queue.health.failed_attempts.fetch_add(1, Relaxed);
                *self.queue.health.last_error.lock() = Some(LastError {
                    at_ms: wall_ms,
                    class: note.class,
                    status: note.status,
                    excerpt: note.excerpt.to_string(),
                });
            } else {
                self.queue.health.succeeded(wall_ms);
            }
            if self.takes_nothing(&outcome) {
                self.queue.health.failed(wall_ms);
            }
            self.delivery.handle_waited(attempt, waited + now.saturating_duration_since(ended_at));
            let is_probe = self.delivery.is_probe(attempt);
            self.delivery.match_by_newest(attempt, || self.queue.newest());
            let next = self.delivery.handle_outcome(attempt, outcome, note, now);
            if is_probe {
                self.core.report.probed(self.delivery.breaker_state());
            }
            self.core.report.follows(record, next, now);
        }
        // The memory serves the next answers, unless some came in the meantime (they cannot: nothing awaited).
        let mut slot = self.answers.arrived.borrow_mut();
        if slot.is_empty() {
            *slot = arrived;
        }
    }

    /// The endpoint is to blame: it failed, or refuses whatever it gets.
    fn takes_nothing(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Failed { .. } => true,
            Outcome::Rejected => self.delivery.breaker_state() != BreakerState::Closed,
            _ => false,
        }
    }

    /// The outcome of an answer, and its evidence about our own way to the world. While that is in trouble or in doubt,
    /// whoever was not reached is not to blame.
    fn judge(&self, answer: &Answer, wall_ms: i64, now: Instant) -> (Outcome, AttemptNote) {
        let (outcome, note) = outcome::classify(answer, wall_ms);
        let local_outage = &self.core.local_outage;
        let excused = match answer.contact() {
            Contact::Made => {
                local_outage.reached(now);
                false
            }
            Contact::Failed => local_outage.failed(self.queue.key, &self.settings, now),
            Contact::Unclear => self.held_back,
        };
        (if excused { Outcome::LocalFault } else { outcome }, note)
    }
}
