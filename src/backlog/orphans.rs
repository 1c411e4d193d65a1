//! ○ Partitions that have events waiting and that nobody reads any more: their topic was deleted, or is not read now.
//!
//! One instance owns them all, as if Kafka had assigned them to it, so that what waits is delivered, ages and is cancelled
//! like everything else. While two instances believe to be that one, an event may be delivered twice.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

use crate::{ingest::ledger::PartitionLedger, model::receipt::Abandoned};

/// A topic and a partition of it.
pub type PartitionKey = (String, i32);

/// See the module's page.
pub struct Orphans {
    ledgers: ArcSwap<Vec<Arc<PartitionLedger>>>,
    seen: Mutex<Seen>,
    abandoned: UnboundedSender<Abandoned>,
}

#[derive(Default)]
struct Seen {
    owned: HashMap<PartitionKey, Arc<PartitionLedger>>,
    /// Nobody's, for the first time at the last look: a rebalance or a change of the configuration may be under way.
    doubtful: HashSet<PartitionKey>,
    epoch: u64,
}

impl Orphans {
    #[must_use]
    pub fn new(abandoned: UnboundedSender<Abandoned>) -> Self {
        Orphans { ledgers: ArcSwap::default(), seen: Mutex::default(), abandoned }
    }

    /// The ledgers of the partitions that are ours because they are nobody's. The same list as long as nothing changes.
    #[must_use]
    pub fn ledgers(&self) -> Arc<Vec<Arc<PartitionLedger>>> {
        self.ledgers.load_full()
    }

    /// The partitions that are this instance's by Kafka's word are read: those of them that were nobody's are so no more, and
    /// doubtful again. Of two ledgers of one partition, one would not know what the other has in memory. Returns the ledgers of
    /// those that are left.
    pub fn give_up(&self, assigned: &[Arc<PartitionLedger>]) -> Arc<Vec<Arc<PartitionLedger>>> {
        let mut seen = self.seen.lock();
        let Seen { owned, doubtful, .. } = &mut *seen;
        let before = owned.len();
        for ledger in assigned.iter().filter(|ledger| ledger.is_current()) {
            let place = (ledger.topic().to_owned(), ledger.partition());
            if let Some(orphan) = owned.remove(&place) {
                orphan.revoke();
                doubtful.remove(&place);
            }
        }
        if owned.len() != before {
            self.publish(owned);
        }
        self.ledgers()
    }

    fn publish(&self, owned: &HashMap<PartitionKey, Arc<PartitionLedger>>) {
        self.ledgers.store(Arc::new(owned.values().cloned().collect()));
    }

    /// Events wait in these partitions, and nobody reads them. Those that were so at the last look as well are ours now;
    /// those that are so no more are not. Returns how many are new.
    pub fn update(&self, nobodys: HashSet<PartitionKey>) -> usize {
        let mut seen = self.seen.lock();
        let Seen { owned, doubtful, epoch } = &mut *seen;
        let before = owned.len();
        owned.retain(|place, ledger| {
            let stays = nobodys.contains(place);
            if !stays {
                ledger.revoke();
            }
            stays
        });
        let mut changed = owned.len() != before;
        let mut new = 0;
        for place in nobodys.intersection(doubtful) {
            if owned.contains_key(place) {
                continue;
            }
            *epoch += 1;
            let (topic, partition) = (Arc::from(place.0.as_str()), place.1);
            let ledger = PartitionLedger::orphan(topic, partition, *epoch, self.abandoned.clone());
            owned.insert(place.clone(), Arc::new(ledger));
            (changed, new) = (true, new + 1);
        }
        *doubtful = nobodys;
        if changed {
            self.publish(owned);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orphans() -> Orphans {
        Orphans::new(tokio::sync::mpsc::unbounded_channel().0)
    }

    fn places(topics: &[&str]) -> HashSet<PartitionKey> {
        topics.iter().map(|topic| ((*topic).to_owned(), 0)).collect()
    }

    #[test]
    fn a_partition_is_ours_when_it_was_nobodys_twice() {
        let orphans = orphans();
        assert_eq!(orphans.update(places(&["a"])), 0);
        assert_eq!(orphans.update(places(&["a", "b"])), 1);
        assert_eq!(orphans.ledgers().len(), 1);
        assert_eq!(orphans.ledgers()[0].topic(), "a");
    }

    #[test]
    fn a_partition_that_somebody_reads_again_is_theirs_at_once() {
        let orphans = orphans();
        orphans.update(places(&["a"]));
        orphans.update(places(&["a"]));
        let ledger = Arc::clone(&orphans.ledgers()[0]);
        orphans.update(HashSet::new());
        assert!(!ledger.is_current() && orphans.ledgers().is_empty());
        assert_eq!(orphans.update(places(&["a"])), 0, "and doubtful again");
    }

    #[test]
    fn all_that_waits_of_it_may_be_sent_in_its_order() {
        let orphans = orphans();
        orphans.update(places(&["a"]));
        orphans.update(places(&["a"]));
        assert_eq!(orphans.ledgers()[0].ended_up_to(), Some(i64::MAX));
    }

    #[test]
    fn while_nothing_changes_the_list_is_the_same() {
        let orphans = orphans();
        orphans.update(places(&["a"]));
        orphans.update(places(&["a"]));
        let list = orphans.ledgers();
        orphans.update(places(&["a"]));
        assert!(Arc::ptr_eq(&list, &orphans.ledgers()));
    }
}
