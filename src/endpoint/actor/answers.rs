//! ● What came in since an endpoint actor's last turn. Every request brings an answer, whatever becomes of it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};

use actix::Addr;

use super::{EndpointActor, Turn};
use crate::endpoint::{delivery::AttemptId, outcome::Answer};

/// Answers that came in since the last turn; one wake serves all of them.
#[derive(Default)]
pub(super) struct Answers {
    pub arrived: RefCell<Vec<Arrived>>,
    pub woken: Cell<bool>,
}

pub(super) struct Arrived {
    pub attempt: AttemptId,
    pub answer: Answer,
    pub sent_at: Instant,
}

/// The machine gets its answer however the request's future ends; one that panics must not cost a slot for ever.
pub(super) struct OwedAnswer {
    pub answers: Rc<Answers>,
    pub address: Addr<EndpointActor>,
    pub attempt: AttemptId,
    pub sent_at: Instant,
    pub answer: Option<Answer>,
}

impl OwedAnswer {
    pub fn arrive(mut self, answer: Answer) {
        self.answer = Some(answer);
    }
}

impl Drop for OwedAnswer {
    fn drop(&mut self) {
        let answer = self.answer.take().unwrap_or_else(|| Answer::Broken("the request ended without an answer".into()));
        let (attempt, sent_at) = (self.attempt, self.sent_at);
        self.answers.arrived.borrow_mut().push(Arrived { attempt, answer, sent_at });
        if !self.answers.woken.replace(true) {
            // A full mailbox holds a wake already.
            let _ = self.address.try_send(Turn);
        }
    }
}
