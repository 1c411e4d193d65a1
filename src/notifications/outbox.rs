//! ○ Operator events that wait to be told: bounded, in order.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::OperatorEvent;

/// Beyond it nothing more is taken: whoever reads a thousand of them knows.
pub const OUTBOX_EVENTS_MAX: usize = 1_000;

/// Filled by anyone, emptied by one.
#[derive(Default)]
pub struct Outbox {
    waiting: Mutex<VecDeque<(OperatorEvent, i64)>>,
    some: Notify,
    /// Somebody empties it.
    is_open: AtomicBool,
}

impl Outbox {
    /// From now on what is put in is kept: somebody takes it.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }

    /// False when there is no room. `wall_ms` is when it happened. Before anybody takes anything, nothing is kept.
    pub fn push(&self, event: OperatorEvent, wall_ms: i64) -> bool {
        if !self.is_open.load(Ordering::Acquire) {
            return true;
        }
        {
            let mut waiting = self.waiting.lock();
            if waiting.len() >= OUTBOX_EVENTS_MAX {
                return false;
            }
            waiting.push_back((event, wall_ms));
        }
        self.some.notify_one();
        true
    }

    /// Everything that waits, and when it happened.
    #[must_use]
    pub fn take(&self) -> VecDeque<(OperatorEvent, i64)> {
        std::mem::take(&mut self.waiting.lock())
    }

    /// Completes when something was put in since this last completed.
    pub fn some(&self) -> impl Future<Output = ()> + '_ {
        self.some.notified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_outbox_keeps_what_it_has_and_takes_nothing_more() {
        let outbox = Outbox::default();
        assert!(outbox.push(OperatorEvent::LocalOutageBegan {}, 0));
        assert!(outbox.take().is_empty(), "nobody took anything yet");
        outbox.open();
        for n in 0..OUTBOX_EVENTS_MAX as u64 {
            assert!(outbox.push(OperatorEvent::CanaryLate { age_ms: n }, 0));
        }
        assert!(!outbox.push(OperatorEvent::LocalOutageBegan {}, 0));
        let taken = outbox.take();
        assert_eq!((taken.len(), &taken[0].0), (OUTBOX_EVENTS_MAX, &OperatorEvent::CanaryLate { age_ms: 0 }));
        assert!(outbox.push(OperatorEvent::LocalOutageBegan {}, 0));
    }
}
