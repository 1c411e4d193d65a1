//! ○ Places of partitions in the poll thread's list: by name, and some of them.

use std::{collections::HashMap, sync::Arc};

/// The place of each partition, found without making anything of its name.
#[derive(Debug, Default)]
pub(super) struct SlotsByName(HashMap<Arc<str>, HashMap<i32, usize>>);

impl SlotsByName {
    /// In the order of the list.
    pub(super) fn of(names: impl Iterator<Item = (Arc<str>, i32)>) -> Self {
        let mut slots: HashMap<Arc<str>, HashMap<i32, usize>> = HashMap::new();
        for (slot, (topic, partition)) in names.enumerate() {
            slots.entry(topic).or_default().insert(partition, slot);
        }
        SlotsByName(slots)
    }

    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<usize> {
        self.0.get(topic)?.get(&partition).copied()
    }
}

/// Some of the list, each once.
#[derive(Debug, Default)]
pub(super) struct SlotSet {
    slots: Vec<usize>,
    has: Vec<bool>,
}

impl SlotSet {
    /// All of a list of so many.
    pub(super) fn all(count: usize) -> Self {
        SlotSet { slots: (0..count).collect(), has: vec![true; count] }
    }

    pub(super) fn insert(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.has[slot], true) {
            self.slots.push(slot);
        }
    }

    pub(super) fn contains(&self, slot: usize) -> bool {
        self.has[slot]
    }

    pub(super) fn as_slice(&self) -> &[usize] {
        &self.slots
    }

    pub(super) fn retain(&mut self, mut stays: impl FnMut(usize) -> bool) {
        let has = &mut self.has;
        self.slots.retain(|slot| {
            has[*slot] = stays(*slot);
            has[*slot]
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_found_by_its_name_and_no_other_is() {
        let slots =
            SlotsByName::of([("a", 0), ("b", 0), ("a", 7)].into_iter().map(|(topic, number)| (topic.into(), number)));
        assert_eq!([("a", 0), ("b", 0), ("a", 7)].map(|(topic, number)| slots.get(topic, number)), [0, 1, 2].map(Some));
        assert_eq!([("a", 1), ("c", 0)].map(|(topic, number)| slots.get(topic, number)), [None, None]);
    }

    #[test]
    fn what_left_the_set_may_come_back_once() {
        let mut set = SlotSet::all(3);
        set.retain(|slot| slot == 1);
        set.insert(2);
        set.insert(2);
        set.insert(1);
        assert_eq!(set.as_slice(), [1, 2]);
        assert!(!set.contains(0) && set.contains(2));
    }
}
