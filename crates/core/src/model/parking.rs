//! ○ An event on its way from memory into the backlog.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Instant,
};

use super::source::EventSource;

/// The key of an event for an endpoint that is ordered by key: two that share a number just wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyNumber(u64);

impl KeyNumber {
    #[must_use]
    pub fn of(key: Option<&[u8]>) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        KeyNumber(hasher.finish())
    }
}

/// A count of the rows that wait in the backlog for an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct RowCount {
    pub rows: u64,
    pub counted_at: Instant,
}

/// An event on its way from memory into its row. It counts as waiting as long as this lives: until its row is counted, or
/// a panic has thrown it away and its receipt comes back.
#[derive(Debug)]
pub struct Parking {
    source: Arc<dyn EventSource>,
    endpoint_id: Arc<str>,
}

impl Parking {
    /// `key` is said where the endpoint is ordered by key, so that others go on meanwhile.
    #[must_use]
    pub fn begin(source: &Arc<dyn EventSource>, endpoint_id: &Arc<str>, key: Option<KeyNumber>) -> Self {
        source.backlog().parking(endpoint_id, key);
        Parking { source: Arc::clone(source), endpoint_id: Arc::clone(endpoint_id) }
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        self.source.backlog().parked(&self.endpoint_id);
    }
}
