//! ● Partitions of this instance, and what waits in them.

use std::{collections::HashMap, sync::Arc};

use super::Drainer;
use crate::{
    backlog::shard::Shard as _,
    clock,
    ingest::ledger::PartitionLedger,
    store::{
        StoreError, backlog_read,
        skipped_ranges::{self, OpenGap},
    },
};

impl Drainer {
    /// Follows assignments, and counts again what waits: first in partitions that are new or were misjudged, then in all in
    /// turn, each once in `backlog.refresh_ms`.
    pub(super) async fn follow_assignment(&mut self) -> Result<(), StoreError> {
        let ledgers = self.surroundings.ledgers();
        if !Arc::ptr_eq(&ledgers, &self.seen) {
            let new = self.heads.scheduler.lock().assign(&ledgers);
            self.unread.retain(|ledger| ledger.is_current());
            self.unread.extend(new);
            self.seen = ledgers;
        }
        let misjudged = std::mem::take(&mut *self.heads.misjudged.lock());
        if !misjudged.is_empty() {
            let is_misjudged = |ledger: &&Arc<PartitionLedger>| misjudged.iter().any(|head| head.is_of(ledger));
            self.unread.extend(self.seen.iter().filter(is_misjudged).cloned());
        }
        if self.unread.is_empty() {
            let due = self.looked_at_again.due(self.seen.len(), PARTITIONS_MAX, clock::now());
            self.unread.extend(self.seen[due].iter().cloned());
        }
        if self.unread.is_empty() {
            return Ok(());
        }
        let looked_at: Vec<Arc<PartitionLedger>> = self.unread.iter().take(PARTITIONS_MAX).cloned().collect();
        let notes = self.heads.scheduler.lock().notes();
        let versions: Vec<u64> = looked_at.iter().map(|ledger| ledger.backlog.lock().version()).collect();
        let names: Vec<_> = looked_at.iter().map(|ledger| ledger.topic_name()).collect();
        let topics: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let partitions: Vec<i32> = looked_at.iter().map(|ledger| ledger.partition()).collect();
        self.follow_missed(&looked_at).await?;
        let rows = backlog_read::heads(&self.pool, &topics, &partitions).await?;
        for rows in rows.chunks(LOCKED_ROWS_MAX) {
            let mut scheduler = self.heads.scheduler.lock();
            rows.iter().for_each(|row| scheduler.record(row, &self.events));
        }
        self.heads.scheduler.lock().forget_gone(&looked_at, &rows, notes);
        let counts = by_partition(rows.iter().map(|row| {
            let count = (row.endpoint_id.as_str(), u64::try_from(row.events).unwrap_or(0));
            ((row.topic.as_str(), row.partition), count)
        }));
        self.unread.drain(..looked_at.len());
        for (ledger, version) in looked_at.iter().zip(versions) {
            let of_it = counts.get(&(ledger.topic(), ledger.partition()));
            ledger.backlog.lock().all_rows(version, of_it.into_iter().flatten().copied());
        }
        self.surroundings.wake_ordered();
        Ok(())
    }

    /// Reads the gaps of suspended endpoints for partitions that are new: before anything of them may be sent in order.
    async fn follow_missed(&self, looked_at: &[Arc<PartitionLedger>]) -> Result<(), StoreError> {
        let new: Vec<&Arc<PartitionLedger>> =
            looked_at.iter().filter(|ledger| !ledger.missed.lock().is_known()).collect();
        if new.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = new.iter().map(|ledger| ledger.topic_name()).collect();
        let topics: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let partitions: Vec<i32> = new.iter().map(|ledger| ledger.partition()).collect();
        let open = skipped_ranges::of_partitions(&self.pool, &topics, &partitions).await?;
        let open =
            by_partition(open.iter().map(|OpenGap { key, from, .. }| {
                ((key.topic.as_str(), key.partition), (key.endpoint_id.as_str(), *from))
            }));
        for ledger in new {
            let of_it = open.get(&(ledger.topic(), ledger.partition()));
            ledger.missed.lock().begin(of_it.into_iter().flatten().copied());
        }
        Ok(())
    }
}

/// At once: a statement for all of thousands would be long, and so would be what it finds.
const PARTITIONS_MAX: usize = 256;
/// Noted without a pause: whoever ends a row waits for the lock meanwhile. Some hundred microseconds.
const LOCKED_ROWS_MAX: usize = 256;

/// Findings of each partition, so that none looks through those of the others.
fn by_partition<'a, T>(found: impl Iterator<Item = ((&'a str, i32), T)>) -> HashMap<(&'a str, i32), Vec<T>> {
    let mut of: HashMap<_, Vec<T>> = HashMap::new();
    found.for_each(|(partition, one)| of.entry(partition).or_default().push(one));
    of
}
