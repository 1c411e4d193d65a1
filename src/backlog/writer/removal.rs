//! ● Rows that are to be taken out, and what becomes of that when a writer dies on it.

use std::sync::Arc;

use super::{Shared, Write};
use crate::{
    backlog::{head::BacklogHead, shard::Shard as _},
    store::{
        backlog::{self, RowKey},
        write_queue::WriteQueues,
    },
};

/// Rows to be taken out together.
pub(super) struct Removal {
    pub keys: Vec<RowKey>,
    /// The head that has them in memory until then.
    head: Option<Arc<BacklogHead>>,
    /// Number of writers that died with it in their hands.
    panics: u32,
}

impl Removal {
    pub(super) fn of(keys: Vec<RowKey>, head: Option<Arc<BacklogHead>>) -> Self {
        Removal { keys, head, panics: 0 }
    }

    /// In order, nothing goes past a row.
    pub(super) fn is_urgent(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.keeps_order())
    }

    fn release(self) {
        if let Some(head) = self.head {
            head.release(self.keys.iter().map(|key| key.offset));
        }
    }
}

/// Removals in the hands of a writer. After a panic they come again, behind what waits. Rows on which each writer dies
/// stay where they are and leave memory: so they are read and sent again, and others find their room.
pub(super) struct Removals<'a> {
    queues: &'a WriteQueues<Write>,
    removals: Vec<Removal>,
    /// A panic from now on is the removals' own.
    are_begun: bool,
}

impl<'a> Removals<'a> {
    pub(super) fn in_hand(queues: &'a WriteQueues<Write>, removals: Vec<Removal>) -> Self {
        Removals { queues, removals, are_begun: false }
    }
}

impl Drop for Removals<'_> {
    fn drop(&mut self) {
        for removal in self.removals.drain(..) {
            if removal.panics < PANICS_MAX {
                let panics = removal.panics + u32::from(self.are_begun);
                let endpoint_id = removal.keys.first().map(|key| Arc::clone(&key.endpoint_id)).unwrap_or_default();
                self.queues.push(&endpoint_id, Write::Remove(Removal { panics, ..removal }));
            } else {
                removal.release();
            }
        }
    }
}

impl Shared {
    pub(super) async fn remove(&self, mut removals: Removals<'_>) {
        if removals.removals.is_empty() {
            return;
        }
        removals.are_begun = true;
        let mut keys: Vec<RowKey> = removals.removals.iter().flat_map(|removal| removal.keys.iter().cloned()).collect();
        keys.sort_unstable();
        fail::fail_point!("backlog-remove");
        let heads = self.retry_policy().retry(|| backlog::remove(&self.pool, &keys)).await;
        let unheld = removals.removals.iter().filter(|removal| removal.head.is_none());
        unheld.for_each(|removal| self.watch.gone(&removal.keys));
        self.watch.changed(heads);
        removals.removals.drain(..).for_each(Removal::release);
    }
}

const PANICS_MAX: u32 = 3;
