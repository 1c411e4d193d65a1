//! ○ `[otlp]` of `config/default.toml` as types.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
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

impl Otlp {
    /// Where a signal goes: `traces` or `logs`.
    #[must_use]
    pub fn url_of(&self, signal: &str) -> String {
        format!("{}/v1/{signal}", self.endpoint.trim_end_matches('/'))
    }

    /// Names and values, as far as they are pairs.
    pub fn header_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.headers.expose_secret().split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.trim(), value.trim()))
    }

    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
