//! ○ Topics that are not read for now: a subscription to one, or its customer's grants, cannot be read by this version, so
//! nobody knows who should get its events. Read, they would be committed away from whoever it is.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;

/// Written by those who load the settings, read by the poll thread.
#[derive(Debug, Default)]
pub struct TopicHolds {
    topics: ArcSwap<HashSet<Arc<str>>>,
    /// Topics among them of which a subscription is left out of the index, so that an event may match less than it should.
    incomplete: ArcSwap<HashSet<Arc<str>>>,
}

impl TopicHolds {
    /// `held` are not read from now on, and no others; events of those of them that are `incomplete` may match less than
    /// they should. The index is changed by `publish`; meanwhile what was so before is so as well, for nobody may see an
    /// incomplete index and a topic that is free.
    pub fn change<R>(&self, held: HashSet<Arc<str>>, incomplete: HashSet<Arc<str>>, publish: impl FnOnce() -> R) -> R {
        let with = |before: &HashSet<Arc<str>>, now: &HashSet<Arc<str>>| before.union(now).cloned().collect();
        set(&self.topics, with(&self.topics.load(), &held));
        set(&self.incomplete, with(&self.incomplete.load(), &incomplete));
        let published = publish();
        set(&self.incomplete, incomplete);
        set(&self.topics, held);
        published
    }

    /// True if an event of the topic may match less than it should. To be asked before it is matched, and after.
    #[must_use]
    pub fn is_incomplete(&self, topic: &str) -> bool {
        let incomplete = self.incomplete.load();
        !incomplete.is_empty() && incomplete.contains(topic)
    }

    /// The same set as long as nothing changes.
    #[must_use]
    pub fn now(&self) -> Arc<HashSet<Arc<str>>> {
        self.topics.load_full()
    }
}

/// The same set as before changes nothing.
fn set(place: &ArcSwap<HashSet<Arc<str>>>, topics: HashSet<Arc<str>>) {
    if **place.load() != topics {
        place.store(Arc::new(topics));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_another_one_only_when_topics_are() {
        let holds = TopicHolds::default();
        holds.change(topics(&["orders"]), topics(&[]), || ());
        let before = holds.now();
        holds.change(topics(&["orders"]), topics(&[]), || ());
        assert!(Arc::ptr_eq(&before, &holds.now()));
        holds.change(topics(&[]), topics(&[]), || ());
        assert!(holds.now().is_empty());
    }

    #[test]
    fn while_the_index_changes_a_topic_is_held_that_was_or_will_be() {
        let holds = TopicHolds::default();
        let seen = |topic: &str| (holds.now().contains(topic), holds.is_incomplete(topic));
        let check = |then: &[&str], during: [bool; 2], after: [bool; 2]| {
            let seen = |is: [bool; 2]| assert_eq!(["a", "b"].map(seen), is.map(|is| (is, is)), "{then:?}");
            holds.change(topics(then), topics(then), || seen(during));
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
