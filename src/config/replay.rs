//! ○ `[replay]` of `config/default.toml` as a type.

use std::time::Duration;

use serde::Deserialize;

use super::backlog::drain_rate_of;
use crate::flow::drain_rate::DrainRateOptions;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaySection {
    pub events_per_second_max: u32,
    pub records_per_second_max: u32,
    pub endpoint_events_max: usize,
    pub memory_bytes_max: usize,
    pub partitions_max: usize,
    pub poll_ms: u64,
}

impl ReplaySection {
    /// The rate of replays, with so many cores.
    #[must_use]
    pub fn rate(&self, cores: usize) -> DrainRateOptions {
        drain_rate_of(self.events_per_second_max, cores)
    }

    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}
