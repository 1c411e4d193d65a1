//! ○ Live events of an ordered endpoint that wait in memory for the last rows of their partition.

use std::collections::HashSet;

use crate::{delivery::lanes::LaneId, model::receipt::Receipt};

#[derive(Default)]
pub(super) struct AfterBacklog {
    receipts: Vec<Receipt>,
    lanes: HashSet<LaneId>,
    bytes: usize,
}

impl AfterBacklog {
    pub(super) fn push(&mut self, lane: Option<LaneId>, receipt: Receipt) {
        self.lanes.extend(lane);
        self.bytes += receipt.event().weight_bytes();
        self.receipts.push(receipt);
    }

    /// All of them, in the order in which they came.
    pub(super) fn take(&mut self) -> Vec<Receipt> {
        self.lanes.clear();
        self.bytes = 0;
        std::mem::take(&mut self.receipts)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.iter()
    }

    /// True if one of this lane waits here.
    #[must_use]
    pub(super) fn has_of(&self, lane: Option<LaneId>) -> bool {
        lane.is_some_and(|lane| self.lanes.contains(&lane))
    }

    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.receipts.is_empty()
    }

    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.receipts.len()
    }

    /// Weight of the events.
    #[must_use]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
