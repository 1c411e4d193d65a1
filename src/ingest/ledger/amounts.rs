//! ○ Events that came of an assignment and that ended, ever.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only grow; what is outstanding is the difference of two of them.
#[derive(Debug, Default)]
pub(super) struct Amounts {
    pub events: AtomicU64,
    pub bytes: AtomicU64,
}

impl Amounts {
    pub(super) fn read(&self) -> (u64, u64) {
        (self.events.load(Ordering::Acquire), self.bytes.load(Ordering::Acquire))
    }

    /// For the one who holds the lock: two plain stores instead of two locked additions.
    pub(super) fn add_locked(&self, events: u64, bytes: u64) {
        self.events.store(self.events.load(Ordering::Relaxed) + events, Ordering::Release);
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + bytes, Ordering::Release);
    }
}
