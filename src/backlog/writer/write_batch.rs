//! ○ A run: work that a writer carries out together, inserts, then updates, then removals, then skipped positions.
//!
//! **Invariant:** of one row, what was handed in first is carried out first. Rows of others may change their places.

use std::{collections::HashSet, sync::Arc};

use super::{Removal, Waiting, Write};
use crate::{ingest::missed::Skipping, model::disposition::Parked, store::backlog::RowKey};

#[derive(Default)]
pub(super) struct WriteBatch {
    pub inserts: Vec<Waiting>,
    pub updates: Vec<(RowKey, Parked)>,
    pub removals: Vec<Removal>,
    pub skips: Vec<(Arc<str>, Vec<Skipping>)>,
    updated: HashSet<RowKey>,
    removed: HashSet<RowKey>,
}

impl WriteBatch {
    /// False when it must come after something that would be carried out later than it.
    pub(super) fn fits(&self, work: &Write) -> bool {
        match work {
            Write::Insert(waiting) => !self.updated.contains(&waiting.key) && !self.removed.contains(&waiting.key),
            Write::Update { key, .. } => !self.removed.contains(key),
            Write::Remove(_) | Write::Skip { .. } => true,
        }
    }

    pub(super) fn take(&mut self, work: Write) {
        match work {
            Write::Insert(waiting) => self.inserts.push(waiting),
            Write::Update { key, parked } => {
                self.updated.insert(key.clone());
                self.updates.push((key, parked));
            }
            Write::Remove(removal) => {
                self.removed.extend(removal.keys.iter().cloned());
                self.removals.push(removal);
            }
            Write::Skip { endpoint_id, skipped } => self.skips.push((endpoint_id, skipped)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        endpoint::delivery::testing::{TestSource, receipt},
        model::parking::Parking,
        store::event_row,
    };

    fn parked(offset: i64) -> (RowKey, Parked) {
        let (receipt, endpoint_id) = (receipt(&TestSource::new(), offset, Instant::now()), Arc::from("ep_1"));
        let key = event_row::key(receipt.event(), &endpoint_id);
        let parking = Parking::begin(&receipt.event().source, &endpoint_id, None);
        (key, Parked { receipt, attempts: 1, not_before: None, in_flight_until: None, last: None, parking })
    }

    fn insert(offset: i64) -> Write {
        let (key, parked) = parked(offset);
        Write::Insert(Waiting { key, customer_id: Arc::from("cu_1"), parked })
    }

    fn update(offset: i64) -> Write {
        let (key, parked) = parked(offset);
        Write::Update { key, parked }
    }

    fn remove(offset: i64) -> Write {
        Write::Remove(Removal::of(vec![parked(offset).0], None))
    }

    /// For each of them, true if it fits those before it.
    fn fit(work: impl IntoIterator<Item = Write>) -> Vec<bool> {
        let mut run = WriteBatch::default();
        let fits = |work| {
            let fits = run.fits(&work);
            run.take(work);
            fits
        };
        work.into_iter().map(fits).collect()
    }

    #[test]
    fn different_rows_go_together_whatever_is_done_with_them() {
        assert_eq!(fit([remove(1), insert(2), update(3), remove(4), insert(5), update(6)]), [true; 6]);
    }

    #[test]
    fn a_row_is_stored_written_again_and_taken_out_in_one_run() {
        assert_eq!(fit([insert(1), insert(1), update(1), remove(1), remove(1)]), [true; 5]);
    }

    #[test]
    fn a_row_that_was_written_again_or_taken_out_is_stored_in_the_next_run() {
        assert_eq!(fit([update(1), insert(1)]), [true, false]);
        assert_eq!(fit([remove(1), insert(1)]), [true, false]);
        assert_eq!(fit([remove(1), update(1)]), [true, false]);
    }
}
