//! ○ An event on its way from memory into the backlog.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use super::receipt::Origin;

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

/// An event on its way from memory into its row. It counts as waiting as long as this lives: until its row is counted, or
/// a panic has thrown it away and its receipt comes back.
#[derive(Debug)]
pub struct Parking {
    origin: Arc<dyn Origin>,
    endpoint_id: Arc<str>,
}

impl Parking {
    /// `key` is said where the endpoint is ordered by key, so that others go on meanwhile.
    #[must_use]
    pub fn begin(origin: &Arc<dyn Origin>, endpoint_id: &Arc<str>, key: Option<KeyNumber>) -> Self {
        origin.parking(endpoint_id, key);
        Parking { origin: Arc::clone(origin), endpoint_id: Arc::clone(endpoint_id) }
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        self.origin.parked(&self.endpoint_id, 1);
    }
}
