//! ○ An event on its way from memory into the backlog.

use std::sync::Arc;

use super::receipt::Origin;

/// An event on its way from memory into its row. It counts as waiting as long as this lives: until its row is counted, or
/// a panic has thrown it away and its receipt comes back.
#[derive(Debug)]
pub struct Parking {
    origin: Arc<dyn Origin>,
    endpoint_id: Arc<str>,
}

impl Parking {
    #[must_use]
    pub fn begin(origin: &Arc<dyn Origin>, endpoint_id: &Arc<str>) -> Self {
        origin.parking(endpoint_id);
        Parking { origin: Arc::clone(origin), endpoint_id: Arc::clone(endpoint_id) }
    }
}

impl Drop for Parking {
    fn drop(&mut self) {
        self.origin.parked(&self.endpoint_id, 1);
    }
}
