//! ○ Connections that nobody uses now, kept for the next request to the same destination. The one used last serves first,
//! so that those in surplus grow old.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::Hash,
    time::{Duration, Instant},
};

use hashbrown::HashMap;

pub struct Idle<K, C> {
    keep_alive: Duration,
    by_key: HashMap<K, VecDeque<Kept<C>>>,
    /// The one used longest ago first.
    by_use: BTreeMap<u64, (Instant, K)>,
    next: u64,
}

struct Kept<C> {
    number: u64,
    connection: C,
    /// Its own age ends it, however much it is used.
    ends_at: Instant,
}

impl<K: Clone + Eq + Hash, C> Idle<K, C> {
    #[must_use]
    pub fn new(keep_alive: Duration) -> Self {
        Idle { keep_alive, by_key: HashMap::new(), by_use: BTreeMap::new(), next: 0 }
    }

    /// Keeps a connection whose exchange has ended, unless its time is over.
    ///
    /// # Errors
    /// Gives it back when it is to be closed.
    pub fn keep(&mut self, key: &K, connection: C, ends_at: Instant, now: Instant) -> Result<(), C> {
        if now >= ends_at || self.keep_alive.is_zero() {
            return Err(connection);
        }
        let number = self.next;
        self.next += 1;
        if !self.by_key.contains_key(key) {
            self.by_key.insert(key.clone(), VecDeque::new());
        }
        if let Some(of_key) = self.by_key.get_mut(key) {
            of_key.push_back(Kept { number, connection, ends_at });
            self.by_use.insert(number, (now, key.clone()));
        }
        Ok(())
    }

    /// A connection to a destination and when it ends. What is too old on the way is put into `closed`.
    pub fn take(&mut self, key: &K, now: Instant, closed: &mut Vec<C>) -> Option<(C, Instant)> {
        loop {
            let of_key = self.by_key.get_mut(key)?;
            let kept = of_key.pop_back();
            if of_key.is_empty() {
                self.by_key.remove(key);
            }
            let Kept { number, connection, ends_at } = kept?;
            let used = self.by_use.remove(&number).map_or(now, |(used, _)| used);
            if now < ends_at && now.saturating_duration_since(used) < self.keep_alive {
                return Some((connection, ends_at));
            }
            closed.push(connection);
        }
    }

    /// The one used longest ago, to be closed.
    pub fn evict(&mut self) -> Option<C> {
        let (number, (_, key)) = self.by_use.pop_first()?;
        let of_key = self.by_key.get_mut(&key)?;
        debug_assert_eq!(of_key.front().map(|kept| kept.number), Some(number), "older ones stand in front");
        let kept = of_key.pop_front();
        if of_key.is_empty() {
            self.by_key.remove(&key);
        }
        kept.map(|kept| kept.connection)
    }

    /// Takes out connections that were not used for too long, to be closed.
    pub fn expire(&mut self, now: Instant) -> Vec<C> {
        let mut expired = Vec::new();
        while self.next_expiry().is_some_and(|at| at <= now) {
            expired.extend(self.evict());
        }
        expired
    }

    /// Time at which one will have been unused for too long.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.by_use.first_key_value().map(|(_, (used, _))| *used + self.keep_alive)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_use.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_use.is_empty()
    }
}

/// Time at which a connection that is opened now ends: with jitter, so that those opened together do not end together.
/// `entropy` is from 0 to 1.
#[must_use]
pub fn ends_at(opened: Instant, age_max: Duration, entropy: f64) -> Instant {
    opened + age_max.mul_f64(1.0 - entropy.clamp(0.0, 1.0) * JITTER)
}

/// The most that jitter takes off.
const JITTER: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP_ALIVE: Duration = Duration::from_secs(15);

    struct Clock(Instant);

    impl Clock {
        fn at(&self, seconds: u64) -> Instant {
            self.0 + Duration::from_secs(seconds)
        }
    }

    fn start() -> (Idle<char, u8>, Clock) {
        (Idle::new(KEEP_ALIVE), Clock(Instant::now()))
    }

    fn take(idle: &mut Idle<char, u8>, key: char, now: Instant) -> Option<u8> {
        idle.take(&key, now, &mut Vec::new()).map(|(connection, _)| connection)
    }

    #[test]
    fn the_connection_used_last_serves_first_and_only_its_destination() {
        let (mut idle, clock) = start();
        for (key, connection) in [('a', 1), ('b', 2), ('a', 3)] {
            assert!(idle.keep(&key, connection, clock.at(100), clock.at(0)).is_ok());
        }
        assert_eq!(take(&mut idle, 'a', clock.at(1)), Some(3));
        assert_eq!(take(&mut idle, 'a', clock.at(1)), Some(1));
        assert_eq!(take(&mut idle, 'a', clock.at(1)), None);
        assert_eq!(take(&mut idle, 'b', clock.at(1)), Some(2));
        assert!(idle.is_empty() && idle.by_key.is_empty());
    }

    #[test]
    fn each_ends_by_its_own_age_however_much_it_is_used() {
        let (mut idle, clock) = start();
        assert!(idle.keep(&'a', 1, clock.at(10), clock.at(9)).is_ok());
        let mut closed = Vec::new();
        assert!(idle.take(&'a', clock.at(10), &mut closed).is_none());
        assert_eq!(closed, [1]);
        assert_eq!(idle.keep(&'a', 2, clock.at(10), clock.at(10)), Err(2));
        assert!(idle.is_empty());
    }

    #[test]
    fn what_nobody_uses_for_too_long_is_closed_whether_its_destination_is_used_again_or_not() {
        let (mut idle, clock) = start();
        assert!(idle.keep(&'a', 1, clock.at(100), clock.at(0)).is_ok());
        assert!(idle.keep(&'b', 2, clock.at(100), clock.at(5)).is_ok());
        assert_eq!(idle.next_expiry(), Some(clock.at(15)));
        assert!(idle.expire(clock.at(14)).is_empty());
        assert_eq!(idle.expire(clock.at(15)), [1]);
        assert_eq!(idle.next_expiry(), Some(clock.at(20)));
        assert_eq!(take(&mut idle, 'b', clock.at(20)), None, "too old to be used");
        assert!(idle.is_empty());
    }

    #[test]
    fn for_room_the_one_used_longest_ago_goes() {
        let (mut idle, clock) = start();
        for (n, connection) in [10, 11, 12, 13].into_iter().enumerate() {
            assert!(idle.keep(&(if n % 2 == 0 { 'a' } else { 'b' }), connection, clock.at(100), clock.at(0)).is_ok());
        }
        assert_eq!(take(&mut idle, 'a', clock.at(1)), Some(12));
        assert!(idle.keep(&'a', 12, clock.at(100), clock.at(1)).is_ok());
        let order: Vec<u8> = std::iter::from_fn(|| idle.evict()).collect();
        assert_eq!(order, [10, 11, 13, 12]);
        assert!(idle.by_key.is_empty());
    }

    #[test]
    fn connections_opened_together_do_not_end_together() {
        let (_, clock) = start();
        let age = Duration::from_secs(400);
        assert_eq!(ends_at(clock.at(0), age, 0.0), clock.at(400));
        assert_eq!(ends_at(clock.at(0), age, 0.5), clock.at(350));
        assert_eq!(ends_at(clock.at(0), age, 1.0), clock.at(300));
    }
}
