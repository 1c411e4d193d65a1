//! ○ Backlog of a partition by endpoint: an ordered endpoint gets nothing past what waits.
//!
//! **Invariant:** an event counts from the moment its machine parks it until its row is gone, with no gap in between. So
//! where nothing counts, everything before has ended. (A panic of ours while it is written is the exception: it counts no
//! more, and comes back behind what was let in meanwhile.)
//! **Invariant:** before the rows of earlier assignments are known, nobody counts as having none.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::model::parking::KeyNumber;

/// See the module's page. One for each assignment.
#[derive(Debug, Default)]
pub struct ParkedCounts {
    /// The rows of earlier assignments are.
    is_known: bool,
    of: HashMap<Arc<str>, Count>,
    /// Grows with every change, so that a slow look at the table does not overwrite what came meanwhile.
    version: u64,
}

#[derive(Debug, Default, Clone)]
struct Count {
    /// Parked, and their rows not committed yet.
    pending: u64,
    /// Rows, as the newest statement said.
    rows: u64,
    /// The version of its last change.
    changed: u64,
    /// One of the rows keeps others from being sent, for longer than anybody should wait in memory.
    is_held_up: bool,
    keys: Keys,
}

/// The keys of all that has waited since something does.
#[derive(Debug, Clone)]
enum Keys {
    These(HashSet<KeyNumber>),
    /// Any, or very many.
    Any,
}

impl Default for Keys {
    fn default() -> Self {
        Keys::These(HashSet::new())
    }
}

impl Keys {
    fn add(&mut self, key: Option<KeyNumber>) {
        match (self, key) {
            (Keys::These(keys), Some(key)) if keys.len() < KEYS_MAX || keys.contains(&key) => drop(keys.insert(key)),
            (keys, _) => *keys = Keys::Any,
        }
    }

    fn may_have(&self, key: KeyNumber) -> bool {
        match self {
            Keys::These(keys) => keys.contains(&key),
            Keys::Any => true,
        }
    }
}

impl Count {
    fn rows(rows: u64, changed: u64) -> Self {
        Count { rows, changed, keys: Keys::Any, ..Count::default() }
    }

    /// Notes the number of rows in the table. Rows beyond those parked here have unknown keys.
    fn found(&mut self, rows: u64) {
        if rows > self.rows + self.pending {
            self.keys = Keys::Any;
        }
    }

    fn ahead(&self) -> u64 {
        if self.is_held_up { u64::MAX } else { self.pending + self.rows }
    }
}

/// Keys of an endpoint in a partition; beyond it all keys wait for each other.
const KEYS_MAX: usize = 1_000;

impl ParkedCounts {
    /// Number of the partition's events that wait for this endpoint; `None` before that is known. More than can be,
    /// when what waits is held up.
    #[must_use]
    pub fn ahead(&self, endpoint_id: &str) -> Option<u64> {
        self.is_known.then(|| self.of.get(endpoint_id).map_or(0, Count::ahead))
    }

    /// The same of one key: nothing, where only others wait.
    #[must_use]
    pub fn ahead_of_key(&self, endpoint_id: &str, key: KeyNumber) -> Option<u64> {
        let count = self.of.get(endpoint_id).filter(|count| count.keys.may_have(key));
        self.is_known.then(|| count.map_or(0, Count::ahead))
    }

    /// Records if the rows of this endpoint are held up by one of its events; returns true when that has changed.
    pub fn hold_up(&mut self, endpoint_id: &str, is_held_up: bool) -> bool {
        let count = self.of.get_mut(endpoint_id);
        count.is_some_and(|count| std::mem::replace(&mut count.is_held_up, is_held_up) != is_held_up)
    }

    /// Notes that events leave memory, their rows still to be written; `key` is their key where others go on meanwhile.
    pub fn parking(&mut self, endpoint_id: &Arc<str>, events: u64, key: Option<KeyNumber>) {
        let version = self.changes();
        // Rows of earlier assignments, of any key, may be among those that the table will be said to have.
        let key = key.filter(|_| self.is_known);
        let count = self.of.entry(Arc::clone(endpoint_id)).or_default();
        (count.pending, count.changed) = (count.pending + events, version);
        count.keys.add(key);
    }

