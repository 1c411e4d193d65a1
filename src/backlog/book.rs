//! ○ The backlog's scheduler over heads that live in this process: it decides, they hold what is in memory.

use std::sync::Arc;

use postrider_core::backlog::{
    amount::Amount,
    scheduler::Scheduler,
    shard::{Assignment, Shard},
};

use super::head::{Head, HeadEvents};
use crate::{ingest::ledger::PartitionLedger, model::receipt::Origin};

/// All heads of the partitions that this instance owns.
pub type Book = Scheduler<Head>;

impl Assignment for PartitionLedger {
    fn topic_name(&self) -> Arc<str> {
        Origin::topic_name(self)
    }

    fn partition(&self) -> i32 {
        Origin::partition(self)
    }

    fn is_current(&self) -> bool {
        Origin::is_current(self)
    }

    fn count_rows(&self, endpoint_id: &str, rows: u64) {
        self.backlog.lock().rows(endpoint_id, rows);
    }
}

impl Shard for Head {
    type Assignment = PartitionLedger;
    type Events = Arc<dyn HeadEvents>;

    fn begin(
        assignment: &Arc<PartitionLedger>,
        endpoint_id: Arc<str>,
        of_endpoint: Arc<Amount>,
        of_all: Arc<Amount>,
        events: &Arc<dyn HeadEvents>,
    ) -> Arc<Self> {
        Head::new(assignment, endpoint_id, of_endpoint, of_all, Arc::clone(events))
    }

    fn renewed(&self) -> Arc<Self> {
        Head::renewed(self)
    }

    fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn endpoint_id(&self) -> &Arc<str> {
        &self.endpoint_id
    }

    fn is_of(&self, assignment: &Arc<PartitionLedger>) -> bool {
        Head::is_of(self, assignment)
    }

    fn held_events(&self) -> usize {
        Head::held_events(self)
    }

    fn holds(&self, offset: i64) -> bool {
        Head::holds(self, offset)
    }

    fn is_closing(&self) -> bool {
        Head::is_closing(self)
    }

    fn has_key_left(&self) -> bool {
        Head::has_key_left(self)
    }

    fn keeps_order(&self) -> bool {
        Head::keeps_order(self)
    }

    fn keep_order(&self, is_ordered: bool) {
        Head::keep_order(self, is_ordered);
    }

    fn read_by_key(&self, is_by_key: bool) -> bool {
        Head::read_by_key(self, is_by_key)
    }

    fn is_read(&self, now: bool) {
        Head::is_read(self, now);
    }

    fn begin_anew(&self) {
        Head::begin_anew(self);
    }

    fn hold_up(&self, is_held_up: bool) -> bool {
        Head::hold_up(self, is_held_up)
    }
}

#[cfg(test)]
mod tests;
