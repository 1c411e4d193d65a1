//! ○ A cache of tokens for two seconds, by their hashes: so a busy key does not cost a look-up each time, and a wrong
//! one tried again and again costs none.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The SHA-256 of a token.
pub(super) type TokenHash = [u8; 32];

/// Holders of tokens, and tokens that nobody holds. `H` is what a holder is.
#[derive(Debug)]
pub(super) struct KnownKeys<H> {
    entries: HashMap<TokenHash, Entry<H>>,
    entries_max: usize,
}

#[derive(Debug)]
struct Entry<H> {
    holder: Option<H>,
    read_at: Instant,
}

/// A revoked key is refused after this long at the latest.
pub(super) const FRESH_FOR: Duration = Duration::from_secs(2);

impl<H: Clone> KnownKeys<H> {
    /// Remembers at most `entries_max` tokens.
    #[must_use]
    pub(super) fn new(entries_max: usize) -> Self {
        KnownKeys { entries: HashMap::new(), entries_max }
    }

    /// The cached holder (`Some(None)`: nobody), or `None` when it has to be looked up.
    #[must_use]
    pub(super) fn get(&self, token: &TokenHash, now: Instant) -> Option<Option<H>> {
        let fresh = self.entries.get(token).filter(|entry| entry.is_fresh(now));
        fresh.map(|entry| entry.holder.clone())
    }

    /// True if it had a holder when it was looked up last, however long ago.
    #[must_use]
    pub(super) fn was_held(&self, token: &TokenHash) -> bool {
        self.entries.get(token).is_some_and(|entry| entry.holder.is_some())
    }

    /// Remembers what a look-up that began at `read_at` came to. When there is no room, wrong tokens give way to right
    /// ones.
    pub(super) fn put(&mut self, token: TokenHash, holder: Option<H>, read_at: Instant) {
        if self.entries.len() >= self.entries_max {
            self.entries.retain(|_, entry| entry.is_fresh(read_at));
        }
        if self.entries.len() >= self.entries_max && holder.is_some() {
            self.entries.retain(|_, entry| entry.holder.is_some());
        }
        if self.entries.len() < self.entries_max {
            self.entries.insert(token, Entry { holder, read_at });
        }
    }
}

impl<H> Entry<H> {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read_at) < FRESH_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn token(number: u8) -> TokenHash {
        [number; 32]
    }

    #[test]
    fn what_was_looked_up_is_known_for_two_seconds_and_not_longer() {
        let (mut known, start) = (KnownKeys::new(10), clock::now());
        known.put(token(1), Some("one"), start);
        known.put(token(2), None, start);
        let almost = start + FRESH_FOR - Duration::from_millis(1);
        assert_eq!((known.get(&token(1), almost), known.get(&token(2), almost)), (Some(Some("one")), Some(None)));
        assert_eq!((known.get(&token(1), start + FRESH_FOR), known.get(&token(3), start)), (None, None));
    }

    #[test]
    fn wrong_tokens_take_no_room_from_right_ones() {
        let (mut known, start) = (KnownKeys::new(3), clock::now());
        for wrong in 10..200 {
            known.put(token(wrong), None, start);
        }
        known.put(token(1), Some("one"), start);
        assert_eq!(known.get(&token(1), start), Some(Some("one")));
        for wrong in 10..200 {
            known.put(token(wrong), None, start);
        }
        assert_eq!(known.get(&token(1), start), Some(Some("one")));
        assert!(known.entries.len() <= 3);
    }
}
