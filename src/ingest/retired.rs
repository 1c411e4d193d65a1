//! ○ Ledgers of logs that are gone (deleted and made again, or cut). Nobody can read their events again, so a stop waits for
//! them as it does for those of assigned partitions.

use std::sync::Arc;

use parking_lot::Mutex;

use super::ledger::PartitionLedger;

/// Ledgers at most; far more than are ever owed by at once, unless [`fail`](PartitionLedger::fail) keeps coming.
const RETIRED_MAX: usize = 16_384;

/// Written by the poll thread, read when the process stops. A ledger leaves when all that was read of its log has ended; one
/// that has failed never does, for its lost events do not settle: a stop then takes all of its time.
#[derive(Debug, Default)]
pub struct RetiredLedgers(Mutex<Vec<Arc<PartitionLedger>>>);

impl RetiredLedgers {
    /// The ledger's log is gone. To be called before another ledger takes its place among the assigned ones, so that its events
    /// are counted at every moment.
    pub fn retire(&self, ledger: &Arc<PartitionLedger>) {
        // Locked before: whoever finds it retired finds it here.
        let mut ledgers = self.0.lock();
        ledger.retire();
        ledgers.retain(|ledger| ledger.outstanding().0 > 0);
        if ledgers.len() < RETIRED_MAX {
            ledgers.push(Arc::clone(ledger));
        }
    }

    /// Events that were read of these logs and are not done.
    #[must_use]
    pub fn outstanding_events(&self) -> u64 {
        self.0.lock().iter().map(|ledger| ledger.outstanding().0).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ingest::testing::{ledger, tracked},
        model::{event::EndpointKey, receipt::Settlement},
    };

    #[test]
    fn what_was_read_of_a_log_that_is_gone_is_outstanding_until_it_has_ended() {
        let (retired, ledger) = (RetiredLedgers::default(), ledger());
        let receipt = tracked(&ledger, 0).open_receipt(EndpointKey(0));
        retired.retire(&ledger);
        assert!(ledger.is_retired());
        assert_eq!(retired.outstanding_events(), 1);
        receipt.settle(Settlement::Backlogged);
        assert_eq!(retired.outstanding_events(), 0);
    }

    #[test]
    fn a_ledger_that_owes_nothing_any_more_is_not_kept() {
        let retired = RetiredLedgers::default();
        (0..5).for_each(|_| retired.retire(&ledger()));
        assert_eq!(retired.0.lock().len(), 1, "the newest, until the next one comes");
    }
}