    /// Notes that some of them have their rows, which [`ParkedCounts::rows`] has told of already.
    pub fn parked(&mut self, endpoint_id: &str, events: u64) {
        let version = self.changes();
        if let Some(count) = self.of.get_mut(endpoint_id) {
            (count.pending, count.changed) = (count.pending.saturating_sub(events), version);
        }
        self.forget_empty(endpoint_id);
    }

    /// A statement left so many rows of this endpoint.
    pub fn rows(&mut self, endpoint_id: &str, rows: u64) {
        let version = self.changes();
        match self.of.get_mut(endpoint_id) {
            Some(count) => {
                count.found(rows);
                (count.rows, count.changed) = (rows, version);
            }
            None if rows > 0 => drop(self.of.insert(Arc::from(endpoint_id), Count::rows(rows, version))),
            None => {}
        }
        self.forget_empty(endpoint_id);
    }

    /// Version to give to [`ParkedCounts::all_rows`] after a look at the table that begins now.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The table as it was at some moment since `version`. Where an endpoint's count changed meanwhile, the larger one holds
    /// until the next look.
    pub fn all_rows<'a>(&mut self, version: u64, all: impl Iterator<Item = (&'a str, u64)>) {
        let all: HashMap<&str, u64> = all.collect();
        for (endpoint_id, count) in self.of.iter_mut().filter(|(_, count)| count.changed <= version) {
            count.found(all.get(&**endpoint_id).copied().unwrap_or(0));
            count.rows = 0;
        }
        for (endpoint_id, rows) in all {
            match self.of.get_mut(endpoint_id) {
                Some(count) => {
                    if count.changed > version {
                        count.found(rows);
                    }
                    count.rows = count.rows.max(rows);
                }
                None => drop(self.of.insert(Arc::from(endpoint_id), Count::rows(rows, version))),
            }
        }
        self.of.retain(|_, count| count.pending + count.rows > 0);
        self.is_known = true;
    }

    /// The version of the change that is being made.
    fn changes(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    fn forget_empty(&mut self, endpoint_id: &str) {
        if self.of.get(endpoint_id).is_some_and(|count| count.pending + count.rows == 0) {
            self.of.remove(endpoint_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> (ParkedCounts, Arc<str>) {
        let mut counts = ParkedCounts::default();
        counts.all_rows(counts.version(), std::iter::empty());
        (counts, "ep_1".into())
    }

    #[test]
    fn before_the_table_was_read_everybody_may_have_something_waiting() {
        let mut counts = ParkedCounts::default();
        assert_eq!(counts.ahead("ep_1"), None);
        counts.all_rows(counts.version(), [("ep_2", 3)].into_iter());
        assert_eq!((counts.ahead("ep_1"), counts.ahead("ep_2")), (Some(0), Some(3)));
    }

    #[test]
    fn an_event_counts_from_its_parking_to_the_end_of_its_row() {
        let (mut counts, id) = known();
        counts.parking(&id, 2, None);
        assert!(counts.ahead(&id) > Some(0));
        counts.rows(&id, 2);
        counts.parked(&id, 2);
        assert_eq!(counts.ahead(&id), Some(2), "its rows are there");
        counts.rows(&id, 1);
        assert!(counts.ahead(&id) > Some(0));
        counts.rows(&id, 0);
        assert_eq!(counts.ahead(&id), Some(0));
    }

    #[test]
    fn a_slow_look_at_the_table_does_not_hide_what_came_meanwhile() {
        let (mut counts, id) = known();
        let version = counts.version();
        counts.parking(&id, 1, None);
        counts.rows(&id, 1);
        counts.parked(&id, 1);
        counts.rows("ep_2", 5);
        counts.all_rows(version, std::iter::empty());
        assert!(counts.ahead(&id) > Some(0) && counts.ahead("ep_2") == Some(5));
        let version = counts.version();
        counts.parking(&"ep_2".into(), 1, None);
        counts.all_rows(version, std::iter::empty());
        assert_eq!(counts.ahead(&id), Some(0), "the next look is exact");
    }

    #[test]
    fn rows_of_earlier_assignments_are_of_any_key_whatever_was_parked_before_they_were_known() {
        let [parked, other] = [b"a", b"b"].map(|key| KeyNumber::of(Some(key)));
        for rows in [1, 10] {
            for look_begins_before in [true, false] {
                let (mut counts, id) = (ParkedCounts::default(), Arc::from("ep_1"));
                let early = counts.version();
                counts.parking(&id, 20, Some(parked));
                let version = if look_begins_before { early } else { counts.version() };
                counts.all_rows(version, [("ep_1", rows)].into_iter());
                assert!(counts.ahead_of_key(&id, other) > Some(0), "{rows} {look_begins_before}");
            }
        }
    }

    #[test]
    fn behind_what_is_held_up_nobody_waits_until_it_is_gone() {
        let (mut counts, id) = known();
        assert!(!counts.hold_up(&id, true), "nothing waits");
        counts.rows(&id, 2);
        assert!(counts.hold_up(&id, true) && !counts.hold_up(&id, true));
        assert_eq!(counts.ahead(&id), Some(u64::MAX));
        counts.rows(&id, 1);
        assert_eq!(counts.ahead(&id), Some(u64::MAX));
        counts.rows(&id, 0);
        assert_eq!(counts.ahead(&id), Some(0));
        counts.rows(&id, 1);
        assert_eq!(counts.ahead(&id), Some(1), "it is another one");
    }

    #[test]
    fn a_key_waits_for_itself_alone_as_far_as_it_is_known_which_keys_wait() {
        let ((mut counts, id), [bad, good]) = (known(), ["bad", "good"].map(|key| KeyNumber::of(Some(key.as_bytes()))));
        counts.parking(&id, 1, Some(bad));
        assert_eq!((counts.ahead_of_key(&id, bad), counts.ahead_of_key(&id, good)), (Some(1), Some(0)));
        counts.rows(&id, 1);
        counts.parked(&id, 1);
        assert!(counts.hold_up(&id, true));
        assert_eq!((counts.ahead_of_key(&id, bad), counts.ahead_of_key(&id, good)), (Some(u64::MAX), Some(0)));
        counts.all_rows(counts.version(), [(&*id, 1)].into_iter());
        assert_eq!(counts.ahead_of_key(&id, good), Some(0), "the table has what was parked");
        counts.all_rows(counts.version(), [(&*id, 2)].into_iter());
        assert_eq!(counts.ahead_of_key(&id, good), Some(u64::MAX), "nobody knows of which key the other one is");
        counts.rows(&id, 0);
        assert_eq!(counts.ahead_of_key(&id, bad), Some(0));
        counts.parking(&id, 1, None);
        assert_eq!(counts.ahead_of_key(&id, good), Some(1), "it left without its key");
    }

    #[test]
    fn beyond_a_bound_all_keys_wait_for_each_other() {
        let (mut counts, id) = known();
        let key = |n: usize| KeyNumber::of(Some(&n.to_le_bytes()));
        (0..KEYS_MAX).for_each(|n| counts.parking(&id, 1, Some(key(n))));
        assert_eq!(counts.ahead_of_key(&id, key(KEYS_MAX)), Some(0));
        counts.parking(&id, 1, Some(key(KEYS_MAX)));
        assert_eq!(counts.ahead_of_key(&id, key(KEYS_MAX + 1)), Some(KEYS_MAX as u64 + 1));
    }

    #[test]
    fn before_the_table_was_read_every_key_may_have_something_waiting() {
        let mut counts = ParkedCounts::default();
        assert_eq!(counts.ahead_of_key("ep_1", KeyNumber::of(None)), None);
        counts.all_rows(counts.version(), [("ep_1", 3)].into_iter());
        assert_eq!(counts.ahead_of_key("ep_1", KeyNumber::of(None)), Some(3), "an earlier assignment parked them");
    }

    #[test]
    fn a_row_that_was_there_before_ends_with_its_pending_event() {
        let (mut counts, id) = known();
        counts.rows(&id, 1);
        counts.parking(&id, 1, None);
        counts.parked(&id, 1);
        counts.rows(&id, 0);
        assert_eq!(counts.ahead(&id), Some(0), "an insert of the same key adds no row");
    }
}
