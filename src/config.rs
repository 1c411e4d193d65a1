//! ○ Every setting: `config/default.toml`, then a file, then `POSTRIDER_…` variables; all errors at once.
//!
//! **Invariant:** a [`Config`] that exists was checked: each value is within its limits and fits the others.
//! **Invariant:** secrets are `SecretString`s; neither `Debug`, nor an error, nor [`Config::to_toml`] shows one.

mod check; // what a value may be
mod error; // what is wrong, and where it came from
pub mod handles; // who gets how many file handles
pub mod manual; // all of it as a page
mod layers; // default, file, environment: one tree
mod sections; // the tree, typed
mod admin; // … sections of their own
mod attempts;
mod backlog;
mod operator_events;
mod otlp;
mod replay;
mod show; // the effective configuration, secrets hidden

pub use self::{
    admin::AdminSection,
    attempts::AttemptsSection,
    backlog::BacklogSection,
    error::{ConfigError, ConfigErrors},
    operator_events::{CanarySection, OperatorEventsSection},
    otlp::OtlpSection,
    replay::ReplaySection,
    sections::{
        DeadLetterSection, DeliverySection, EgressSection, EventSection, FirstStartSetting, HttpSection, IngestSection,
        KafkaSection, LogFormat, LogSection, OffsetLostSetting, Places, PostgresSection, Properties, SecretsSection,
        ServiceSection, TopicPlaces,
    },
};
pub use crate::model::quotas::{QUOTA_MAX, Quota, Quotas};

use serde::Deserialize;

/// The manual of every setting, compiled in.
pub const DEFAULT: &str = include_str!("../config/default.toml");

/// The sections of `config/default.toml`, by the same names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub service: ServiceSection,
    pub kafka: KafkaSection,
    pub event: EventSection,
    pub ingest: IngestSection,
    pub delivery: DeliverySection,
    pub http: HttpSection,
    pub egress: EgressSection,
    pub postgres: PostgresSection,
    pub backlog: BacklogSection,
    pub dead_letter: DeadLetterSection,
    pub attempts: AttemptsSection,
    pub replay: ReplaySection,
    pub quotas: Quotas,
    pub admin: AdminSection,
    pub canary: CanarySection,
    pub operator_events: OperatorEventsSection,
    pub secrets: SecretsSection,
    pub log: LogSection,
    pub otlp: OtlpSection,
    /// See [`Config::to_toml`].
    #[serde(skip)]
    effective: String,
    /// See [`Config::warnings`].
    #[serde(skip)]
    warnings: Vec<String>,
}

impl Config {
    /// Lays the file over the defaults and the environment over both, and checks the whole.
    ///
    /// `file` is a name for messages and the text. Of `environment` only `POSTRIDER_…` is looked at; `read_file` serves
    /// the `…_FILE` variables.
    pub fn parse(
        default: &str,
        file: Option<(&str, &str)>,
        environment: impl IntoIterator<Item = (String, String)>,
        read_file: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<Config, ConfigErrors> {
        let mut layers = layers::Layers::of_default(default);
        if let Some((name, text)) = file {
            layers.lay_file(name, text);
        }
        layers.lay_environment(environment, read_file);
        check::check(layers)
    }

    /// Checks the settings that `serve` alone needs: topics and the two keys.
    pub fn ready_to_serve(&self) -> Result<(), ConfigErrors> {
        check::ready_to_serve(self)
    }

    /// Settings that are understood, and should be written in another way.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Every setting with its value, as TOML in the order of the manual; secrets hidden.
    #[must_use]
    pub fn to_toml(&self) -> &str {
        &self.effective
    }
}

#[cfg(test)]
mod tests;
