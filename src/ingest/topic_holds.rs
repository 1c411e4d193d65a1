//! ○ Topics that are not read for now: a subscription to one cannot be read by this version, so nobody knows who should get
//! its events. Read, they would be committed away from whoever it is.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;

/// Written by those who load the settings, read by the poll thread.
#[derive(Debug, Default)]
pub struct TopicHolds {
    topics: ArcSwap<HashSet<Arc<str>>>,
}

impl TopicHolds {
    /// These, and no others. The same set as before changes nothing.
    pub fn set(&self, topics: HashSet<Arc<str>>) {
        if **self.topics.load() != topics {
            self.topics.store(Arc::new(topics));
        }
    }

    /// The same set as long as nothing changes.
    #[must_use]
    pub fn now(&self) -> Arc<HashSet<Arc<str>>> {
        self.topics.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_another_one_only_when_topics_are() {
        let holds = TopicHolds::default();
        let orders = || HashSet::from([Arc::from("orders")]);
        holds.set(orders());
        let before = holds.now();
        holds.set(orders());
        assert!(Arc::ptr_eq(&before, &holds.now()));
        holds.set(HashSet::new());
        assert!(holds.now().is_empty());
    }
}
