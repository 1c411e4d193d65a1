//! ○ The consequences of an answer for its batch, for the breaker and for what is sent next.

use std::time::{Duration, Instant};

use rand::Rng;

use super::{AttemptId, Delivery, StateChange, in_flight::Flight, refusals::Refusals};
use crate::{
    delivery::{
        batch::{Batch, Members},
        bisection::{Blame, REFUSALS_MAX, RefusedEvent},
        breaker::BreakerPermit,
        retry,
    },
    model::{
        disposition::{GivenUp, Next, Reason},
        outcome::{AttemptNote, Outcome, RETRY_AFTER_MAX},
        receipt::Receipt,
        settings::Mode,
        source::Claim,
    },
};

impl Delivery {
    /// An attempt has ended. Of no effect for one that is not under way. Says what becomes of the batch.
    pub fn handle_outcome(&mut self, attempt: AttemptId, outcome: Outcome, note: AttemptNote, now: Instant) -> Next {
        let Some(flight) = self.flights.remove(attempt) else {
            return Next::Ended;
        };
        self.note_bearing(&flight, &outcome, &note, now);
        let Flight { batch, permit, version, narrowed, .. } = flight;
        self.narrowed = narrowed;
        // What it says of the endpoint as a whole, it says of that which the settings named then.
        let is_outdated = version < self.settings.version;
        self.effects.next = if batch.is_parked() { Next::Backlog { at: None } } else { Next::Ended };
        match outcome {
            Outcome::Delivered => self.delivered(batch, permit, now),
            Outcome::Rejected => self.rejected(batch, permit, note, now),
            Outcome::Failed { retry_after } => {
                let retry_after = retry_after.filter(|_| !is_outdated);
                self.failed(1, batch, permit, note, retry_after, now);
            }
            Outcome::Gone if is_outdated => self.gone_before(batch, permit, note, now),
            Outcome::Gone => self.gone(batch, permit, note, now),
            Outcome::Disconnected => self.disconnected(batch, permit, note, now),
            Outcome::LocalFault => self.local_fault(batch, permit, note, now),
        }
        let next = self.effects.next;
        self.narrowed = None;
        self.advance(now);
        next
    }

    fn delivered(&mut self, mut batch: Batch, permit: BreakerPermit, now: Instant) {
        let limits = &self.settings.delivery;
        let change = self.breaker.succeeded(permit, now, &limits.breaker, limits.in_flight_max);
        self.report(change);
        self.last_delivered = Some(now);
        self.delivered.add(batch.len() as u64, now);
        self.refusals = Refusals::default();
        self.effects.next = Next::Ended;
        self.all_ended(&batch);
        self.effects.settle(std::mem::take(&mut batch.members));
        let Some(trouble) = &mut batch.trouble else {
            return;
        };
        if trouble.stored {
            self.effects.unparked.append(&mut trouble.parked);
        }
        if let Some(bisection) = &mut trouble.bisection {
            for guilty in bisection.accepted() {
                self.give_up_refused(guilty, batch.attempts);
            }
            self.go_on(batch, now);
        }
    }

    /// The events are blamed: one alone is given up, several are halved until it is alone.
    fn rejected(&mut self, mut batch: Batch, permit: BreakerPermit, note: AttemptNote, now: Instant) {
        if batch.is_parked() {
            return self.breaker.undecided(permit);
        }
        if self.blocks() {
            return self.failed(1, batch, permit, note, None, now);
        }
        if batch.members.len() > 1 {
            self.breaker.undecided(permit);
            let members = std::mem::take(&mut batch.members);
            let too_large = note.status == Some(413);
            let left = batch.trouble().bisection.get_or_insert_default().split(members, too_large);
            batch.set_members(left);
            return self.go_on_with(batch, now);
        }
        if batch.bisection().is_some() {
            return self.rejected_in_bisection(batch, permit, note, now);
        }
        if batch.events().any(|event| self.refusals.blame_endpoint(event)) {
            return self.failed(1, batch, permit, note, None, now);
        }
        self.breaker.undecided(permit);
        for receipt in std::mem::take(&mut batch.members) {
            self.refusals.add(receipt.event());
            self.give_up_refused(RefusedEvent { receipt, note: note.clone() }, batch.attempts);
        }
    }

