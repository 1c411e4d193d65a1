//! ○ The backlog's scheduler over heads that live in this process: it decides, they hold what is in memory.

use std::sync::Arc;

use super::{head::Head, scheduler::Scheduler, shard::Assignment};
use crate::{ingest::ledger::PartitionLedger, model::receipt::Origin};

/// All heads of the partitions that this instance owns.
pub type HeadScheduler = Scheduler<Head>;

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

#[cfg(test)]
mod tests;
