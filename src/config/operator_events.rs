//! ○ `[operator_events]` and `[canary]` of `config/default.toml` as types.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorEventsSection {
    pub webhook_url: String,
    #[serde(deserialize_with = "super::sections::secret")]
    pub webhook_secret: SecretString,
    pub topic: String,
    pub failing_after_ms: u64,
    pub repeat_after_ms: u64,
    pub dead_letters_per_minute_events_max: u64,
}

impl OperatorEventsSection {
    /// Somebody is to be told.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.webhook_url.is_empty() || !self.topic.is_empty()
    }

    #[must_use]
    pub fn repeat_after(&self) -> Duration {
        Duration::from_millis(self.repeat_after_ms)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanarySection {
    pub topic: String,
    pub url: String,
    pub interval_ms: u64,
    pub late_after_ms: u64,
}
