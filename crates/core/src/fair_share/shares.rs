//! ○ The amount of a resource that each holder may take: no more than it would leave free. One holder alone gets half, two a
//! third each, and one that holds nothing finds some free, whatever a few others ask for. (Dynamic thresholds: Choudhury
//! and Hahne, 1998.)

use std::{collections::HashMap, hash::Hash, sync::Arc};

/// A customer's id, or that of a key which belongs to no customer.
pub type Holder = Arc<str>;

/// A resource of a fixed size, and who holds how much of it.
#[derive(Debug)]
pub struct BoundedShares<H = Holder> {
    capacity: usize,
    taken: usize,
    by_holder: HashMap<H, usize>,
}

/// Nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The holder has its share already.
    BeyondShare,
    /// The holder has nothing, and there is not enough left.
    UsedUp,
}

impl Refused {
    /// The word for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Refused::BeyondShare => "share",
            Refused::UsedUp => "used_up",
        }
    }
}

impl<H: Clone + Eq + Hash> BoundedShares<H> {
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        BoundedShares { capacity, taken: 0, by_holder: HashMap::new() }
    }

    /// Takes so much for this holder.
    ///
    /// # Errors
    /// The reason why not.
    pub fn take(&mut self, holder: &H, amount: usize) -> Result<(), Refused> {
        if amount == 0 {
            return Ok(()); // also to a holder that has more than it could take now
        }
        let held = self.held(holder);
        if held.saturating_add(amount) > self.capacity - self.taken {
            return Err(if held > 0 { Refused::BeyondShare } else { Refused::UsedUp });
        }
        self.taken += amount;
        *self.by_holder.entry(holder.clone()).or_default() += amount;
        Ok(())
    }

    /// Gives back what was taken.
    pub fn give_back(&mut self, holder: &H, amount: usize) {
        let Some(held) = self.by_holder.get_mut(holder) else { return };
        let amount = amount.min(*held);
        *held -= amount;
        self.taken -= amount;
        if *held == 0 {
            self.by_holder.remove(holder);
        }
    }

    /// Amount that this holder has.
    #[must_use]
    pub fn held(&self, holder: &H) -> usize {
        self.by_holder.get(holder).copied().unwrap_or(0)
    }

    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken
    }

    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(number: usize) -> Holder {
        format!("cus_{number}").into()
    }

    /// Units that each of so many holders gets when all of them ask for ever more, one after the other.
    fn shared(capacity: usize, holders: usize) -> Vec<usize> {
        let mut shares = BoundedShares::new(capacity);
        for _ in 0..capacity {
            for number in 0..holders {
                let _ = shares.take(&holder(number), 1);
            }
        }
        (0..holders).map(|number| shares.by_holder.get(&holder(number)).copied().unwrap_or(0)).collect()
    }

    #[test]
    fn whoever_asks_for_everything_gets_an_equal_share_and_leaves_one() {
        assert_eq!(shared(100, 1), [50]);
        assert_eq!(shared(99, 2), [33, 33]);
        assert_eq!(shared(100, 3), [25, 25, 25]);
        assert_eq!(shared(2, 1), [1]);
        assert_eq!(shared(1, 1), [1]);
    }

    #[test]
    fn one_that_holds_nothing_finds_some_free_although_another_takes_all_it_can() {
        let (mut shares, greedy, modest) = (BoundedShares::new(8), holder(1), holder(2));
        while shares.take(&greedy, 1).is_ok() {}
        assert_eq!(shares.take(&greedy, 1), Err(Refused::BeyondShare));
        assert_eq!(shares.take(&modest, 2), Ok(()));
        assert_eq!(shares.take(&holder(3), 3), Err(Refused::UsedUp));
        shares.give_back(&greedy, 4);
        shares.give_back(&modest, 2);
        assert_eq!((shares.taken(), shares.by_holder.len()), (0, 0));
        shares.give_back(&modest, 2);
        assert_eq!(shares.taken(), 0, "nothing is given back twice");
    }
}
