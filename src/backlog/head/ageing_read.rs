//! ○ A read of a head by the ageing, beside those of the drainer. What is released meanwhile is not taken in by it.

use std::{collections::HashSet, sync::Arc};

use super::BacklogHead;

/// One at a time; it begins and ends whenever it likes.
pub struct AgeingRead(Arc<BacklogHead>);

impl BacklogHead {
    /// Begins such a read: before the table is asked for the rows that it takes in.
    #[must_use]
    pub fn ageing_read(self: &Arc<Self>) -> AgeingRead {
        self.held.lock().released_in_ageing = Some(HashSet::new());
        AgeingRead(Arc::clone(self))
    }
}

impl AgeingRead {
    /// As [`BacklogHead::hold`].
    #[must_use]
    pub fn hold(&self, offset: i64, record_ms: i64, bytes: usize) -> bool {
        self.0.take(|held| held.released_in_ageing.as_ref(), (offset, record_ms, bytes))
    }
}

impl Drop for AgeingRead {
    fn drop(&mut self) {
        self.0.held.lock().released_in_ageing = None;
    }
}
