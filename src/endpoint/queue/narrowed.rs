//! ○ Narrower subscriptions: what waits in a queue, and what its actor has, is matched again.
//!
//! **Invariant:** what was matched by subscriptions that have become narrower since waits in a queue that is marked.

use std::sync::Arc;

use super::{EndpointQueue, Inner};
use crate::{endpoint::subscribed::Subscribed, model::event::EndpointKey};

/// The subscriptions as they are published.
pub trait Subscriptions: Send + Sync {
    /// The newest ones, as an endpoint's events are matched against them.
    fn newest(&self, endpoint: EndpointKey) -> Subscribed;

    /// Number of times that they became narrower for somebody, from 0 on. Read before an event is matched, it says by which of
    /// them that was.
    fn narrowings(&self) -> u64;
}

/// In place of [`Subscriptions::narrowings`]: nobody knows by which an event was matched, or it is not among the newest.
pub const MATCHED_LONG_AGO: u64 = u64::MAX;

impl EndpointQueue {
    /// Has matched again what waits here and what the actor has.
    pub fn narrow(&self) {
        let mut inner = self.inner.lock();
        if inner.waker.is_some() || !inner.waiting.is_empty() || !inner.stored.is_empty() {
            inner.is_narrowed = true;
            inner.wake_if_running();
        }
    }

    /// The newest subscriptions, if they became narrower since the last [`EndpointQueue::take`].
    #[must_use]
    pub fn narrowed(&self) -> Option<Arc<Subscribed>> {
        self.newest_if_narrowed(&self.inner.lock())
    }

    /// The newest subscriptions, for what was matched before.
    #[must_use]
    pub fn newest(&self) -> Arc<Subscribed> {
        Arc::new(self.subscriptions.newest(self.key))
    }

    /// Asked under the lock, and not before: what waits was matched by these or by older ones. Those of an earlier moment would
    /// cancel what came by a subscription that is newer than they are.
    pub(super) fn newest_if_narrowed(&self, inner: &Inner) -> Option<Arc<Subscribed>> {
        inner.is_narrowed.then(|| self.newest())
    }

    /// Under the lock: whoever makes the subscriptions narrower counts that before it takes the lock to tell the queue. So
    /// either it is seen here, or the queue is told when these events are in it.
    pub(super) fn note_matched(&self, inner: &mut Inner, narrowings: u64) {
        inner.is_narrowed |= narrowings != self.subscriptions.narrowings();
    }
}
