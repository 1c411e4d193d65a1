//! ○ `[backlog]` of `config/default.toml` as a type.

use std::{num::NonZeroU32, time::Duration};

use serde::Deserialize;

use crate::flow::drain_rate::DrainRateOptions;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BacklogSection {
    pub batch_rows_max: usize,
    pub batch_wait_ms: u64,
    pub connections_max: usize,
    pub inserts_per_second_max: u32,
    pub age_hours_max: u64,
    pub sweep_ms: u64,
    pub endpoint_rows_max: i64,
    pub endpoint_rows_bytes_max: i64,
    pub page_rows_max: usize,
    pub queries_max: usize,
    pub events_per_second_max: u32,
    pub memory_bytes_max: usize,
    pub endpoint_memory_bytes_max: usize,
    pub poll_ms: u64,
    pub refresh_ms: u64,
}

impl BacklogSection {
    /// The rate of draining, with so many cores.
    #[must_use]
    pub fn rate(&self, cores: usize) -> DrainRateOptions {
        drain_rate_of(self.events_per_second_max, cores)
    }

    #[must_use]
    pub fn sweep(&self) -> Duration {
        Duration::from_millis(self.sweep_ms)
    }

    #[must_use]
    pub fn batch_wait(&self) -> Duration {
        Duration::from_millis(self.batch_wait_ms)
    }

    #[must_use]
    pub fn age_max(&self) -> Duration {
        Duration::from_secs(self.age_hours_max * 3_600)
    }

    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }

    #[must_use]
    pub fn refresh(&self) -> Duration {
        Duration::from_millis(self.refresh_ms)
    }
}

/// However busy a core is, so many events a second do not disturb it: measured by the fault row `outage`, where with five
/// hundred for each core nobody else's p99 moved.
const OF_A_CORE_MIN: u32 = 100;

/// 0 is no ceiling.
pub(super) fn drain_rate_of(events_per_second_max: u32, cores: usize) -> DrainRateOptions {
    let per_second_max = NonZeroU32::new(events_per_second_max).map(NonZeroU32::get);
    let of_cores = OF_A_CORE_MIN.saturating_mul(u32::try_from(cores).unwrap_or(u32::MAX));
    DrainRateOptions { per_second_max, per_second_min: per_second_max.map_or(of_cores, |max| max.min(of_cores)) }
}
