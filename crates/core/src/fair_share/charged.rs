//! ○ Shares of a limit on what comes whether there is room or not. Nothing is refused: whoever comes to more than its share
//! ([`BoundedShares`]) is to bring no more, and what it had under way counts in nobody else's share.
//!
//! **Invariant:** what the holders have within their shares is never more than the limit.

use std::{collections::HashMap, hash::Hash};

use super::shares::{BoundedShares, Holder, Refused};

/// A limit, and who has how much of it, and beyond it.
#[derive(Debug)]
pub struct ChargedShares<H = Holder> {
    shares: BoundedShares<H>,
    /// Holders that are to bring no more, and what each brought since it came to its share.
    beyond: HashMap<H, usize>,
    over: usize,
    /// Part of that which came from holders that had nothing and found no room.
    unplaced: usize,
    is_full: bool,
}

impl<H: Clone + Eq + Hash> ChargedShares<H> {
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        ChargedShares {
            shares: BoundedShares::new(capacity),
            beyond: HashMap::new(),
            over: 0,
            unplaced: 0,
            is_full: false,
        }
    }

    /// Takes what came from this holder. Returns the reason, if it is to bring no more from now on.
    pub fn charge(&mut self, holder: &H, amount: usize) -> Option<Refused> {
        let refused = match self.beyond.get_mut(holder) {
            Some(over) => {
                *over += amount;
                None
            }
            None => {
                let refused = self.shares.take(holder, amount).err()?;
                self.beyond.insert(holder.clone(), amount);
                Some(refused)
            }
        };
        self.over += amount;
        if self.shares.held(holder) == 0 {
            self.unplaced += amount;
        }
        self.judge();
        refused
    }

    /// Gives back what is gone of this holder's: first of what came beyond its share.
    pub fn give_back(&mut self, holder: &H, amount: usize) {
        let is_unplaced = self.shares.held(holder) == 0;
        let from_over = self.beyond.get_mut(holder).map_or(0, |over| {
            let part = amount.min(*over);
            *over -= part;
            part
        });
        self.over -= from_over;
        if is_unplaced {
            self.unplaced -= from_over;
        }
        self.shares.give_back(holder, amount - from_over);
        self.judge();
    }

    /// Lets those go on of which an eighth of their share is free again. True if there are such.
    pub fn release(&mut self) -> bool {
        let before = self.beyond.len();
        let shares = &self.shares;
        let free = shares.capacity() - shares.taken();
        self.beyond.retain(|holder, over| {
            let held = shares.held(holder);
            *over > 0 || held + held / 8 > free
        });
        self.beyond.len() < before
    }

    /// Holders that are to bring no more.
    pub fn beyond(&self) -> impl Iterator<Item = &H> {
        self.beyond.keys()
    }

    /// Amount that came and is not gone.
    #[must_use]
    pub fn charged(&self) -> usize {
        self.shares.taken() + self.over
    }

    /// Nothing is left to share: those that found no room have brought an eighth of the limit, and until most of that is
    /// gone. What came beyond somebody's share makes nothing full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    fn judge(&mut self) {
        let most = self.shares.capacity() / 8;
        self.is_full = self.unplaced > if self.is_full { most / 2 } else { most };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(number: usize) -> Holder {
        format!("cus_{number}").into()
    }

    fn is_beyond(shares: &ChargedShares, holder: &Holder) -> bool {
        shares.beyond().any(|beyond| beyond == holder)
    }

    #[test]
    fn whoever_comes_to_its_share_is_told_so_once_and_goes_on_when_an_eighth_of_it_is_free() {
        let (mut shares, greedy) = (ChargedShares::new(100), holder(1));
        for _ in 0..50 {
            assert_eq!(shares.charge(&greedy, 1), None);
        }
        assert!(!is_beyond(&shares, &greedy));
        assert_eq!(shares.charge(&greedy, 1), Some(Refused::BeyondShare));
        assert_eq!(shares.charge(&greedy, 9), None, "it was under way");
        assert_eq!((shares.charged(), shares.beyond().count(), shares.is_full()), (60, 1, false));
        shares.give_back(&greedy, 10);
        assert!(!shares.release() && is_beyond(&shares, &greedy), "it has all of its share");
        shares.give_back(&greedy, 3);
        assert!(shares.release() && !is_beyond(&shares, &greedy));
        shares.give_back(&greedy, 47);
        assert_eq!(shares.charged(), 0);
    }

    #[test]
    fn what_one_had_under_way_takes_nothing_from_the_others_and_makes_nothing_full() {
        let (mut shares, greedy, modest) = (ChargedShares::new(100), holder(1), holder(2));
        for _ in 0..1_000 {
            shares.charge(&greedy, 1);
        }
        assert!(!shares.is_full() && !is_beyond(&shares, &modest));
        for _ in 0..25 {
            assert_eq!(shares.charge(&modest, 1), None);
        }
        assert_eq!(shares.charge(&modest, 1), Some(Refused::BeyondShare));
        assert!(!shares.is_full());
    }

    #[test]
    fn it_is_full_when_many_found_no_room_and_not_for_the_first() {
        let mut shares = ChargedShares::new(64);
        for number in 0..7 {
            while shares.charge(&holder(number), 1).is_none() {}
        }
        assert!(!shares.is_full(), "each of these has a share");
        let late: Vec<_> = (100..109).map(holder).collect();
        for late in &late[..8] {
            assert_eq!(shares.charge(late, 1), Some(Refused::UsedUp));
        }
        assert!(!shares.is_full(), "each of these is told for itself");
        shares.charge(&late[8], 1);
        assert!(shares.is_full());
        late.iter().take(4).for_each(|late| shares.give_back(late, 1));
        assert!(shares.is_full(), "partitions shall not flutter");
        shares.give_back(&late[4], 1);
        assert!(!shares.is_full());
        assert!(shares.release(), "those that have nothing any more");
        assert!(!is_beyond(&shares, &late[0]) && is_beyond(&shares, &late[8]));
    }

    #[test]
    fn one_that_waits_goes_on_as_well_when_others_leave_room() {
        let (mut shares, first, second) = (ChargedShares::new(100), holder(1), holder(2));
        shares.charge(&first, 50);
        while shares.charge(&second, 1).is_none() {}
        shares.give_back(&second, 1);
        assert!(!shares.release());
        shares.give_back(&first, 40);
        assert!(shares.release() && !is_beyond(&shares, &second));
    }
}
