//! ● Numbers of receipts that this process has opened and ended: the two sides of "nothing is lost in here".

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Counted for runs of receipts, by each thread on memory of its own.
#[derive(Debug, Default)]
pub(crate) struct ReceiptTally([Shard; SHARDS]);

/// Two on one cache line would make two cores wait for each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    opened: AtomicU64,
    ended: AtomicU64,
}

/// Threads that count without touching each other's memory; there are hardly more that have receipts.
const SHARDS: usize = 16;

/// Both sides, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptTotals {
    pub opened: u64,
    /// Settled in whatever way, or dropped.
    pub ended: u64,
}

impl ReceiptTotals {
    /// Receipts that there are.
    #[must_use]
    pub fn held(self) -> i64 {
        self.opened as i64 - self.ended as i64
    }
}

impl ReceiptTally {
    pub(crate) fn opened(&self, receipts: usize) {
        self.0[place()].opened.fetch_add(receipts as u64, Relaxed);
    }

    pub(crate) fn ended(&self, receipts: usize) {
        self.0[place()].ended.fetch_add(receipts as u64, Relaxed);
    }

    pub(crate) fn totals(&self) -> ReceiptTotals {
        let sum = |side: fn(&Shard) -> &AtomicU64| self.0.iter().map(|shard| side(shard).load(Relaxed)).sum();
        ReceiptTotals { opened: sum(|shard| &shard.opened), ended: sum(|shard| &shard.ended) }
    }
}

/// Tally of this process.
pub(super) static TALLY: ReceiptTally =
    ReceiptTally([const { Shard { opened: AtomicU64::new(0), ended: AtomicU64::new(0) } }; SHARDS]);

/// Both sides of this process.
#[must_use]
pub fn totals() -> ReceiptTotals {
    TALLY.totals()
}

fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: usize = NEXT.fetch_add(1, Relaxed) % SHARDS;
    }
    PLACE.with(|place| *place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_on_one_thread_and_ends_on_another_adds_up() {
        let tally = ReceiptTally::default();
        std::thread::scope(|scope| {
            for _ in 0..SHARDS + 3 {
                scope.spawn(|| tally.opened(7));
            }
        });
        tally.ended(5);
        let totals = tally.totals();
        assert_eq!((totals.opened, totals.ended, totals.held()), (133, 5, 128));
    }
}