    fn rejected_in_bisection(&mut self, mut batch: Batch, permit: BreakerPermit, note: AttemptNote, now: Instant) {
        let single = batch.members.pop();
        let Some((receipt, bisection)) = single.zip(batch.trouble().bisection.as_mut()) else {
            return;
        };
        match bisection.refused(RefusedEvent { receipt, note: note.clone() }) {
            Blame::Endpoint(members) => {
                self.refusals.blame();
                batch.trouble().bisection = None;
                batch.set_members(members);
                // The attempt is one, the failed requests are three.
                self.failed(REFUSALS_MAX as u32, batch, permit, note, None, now);
            }
            Blame::Unknown => {
                self.breaker.undecided(permit);
                self.go_on(batch, now);
            }
            Blame::Event(guilty) => {
                self.breaker.undecided(permit);
                self.give_up_refused(guilty, batch.attempts);
                self.go_on(batch, now);
            }
        }
    }

    fn failed(
        &mut self,
        requests: u32,
        batch: Batch,
        permit: BreakerPermit,
        note: AttemptNote,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        let open_before = self.blocked_until(now);
        let limits = &self.settings.delivery.breaker;
        let change = self.breaker.failed(permit, requests, now, limits, &mut self.rng);
        if let Some(concurrency) = self.concurrency.as_mut().filter(|_| change.is_some()) {
            concurrency.handle_outage(now);
        }
        self.report(change);
        if let Some(wait) = retry_after {
            let until = now + wait.min(RETRY_AFTER_MAX);
            self.silent_until = self.silent_until.max(Some(until));
        }
        if !batch.is_parked() {
            if permit.is_probe() {
                self.repeat_probe(batch, note, now);
            } else {
                self.repeat(batch, note, now);
            }
        }
        let blocked = self.blocked_until(now);
        if let Some(until) = blocked
            && blocked > open_before
        {
            self.park_what_must_leave_before(until);
        }
    }

    /// A probe asks about the endpoint, not about its event: while the breaker is not closed, no attempts are used up.
    fn repeat_probe(&mut self, mut batch: Batch, note: AttemptNote, now: Instant) {
        batch.trouble().last = Some(note);
        self.wait_or_park(batch, Duration::ZERO, now);
    }

    /// An attempt was used up: the batch waits for the next one, or leaves.
    fn repeat(&mut self, mut batch: Batch, note: AttemptNote, now: Instant) {
        batch.attempts += 1;
        batch.trouble().last = Some(note);
        let Some(batch) = self.give_up_exhausted(batch) else {
            return;
        };
        self.wait_or_take_apart(batch, now);
    }

    /// A batch whose members failed so often that fewer of them shall go together is taken apart; others wait as they are.
    fn wait_or_take_apart(&mut self, batch: Batch, now: Instant) {
        let Some(mut batch) = self.not_narrowed(batch, None) else { return };
        let attempts = batch.attempts + batch.members.iter().map(Receipt::attempts_so_far).max().unwrap_or(0);
        let company_max = self.batch_limits.company_max(attempts);
        if batch.members.len() <= company_max {
            return self.wait_for_next_attempt(batch, now);
        }
        let mut members = self.all_or_the_first_of_each_lane(&mut batch);
        let company_max = if self.lanes.is_some() { 1 } else { company_max };
        while !members.is_empty() {
            let part = members.drain(..company_max.min(members.len())).collect();
            let part = batch.part(part);
            self.wait_for_next_attempt(part, now);
        }
    }

    fn wait_for_next_attempt(&mut self, batch: Batch, now: Instant) {
        // The one with the fewest failures says when: others may have failed for days, and alone.
        let failures = batch.attempts + batch.members.iter().map(Receipt::attempts_so_far).min().unwrap_or(0);
        let wait = retry::wait(&self.settings.delivery.retry.schedule, failures, &mut self.rng);
        self.wait_or_park(batch, wait, now);
    }

