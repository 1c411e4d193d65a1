//! ○ `[otlp]` of `config/default.toml` as types.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpSection {
    pub endpoint: String,
    #[serde(deserialize_with = "super::sections::secret")]
    pub headers: SecretString,
    pub service_name: String,
    pub traces: bool,
    pub logs: bool,
    pub sample_every: u64,
    pub events_per_second_max: u32,
    pub propagate: bool,
    pub queue_records_max: usize,
    pub interval_ms: u64,
    pub timeout_ms: u64,
}

impl OtlpSection {
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
