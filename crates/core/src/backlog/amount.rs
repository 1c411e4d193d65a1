//! ○ Number of events in memory and their weight: counted where they are taken in, read where they are bounded.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Of one endpoint, or of all together.
#[derive(Debug, Default)]
pub struct Amount {
    events: AtomicUsize,
    bytes: AtomicUsize,
    /// Of the events: delivered, and in memory only until their rows are gone.
    leaving_events: AtomicUsize,
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

    /// So many events are delivered, and their rows are to be taken out.
    pub fn leave(&self, events: usize) {
        self.leaving_events.fetch_add(events, Ordering::Relaxed);
    }

    /// So many of those have left memory.
    pub fn left(&self, events: usize) {
        self.leaving_events.fetch_sub(events, Ordering::Relaxed);
    }

    /// Events that are still to be delivered.
    #[must_use]
    pub fn undelivered_events(&self) -> usize {
        self.events().saturating_sub(self.leaving_events.load(Ordering::Relaxed))
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
