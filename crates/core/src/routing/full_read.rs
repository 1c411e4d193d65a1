//! ○ Rows of a full read that still count, while changes go on being applied.
//!
//! A full read is one snapshot of a table and takes long. Changes are not kept waiting for it: each is applied when it comes.
//!
//! **Invariant:** every noted change was asked for after the snapshot was opened, so what it says is no older than the
//! snapshot. A change always counts. A row of the snapshot counts only while no change has named its id, and an id is gone
//! only if neither a row nor a change has named it.

use std::collections::HashSet;

/// A full read that is under way.
#[derive(Debug, Default)]
pub struct FullRead {
    /// Ids that the snapshot has no more say in: named by its rows so far, or by a change.
    decided: HashSet<Box<str>>,
}

impl FullRead {
    /// Notes an id that a change names, there or gone.
    pub fn note_change(&mut self, id: &str) {
        self.counts(id);
    }

    /// True if the snapshot's row of this id counts; each id has one row at most.
    pub fn counts(&mut self, id: &str) -> bool {
        self.decided.insert(id.into())
    }

    /// True if this id is gone, after the last row of the snapshot.
    #[must_use]
    pub fn is_gone(&self, id: &str) -> bool {
        !self.decided.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const IDS: usize = 8;

    /// Versions by id; where there is none, the row is not there.
    type Rows = BTreeMap<usize, u64>;

    /// Commits one after the other: the id of each, and if it deletes.
    #[derive(Debug, Clone)]
    struct History(Vec<(usize, bool)>);

    impl History {
        fn at(&self, version: usize) -> Rows {
            let mut rows = Rows::new();
            apply(&mut rows, self.between(0, version));
            rows
        }

        /// The newest state of each id that changed above a version, as a delta tells it.
        fn between(&self, above: usize, version: usize) -> BTreeMap<usize, Option<u64>> {
            let numbered = (above as u64 + 1..).zip(&self.0[above..version]);
            numbered.map(|(commit, (id, deletes))| (*id, (!deletes).then_some(commit))).collect()
        }
    }

    fn apply(rows: &mut Rows, delta: BTreeMap<usize, Option<u64>>) {
        for (id, row) in delta {
            match row {
                Some(version) => drop(rows.insert(id, version)),
                None => drop(rows.remove(&id)),
            }
        }
    }

    /// A table that is read in full: it has followed the changes to a version.
    struct Reading<'a> {
        history: &'a History,
        table: Rows,
        version: usize,
        read: FullRead,
    }

    impl Reading<'_> {
        fn follow(&mut self, commits: usize) {
            let newest = (self.version + commits).min(self.history.0.len());
            let delta = self.history.between(self.version, newest);
            delta.keys().for_each(|id| self.read.note_change(&id.to_string()));
            apply(&mut self.table, delta);
            self.version = newest;
        }

        fn take(&mut self, chunk: &[(usize, u64)]) {
            for (id, version) in chunk {
                if self.read.counts(&id.to_string()) {
                    self.table.insert(*id, *version);
                }
            }
        }

        fn end(&mut self) {
            self.table.retain(|id, _| !self.read.is_gone(&id.to_string()));
        }
    }

    fn histories() -> impl Strategy<Value = History> {
        prop::collection::vec((0..IDS, any::<bool>()), 0..40).prop_map(History)
    }

    proptest! {
        #[test]
        fn a_table_that_follows_changes_is_the_same_with_a_full_read_between_them(
            history in histories(),
            opened in 0..40_usize,
            changes in prop::collection::vec(0..4_usize, IDS + 1),
            chunk_rows in 1..4_usize,
        ) {
            let opened = opened.min(history.0.len());
            let snapshot: Vec<_> = history.at(opened).into_iter().collect();
            let mut reading =
                Reading { history: &history, table: history.at(opened), version: opened, read: FullRead::default() };
            let mut changes = changes.into_iter();
            for chunk in snapshot.chunks(chunk_rows) {
                reading.follow(changes.next().unwrap_or(0));
                reading.take(chunk);
                prop_assert_eq!(&reading.table, &history.at(reading.version));
            }
            reading.follow(changes.next().unwrap_or(0));
            reading.end();
            prop_assert_eq!(&reading.table, &history.at(reading.version));
        }

        /// Rows that differ heal, rows that were missed come, and those that should have gone go.
        #[test]
        fn a_full_read_makes_any_table_that_of_the_changes(
            history in histories(),
            opened in 0..40_usize,
            table in prop::collection::btree_map(0..IDS + 2, 1_000..2_000_u64, 0..IDS),
            changes in prop::collection::vec(0..4_usize, IDS + 1),
            chunk_rows in 1..4_usize,
        ) {
            let opened = opened.min(history.0.len());
            let snapshot: Vec<_> = history.at(opened).into_iter().collect();
            let mut reading = Reading { history: &history, table, version: opened, read: FullRead::default() };
            let mut changes = changes.into_iter();
            for chunk in snapshot.chunks(chunk_rows) {
                reading.follow(changes.next().unwrap_or(0));
                reading.take(chunk);
            }
            reading.follow(changes.next().unwrap_or(0));
            reading.end();
            prop_assert_eq!(&reading.table, &history.at(reading.version));
        }
    }
}
