//! ● Totals of what waits, for metrics.

use std::time::{Duration, Instant};

use super::Drainer;
use crate::{backlog::scheduler::BacklogTotals, clock};

impl Drainer {
    /// Looks through all heads, so not at every turn.
    pub(super) fn publish_metrics(&mut self, now: Instant) {
        if now < self.show_at {
            return;
        }
        let BacklogTotals { events, bytes, oldest_ms } = self.heads.waiting();
        let took = clock::now().saturating_duration_since(now);
        self.show_at = now + SHOW_EVERY.max(took * SHOW_COSTS_ONE_IN);
        let age_ms = oldest_ms.map_or(0, |oldest| clock::wall_ms().saturating_sub(oldest).max(0));
        self.heads.metrics.waiting(events, bytes, Duration::from_millis(age_ms.unsigned_abs()));
    }
}

const SHOW_EVERY: Duration = Duration::from_millis(100);
/// Inverse of the part of the time that looks may take: with hundreds of thousands of heads one takes
/// milliseconds, and others wait for these.
const SHOW_COSTS_ONE_IN: u32 = 200;
