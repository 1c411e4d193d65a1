//! ○ Number of events in memory and their weight: counted where they are taken in, read where they are bounded.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Stored events in memory, of one endpoint or of all together.
#[derive(Debug, Default)]
pub struct Amount {
    events: AtomicUsize,
    bytes: AtomicUsize,
    /// Events that have ended, and are in memory only until their rows are taken out.
    ended_events: AtomicUsize,
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

    /// Notes that events have ended, and that their rows are to be taken out.
    pub fn end(&self, events: usize) {
        self.ended_events.fetch_add(events, Ordering::Relaxed);
    }

    /// The rows of so many of those are out of memory.
    pub fn forget_ended(&self, events: usize) {
        self.ended_events.fetch_sub(events, Ordering::Relaxed);
    }

    /// Events that have not ended.
    #[must_use]
    pub fn unended_events(&self) -> usize {
        self.events().saturating_sub(self.ended_events.load(Ordering::Relaxed))
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
