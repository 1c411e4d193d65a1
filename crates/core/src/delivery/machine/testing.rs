//! ○ A world for the machine in tests: it makes events, keeps the books and states the time.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::*;
use crate::model::{
    outcome::{AttemptNote, Outcome},
    parking::RowCount,
    receipt::Settlement,
};
pub use crate::testing::*;

/// One endpoint's machine with all it asked for.
pub struct World {
    pub delivery: Delivery,
    pub source: Arc<TestSource>,
    pub backlog: Option<Arc<TestSource>>,
    pub now: Instant,
    next_offset: i64,
    /// Attempts under way, oldest first, with the offsets of their members.
    pub sent: Vec<(AttemptId, Vec<i64>)>,
    pub delivered: Vec<i64>,
    pub cancelled: Vec<i64>,
    pub parked: Vec<Parked>,
    pub unparked: Vec<i64>,
    pub given_up: Vec<GivenUp>,
    pub changes: Vec<StateChange>,
}

pub const PARK_AFTER: Duration = secs(5);
pub const ENDPOINT_BYTES_MAX: usize = 1 << 20;

impl World {
    pub fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let limits =
            DeliveryLimits { park_after: PARK_AFTER, endpoint_bytes_max: ENDPOINT_BYTES_MAX, wait_target: ms(500) };
        World {
            delivery: Delivery::new(Arc::new(settings), limits, 1, now),
            source: TestSource::new(),
            backlog: None,
            now,
            next_offset: 0,
            sent: Vec::new(),
            delivered: Vec::new(),
            cancelled: Vec::new(),
            parked: Vec::new(),
            unparked: Vec::new(),
            given_up: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Tells the machine the number of its rows in the backlog, as counted now.
    pub fn rows_wait(&mut self, rows: u64) {
        self.delivery.handle_backlog_rows(RowCount { rows, counted_at: self.now }, self.now);
    }

    /// Events that are received now; returns the first one's offset.
    pub fn events(&mut self, count: usize) -> i64 {
        let first = self.next_offset;
        let receipts = (first..).take(count).map(|offset| receipt(&self.source, offset, self.now)).collect();
        self.next_offset += count as i64;
        self.delivery.handle_events(receipts, self.now);
        self.poll();
        first
    }

    /// Events of these tenants, one of each, that are received now.
    pub fn events_of(&mut self, tenants: &[&str]) {
        let source = Arc::clone(&self.source);
        let receipts = self.receipts_of(&source, tenants);
        self.delivery.handle_events(receipts, self.now);
        self.poll();
    }

    /// The same, from PostgreSQL.
    pub fn stored_of(&mut self, source: &Arc<TestSource>, tenants: &[&str]) {
        let receipts = self.receipts_of(source, tenants);
        self.delivery.handle_stored(receipts, self.now);
        self.poll();
    }

    pub fn receipts_of(&mut self, source: &Arc<TestSource>, tenants: &[&str]) -> Vec<Receipt> {
        let offsets = self.next_offset..;
        self.next_offset += tenants.len() as i64;
        tenants.iter().zip(offsets).map(|(tenant, offset)| of_tenant(source, offset, tenant, self.now)).collect()
    }

    /// From now on only these tenants' events match; `held` if nobody knows of the others.
    pub fn narrow(&mut self, tenants: &[&str], held: bool) {
        self.delivery.handle_narrowed(&subscribed_to(tenants, held));
        self.delivery.handle_timeout(self.now);
        self.poll();
    }

    /// Events that come from the backlog, with so many attempts behind them; returns the first one's offset.
    pub fn stored(&mut self, count: usize, attempts: u32) -> i64 {
        let first = self.next_offset;
        let source = self.backlog.get_or_insert_with(TestSource::stored);
        let receipts = (first..).take(count).map(|offset| receipt(source, offset, self.now).with_attempts(attempts));
        let receipts = receipts.collect();
        self.next_offset += count as i64;
        self.delivery.handle_stored(receipts, self.now);
        self.poll();
        first
    }

    /// Answers the oldest attempt under way; returns the offsets of its members.
    #[track_caller]
    pub fn answer(&mut self, outcome: Outcome) -> Vec<i64> {
        assert!(!self.sent.is_empty(), "an attempt is under way");
        self.answer_nth(0, outcome)
    }

    pub fn answer_nth(&mut self, nth: usize, outcome: Outcome) -> Vec<i64> {
        let (attempt, members) = self.sent.remove(nth);
        self.delivery.handle_outcome(attempt, outcome, AttemptNote::default(), self.now);
        self.poll();
        members
    }

    /// Moves the time, calling the machine whenever it asked for it.
    pub fn wait(&mut self, by: Duration) {
        let end = self.now + by;
        let mut wakes = 0;
        while let Some(at) = self.delivery.poll_timeout().filter(|at| *at <= end) {
            wakes += 1;
            assert!(wakes < 100_000, "the machine does not ask for the same time again and again");
            self.now = self.now.max(at);
            self.delivery.handle_timeout(self.now);
            self.poll();
        }
        self.now = end;
    }

    pub fn settings(&mut self, settings: Settings) {
        self.delivery.handle_settings(Arc::new(settings), self.now);
        self.poll();
    }

    /// The offsets of the members under way, attempt by attempt.
    pub fn under_way(&self) -> Vec<Vec<i64>> {
        self.sent.iter().map(|(_, members)| members.clone()).collect()
    }

    pub fn parked_offsets(&self) -> Vec<i64> {
        self.parked.iter().map(|parked| parked.receipt.event().offset()).collect()
    }

    pub fn given_up_offsets(&self) -> Vec<(i64, Reason)> {
        self.given_up.iter().map(|given_up| (given_up.receipt.event().offset(), given_up.reason)).collect()
    }

    pub fn poll(&mut self) {
        while let Some(effect) = self.delivery.poll_effect() {
            match effect {
                Effect::Send(attempt) => {
                    let batch = self.delivery.batch(attempt).expect("what is sent has members");
                    self.sent.push((attempt, batch.events().map(|event| event.offset()).collect()));
                }
                Effect::Settle { receipts, how } => {
                    let ended = if how == Settlement::Cancelled { &mut self.cancelled } else { &mut self.delivered };
                    ended.extend(receipts.iter().map(|receipt| receipt.event().offset()));
                    Receipt::settle_all(receipts, how);
                }
                Effect::Park(parked) => self.parked.extend(parked),
                Effect::Unpark(events) => self.unparked.extend(events.iter().map(|event| event.offset())),
                Effect::DeadLetter(given_up) => self.given_up.extend(given_up),
                Effect::StateChanged(change) => self.changes.push(change),
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What a test leaves behind is no fault of the machine's.
        self.source.current.store(false, Ordering::Relaxed);
        self.backlog.iter().for_each(|backlog| backlog.current.store(false, Ordering::Relaxed));
    }
}

pub const FAILED: Outcome = Outcome::Failed { retry_after: None };

pub const fn failed_for(wait: Duration) -> Outcome {
    Outcome::Failed { retry_after: Some(wait) }
}
