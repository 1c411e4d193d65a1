//! ○ The backlog's scheduler over heads that live in this process: it decides, they hold what is in memory.

use std::sync::Arc;

use super::{head::BacklogHead, scheduler::Scheduler, shard::Assignment};
use crate::ingest::ledger::PartitionLedger;

/// All heads of the partitions that this instance owns.
pub type HeadScheduler = Scheduler<BacklogHead>;

impl Assignment for PartitionLedger {
    fn topic_name(&self) -> Arc<str> {
        PartitionLedger::topic_name(self)
    }

    fn partition(&self) -> i32 {
        self.partition()
    }

    fn is_current(&self) -> bool {
        self.is_current()
    }

    fn count_rows(&self, endpoint_id: &str, rows: u64) {
        self.backlog.lock().rows(endpoint_id, rows);
    }
}

#[cfg(test)]
mod tests;
