//! ○ Customers in turn, and the members of each in turn: one with a thousand members has as many turns as one with a single
//! member.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::Arc,
};

/// Finds the customer of an endpoint.
pub type CustomerOf = Box<dyn Fn(&str) -> Option<Arc<str>> + Send + Sync>;

/// Waiters in turn.
#[derive(Debug)]
pub struct Rounds<C, M> {
    customers: VecDeque<C>,
    members: HashMap<C, VecDeque<M>>,
}

impl<C, M> Default for Rounds<C, M> {
    fn default() -> Self {
        Rounds { customers: VecDeque::new(), members: HashMap::new() }
    }
}

impl<C: Clone + Eq + Hash, M> Rounds<C, M> {
    /// A member waits behind the others of its customer, and a new customer behind the other customers.
    pub fn push_back(&mut self, customer: C, member: M) {
        self.members_of(customer, false).push_back(member);
    }

    /// The member is the next one of its customer; a customer that was not there is next itself.
    pub fn push_front(&mut self, customer: C, member: M) {
        self.members_of(customer, true).push_front(member);
    }

    /// The customer whose turn it is; its next turn comes after everybody else's.
    pub fn next_customer(&mut self) -> Option<C> {
        let customer = self.customers.pop_front()?;
        self.customers.push_back(customer.clone());
        Some(customer)
    }

    /// Takes out the next member of a customer.
    pub fn next_member(&mut self, customer: &C) -> Option<M> {
        let members = self.members.get_mut(customer)?;
        let next = members.pop_front();
        if members.is_empty() {
            self.members.remove(customer);
            // As a rule it has just had its turn.
            if self.customers.back() == Some(customer) {
                self.customers.pop_back();
            } else {
                self.customers.retain(|other| other != customer);
            }
        }
        next
    }

    /// Customers that wait.
    #[must_use]
    pub fn customers(&self) -> usize {
        self.customers.len()
    }

    /// Members of a customer that wait.
    #[must_use]
    pub fn members(&self, customer: &C) -> usize {
        self.members.get(customer).map_or(0, VecDeque::len)
    }

    fn members_of(&mut self, customer: C, first: bool) -> &mut VecDeque<M> {
        if !self.members.contains_key(&customer) {
            if first {
                self.customers.push_front(customer.clone());
            } else {
                self.customers.push_back(customer.clone());
            }
        }
        self.members.entry(customer).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(rounds: &mut Rounds<&'static str, u32>, count: usize) -> Vec<u32> {
        let mut seen = Vec::new();
        while seen.len() < count
            && let Some(customer) = rounds.next_customer()
            && let Some(member) = rounds.next_member(&customer)
        {
            rounds.push_back(customer, member);
            seen.push(member);
        }
        seen
    }

    #[test]
    fn a_customer_with_many_members_has_as_many_turns_as_one_with_one() {
        let mut rounds = Rounds::default();
        [1, 2, 3].into_iter().for_each(|member| rounds.push_back("large", member));
        rounds.push_back("small", 9);
        assert_eq!(turns(&mut rounds, 6), [1, 9, 2, 9, 3, 9]);
    }

    #[test]
    fn one_that_is_put_first_is_next_and_nobody_is_forgotten() {
        let mut rounds = Rounds::default();
        rounds.push_back("one", 1);
        rounds.push_front("one", 2);
        rounds.push_front("other", 3);
        assert_eq!((rounds.customers(), rounds.members(&"one")), (2, 2));
        assert_eq!(turns(&mut rounds, 3), [3, 2, 3]);
        while let Some(customer) = rounds.next_customer() {
            rounds.next_member(&customer);
        }
        assert_eq!((rounds.customers(), rounds.members(&"one")), (0, 0));
    }
}
