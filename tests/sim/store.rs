//! The store of the simulation: one lane a process, statements in their order, a COMMIT that can be lost on its way back.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use postrider::model::{
    disposition::{GivenUp, Parked, Reason},
    receipt::{Receipt, Settlement},
};

use crate::audit::{Audit, Key};

pub enum Statement {
    Insert { receipts: Vec<Receipt>, how: Settlement },
    Delete(Vec<Key>),
}

/// What one process wants stored.
#[derive(Default)]
pub struct Lane {
    waiting: VecDeque<Statement>,
    /// Committed; the answer is on its way.
    answered: VecDeque<(Instant, Statement)>,
}

const ANSWER_AFTER: Duration = Duration::from_millis(3);

impl Lane {
    pub fn park(&mut self, parked: Vec<Parked>, audit: &mut Audit) {
        audit.totals.parked += parked.len() as u64;
        let receipts = parked.into_iter().map(|parked| parked.receipt).collect();
        self.waiting.push_back(Statement::Insert { receipts, how: Settlement::Backlogged });
    }

    pub fn give_up(&mut self, given_up: Vec<GivenUp>, audit: &mut Audit) {
        audit.totals.dead_lettered += given_up.len() as u64;
        audit.totals.internal += given_up.iter().filter(|given_up| given_up.reason == Reason::Internal).count() as u64;
        let receipts = given_up.into_iter().map(|given_up| given_up.receipt).collect();
        self.waiting.push_back(Statement::Insert { receipts, how: Settlement::DeadLettered });
    }

    pub fn take_out(&mut self, keys: Vec<Key>) {
        self.waiting.push_back(Statement::Delete(keys));
    }

    /// Everything that waits is committed at once.
    pub fn commit(&mut self, now: Instant, audit: &mut Audit) {
        for statement in self.waiting.drain(..) {
            match &statement {
                Statement::Insert { receipts, .. } => {
                    receipts.iter().for_each(|receipt| audit.stored(Key::of_receipt(receipt)));
                }
                Statement::Delete(keys) => keys.iter().for_each(|key| audit.unstored(*key)),
            }
            self.answered.push_back((now + ANSWER_AFTER, statement));
        }
    }

    /// The answers that have arrived: their receipts settle now.
    pub fn settle_answered(&mut self, now: Instant, audit: &mut Audit) {
        while self.answered.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, statement)) = self.answered.pop_front() else { break };
            if let Statement::Insert { receipts, how } = statement {
                audit.settling(&receipts, how);
                Receipt::settle_all(receipts, how);
            }
        }
    }
}
