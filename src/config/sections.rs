//! ○ The sections of `config/default.toml` as types. What a key means stands there, not here.

use std::{collections::BTreeMap, fmt, net::SocketAddr, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSection {
    pub cores: usize,
    pub shutdown_ms_max: u64,
}

impl ServiceSection {
    #[must_use]
    pub fn shutdown_max(&self) -> Duration {
        Duration::from_millis(self.shutdown_ms_max)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSection {
    pub brokers: String,
    pub group_id: String,
    pub topics: Vec<String>,
    pub topics_pattern: String,
    pub first_start: FirstStartSetting,
    pub offset_lost: OffsetLostSetting,
    pub commit_interval_ms: u64,
    pub session_timeout_ms: u64,
    pub heartbeat_interval_ms: u64,
    pub metadata_refresh_ms: u64,
    pub properties: Properties,
}

impl KafkaSection {
    #[must_use]
    pub fn commit_interval(&self) -> Duration {
        Duration::from_millis(self.commit_interval_ms)
    }

    /// Properties of every Kafka client: the brokers, and the properties as they were given.
    pub fn client_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        std::iter::once(("bootstrap.servers", self.brokers.as_str())).chain(self.properties.iter())
    }
}

/// The beginning of the group's very first start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum FirstStartSetting {
    Latest,
    Earliest,
    /// At the first record of this time or later.
    At(jiff::Timestamp),
}

impl TryFrom<String> for FirstStartSetting {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "latest" => Ok(FirstStartSetting::Latest),
            "earliest" => Ok(FirstStartSetting::Earliest),
            time => time
                .parse()
                .map(FirstStartSetting::At)
                .map_err(|_| "must be \"latest\", \"earliest\" or a time such as \"2026-01-31T08:00:00Z\""),
        }
    }
}

impl fmt::Display for FirstStartSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FirstStartSetting::Latest => f.write_str("latest"),
            FirstStartSetting::Earliest => f.write_str("earliest"),
            FirstStartSetting::At(time) => time.fmt(f),
        }
    }
}

/// The policy for an offset that is no longer in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OffsetLostSetting {
    Earliest,
    Latest,
    Stop,
}

/// librdkafka properties by their dotted names, the refused ones already refused.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// True if a property's value must not be shown.
    #[must_use]
    pub fn is_secret(name: &str) -> bool {
        ["password", "passphrase", "secret", "key.pem", "private.key", "oauthbearer.config", "jaas.config"]
            .iter()
            .any(|part| name.contains(part))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| (name, if Properties::is_secret(name) { super::show::HIDDEN } else { value });
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}

// Unknown keys were refused when the layers were laid; serde cannot both flatten and deny.
#[derive(Debug, Clone, Deserialize)]
pub struct EventSection {
    #[serde(flatten)]
    pub places: Places,
    pub topics: BTreeMap<String, TopicPlaces>,
}

/// Places of an event's fields in a record: `header:NAME`, `json:/pointer`, `key`, or nothing for nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Places {
    pub tenant: String,
    pub department: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub id: String,
    pub time: String,
}

/// Places of one topic; the others are as everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicPlaces {
    pub tenant: Option<String>,
    pub department: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub id: Option<String>,
    pub time: Option<String>,
}

