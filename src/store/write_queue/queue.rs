//! ○ Entries that wait to be written, by endpoint: customers in turn, and the endpoints of each in turn.

use std::collections::{HashMap, VecDeque};

use super::{Owner, WriteOp};
use crate::fair_share::rounds::Rounds;

/// See the module's page.
pub(super) struct Queue<W> {
    /// For each endpoint, what waits: each with whether somebody waited for it when it came.
    of: HashMap<u64, VecDeque<(W, bool)>>,
    turns: Rounds<u64, u64>,
    pub waiting: usize,
    pub urgent: usize,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Queue { of: HashMap::new(), turns: Rounds::default(), waiting: 0, urgent: 0 }
    }
}

impl<W: WriteOp> Queue<W> {
    /// Behind what waits for the same endpoint; the second is whether somebody waits for it.
    pub(super) fn push(&mut self, owner: Owner, work: (W, bool)) {
        self.waiting += 1;
        self.urgent += usize::from(work.1);
        let waiting = self.of.entry(owner.endpoint).or_insert_with(|| {
            self.turns.push_back(owner.customer, owner.endpoint);
            VecDeque::new()
        });
        waiting.push_back(work);
    }

    /// Some of each customer in turn, so that one with long queues, or with many endpoints, makes no other wait for all of it.
    /// Returns also of how many pieces it is.
    pub(super) fn take(&mut self, rows_max: usize, bytes_max: usize) -> (W::Batch, usize) {
        let mut taken = Taken { run: W::Batch::default(), pieces: 0, bytes: 0 };
        let (share, mut passed_over, mut is_full) = (rows_max.div_ceil(SHARES), Vec::new(), false);
        while !is_full
            && taken.pieces < rows_max
            && passed_over.len() < PASSED_OVER_MAX
            && let Some(customer) = self.turns.next_customer()
        {
            let pieces_max = rows_max.min(taken.pieces + share);
            while taken.pieces < pieces_max
                && let Some(endpoint) = self.turns.next_member(&customer)
            {
                match self.take_of(endpoint, &mut taken, pieces_max, bytes_max) {
                    None => {}
                    Some(Stop::ShareUsed) => self.turns.push_back(customer, endpoint),
                    Some(stop) => {
                        is_full = stop == Stop::Full;
                        passed_over.push((customer, endpoint));
                        break;
                    }
                }
            }
        }
        // They come first the next time.
        passed_over.into_iter().rev().for_each(|(customer, endpoint)| self.turns.push_front(customer, endpoint));
        (taken.run, taken.pieces)
    }

    /// Takes what an endpoint has next; `None` when that is all of it.
    fn take_of(
        &mut self,
        endpoint: u64,
        taken: &mut Taken<W::Batch>,
        pieces_max: usize,
        bytes_max: usize,
    ) -> Option<Stop> {
        let waiting = self.of.get_mut(&endpoint)?;
        let before = taken.pieces;
        let (urgent, stop) = taken.fill(waiting, pieces_max, bytes_max);
        self.urgent -= urgent;
        self.waiting -= taken.pieces - before;
        if waiting.is_empty() {
            self.of.remove(&endpoint);
            return None;
        }
        Some(stop)
    }
}

/// A run that is being put together.
struct Taken<R> {
    run: R,
    pieces: usize,
    bytes: usize,
}

/// The reason why nothing more of an endpoint is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    ShareUsed,
    Full,
    DoesNotFit,
}

impl<R> Taken<R> {
    /// Takes what an endpoint has next; how much of it was urgent, and why there was no more.
    fn fill<W: WriteOp<Batch = R>>(
        &mut self,
        waiting: &mut VecDeque<(W, bool)>,
        pieces_max: usize,
        bytes_max: usize,
    ) -> (usize, Stop) {
        let mut urgent = 0;
        while self.pieces < pieces_max
            && let Some((work, _)) = waiting.front()
        {
            let bytes = self.bytes + work.weight_bytes();
            if self.pieces > 0 && bytes > bytes_max {
                return (urgent, Stop::Full);
            }
            if self.pieces > 0 && !work.fits(&self.run) {
                return (urgent, Stop::DoesNotFit);
            }
            let Some((work, is_urgent)) = waiting.pop_front() else { break };
            work.join(&mut self.run);
            urgent += usize::from(is_urgent);
            (self.pieces, self.bytes) = (self.pieces + 1, bytes);
        }
        (urgent, Stop::ShareUsed)
    }
}

/// A statement has room for so many customers, where that many have something to write.
const SHARES: usize = 8;
/// No more endpoints are asked for something that fits.
const PASSED_OVER_MAX: usize = 64;
