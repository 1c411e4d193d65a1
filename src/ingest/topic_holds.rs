//! ○ Topics that are not read for now: a subscription to one, or its customer's grants, cannot be read by this version, so
//! nobody knows who should get its events. Read, they would be committed away from whoever it is.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;

/// Written by those who load the settings, read by the poll thread.
#[derive(Debug, Default)]
pub struct TopicHolds {
    topics: ArcSwap<HashSet<Arc<str>>>,
}

impl TopicHolds {
    /// `held` are not read from now on, and no others. The index is changed by `publish`; meanwhile what was held before is
    /// held as well, for nobody may see an index that lacks a subscription and a topic that is free.
    pub fn change<R>(&self, held: HashSet<Arc<str>>, publish: impl FnOnce() -> R) -> R {
        let both = self.topics.load().union(&held).cloned().collect();
        self.set(both);
        let published = publish();
        self.set(held);
        published
    }

    /// True if an event of the topic may match less than it should: the index lacks what cannot be read. To be asked before it
    /// is matched, and after.
    #[must_use]
    pub fn is_held(&self, topic: &str) -> bool {
        let topics = self.topics.load();
        !topics.is_empty() && topics.contains(topic)
    }

    /// The same set as long as nothing changes.
    #[must_use]
    pub fn now(&self) -> Arc<HashSet<Arc<str>>> {
        self.topics.load_full()
    }

    /// The same set as before changes nothing.
    fn set(&self, topics: HashSet<Arc<str>>) {
        if **self.topics.load() != topics {
            self.topics.store(Arc::new(topics));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_another_one_only_when_topics_are() {
        let holds = TopicHolds::default();
        holds.change(topics(&["orders"]), || ());
        let before = holds.now();
        holds.change(topics(&["orders"]), || ());
        assert!(Arc::ptr_eq(&before, &holds.now()));
        holds.change(topics(&[]), || ());
        assert!(holds.now().is_empty());
    }

    #[test]
    fn while_the_index_changes_a_topic_is_held_that_was_or_will_be() {
        let holds = TopicHolds::default();
        let check = |then: &[&str], during: [bool; 2], after: [bool; 2]| {
            let seen =
                |are_held: [bool; 2]| assert_eq!(["a", "b"].map(|topic| holds.is_held(topic)), are_held, "{then:?}");
            holds.change(topics(then), || seen(during));
            seen(after);
        };
        check(&["a"], [true, false], [true, false]);
        check(&["b"], [true, true], [false, true]);
        check(&[], [false, true], [false, false]);
    }

    fn topics(names: &[&str]) -> HashSet<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }
}
