//! ○ Values by key, bounded in number and in idleness: who was used longest ago leaves first.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

pub struct Recent<K, V> {
    entries: HashMap<K, Entry<V>>,
    entries_max: usize,
    idle_max: Duration,
}

struct Entry<V> {
    value: V,
    used_at: Instant,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    #[must_use]
    pub fn new(entries_max: usize, idle_max: Duration) -> Self {
        Recent { entries: HashMap::new(), entries_max: entries_max.max(1), idle_max }
    }

    /// Counts as a use.
    pub fn get(&mut self, key: &K, now: Instant) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        entry.used_at = now;
        Some(&mut entry.value)
    }

    /// Makes room first: those idle for too long leave, then the one that was used longest ago.
    pub fn insert(&mut self, key: K, value: V, now: Instant) {
        self.drop_idle(now);
        if self.entries.len() >= self.entries_max
            && !self.entries.contains_key(&key)
            && let Some(oldest) = self.entries.iter().min_by_key(|(_, entry)| entry.used_at).map(|(key, _)| *key)
        {
            self.entries.remove(&oldest);
        }
        self.entries.insert(key, Entry { value, used_at: now });
    }

    pub fn drop_idle(&mut self, now: Instant) {
        let idle_max = self.idle_max;
        self.entries.retain(|_, entry| now.saturating_duration_since(entry.used_at) < idle_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE_MAX: Duration = Duration::from_secs(60);

    fn keys(recent: &Recent<u8, ()>) -> Vec<u8> {
        let mut keys: Vec<u8> = recent.entries.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn beyond_the_bound_the_one_used_longest_ago_leaves() {
        let start = crate::clock::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut recent = Recent::new(2, IDLE_MAX);
        recent.insert(1, (), at(0));
        recent.insert(2, (), at(1));
        assert!(recent.get(&1, at(2)).is_some());
        recent.insert(3, (), at(3));
        assert_eq!(keys(&recent), [1, 3]);
        recent.insert(1, (), at(4));
        assert_eq!(keys(&recent), [1, 3], "one that is there needs no room");
    }

    #[test]
    fn what_is_idle_for_too_long_leaves_when_another_comes() {
        let start = crate::clock::now();
        let mut recent = Recent::new(10, IDLE_MAX);
        recent.insert(1, (), start);
        recent.insert(2, (), start + IDLE_MAX / 2);
        recent.insert(3, (), start + IDLE_MAX);
        assert_eq!(keys(&recent), [2, 3]);
    }
}
