//! ○ Metrics of resources that customers share.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::telemetry::names;

/// Metrics of a resource that customers share fairly.
pub struct ShareMetrics {
    pub waiting: Gauge,
    wait_seconds: Option<Histogram>,
}

impl ShareMetrics {
    #[must_use]
    pub fn of_requests() -> Self {
        let wait_seconds = Some(histogram!(names::PERMIT_WAIT_SECONDS));
        ShareMetrics { waiting: gauge!(names::PERMITS_WAITING), wait_seconds }
    }

    #[must_use]
    pub fn of_lookups() -> Self {
        ShareMetrics { waiting: gauge!(names::LOOKUPS_WAITING), wait_seconds: None }
    }

    /// Metrics that nobody looks at.
    #[must_use]
    pub fn none() -> Self {
        ShareMetrics { waiting: Gauge::noop(), wait_seconds: None }
    }

    /// Somebody has waited for so long.
    pub fn waited(&self, wait: Duration) {
        if let Some(wait_seconds) = &self.wait_seconds {
            wait_seconds.record(wait);
        }
    }
}

/// Name look-ups.
pub struct NameMetrics {
    pub found: Counter,
    pub failed: Counter,
    pub stale: Counter,
}

impl NameMetrics {
    #[must_use]
    #[allow(clippy::new_without_default)] // handles count nothing before the recorder is installed: be explicit
    pub fn new() -> Self {
        let lookups = |result: &'static str| counter!(names::NAME_LOOKUPS, "result" => result);
        NameMetrics { found: lookups("found"), failed: lookups("failed"), stale: lookups("stale") }
    }
}
