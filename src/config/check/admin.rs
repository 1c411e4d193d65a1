//! ○ Limits of the API's settings.

use super::{Checks, GIB, MIB};
use crate::{admin::client_address::TrustedProxies, config::AdminSection};

impl Checks {
    pub(super) fn admin_ranges(&mut self, c: &AdminSection) {
        self.range("admin.connections_max", c.connections_max, 8..=100_000);
        self.range("admin.address_connections_max", c.address_connections_max, 4..=100_000);
        self.range("admin.threads", c.threads, 0..=256);
        self.range("admin.memory_bytes_max", c.memory_bytes_max, MIB..=64 * GIB);
        self.range("admin.head_timeout_ms", c.head_timeout_ms, 100..=60_000);
        self.range("admin.keep_alive_ms", c.keep_alive_ms, 100..=600_000);
        self.range("admin.body_timeout_ms", c.body_timeout_ms, 100..=600_000);
        self.range("admin.tls.reload_ms", c.tls.reload_ms, 100..=86_400_000);
        self.range("admin.progress_timeout_ms", c.progress_timeout_ms, 100..=60_000);
        self.range("admin.request_bytes_max", c.request_bytes_max, 1_024..=64 * MIB);
        self.range("admin.bulk_bytes_max", c.bulk_bytes_max, 1_024..=256 * MIB);
        self.range("admin.key_requests_per_second_max", c.key_requests_per_second_max, 0..=1_000_000);
        self.range("admin.key_burst_requests_max", c.key_burst_requests_max, 1..=1_000_000);
        self.range("admin.wrong_keys_per_second_max", c.wrong_keys_per_second_max, 0..=1_000_000);
        let half = ("half of admin.memory_bytes_max", c.memory_bytes_max / 2);
        self.at_most(("admin.bulk_bytes_max", c.bulk_bytes_max), half);
        self.at_most(("admin.request_bytes_max", c.request_bytes_max), half);
    }

    pub(super) fn admin(&mut self, c: &AdminSection) {
        if !c.advertise.is_empty() && !is_host_and_port(&c.advertise) {
            self.wrong("admin.advertise", Some(&c.advertise), "must be HOST:PORT, without a scheme or a path");
        }
        if c.internal_bind.is_some_and(|internal| internal == c.bind && internal.port() != 0) {
            self.wrong("admin.internal_bind", Some(&c.bind), "must differ from admin.bind");
        }
        self.tls(c);
        if let Err(problem) = TrustedProxies::parse(&c.trusted_proxies) {
            self.wrong("admin.trusted_proxies", Some(&c.trusted_proxies), problem);
        }
    }

    fn tls(&mut self, c: &AdminSection) {
        let tls = &c.tls;
        if tls.certificate_file.is_empty() != tls.key_file.is_empty() {
            self.wrong("admin.tls.key_file", Some(&tls.key_file), "is needed together with admin.tls.certificate_file");
        }
        if !tls.certificate_file.is_empty() && c.internal_bind.is_none() {
            let problem = "is needed with admin.tls: probes and other instances speak no TLS";
            self.wrong("admin.internal_bind", Some(&""), problem);
        }
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_[]:".contains(c));
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}
