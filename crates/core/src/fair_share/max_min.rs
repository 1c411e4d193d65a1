//! ○ Max-min fair shares of a resource whose units cannot be taken back: customers first, a customer's members second.
//!
//! Wanting little is served at once; the rest is divided equally among those that want more. A unit may be held for as
//! long as the longest request lasts, so a share must leave something for a customer that is not there yet: holding `h`
//! of `C` units needs `F` free ones with `h ≤ 4 F² / C`. The more somebody holds, the more must be free for one more.
//! Alone, a customer gets at most 61 % that way, two get 35 % each, ten 8.5 % each. Within a customer's share the same
//! holds for its members: one alone gets 37 % of all.
//!
//! **Invariant:** with `n` customers that hold several units, at least `C / (4n + 1)` are free, less one for each customer
//! that holds a single unit, whatever was asked for, in whatever order (the proof is with the test).
//!
//! **Invariant:** nobody waits while fewer are free than the least that one of those who wait needs. Holding less means
//! needing less, so the next unit goes to the one that holds least, and to the one that has waited longest among equals.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::Hash,
};

use hashbrown::HashMap;

/// Shares of a resource: its units, their holders, and the waiters.
pub struct FairShare<C, M, W> {
    units: usize,
    free: usize,
    customers: HashMap<C, Customer<M, W>>,
    /// Customers with waiters, the one with the least need first.
    queue: BTreeMap<Rank, C>,
    next_turn: u64,
    waiting: usize,
}

/// The place of one who waits: what it needs (or holds), and since when it stands there.
type Rank = (usize, u64);

struct Customer<M, W> {
    held: usize,
    members: HashMap<M, Member<W>>,
    /// Members that wait, the one that holds least first.
    queue: BTreeMap<Rank, M>,
    rank: Option<Rank>,
}

struct Member<W> {
    held: usize,
    waiters: VecDeque<W>,
    rank: Option<Rank>,
}

/// A unit that was handed to somebody who waited.
pub struct HandedUnit<C, M, W> {
    pub customer: C,
    pub member: M,
    pub waiter: W,
}

impl<C: Clone + Eq + Hash, M: Clone + Eq + Hash, W> FairShare<C, M, W> {
    #[must_use]
    pub fn new(units: usize) -> Self {
        let units = units.max(1);
        FairShare { units, free: units, customers: HashMap::new(), queue: BTreeMap::new(), next_turn: 0, waiting: 0 }
    }

    /// Takes a unit for a member if it may have one now. Otherwise it has to [`wait`](Self::wait).
    #[must_use]
    pub fn try_take(&mut self, customer: &C, member: &M) -> bool {
        let (held, by_member) = self.held(customer, member);
        if need(self.units, held, by_member) > self.free {
            return false;
        }
        self.take(customer, member);
        self.rank(customer);
        true
    }

    /// Number of units that a member could take now, one after the other; never more than `max`.
    #[must_use]
    pub fn obtainable(&self, customer: &C, member: &M, max: usize) -> usize {
        let (held, by_member) = self.held(customer, member);
        let fits = |more: usize| {
            let last = more - 1;
            self.free.checked_sub(last).is_some_and(|free| need(self.units, held + last, by_member + last) <= free)
        };
        let max = max.min(self.free);
        if max == 0 || fits(max) {
            return max;
        }
        // The need grows with what is held, so what fits is a beginning of 1..=max.
        let (mut fit, mut too_many) = (0, max);
        while too_many - fit > 1 {
            let middle = fit + (too_many - fit) / 2;
            *if fits(middle) { &mut fit } else { &mut too_many } = middle;
        }
        fit
    }

    /// True if a member, or its customer, holds what it may expect beside those that are there now: waiting for more is
    /// its own doing. One that waits for others has less.
    #[must_use]
    pub fn has_share(&self, customer: &C, member: &M) -> bool {
        let Some(owner) = self.customers.get(customer) else { return false };
        let by_member = owner.members.get(member).map_or(0, |member| member.held);
        let of_customer = equal_share(self.units as f64, self.customers.len());
        let of_member = equal_share(of_customer, owner.members.len());
        let has = |held: usize, share: f64| held >= ((share * NEARLY) as usize).max(1);
        has(owner.held, of_customer) || has(by_member, of_member)
    }

    /// Stands in line. Nobody takes it out again: a unit that is handed to one who has gone is given back.
    pub fn wait(&mut self, customer: &C, member: &M, waiter: W) {
        let turn = self.turn();
        let owner = self.customers.entry(customer.clone()).or_default();
        let asking = owner.members.entry(member.clone()).or_default();
        asking.waiters.push_back(waiter);
        if asking.rank.is_none() {
            let rank = (asking.held, turn);
            asking.rank = Some(rank);
            owner.queue.insert(rank, member.clone());
        }
        self.waiting += 1;
        self.rank(customer);
    }

