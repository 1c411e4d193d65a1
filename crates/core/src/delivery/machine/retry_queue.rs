//! ○ Batches that wait for their next attempt.

use std::{collections::BTreeMap, time::Instant};

use crate::delivery::batch::Batch;

/// Ordered by when they are due. A batch that goes well never comes here.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    batches: BTreeMap<(Instant, u64), Batch>,
    entered: u64,
    events: usize,
    bytes: usize,
}

impl RetryQueue {
    pub(super) fn insert(&mut self, batch: Batch, due: Instant) {
        self.entered += 1;
        self.events += batch.held_len();
        self.bytes += batch.held_bytes();
        self.batches.insert((due, self.entered), batch);
    }

    pub(super) fn first_due(&self) -> Option<(Instant, &Batch)> {
        self.batches.first_key_value().map(|((due, _), batch)| (*due, batch))
    }

    pub(super) fn pop_first(&mut self) -> Option<Batch> {
        let (_, batch) = self.batches.pop_first()?;
        self.forget(&batch);
        Some(batch)
    }

    /// Takes out those that `leaves` picks by when they are due.
    pub(super) fn take_out(&mut self, mut leaves: impl FnMut(&Batch, Instant) -> bool) -> Vec<(Instant, Batch)> {
        let out = self.batches.extract_if(.., |(due, _), batch| leaves(batch, *due));
        let out: Vec<_> = out.map(|((due, _), batch)| (due, batch)).collect();
        out.iter().for_each(|(_, batch)| self.forget(batch));
        out
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Batch> {
        self.batches.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(super) fn events(&self) -> usize {
        self.events
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget(&mut self, batch: &Batch) {
        self.events -= batch.held_len();
        self.bytes -= batch.held_bytes();
    }
}
