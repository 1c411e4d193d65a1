//! ○ A time with fewer requests than the endpoint may have, to learn what they take without a queue.

use std::time::{Duration, Instant};

use super::baselines::Baselines;

/// One probe of a series, each with half of the requests of the one before.
#[derive(Debug, Clone)]
pub(super) struct BaselineProbe {
    pub level: u32,
    /// Inflation with twice as many requests.
    pub above: f64,
    /// Time that those before it in the series took.
    spent_before: Duration,
    since: Instant,
    until: Instant,
    pub measured: Baselines,
}

impl BaselineProbe {
    /// A probe measures only when what is under way has come back: at a slow endpoint it takes longer.
    pub(super) fn new(level: u32, above: f64, latency: Duration, now: Instant) -> Self {
        let until = now + TIME_MAX.max(latency * LATENCIES_MAX);
        let spent_before = Duration::ZERO;
        BaselineProbe { level: level.max(1), above, spent_before, since: now, until, measured: Baselines::default() }
    }

    /// The next of its series.
    pub(super) fn deeper(&self, latency: Duration, now: Instant) -> Self {
        BaselineProbe { spent_before: self.spent(now), ..BaselineProbe::new(self.level / 2, 0.0, latency, now) }
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// Time at which it is overdue.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// A request that began then is none of its time: nothing was under way when that was over.
    pub(super) fn is_forgotten(&self, began: Instant) -> bool {
        began >= self.until
    }

    /// Time that the series took. A pause after its end is no part of it.
    pub(super) fn spent(&self, now: Instant) -> Duration {
        self.spent_before + now.min(self.until).saturating_duration_since(self.since)
    }
}

/// Longest time of a probe.
const TIME_MAX: Duration = Duration::from_secs(3);
/// Requests one after the other that a probe takes at most.
const LATENCIES_MAX: u32 = 8;