    /// The batch is sent again after `wait`, unless it would have to leave memory before.
    pub(super) fn wait_or_park(&mut self, batch: Batch, wait: Duration, now: Instant) {
        let not_narrowed = self.not_narrowed(batch, (wait > Duration::ZERO).then_some(now + wait));
        let Some(batch) = not_narrowed.and_then(|batch| self.not_lost(batch)) else { return };
        if self.settings.delivery.mode == Mode::Stream && batch.held_len() > 1 {
            return self.wait_one_by_one(batch, wait, now);
        }
        let due = (now + wait).max(self.blocked_until(now).unwrap_or(now));
        let may_not_go_again = batch.members.iter().any(|receipt| !receipt.is_current());
        if may_not_go_again || self.shares_a_lane(&batch) {
            // Read again, it would be sent at once and its attempts forgotten: its row has to say when it is due.
            return self.wait_in_backlog(batch, wait, now);
        }
        match self.park_at(batch.since, batch.endpoint_waits_since()) {
            Some(at) if self.stopping || at <= now || at < due => {
                // The row says when the event is due; the silence is the endpoint's, and ends with other settings.
                let not_before = (wait > Duration::ZERO).then_some(now + wait);
                self.effects.next = Next::Backlog { at: (due > now).then_some(due) };
                self.park(batch, not_before);
            }
            _ => {
                self.effects.next = Next::Retry { at: due };
                self.waiting.insert(batch, due);
            }
        }
    }

    /// A batch without its members that another instance owns by now, where all others may go again: they are tried from memory,
    /// as if those had not been in it. In lanes whoever comes behind one of them waits, and so all go on in the backlog.
    fn not_lost(&mut self, batch: Batch) -> Option<Batch> {
        let has = |claim| batch.members.iter().any(|receipt| receipt.event().source.claim() == claim);
        if self.lanes.is_some() || !has(Claim::Lost) || has(Claim::Owned) {
            return Some(batch);
        }
        self.still_ours(batch)
    }

    /// The batch was formed before the endpoint became a stream. In order its events wait for each other, and go on in the
    /// backlog: in memory their time would begin again.
    fn wait_one_by_one(&mut self, mut batch: Batch, wait: Duration, now: Instant) {
        if self.lanes.is_some() {
            return self.wait_in_backlog(batch, wait, now);
        }
        for receipt in batch.take_receipts() {
            let single = batch.part(Members::from_iter([receipt]));
            self.wait_or_park(single, wait, now);
        }
    }

    fn wait_in_backlog(&mut self, batch: Batch, wait: Duration, now: Instant) {
        let not_before = (wait > Duration::ZERO).then_some(now + wait);
        self.effects.next = Next::Backlog { at: not_before };
        self.park(batch, not_before);
    }

    /// Takes out what a batch holds, to be sent in parts: of a lane, one goes after the other.
    fn all_or_the_first_of_each_lane(&mut self, batch: &mut Batch) -> Members {
        let members = batch.take_receipts();
        match &mut self.lanes {
            Some(lanes) => lanes.put_back_behind_the_first(members, batch.attempts),
            None => members,
        }
    }

    /// Gives up the events of a batch after the last attempt; the rest is tried again, for nothing is given up that was
    /// not tried alone.
    fn give_up_exhausted(&mut self, mut batch: Batch) -> Option<Batch> {
        let (attempts, attempts_max) = (batch.attempts, self.settings.delivery.retry.attempts_max);
        let is_exhausted =
            |receipt: &Receipt| attempts_max.is_some_and(|max| attempts + receipt.attempts_so_far() >= max);
        if self.blocks() || batch.members.len() > 1 || !batch.members.first().is_some_and(is_exhausted) {
            return Some(batch);
        }
        let last = batch.last().cloned();
        for receipt in std::mem::take(&mut batch.members) {
            self.give_up(receipt, Reason::Exhausted, attempts, last.clone());
        }
        // What a bisection still holds had no part in this attempt.
        batch.attempts -= 1;
        self.next_part(batch)
    }

