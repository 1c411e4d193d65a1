//! ○ The poll thread, as others see it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::orders::Orders;
use crate::ingest::{
    client_errors::ClientTrouble, ledger::PartitionLedger, membership::Membership, retired::RetiredLedgers,
    stalls::StalledPartition,
};

/// A handle on the poll thread: to look at it, and to stop it.
pub struct ConsumerState {
    /// Read no more, but keep polling and committing.
    pub(super) quiet: AtomicBool,
    pub(super) stop: AtomicBool,
    pub(in crate::ingest) membership: Membership,
    pub(super) assigned: ArcSwap<Vec<Arc<PartitionLedger>>>,
    /// Ledgers of logs that are gone.
    pub(super) retired: RetiredLedgers,
    /// Nanoseconds since `started`, at the newest poll.
    polled_at_ns: AtomicU64,
    started: Instant,
    /// Complaints of librdkafka.
    pub(in crate::ingest) trouble: Mutex<ClientTrouble>,
    pub(in crate::ingest) orders: Orders,
    /// The partitions that are stalled.
    pub(in crate::ingest) standing: ArcSwap<Vec<StalledPartition>>,
}

impl ConsumerState {
    pub(super) fn new(now: Instant) -> Self {
        ConsumerState {
            quiet: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            membership: Membership::new(now),
            assigned: ArcSwap::default(),
            retired: RetiredLedgers::default(),
            polled_at_ns: AtomicU64::new(0),
            started: now,
            trouble: Mutex::default(),
            orders: Orders::default(),
            standing: ArcSwap::default(),
        }
    }

    /// Events that a stop waits for: read, and not done. The second part of them is of logs that are gone, so nobody reads
    /// those again.
    #[must_use]
    pub fn outstanding_events(&self) -> (u64, u64) {
        // First: a ledger that is retired meanwhile is rather counted twice than not at all.
        let assigned = self.assigned();
        let current = assigned.iter().filter(|ledger| ledger.is_current() && !ledger.is_retired());
        let current = current.map(|ledger| ledger.outstanding().0).sum();
        (current, self.retired.outstanding_events())
    }

    /// The ledgers of the partitions this instance owns now.
    #[must_use]
    pub fn assigned(&self) -> Arc<Vec<Arc<PartitionLedger>>> {
        self.assigned.load_full()
    }

    /// The client's newest complaint; empty when all is well.
    #[must_use]
    pub fn trouble(&self) -> String {
        self.trouble.lock().words().to_owned()
    }

    /// The partitions of this instance that are stalled, at the newest look.
    #[must_use]
    pub fn standing(&self) -> Arc<Vec<StalledPartition>> {
        self.standing.load_full()
    }

    pub(in crate::ingest) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The group's word, and whether there is a topic to read at all.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Time since the poll thread last polled.
    #[must_use]
    pub fn poll_gap(&self, now: Instant) -> Duration {
        let polled = self.started + Duration::from_nanos(self.polled_at_ns.load(Ordering::Relaxed));
        now.saturating_duration_since(polled)
    }

    pub(super) fn polled(&self, now: Instant) {
        let since = now.duration_since(self.started).as_nanos();
        self.polled_at_ns.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A drain has begun.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Acquire)
    }

    /// Hands on nothing more; polling and committing go on.
    pub fn be_quiet(&self) {
        self.quiet.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        ingest::testing::{ledger, tracked},
        model::{event::EndpointKey, receipt::Settlement},
    };

    #[test]
    fn a_stop_waits_for_what_was_read_of_a_log_that_is_gone() {
        let (state, old) = (ConsumerState::new(clock::now()), ledger());
        let receipt = tracked(&old, 0).open_receipt(EndpointKey(0));
        state.assigned.store(Arc::new(vec![Arc::clone(&old)]));
        assert_eq!(state.outstanding_events(), (1, 0));
        state.retired.retire(&old);
        assert_eq!(state.outstanding_events(), (0, 1), "once, while it still stands among the assigned");
        state.assigned.store(Arc::new(vec![ledger()]));
        assert_eq!(state.outstanding_events(), (0, 1));
        receipt.settle(Settlement::Delivered);
        assert_eq!(state.outstanding_events(), (0, 0));
    }
}
