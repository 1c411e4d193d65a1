//! ● The configuration as the rooms want it: none of them knows the file it comes from.

use std::num::NonZeroU32;

use crate::{
    admin::{AdminOptions, auth::ApiCallLimits, client_address::TrustedProxies, listener::ListenerOptions},
    attempts::writer::AttemptWriterOptions,
    backlog::writer::BacklogWriterOptions,
    config::{
        AdminSection, AttemptsSection, BacklogSection, Config, DEFAULT, DeadLetterSection, LogFormat, LogSection,
        OtlpSection, PostgresSection, handles::Handles,
    },
    dead_letter::writer::DeadLetterWriterOptions,
    endpoint::egress::{Egress, EgressOptions, Ports, Rule},
    redrive::RedriveOptions,
    store::PoolOptions,
    telemetry::{LogOptions, otlp::OtlpOptions},
};

impl From<&AttemptsSection> for AttemptWriterOptions {
    fn from(config: &AttemptsSection) -> Self {
        AttemptWriterOptions {
            queue_rows_max: config.queue_rows_max,
            rows_per_second_max: config.rows_per_second_max,
            delivered_sample_every: config.delivered_sample_every,
        }
    }
}

impl From<&BacklogSection> for BacklogWriterOptions {
    fn from(config: &BacklogSection) -> Self {
        BacklogWriterOptions {
            batch_rows_max: config.batch_rows_max,
            batch_wait: config.batch_wait(),
            queues: config.connections_max,
            inserts_per_second_max: config.inserts_per_second_max,
        }
    }
}

impl From<&DeadLetterSection> for DeadLetterWriterOptions {
    fn from(config: &DeadLetterSection) -> Self {
        DeadLetterWriterOptions {
            batch_rows_max: config.batch_rows_max,
            batch_wait: config.batch_wait(),
            queue_bytes_max: config.queue_bytes_max,
        }
    }
}

impl From<&PostgresSection> for PoolOptions {
    fn from(config: &PostgresSection) -> Self {
        PoolOptions {
            url: config.url.clone(),
            connections_max: config.connections_max,
            connect_timeout: config.connect_timeout(),
            statement_timeout: config.statement_timeout(),
            session: "",
        }
    }
}

impl From<&Config> for RedriveOptions {
    fn from(config: &Config) -> Self {
        RedriveOptions {
            poll: config.dead_letter.redrive_poll(),
            in_flight_max: 500,
            bytes_max: 32 * 1024 * 1024,
            endpoint_in_flight_max: 200,
            page_rows: 5_000,
            age_max: config.backlog.age_max(),
        }
    }
}

impl From<&LogSection> for LogOptions {
    fn from(config: &LogSection) -> Self {
        LogOptions { filter: config.filter.clone(), is_json: config.format == LogFormat::Json }
    }
}

impl From<&OtlpSection> for OtlpOptions {
    fn from(config: &OtlpSection) -> Self {
        OtlpOptions {
            endpoint: config.endpoint.clone(),
            headers: config.headers.clone(),
            service_name: config.service_name.clone(),
            traces: config.traces,
            logs: config.logs,
            sample_every: config.sample_every,
            events_per_second_max: config.events_per_second_max,
            propagate: config.propagate,
            queue_records_max: config.queue_records_max,
            interval: config.interval(),
            timeout: config.timeout(),
        }
    }
}

impl From<&Config> for Egress {
    fn from(config: &Config) -> Self {
        let rule = |text: &String| Rule::parse(text).expect("rules were checked with the configuration");
        let ports = |text: &String| Ports::parse(text).expect("ports were checked with the configuration");
        Egress::new(EgressOptions {
            allow: config.egress.allow.iter().map(rule).collect(),
            deny: config.egress.deny.iter().map(rule).collect(),
            ports_denied: config.egress.ports_denied.iter().map(ports).collect(),
            https_only: config.http.https_only,
            own_api: config.admin.bind,
        })
    }
}

/// The policy of `config/default.toml`.
///
/// # Panics
/// Never: a test reads the defaults.
#[must_use]
pub fn default_egress() -> Egress {
    let config = Config::parse(DEFAULT, None, [], |_| Err(std::io::ErrorKind::NotFound.into()));
    Egress::from(&config.expect("the defaults are a valid configuration"))
}

/// With as many connections as there are file handles for.
pub(super) fn admin(config: &AdminSection, handles: &Handles) -> AdminOptions {
    let public = ListenerOptions {
        name: "admin",
        bind: config.bind,
        threads: threads(config.threads),
        connections_max: handles.admin,
        address_connections_max: config.address_connections_max.min(handles.admin / 2),
        trusted_proxies: TrustedProxies::parse(&config.trusted_proxies)
            .expect("networks were checked with the configuration"),
        deadlines: config.deadlines(),
        tls: config.tls.files(),
    };
    let internal = config.internal_bind.map(|bind| ListenerOptions {
        name: "internal",
        bind,
        threads: 1,
        connections_max: handles.internal,
        address_connections_max: handles.internal / 2,
        trusted_proxies: TrustedProxies::default(),
        tls: None,
        ..public.clone()
    });
    AdminOptions {
        public,
        internal,
        internal_paths_public: config.internal_paths_public,
        key: config.key.clone(),
        request_bytes_max: config.request_bytes_max,
        bulk_bytes_max: config.bulk_bytes_max,
        limits: ApiCallLimits {
            requests_per_second: NonZeroU32::new(config.key_requests_per_second_max),
            burst_requests: NonZeroU32::new(config.key_burst_requests_max).unwrap_or(NonZeroU32::MIN),
            wrong_keys_per_second: NonZeroU32::new(config.wrong_keys_per_second_max),
        },
    }
}

/// Threads that answer: the configured number, or one for two cores.
fn threads(said: usize) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    if said == 0 { (cores() / 2).max(2) } else { said }
}
