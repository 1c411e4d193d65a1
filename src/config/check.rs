//! ○ Limits of each value, and relations between values.

mod admin; // … and of the API
mod backlog; // … and of the backlog
mod otlp; // … and what a collector gets
mod operator_events; // … and whom operators are told

use std::{
    fmt::{Debug, Display},
    net::SocketAddr,
    ops::RangeInclusive,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use figment::{
    Figment,
    providers::Serialized,
    value::{Dict, Value},
};
use secrecy::ExposeSecret;

use super::{
    Config, ConfigError, ConfigErrors, FirstStartSetting,
    layers::{Layers, find},
    show::plain,
};
use crate::{
    endpoint::egress::{Ports, Rule},
    ingest::{decode::FieldSource, topic_name::check_pattern},
    model::{
        quotas::{QUOTA_MAX, Quota},
        settings::PARK_AFTER_MS_MAX,
        topic::{is_kafkas_own, is_legal as is_topic_name},
    },
};

/// Keys whose value no message may show.
pub(super) fn is_secret(key: &str) -> bool {
    matches!(key, "postgres.url" | "admin.key" | "secrets.key" | "operator_events.webhook_secret" | "otlp.headers")
        || key.strip_prefix("kafka.properties.").is_some_and(super::Properties::is_secret)
}

/// Keys of URLs that may hold a token: in the path, the query or before the host.
pub(super) fn is_url_with_secrets(key: &str) -> bool {
    matches!(key, "operator_events.webhook_url" | "canary.url" | "otlp.endpoint")
}

/// True if messages may quote a key's value.
pub(super) fn may_be_quoted(key: &str) -> bool {
    !is_secret(key) && !is_url_with_secrets(key)
}

/// Properties that the promise rests on, or that have a setting of their own. The answer says which.
pub(super) fn refused_property(name: &str) -> Option<String> {
    let own = |key: &str| Some(format!("is refused; set {key}"));
    match name {
        "bootstrap.servers" | "metadata.broker.list" => own("kafka.brokers"),
        "group.id" => own("kafka.group_id"),
        "session.timeout.ms" => own("kafka.session_timeout_ms"),
        "heartbeat.interval.ms" => own("kafka.heartbeat_interval_ms"),
        "auto.commit.interval.ms" => own("kafka.commit_interval_ms"),
        "topic.metadata.refresh.interval.ms" => own("kafka.metadata_refresh_ms"),
        "auto.offset.reset" | "topic.auto.offset.reset" => own("kafka.first_start and kafka.offset_lost"),
        "enable.auto.commit"
        | "auto.commit.enable"
        | "enable.auto.offset.store"
        | "offset.store.method"
        | "enable.partition.eof"
        | "partition.assignment.strategy"
        | "group.protocol"
        | "group.remote.assignor"
        | "group.instance.id"
        | "max.poll.interval.ms" => Some("is refused: that no event is lost rests on Postrider's own value".to_owned()),
        _ => None,
    }
}

/// The layers as a checked configuration, or everything that is wrong with them.
pub(super) fn check(mut layers: Layers) -> Result<Config, ConfigErrors> {
    // What does not parse is replaced by its default, so that one pass finds every mistake.
    let mut defaults = Layers::of_default(super::DEFAULT).tree;
    for key in
        ["admin.bind", "admin.internal_bind", "kafka.first_start", "kafka.offset_lost", "log.format", "log.filter"]
    {
        check_parses(&mut layers, &mut defaults, key);
    }
    check_places(&mut layers);
    let mut config: Config = match extract(&layers.tree) {
        Ok(config) => config,
        Err(problem) => {
            layers.error("configuration", None, None, problem);
            return Err(ConfigErrors(layers.errors));
        }
    };
    let mut checks = Checks { layers };
    checks.ranges(&config);
    checks.relations(&config);
    checks.texts(&config);
    match checks.layers.errors {
        errors if errors.is_empty() => {
            config.effective = super::show::to_toml(super::DEFAULT, &mut checks.layers.tree);
            config.warnings = checks.layers.warnings;
            Ok(config)
        }
        errors => Err(ConfigErrors(errors)),
    }
}

pub(super) fn ready_to_serve(config: &Config) -> Result<(), ConfigErrors> {
    let missing = |key: &str, problem: &str| ConfigError {
        key: key.to_owned(),
        value: None,
        from: None,
        problem: problem.to_owned(),
    };
    let mut errors = Vec::new();
    if config.kafka.topics.is_empty() && config.kafka.topics_pattern.is_empty() {
        errors.push(missing("kafka.topics", "is needed to serve: a list of topics, or kafka.topics_pattern"));
    }
    if config.admin.key.expose_secret().is_empty() {
        errors.push(missing(
            "admin.key",
            "is needed to serve; give it with POSTRIDER_ADMIN_KEY or POSTRIDER_ADMIN_KEY_FILE",
        ));
    }
    if config.secrets.key.expose_secret().is_empty() {
        let problem = "is needed to serve: customers' secrets are never stored in the clear; make one with \
                       `openssl rand -base64 32` and give it with POSTRIDER_SECRETS_KEY or POSTRIDER_SECRETS_KEY_FILE";
        errors.push(missing("secrets.key", problem));
    }
    if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
}

fn extract(tree: &Dict) -> Result<Config, String> {
    // The error's own text may quote a value, so only its path is told.
    Figment::from(Serialized::defaults(tree))
        .extract()
        .map_err(|error| format!("does not fit at {}", error.path.join(".")))
}

fn check_parses(layers: &mut Layers, defaults: &mut Dict, key: &str) {
    let Some(Value::String(_, text)) = find(&mut layers.tree, key).cloned() else {
        return;
    };
    let problem = match key {
        "admin.internal_bind" if text.is_empty() => None,
        "admin.bind" | "admin.internal_bind" => {
            text.parse::<SocketAddr>().err().map(|_| "must be ADDRESS:PORT, such as \"0.0.0.0:8080\"")
        }
        "kafka.first_start" => FirstStartSetting::try_from(text.clone()).err(),
        "kafka.offset_lost" => (!matches!(text.as_str(), "earliest" | "latest" | "stop"))
            .then_some("must be \"earliest\", \"latest\" or \"stop\""),
        "log.format" => (!matches!(text.as_str(), "text" | "json")).then_some("must be \"text\" or \"json\""),
        _ => tracing_subscriber::EnvFilter::try_new(&text)
            .err()
            .map(|_| "must be levels as in RUST_LOG: \"info\", \"postrider=debug,info\""),
    };
    let Some(problem) = problem else { return };
    let from = layers.from.get(key).cloned();
    layers.error(key, Some(format!("{text:?}")), from.as_deref(), problem);
    if let (Some(value), Some(default)) = (find(&mut layers.tree, key), find(defaults, key)) {
        *value = default.clone();
    }
}

fn check_places(layers: &mut Layers) {
    let Some(Value::Dict(_, event)) = layers.tree.get("event").cloned() else {
        return;
    };
    let mut look = |key: String, value: &Value| {
        let Value::String(_, text) = value else {
            return;
        };
        if let Err(problem) = FieldSource::parse(text) {
            let from = layers.from.get(&key).cloned();
            layers.error(&key, Some(plain(value)), from.as_deref(), problem.to_string());
        }
    };
    for (name, value) in &event {
        match value {
            Value::Dict(_, topics) => {
                for (topic, places) in topics {
                    let Value::Dict(_, places) = places else {
                        continue;
                    };
                    places.iter().for_each(|(name, value)| look(format!("event.topics.\"{topic}\".{name}"), value));
                }
            }
            value => look(format!("event.{name}"), value),
        }
    }
}

struct Checks {
    layers: Layers,
}

impl Checks {
    fn ranges(&mut self, c: &Config) {
        self.range("service.cores", c.service.cores, 0..=1024);
        self.range("service.shutdown_ms_max", c.service.shutdown_ms_max, 1_000..=600_000);
        self.range("kafka.commit_interval_ms", c.kafka.commit_interval_ms, 50..=60_000);
        self.range("kafka.session_timeout_ms", c.kafka.session_timeout_ms, 1_000..=600_000);
        self.range("kafka.heartbeat_interval_ms", c.kafka.heartbeat_interval_ms, 50..=200_000);
        self.range("kafka.metadata_refresh_ms", c.kafka.metadata_refresh_ms, 500..=3_600_000);
        // The offset tracker spans a million offsets of a partition.
        self.range("ingest.partition_events_max", c.ingest.partition_events_max, 1..=1_000_000);
        self.range("ingest.partition_bytes_max", c.ingest.partition_bytes_max, MIB / 16..=16 * GIB);
        self.range("ingest.memory_bytes_max", c.ingest.memory_bytes_max, MIB..=1024 * GIB);
        self.range("ingest.wait_target_ms", c.ingest.wait_target_ms, 10..=60_000);
        self.range("ingest.chunk_events_max", c.ingest.chunk_events_max, 1..=65_536);
        self.range("ingest.event_bytes_max", c.ingest.event_bytes_max, 1024..=64 * MIB);
        self.range("delivery.park_after_ms", c.delivery.park_after_ms, 100..=PARK_AFTER_MS_MAX);
        self.range("delivery.endpoint_bytes_max", c.delivery.endpoint_bytes_max, MIB / 16..=64 * GIB);
        self.range("delivery.idle_after_ms", c.delivery.idle_after_ms, 100..=86_400_000);
        self.range("delivery.disable_after_ms", c.delivery.disable_after_ms, 0..=31_536_000_000);
        self.range("delivery.local_outage_customers_min", c.delivery.local_outage_customers_min, 0..=1_000);
        self.range("delivery.rebuild_base_ms", c.delivery.rebuild_base_ms, 10..=60_000);
        self.range("delivery.rebuild_max_ms", c.delivery.rebuild_max_ms, 10..=3_600_000);
        self.range("http.connect_timeout_ms", c.http.connect_timeout_ms, 10..=60_000);
        self.range("http.in_flight_max", c.http.in_flight_max, 1..=1_000_000);
        self.range("http.keep_alive_ms", c.http.keep_alive_ms, 0..=3_600_000);
        self.range("http.connection_age_ms_max", c.http.connection_age_ms_max, 1_000..=86_400_000);
        self.range("http.answer_bytes_max", c.http.answer_bytes_max, 1_024..=MIB);
        self.range("http.dns_timeout_ms", c.http.dns_timeout_ms, 10..=60_000);
        self.range("http.dns_cache_ms", c.http.dns_cache_ms, 0..=3_600_000);
        self.range("http.dns_stale_ms_max", c.http.dns_stale_ms_max, 0..=259_200_000);
        self.range("http.dns_failure_ms", c.http.dns_failure_ms, 0..=600_000);
        self.range("http.dns_lookups_max", c.http.dns_lookups_max, 1..=4_096);
        self.range("http.tls_clients_max", c.http.tls_clients_max, 1..=100_000);
        self.range("postgres.connections_max", c.postgres.connections_max, 2..=1_000);
        self.range("postgres.api_connections_max", c.postgres.api_connections_max, 2..=1_000);
        self.range("postgres.connect_timeout_ms", c.postgres.connect_timeout_ms, 100..=60_000);
        self.range("postgres.statement_timeout_ms", c.postgres.statement_timeout_ms, 100..=600_000);
        self.range("postgres.settings_poll_ms", c.postgres.settings_poll_ms, 50..=5_000);
        self.range("postgres.settings_reconcile_ms", c.postgres.settings_reconcile_ms, 1_000..=86_400_000);
        self.backlog_ranges(&c.backlog);
        for quota in Quota::ALL {
            self.range(&format!("quotas.{}", quota.as_str()), c.quotas.of(quota), 0..=QUOTA_MAX);
        }
        self.range("dead_letter.batch_rows_max", c.dead_letter.batch_rows_max, 1..=10_000);
        self.range("dead_letter.batch_wait_ms", c.dead_letter.batch_wait_ms, 0..=1_000);
        self.range("dead_letter.queue_bytes_max", c.dead_letter.queue_bytes_max, MIB..=64 * GIB);
        self.range("dead_letter.retention_days", c.dead_letter.retention_days, 1..=3_650);
        self.range("dead_letter.redrive_poll_ms", c.dead_letter.redrive_poll_ms, 50..=600_000);
        self.range("attempts.retention_days", c.attempts.retention_days, 1..=365);
        self.range("attempts.rows_per_second_max", c.attempts.rows_per_second_max, 1..=100_000);
        self.range("attempts.queue_rows_max", c.attempts.queue_rows_max, 1..=1_000_000);
        self.range("attempts.counts_retention_days", c.attempts.counts_retention_days, 1..=365);
        self.range("replay.events_per_second_max", c.replay.events_per_second_max, 0..=1_000_000);
        self.range("replay.records_per_second_max", c.replay.records_per_second_max, 1..=10_000_000);
        self.range("replay.endpoint_events_max", c.replay.endpoint_events_max, 1..=100_000);
        self.range("replay.memory_bytes_max", c.replay.memory_bytes_max, MIB..=64 * GIB);
        self.range("replay.partitions_max", c.replay.partitions_max, 1..=10_000);
        self.range("replay.poll_ms", c.replay.poll_ms, 50..=600_000);
        self.admin_ranges(&c.admin);
    }

    fn relations(&mut self, c: &Config) {
        let heartbeat = ("kafka.heartbeat_interval_ms", c.kafka.heartbeat_interval_ms);
        self.at_most(heartbeat, ("a third of kafka.session_timeout_ms", c.kafka.session_timeout_ms / 3));

        let event = ("ingest.event_bytes_max", c.ingest.event_bytes_max);
        let partition = ("ingest.partition_bytes_max", c.ingest.partition_bytes_max);
        let memory = ("ingest.memory_bytes_max", c.ingest.memory_bytes_max);
        let endpoint = ("delivery.endpoint_bytes_max", c.delivery.endpoint_bytes_max);
        self.at_most(event, partition);
        self.at_most(event, endpoint);
        self.at_most(event, ("dead_letter.queue_bytes_max", c.dead_letter.queue_bytes_max));
        self.at_most(partition, memory);
        self.at_most(endpoint, memory);

        let chunk = ("ingest.chunk_events_max", c.ingest.chunk_events_max);
        self.at_most(chunk, ("ingest.partition_events_max", c.ingest.partition_events_max));
        let rebuild = ("delivery.rebuild_base_ms", c.delivery.rebuild_base_ms);
        self.at_most(rebuild, ("delivery.rebuild_max_ms", c.delivery.rebuild_max_ms));
        let poll = ("postgres.settings_poll_ms", c.postgres.settings_poll_ms);
        self.at_most(poll, ("postgres.settings_reconcile_ms", c.postgres.settings_reconcile_ms));

        if !c.kafka.topics.is_empty() && !c.kafka.topics_pattern.is_empty() {
            let pattern: &dyn Debug = &c.kafka.topics_pattern;
            self.wrong("kafka.topics_pattern", Some(pattern), "must be empty when kafka.topics is given");
        }
    }

    fn texts(&mut self, c: &Config) {
        if c.kafka.brokers.split(',').any(|broker| broker.trim().is_empty()) {
            self.wrong("kafka.brokers", Some(&c.kafka.brokers), "must be HOST:PORT, several separated by commas");
        }
        if c.kafka.group_id.is_empty() {
            self.wrong("kafka.group_id", Some(&""), "must not be empty");
        }
        if let Err(problem) = check_pattern(&c.kafka.topics_pattern) {
            self.wrong("kafka.topics_pattern", Some(&c.kafka.topics_pattern), &problem);
        }
        for topic in &c.kafka.topics {
            if is_kafkas_own(topic) {
                self.wrong("kafka.topics", Some(topic), "is one of Kafka's own topics, which are never read as events");
            }
            if !is_topic_name(topic) {
                let problem = "must hold names of up to 249 letters, digits, '.', '_' and '-'; a regular expression goes into kafka.topics_pattern";
                self.wrong("kafka.topics", Some(topic), problem);
            }
        }
        if !is_postgres_url(c.postgres.url.expose_secret()) {
            self.wrong(
                "postgres.url",
                None,
                "must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, special characters percent-encoded",
            );
        }
        self.admin(&c.admin);
        self.operator_events(c);
        self.otlp(c);
        self.keys(c);
        self.egress(c);
    }

    fn egress(&mut self, c: &Config) {
        for (key, rules) in [("egress.allow", &c.egress.allow), ("egress.deny", &c.egress.deny)] {
            for rule in rules {
                if let Err(problem) = Rule::parse(rule) {
                    self.wrong(key, Some(rule), problem);
                }
            }
        }
        for ports in &c.egress.ports_denied {
            if let Err(problem) = Ports::parse(ports) {
                self.wrong("egress.ports_denied", Some(ports), problem);
            }
        }
    }

    fn keys(&mut self, c: &Config) {
        let key = c.admin.key.expose_secret();
        if !key.is_empty() && (key.len() < 16 || key.chars().any(|c| c.is_whitespace() || c.is_control())) {
            self.wrong(
                "admin.key",
                None,
                "must be at least 16 characters without spaces; `openssl rand -hex 24` makes one",
            );
        }
        let is_key = |text: &str| BASE64_STANDARD.decode(text.trim()).is_ok_and(|bytes| bytes.len() == 32);
        let keys = c.secrets.key.expose_secret();
        if !keys.is_empty() && !keys.split(',').all(is_key) {
            let problem =
                "must be 32 bytes in base64, as from `openssl rand -base64 32`; several are separated by commas";
            self.wrong("secrets.key", None, problem);
        }
    }

    fn range<N: PartialOrd + Display>(&mut self, key: &str, value: N, allowed: RangeInclusive<N>) {
        if !allowed.contains(&value) {
            let problem = format!("must be between {} and {}", allowed.start(), allowed.end());
            self.wrong_number(key, &value, problem);
        }
    }

    fn at_most<N: PartialOrd + Display>(&mut self, (key, value): (&str, N), (limit_name, limit): (&str, N)) {
        if value > limit {
            self.wrong_number(key, &value, format!("must be at most {limit_name} ({limit})"));
        }
    }

    fn wrong_number(&mut self, key: &str, value: &dyn Display, problem: String) {
        let from = self.layers.from.get(key).cloned();
        self.layers.error(key, Some(value.to_string()), from.as_deref(), problem);
    }

    fn wrong(&mut self, key: &str, value: Option<&dyn Debug>, problem: &str) {
        let from = self.layers.from.get(key).cloned();
        let shown = value.filter(|_| may_be_quoted(key));
        self.layers.error(key, shown.map(|value| format!("{value:?}")), from.as_deref(), problem);
    }
}

/// Far enough to catch what is no connection string at all; the store reads it in full when it connects.
fn is_postgres_url(text: &str) -> bool {
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    match rest {
        Some(rest) => !rest.is_empty() && !rest.contains(char::is_whitespace),
        // libpq's other form: host=… user=… dbname=…
        None => text.contains("host=") && text.split_whitespace().all(|pair| pair.contains('=')),
    }
}

const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
