//! ○ What is known of an endpoint from outside its actor: written by the actor, read by anyone.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    time::Instant,
};

use parking_lot::Mutex;

/// What `/v1/actors` shows of an endpoint actor: written by the actor, read by anyone.
#[derive(Default)]
pub struct Health {
    pub queued_events: AtomicUsize,
    pub queued_bytes: AtomicUsize,
    pub in_flight: AtomicU32,
    pub delivered: AtomicU64,
    pub failed_attempts: AtomicU64,
    pub restarts: AtomicU64,
    /// 0 closed, 1 open, 2 half open.
    pub breaker: AtomicU32,
    /// The actor sends nothing, whatever the time: it answered 410, or the trouble is ours.
    pub off: AtomicBool,
    /// The endpoint is left alone until then: its breaker is open, or it asked for it.
    pub silent_until: Mutex<Option<Instant>>,
    /// Wall clock, milliseconds; 0 never.
    pub last_success_ms: AtomicU64,
    /// The first failure since then; 0 for none. Wall clock, milliseconds.
    pub failing_since_ms: AtomicU64,
    pub last_error: Mutex<Option<LastError>>,
}

impl Health {
    /// What a dead actor held is on its way back into the queue.
    pub(super) fn forget_actor(&self) {
        self.queued_events.store(0, Ordering::Relaxed);
        self.queued_bytes.store(0, Ordering::Relaxed);
        self.in_flight.store(0, Ordering::Relaxed);
        self.off.store(false, Ordering::Relaxed);
        *self.silent_until.lock() = None;
    }

    /// An attempt failed, and the endpoint is to blame.
    pub fn failed(&self, wall_ms: i64) {
        let now = wall_ms.unsigned_abs().max(1);
        let _ = self.failing_since_ms.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// It took something.
    pub fn succeeded(&self, wall_ms: i64) {
        self.last_success_ms.store(wall_ms.unsigned_abs(), Ordering::Relaxed);
        if self.failing_since_ms.load(Ordering::Relaxed) != 0 {
            self.failing_since_ms.store(0, Ordering::Relaxed);
        }
    }

    #[must_use]
    pub fn breaker_word(&self) -> &'static str {
        match self.breaker.load(Ordering::Relaxed) {
            0 => "closed",
            1 => "open",
            _ => "half_open",
        }
    }
}

/// The newest failure of an endpoint, for people.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LastError {
    pub at_ms: i64,
    pub class: &'static str,
    pub status: Option<u16>,
    pub excerpt: String,
}