impl EventSection {
    /// The places that hold for a topic.
    #[must_use]
    pub fn places_of(&self, topic: &str) -> Places {
        let Some(own) = self.topics.get(topic) else {
            return self.places.clone();
        };
        let pick = |own: &Option<String>, general: &String| own.as_ref().unwrap_or(general).clone();
        Places {
            tenant: pick(&own.tenant, &self.places.tenant),
            department: pick(&own.department, &self.places.department),
            kind: pick(&own.kind, &self.places.kind),
            id: pick(&own.id, &self.places.id),
            time: pick(&own.time, &self.places.time),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestSection {
    pub partition_events_max: usize,
    pub partition_bytes_max: usize,
    pub memory_bytes_max: usize,
    pub wait_target_ms: u64,
    pub chunk_events_max: usize,
    pub event_bytes_max: usize,
}

impl IngestSection {
    #[must_use]
    pub fn wait_target(&self) -> Duration {
        Duration::from_millis(self.wait_target_ms)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverySection {
    pub park_after_ms: u64,
    pub endpoint_bytes_max: usize,
    pub idle_after_ms: u64,
    pub local_outage_customers_min: usize,
    pub disable_after_ms: u64,
    pub rebuild_base_ms: u64,
    pub rebuild_max_ms: u64,
}

impl DeliverySection {
    #[must_use]
    pub fn park_after(&self) -> Duration {
        Duration::from_millis(self.park_after_ms)
    }

    #[must_use]
    pub fn idle_after(&self) -> Duration {
        Duration::from_millis(self.idle_after_ms)
    }

    /// Zero for never.
    #[must_use]
    pub fn disable_after(&self) -> Duration {
        Duration::from_millis(self.disable_after_ms)
    }

    #[must_use]
    pub fn rebuild_base(&self) -> Duration {
        Duration::from_millis(self.rebuild_base_ms)
    }

    #[must_use]
    pub fn rebuild_max(&self) -> Duration {
        Duration::from_millis(self.rebuild_max_ms)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSection {
    pub connect_timeout_ms: u64,
    pub in_flight_max: usize,
    pub keep_alive_ms: u64,
    pub connection_age_ms_max: u64,
    pub answer_bytes_max: usize,
    pub dns_servers: Vec<SocketAddr>,
    pub dns_timeout_ms: u64,
    pub dns_cache_ms: u64,
    pub dns_stale_ms_max: u64,
    pub dns_failure_ms: u64,
    pub dns_lookups_max: usize,
    pub tls_clients_max: usize,
    pub https_only: bool,
}

impl HttpSection {
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    #[must_use]
    pub fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.keep_alive_ms)
    }

    #[must_use]
    pub fn connection_age_max(&self) -> Duration {
        Duration::from_millis(self.connection_age_ms_max)
    }

    #[must_use]
    pub fn dns_timeout(&self) -> Duration {
        Duration::from_millis(self.dns_timeout_ms)
    }

    #[must_use]
    pub fn dns_cache(&self) -> Duration {
        Duration::from_millis(self.dns_cache_ms)
    }

    #[must_use]
    pub fn dns_stale_max(&self) -> Duration {
        Duration::from_millis(self.dns_stale_ms_max)
    }

    #[must_use]
    pub fn dns_failure(&self) -> Duration {
        Duration::from_millis(self.dns_failure_ms)
    }
}

// Texts; `endpoint::egress` gives them their meaning.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressSection {
    pub allow: Vec<String>,
    pub deny: Vec<String>,
    pub ports_denied: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresSection {
    #[serde(deserialize_with = "secret")]
    pub url: SecretString,
    pub connections_max: usize,
    pub api_connections_max: usize,
    pub connect_timeout_ms: u64,
    pub statement_timeout_ms: u64,
    pub settings_poll_ms: u64,
    pub settings_reconcile_ms: u64,
}

impl PostgresSection {
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    #[must_use]
    pub fn statement_timeout(&self) -> Duration {
        Duration::from_millis(self.statement_timeout_ms)
    }

    #[must_use]
    pub fn settings_poll(&self) -> Duration {
        Duration::from_millis(self.settings_poll_ms)
    }

    #[must_use]
    pub fn settings_reconcile(&self) -> Duration {
        Duration::from_millis(self.settings_reconcile_ms)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterSection {
    pub batch_rows_max: usize,
    pub batch_wait_ms: u64,
    pub queue_bytes_max: usize,
    pub retention_days: u32,
    pub redrive_poll_ms: u64,
}

impl DeadLetterSection {
    #[must_use]
    pub fn batch_wait(&self) -> Duration {
        Duration::from_millis(self.batch_wait_ms)
    }

    #[must_use]
    pub fn redrive_poll(&self) -> Duration {
        Duration::from_millis(self.redrive_poll_ms)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsSection {
    /// One key or several, separated by commas: the first encrypts, all decrypt.
    #[serde(deserialize_with = "secret")]
    pub key: SecretString,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSection {
    pub format: LogFormat,
    pub filter: String,
    pub delivered_sample_every: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}
