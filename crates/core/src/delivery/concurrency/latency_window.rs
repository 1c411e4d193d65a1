//! ○ Latencies at full use since the limit was last looked at.

use std::time::Instant;

use super::PROBE_REQUESTS;

/// Logarithms of the factors by which requests took longer than their baseline.
#[derive(Debug, Clone, Copy)]
pub(super) struct LatencyWindow {
    pub since: Instant,
    pub requests: u32,
    sum: f64,
    squares: f64,
}

impl LatencyWindow {
    pub(super) fn new(now: Instant) -> Self {
        LatencyWindow { since: now, requests: 0, sum: 0.0, squares: 0.0 }
    }

    pub(super) fn add(&mut self, inflation: f64) {
        self.requests += 1;
        self.sum += inflation;
        self.squares += inflation * inflation;
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum / f64::from(self.requests.max(1))
    }

    /// Inflation beyond what chance explains: the more latencies differ by themselves, the more has to be seen.
    pub(super) fn excess(&self) -> f64 {
        let requests = f64::from(self.requests.max(1));
        let variance = (self.squares / requests - self.mean() * self.mean()).max(0.0);
        let error = (variance * (1.0 / requests + 1.0 / f64::from(PROBE_REQUESTS))).sqrt();
        self.mean() - (TOLERANCE + ERRORS_TOLERATED * error).min(TOLERANCE_MAX)
    }
}

/// Inflation (a logarithm: a tenth) that is accepted.
const TOLERANCE: f64 = 0.1;
/// Standard errors that are accepted on top.
const ERRORS_TOLERATED: f64 = 1.5;
/// Inflation that is accepted at most: three times the baseline.
const TOLERANCE_MAX: f64 = 1.1;
