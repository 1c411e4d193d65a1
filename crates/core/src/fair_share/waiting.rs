//! ○ A queue for a resource: a queue of holders, not of requests. Each holder in turn gets one of its requests through, as
//! far as its share allows.

use std::collections::VecDeque;

use super::shares::{BoundedShares, Holder, Refused};

/// Requests that have a unit of a resource, and those that wait for one.
#[derive(Debug)]
pub struct Waiting {
    shares: BoundedShares,
    /// Holders in their turn, each with its requests in their order.
    queue: VecDeque<(Holder, VecDeque<u64>)>,
    holder_waiting_max: usize,
}

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnAnswer {
    /// It has its unit.
    Granted,
    /// Its ticket is named when it is its turn.
    Queued,
    /// The holder has too many that wait.
    Refused,
}

impl Waiting {
    /// `holder_waiting_max` is how many requests of one holder may wait.
    #[must_use]
    pub fn new(capacity: usize, holder_waiting_max: usize) -> Self {
        Waiting { shares: BoundedShares::new(capacity), queue: VecDeque::new(), holder_waiting_max }
    }

    /// One unit at once, or none.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn take(&mut self, holder: &Holder) -> Result<(), Refused> {
        self.shares.take(holder, 1)
    }

    /// One unit, now or when it is its turn.
    pub fn ask(&mut self, holder: &Holder, ticket: u64) -> TurnAnswer {
        let waiting = self.queue.iter_mut().find(|(waiting, _)| waiting == holder).map(|(_, tickets)| tickets);
        match waiting {
            Some(tickets) if tickets.len() >= self.holder_waiting_max => return TurnAnswer::Refused,
            Some(tickets) => tickets.push_back(ticket),
            None if self.shares.take(holder, 1).is_ok() => return TurnAnswer::Granted,
            None if self.holder_waiting_max == 0 => return TurnAnswer::Refused,
            None => self.queue.push_back((holder.clone(), VecDeque::from([ticket]))),
        }
        TurnAnswer::Queued
    }

    /// A unit comes back. Returns the tickets whose turn it is, with their holders.
    pub fn give_back(&mut self, holder: &Holder) -> Vec<(Holder, u64)> {
        self.shares.give_back(holder, 1);
        let (mut granted, mut passed_over) = (Vec::new(), 0);
        while passed_over < self.queue.len() {
            let Some((next, mut tickets)) = self.queue.pop_front() else { break };
            match self.shares.take(&next, 1) {
                Ok(()) => {
                    passed_over = 0;
                    granted.extend(tickets.pop_front().map(|ticket| (next.clone(), ticket)));
                }
                Err(_) => passed_over += 1,
            }
            if !tickets.is_empty() {
                self.queue.push_back((next, tickets));
            }
        }
        granted
    }

    /// A request that waited has gone.
    pub fn forget(&mut self, holder: &Holder, ticket: u64) {
        self.queue.retain_mut(|(waiting, tickets)| {
            if waiting == holder {
                tickets.retain(|other| *other != ticket);
            }
            !tickets.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str) -> Holder {
        name.into()
    }

    #[test]
    fn holders_take_turns_however_many_requests_one_of_them_has() {
        let (greedy, modest) = (holder("greedy"), holder("modest"));
        let mut waiting = Waiting::new(2, 100);
        let asked = [1, 2, 3, 4].map(|ticket| waiting.ask(&greedy, ticket));
        assert_eq!(asked, [TurnAnswer::Granted, TurnAnswer::Queued, TurnAnswer::Queued, TurnAnswer::Queued]);
        assert_eq!(waiting.ask(&modest, 10), TurnAnswer::Granted, "one was left for it");
        assert_eq!(waiting.ask(&modest, 11), TurnAnswer::Queued);
        assert_eq!(waiting.give_back(&greedy), [(greedy.clone(), 2)]);
        assert_eq!(waiting.give_back(&modest), [(modest.clone(), 11)], "not the next of the many");
        assert_eq!(waiting.give_back(&greedy), [(greedy.clone(), 3)]);
    }

    #[test]
    fn a_request_that_went_away_holds_nobody_up_and_the_queue_of_each_is_bounded() {
        let (one, other) = (holder("one"), holder("other"));
        let mut waiting = Waiting::new(1, 2);
        assert_eq!(waiting.ask(&one, 1), TurnAnswer::Granted);
        assert_eq!(
            [2, 3, 4].map(|ticket| waiting.ask(&one, ticket)),
            [TurnAnswer::Queued, TurnAnswer::Queued, TurnAnswer::Refused]
        );
        assert_eq!(waiting.ask(&other, 5), TurnAnswer::Queued);
        waiting.forget(&one, 2);
        waiting.forget(&one, 3);
        assert_eq!(waiting.give_back(&one), [(other.clone(), 5)]);
        assert_eq!(waiting.give_back(&other), []);
        assert!(waiting.queue.is_empty() && waiting.shares.taken() == 0);
    }

    #[test]
    fn the_request_that_went_away_is_the_one_that_is_forgotten() {
        let (one, other) = (holder("one"), holder("other"));
        let mut waiting = Waiting::new(1, 3);
        assert_eq!(waiting.ask(&one, 1), TurnAnswer::Granted);
        for ticket in [2, 3, 4] {
            waiting.ask(&one, ticket);
        }
        waiting.ask(&other, 3);
        waiting.forget(&one, 3);
        assert_eq!(waiting.give_back(&one), [(one.clone(), 2)]);
        assert_eq!(waiting.give_back(&one), [(other.clone(), 3)], "the other's request of the same number still waits");
        assert_eq!(waiting.give_back(&other), [(one.clone(), 4)]);
    }

    #[test]
    fn everything_that_waits_has_its_turn() {
        let holders: Vec<Holder> = ["a", "b", "c"].into_iter().map(holder).collect();
        let mut waiting = Waiting::new(4, 100);
        let (mut under_way, mut ticket) = (Vec::new(), 0);
        for _ in 0..50 {
            for holder in &holders {
                ticket += 1;
                if waiting.ask(holder, ticket) == TurnAnswer::Granted {
                    under_way.push(holder.clone());
                }
            }
        }
        let mut served = 0;
        while let Some(done) = under_way.pop() {
            served += 1;
            under_way.extend(waiting.give_back(&done).into_iter().map(|(holder, _)| holder));
        }
        assert_eq!((served, waiting.shares.taken()), (150, 0));
    }
}