    /// 410: nothing more is sent, and what waits is parked for the case that it comes back.
    fn gone(&mut self, mut batch: Batch, permit: BreakerPermit, note: AttemptNote, now: Instant) {
        self.breaker.undecided(permit);
        if !self.gone {
            self.gone = true;
            self.effects.changes.push(StateChange::Gone);
        }
        if !batch.is_parked() {
            batch.attempts += 1;
            batch.trouble().last = Some(note);
            self.effects.next = Next::Backlog { at: None };
            self.park(batch, None);
        }
        self.park_check_at = Some(now);
    }

    /// A 410 to older settings: the newer ones may well name another receiver.
    fn gone_before(&mut self, mut batch: Batch, permit: BreakerPermit, note: AttemptNote, now: Instant) {
        self.breaker.undecided(permit);
        if !batch.is_parked() {
            batch.trouble().last = Some(note);
            self.wait_or_park(batch, Duration::ZERO, now);
        }
    }

    /// Usually just idleness: once for each batch it is repeated at once and nobody is blamed.
    fn disconnected(&mut self, mut batch: Batch, permit: BreakerPermit, note: AttemptNote, now: Instant) {
        if batch.trouble().disconnected {
            return self.failed(1, batch, permit, note, None, now);
        }
        self.breaker.undecided(permit);
        if !batch.is_parked() {
            let trouble = batch.trouble();
            trouble.disconnected = true;
            trouble.last = Some(note);
            self.wait_or_park(batch, Duration::ZERO, now);
        }
    }

    fn local_fault(&mut self, mut batch: Batch, permit: BreakerPermit, note: AttemptNote, now: Instant) {
        self.breaker.undecided(permit);
        if !batch.is_parked() {
            batch.trouble().last = Some(note);
            let wait = LOCAL_FAULT_WAIT.mul_f64(self.rng.random_range(0.5..=1.5));
            self.wait_or_park(batch, wait, now);
        }
    }

    /// The next part of a bisection goes at once.
    fn go_on(&mut self, batch: Batch, now: Instant) {
        if let Some(batch) = self.next_part(batch) {
            self.go_on_with(batch, now);
        }
    }

    /// The wait starts again with every answer, or at a slow endpoint no bisection would ever come to its end. All of it
    /// together holds up a commit for `park_after`, then it goes on in the backlog.
    fn go_on_with(&mut self, mut batch: Batch, now: Instant) {
        let began = *batch.trouble().bisected_since.get_or_insert(now);
        let ends = self.released_at.map_or(began, |released| began.max(released)) + self.limits.park_after;
        if ends <= now && !self.held_back && !batch.is_stored() {
            batch.attempts += 1;
            self.effects.next = Next::Backlog { at: None };
            return self.park(batch, None);
        }
        batch.since = now;
        (batch.first_sent, batch.waited) = (None, Duration::ZERO);
        self.wait_or_park(batch, Duration::ZERO, now);
    }

    /// The batch with the next part of its bisection. At the end of it those are given up that were refused, too few
    /// to blame the endpoint.
    pub(super) fn next_part(&mut self, mut batch: Batch) -> Option<Batch> {
        let bisection = batch.trouble.as_mut()?.bisection.as_mut()?;
        if let Some(members) = bisection.next_part() {
            batch.set_members(members);
            return Some(batch);
        }
        for refused in batch.trouble().bisection.take()?.finish() {
            self.give_up_refused(refused, batch.attempts);
        }
        None
    }

    fn give_up_refused(&mut self, refused: RefusedEvent, attempts: u32) {
        self.give_up(refused.receipt, Reason::Rejected, attempts + 1, Some(refused.note));
    }

    fn give_up(&mut self, receipt: Receipt, reason: Reason, attempts: u32, last: Option<AttemptNote>) {
        self.ended(receipt.event());
        self.effects.next = Next::DeadLetter;
        let attempts = attempts + receipt.attempts_so_far();
        self.effects.given_up.push(GivenUp { receipt, reason, attempts, last });
    }
}

/// Our own trouble is rarely over at once, and asking again costs only us.
const LOCAL_FAULT_WAIT: Duration = Duration::from_millis(500);
