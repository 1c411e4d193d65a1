//! ○ Number of events in memory and their weight: counted where they are taken in, read where they are bounded.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Of one endpoint, or of all together.
#[derive(Debug, Default)]
pub struct Amount {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

impl Amount {
    pub fn add(&self, events: usize, bytes: usize) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn sub(&self, events: usize, bytes: usize) {
        self.events.fetch_sub(events, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    #[must_use]
    pub fn events(&self) -> usize {
        self.events.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}
