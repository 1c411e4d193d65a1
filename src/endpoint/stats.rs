//! ○ State of an endpoint as seen from outside its actor: written by the actor, read by anyone.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    delivery::Remembered,
    stalls::{Obstacle, StalledEndpoint},
};
use crate::{
    model::outcome::{CLASSES, LastError},
    monitoring::latencies::LatencyCounters,
};

/// EndpointStats of an endpoint actor, as `/v1/actors` shows it: written by the actor, read by anyone.
#[derive(Default)]
pub struct EndpointStats {
    pub queued_events: AtomicUsize,
    pub queued_bytes: AtomicUsize,
    /// All that the actor holds, in flight or not, whatever it came from.
    pub held_events: AtomicUsize,
    pub in_flight: AtomicU32,
    /// Requests that may be under way now.
    pub in_flight_limit: AtomicU32,
    pub delivered: AtomicU64,
    /// Events that became dead letters.
    pub given_up: AtomicU64,
    pub failed_attempts: AtomicU64,
    pub restarts: AtomicU64,
    /// 0 closed, 1 open, 2 half open.
    pub breaker: AtomicU32,
    /// Number of failures that opened it.
    pub breaker_failures: AtomicU32,
    /// Attempts, in the order of [`CLASSES`].
    by_class: [AtomicU64; CLASSES.len()],
    /// From sending a request to its answer.
    pub took: LatencyCounters,
    /// Time at which the oldest event that the actor holds was received; exact to a second.
    pub oldest_received_at: Mutex<Option<Instant>>,
    /// The actor sends nothing, whatever the time: it answered 410, or the trouble is ours.
    pub off: AtomicBool,
    /// Somebody has seen it take something: an open breaker may as well try.
    pub probe_wanted: AtomicBool,
    /// The endpoint takes nothing, although requests are under way.
    pub stalled: AtomicBool,
    /// Stored events that a lagging endpoint should have in memory.
    pub stored_wanted_events: AtomicUsize,
    /// The endpoint is left alone until then: its breaker is open, or it asked for it.
    pub silent_until: Mutex<Option<Instant>>,
    /// Wall clock, milliseconds; 0 never.
    pub last_success_ms: AtomicU64,
    /// The first failure since then; 0 for none. Wall clock, milliseconds.
    pub failing_since_ms: AtomicU64,
    /// The newest failure. Wall clock, milliseconds; 0 never.
    pub last_failure_ms: AtomicU64,
    pub last_error: Mutex<Option<LastError>>,
    /// One more than the place in [`Obstacle::ALL`]; 0 for none.
    obstacle: AtomicU8,
    /// It has something to do and nothing ends, as the last look found.
    pub standing: Mutex<Option<StalledEndpoint>>,
    /// Knowledge of an actor that retired, for the next one.
    pub(super) remembered: Mutex<Option<Box<Remembered>>>,
}

impl EndpointStats {
    /// Forgets a dead actor's events: they are on their way back into the queue.
    pub(super) fn forget_actor(&self) {
        self.queued_events.store(0, Ordering::Relaxed);
        self.queued_bytes.store(0, Ordering::Relaxed);
        self.held_events.store(0, Ordering::Relaxed);
        self.in_flight.store(0, Ordering::Relaxed);
        self.in_flight_limit.store(0, Ordering::Relaxed);
        self.off.store(false, Ordering::Relaxed);
        self.show_obstacle(None);
        self.stalled.store(false, Ordering::Relaxed);
        *self.silent_until.lock() = None;
        *self.oldest_received_at.lock() = None;
    }

    /// The obstacle that keeps the events that the actor holds from being sent.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        let place = self.obstacle.load(Ordering::Relaxed).checked_sub(1)?;
        Obstacle::ALL.get(usize::from(place)).copied()
    }

    pub(super) fn show_obstacle(&self, obstacle: Option<Obstacle>) {
        self.obstacle.store(obstacle.map_or(0, |obstacle| obstacle as u8 + 1), Ordering::Relaxed);
    }

    /// An attempt has ended.
    pub fn attempted(&self, class: &str, took: Duration) {
        let place = CLASSES.iter().position(|known| *known == class);
        if let Some(count) = place.and_then(|place| self.by_class.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.took.add(took, 1);
    }

    /// Attempts by class, those that occurred.
    pub fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let counts = CLASSES.iter().zip(&self.by_class).map(|(class, count)| (*class, count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0)
    }

    /// The reason why the breaker is not closed.
    #[must_use]
    pub fn breaker_why(&self) -> Option<String> {
        if self.breaker.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let failures = self.breaker_failures.load(Ordering::Relaxed);
        let newest = self.last_error.lock().as_ref().map(|error| match error.status {
            Some(status) => format!(", the newest: {} ({status})", error.class),
            None => format!(", the newest: {}", error.class),
        });
        Some(format!("{failures} failures{}", newest.unwrap_or_default()))
    }

    /// An attempt failed, and the endpoint is to blame.
    pub fn failed(&self, wall_ms: i64) {
        let now = wall_ms.unsigned_abs().max(1);
        self.last_failure_ms.store(now, Ordering::Relaxed);
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
