//! ○ `[admin]`: the API, its listeners and its limits. What a key means stands in `config/default.toml`.

use std::{net::SocketAddr, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::sections::secret;
use crate::admin::listener::{deadlines::Deadlines, tls::TlsFiles};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSection {
    pub bind: SocketAddr,
    #[serde(deserialize_with = "address_or_none")]
    pub internal_bind: Option<SocketAddr>,
    pub internal_paths_public: bool,
    pub advertise: String,
    pub connections_max: usize,
    pub threads: usize,
    pub address_connections_max: usize,
    // Texts; `admin::client_address` gives them their meaning.
    pub trusted_proxies: Vec<String>,
    pub head_timeout_ms: u64,
    pub keep_alive_ms: u64,
    pub body_timeout_ms: u64,
    pub progress_timeout_ms: u64,
    #[serde(deserialize_with = "secret")]
    pub key: SecretString,
    pub request_bytes_max: usize,
    pub bulk_bytes_max: usize,
    pub memory_bytes_max: usize,
    pub key_requests_per_second_max: u32,
    pub key_burst_requests_max: u32,
    pub wrong_keys_per_second_max: u32,
    pub tls: AdminTls,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminTls {
    pub certificate_file: String,
    pub key_file: String,
    pub reload_ms: u64,
}

impl AdminTls {
    /// `None` without TLS.
    #[must_use]
    pub fn files(&self) -> Option<TlsFiles> {
        (!self.certificate_file.is_empty()).then(|| TlsFiles {
            certificate: self.certificate_file.clone().into(),
            key: self.key_file.clone().into(),
            reload: Duration::from_millis(self.reload_ms),
        })
    }
}

impl AdminSection {
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        Deadlines {
            head: Duration::from_millis(self.head_timeout_ms),
            keep_alive: Duration::from_millis(self.keep_alive_ms),
            body: Duration::from_millis(self.body_timeout_ms),
            progress: Duration::from_millis(self.progress_timeout_ms),
        }
    }
}

/// An empty text is none.
fn address_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(serde::de::Error::custom) }
}