    /// A unit is no longer used. [`hand_out`](Self::hand_out) says who gets it.
    pub fn give_back(&mut self, customer: &C, member: &M) {
        let Some(owner) = self.customers.get_mut(customer) else {
            debug_assert!(false, "only a customer that holds a unit gives one back");
            return;
        };
        let Some(giving) = owner.members.get_mut(member) else {
            debug_assert!(false, "only a member that holds a unit gives one back");
            return;
        };
        self.free += 1;
        owner.held -= 1;
        giving.held -= 1;
        if giving.held == 0 && giving.waiters.is_empty() {
            owner.members.remove(member);
        } else {
            owner.rank_again(member);
        }
        if owner.members.is_empty() {
            self.customers.remove(customer);
        } else {
            self.rank(customer);
        }
    }

    /// The next of those who wait that may have a unit, which is taken for it.
    pub fn hand_out(&mut self) -> Option<HandedUnit<C, M, W>> {
        let (&(need, _), customer) = self.queue.first_key_value()?;
        if need > self.free {
            return None;
        }
        let customer = customer.clone();
        let owner = self.customers.get_mut(&customer)?;
        let member = owner.queue.first_key_value()?.1.clone();
        let waiter = owner.members.get_mut(&member)?.waiters.pop_front()?;
        self.waiting -= 1;
        self.take(&customer, &member);
        self.rank(&customer);
        Some(HandedUnit { customer, member, waiter })
    }

    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    #[must_use]
    pub fn free(&self) -> usize {
        self.free
    }

    fn held(&self, customer: &C, member: &M) -> (usize, usize) {
        let Some(owner) = self.customers.get(customer) else { return (0, 0) };
        (owner.held, owner.members.get(member).map_or(0, |member| member.held))
    }

    fn take(&mut self, customer: &C, member: &M) {
        self.free -= 1;
        let turn = self.turn();
        if !self.customers.contains_key(customer) {
            self.customers.insert(customer.clone(), Customer::default());
        }
        let Some(owner) = self.customers.get_mut(customer) else { return };
        owner.held += 1;
        if !owner.members.contains_key(member) {
            owner.members.insert(member.clone(), Member::default());
        }
        let Some(taking) = owner.members.get_mut(member) else { return };
        taking.held += 1;
        // Equals take turns: who has just got one goes behind the others.
        if let Some(rank) = taking.rank.take() {
            owner.queue.remove(&rank);
            if !taking.waiters.is_empty() {
                let rank = (taking.held, turn);
                taking.rank = Some(rank);
                owner.queue.insert(rank, member.clone());
            }
        }
    }

    /// Puts a customer where it belongs among those who wait, after what it holds or wants has changed.
    fn rank(&mut self, customer: &C) {
        let turn = self.next_turn;
        let Some(owner) = self.customers.get_mut(customer) else { return };
        let need = owner.queue.first_key_value().map(|(&(by_member, _), _)| need(self.units, owner.held, by_member));
        let rank = match (need, owner.rank) {
            (Some(need), Some((before, _))) if need == before => return,
            (need, _) => need.map(|need| (need, turn)),
        };
        if let Some(before) = std::mem::replace(&mut owner.rank, rank) {
            self.queue.remove(&before);
        }
        if let Some(rank) = rank {
            self.queue.insert(rank, customer.clone());
            self.next_turn += 1;
        }
    }

    fn turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn - 1
    }
}

impl<M: Clone + Eq + Hash, W> Customer<M, W> {
    /// A member that waits holds less than before: it keeps its turn.
    fn rank_again(&mut self, member: &M) {
        let Some(waiting) = self.members.get_mut(member) else { return };
        if let Some((before, turn)) = waiting.rank {
            self.queue.remove(&(before, turn));
            let rank = (waiting.held, turn);
            waiting.rank = Some(rank);
            self.queue.insert(rank, member.clone());
        }
    }
}

impl<M, W> Default for Customer<M, W> {
    fn default() -> Self {
        Customer { held: 0, members: HashMap::new(), queue: BTreeMap::new(), rank: None }
    }
}

impl<W> Default for Member<W> {
    fn default() -> Self {
        Member { held: 0, waiters: VecDeque::new(), rank: None }
    }
}

/// Number of units that must be free before one more of them goes to a member that holds so many, of a customer that
/// holds so many. It grows with both.
fn need(units: usize, held: usize, by_member: usize) -> usize {
    if held == 0 {
        return 1;
    }
    let (units, wanted) = (units as f64, held as f64 + 1.0);
    // The customer's share must be so large that the member's part of it may be as large as is wanted.
    let share = match by_member {
        0 => wanted,
        by_member => {
            let b = (by_member as f64 + 1.0) / FACTOR;
            wanted + b / 2.0 + (wanted * b + b * b / 4.0).sqrt()
        }
    };
    let need = share - held as f64 + (units * share / FACTOR).sqrt();
    // Rounded up: a share is never larger than the rule says.
    need.ceil() as usize
}

/// Share of each of so many when all of them want more: `h = 4 F² / C` with `F = C - n h`.
fn equal_share(units: f64, holders: usize) -> f64 {
    let n = holders.max(1) as f64;
    let free = ((1.0 + 4.0 * FACTOR * n).sqrt() - 1.0) / (2.0 * FACTOR * n);
    FACTOR * free * free * units
}

/// Units are whole, so a share is reached a little earlier.
const NEARLY: f64 = 0.75;
/// A larger one gives more to one customer alone and leaves less for those who come.
const FACTOR: f64 = 4.0;

#[cfg(test)]
mod tests;
