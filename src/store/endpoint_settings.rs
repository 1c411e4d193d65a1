//! ○ Rows of `endpoint`, turned into the settings of an endpoint actor.

use std::{sync::Arc, time::Duration};

use super::secrets::EndpointSecrets;
use crate::{
    api::endpoint::{DeliveryMode, EndpointSettings, RetrySchedule},
    model::{
        settings::{Breaker, DeliverySettings, Mode, RateLimit, Retry, Schedule, Settings, State},
        signature::SigningKey,
        url::EndpointUrl,
    },
};

/// The row of `endpoint` beside its settings.
#[derive(Debug, Clone)]
pub struct EndpointHead {
    pub id: String,
    pub customer_id: String,
    pub version: i64,
    pub restarts: i64,
    pub state: String,
    pub suspended: bool,
    pub url: String,
}

impl EndpointSettings {
    /// Settings for an endpoint actor. `wall_ms` decides which secrets of a rotation still sign.
    ///
    /// # Errors
    /// Says which part of the row is not understood, without secrets.
    pub fn parse(&self, head: EndpointHead, secrets: &EndpointSecrets, wall_ms: i64) -> Result<Settings, String> {
        let signing_keys: Vec<SigningKey> =
            secrets.signing_keys(wall_ms).map_err(|error| format!("signing secret {error}"))?;
        if signing_keys.is_empty() {
            return Err("it has no signing secret".to_owned());
        }
        Ok(Settings {
            id: Arc::from(head.id),
            customer_id: Arc::from(head.customer_id),
            version: head.version,
            restarts: head.restarts,
            state: parse_state(&head.state).ok_or_else(|| format!("state `{}` is unknown", head.state))?,
            suspended: head.suspended,
            url: EndpointUrl::parse(&head.url).map_err(|error| format!("url {error}"))?,
            delivery: self.delivery(),
            auth: secrets.auth.parse().map_err(|error| format!("auth {error}"))?,
            tls: secrets.auth.tls(self.tls.ca.as_deref()).map_err(|error| format!("its TLS {error}"))?,
            signing_keys,
        })
    }

    /// Settings of delivery. A zero where it would stop delivery counts as one.
    #[must_use]
    pub fn delivery(&self) -> DeliverySettings {
        DeliverySettings {
            mode: match self.mode {
                DeliveryMode::Stream => Mode::Stream,
                DeliveryMode::Batch => Mode::Batch {
                    events_max: self.batch.events_max.max(1),
                    bytes_max: self.batch.bytes_max.max(1),
                    wait: ms(self.batch.wait_ms_max),
                },
            },
            format: self.format,
            batch_format: self.batch_format,
            ordering: self.ordering,
            in_flight_max: self.in_flight_max.max(1),
            rate_limit: self.rate_limit.map(|limit| RateLimit {
                events_per_second: limit.events_per_second.max(1),
                burst_events: limit.burst_events.max(1),
            }),
            retry: Retry {
                attempts_max: self.retry.attempts_max.map(|attempts| attempts.max(1)),
                schedule: match &self.retry.schedule {
                    RetrySchedule::Explicit { schedule_ms } => {
                        Schedule::Explicit(schedule_ms.iter().copied().map(ms).collect())
                    }
                    RetrySchedule::Exponential { base_ms, max_ms } => {
                        Schedule::Exponential { base: ms(*base_ms), max: ms(*max_ms) }
                    }
                },
            },
            breaker: Breaker {
                consecutive_failures: self.breaker.consecutive_failures.max(1),
                failure_ratio: self.breaker.failure_ratio,
                requests_min: self.breaker.requests_min.max(1),
                window: ms(self.breaker.window_ms),
                open_base: ms(self.breaker.open_base_ms),
                open_max: ms(self.breaker.open_max_ms),
            },
            request_timeout: ms(self.request_timeout_ms),
        }
    }
}

/// `enabled`, `paused` or `disabled`.
#[must_use]
pub fn parse_state(word: &str) -> Option<State> {
    match word {
        "enabled" => Some(State::Enabled),
        "paused" => Some(State::Paused),
        "disabled" => Some(State::Disabled),
        _ => None,
    }
}

/// The word for a state.
#[must_use]
pub fn state_word(state: State) -> &'static str {
    match state {
        State::Enabled => "enabled",
        State::Paused => "paused",
        State::Disabled => "disabled",
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::secrets::{StoredAuth, StoredOAuth2, StoredSigningSecret, signing_secret};
    use crate::{
        api::endpoint::{AuthView, RetrySettings},
        model::oauth::ClientStyle,
    };

    fn secrets() -> EndpointSecrets {
        let secret = signing_secret([1; 32]);
        EndpointSecrets { auth: StoredAuth::None, signing: vec![StoredSigningSecret { secret, expires_ms: None }] }
    }

    fn head() -> EndpointHead {
        EndpointHead {
            id: "ep_1".to_owned(),
            customer_id: "cus_1".to_owned(),
            version: 7,
            restarts: 0,
            state: "paused".to_owned(),
            suspended: false,
            url: "https://example.com/hook".to_owned(),
        }
    }

    #[test]
    fn what_is_stored_comes_back_as_it_was() {
        let explicit =
            RetrySettings { attempts_max: Some(3), schedule: RetrySchedule::Explicit { schedule_ms: vec![5, 50] } };
        for retry in [RetrySettings::default(), explicit] {
            let stored = EndpointSettings {
                retry,
                rate_limit: Some(RateLimit { events_per_second: 5, burst_events: 10 }),
                auth: AuthView::Headers { names: vec!["x-key".to_owned()] },
                ..EndpointSettings::default()
            };
            let json = serde_json::to_value(&stored).expect("json");
            assert_eq!(serde_json::from_value::<EndpointSettings>(json).expect("settings"), stored);
        }
    }

    #[test]
    fn a_row_of_an_older_or_newer_version_is_still_understood() {
        let json = serde_json::json!({"mode": "batch", "of_a_newer_version": true});
        let stored: EndpointSettings = serde_json::from_value(json).expect("settings");
        let settings = stored.parse(head(), &secrets(), 0).expect("settings");
        assert_eq!(settings.state, State::Paused);
        assert_eq!(
            settings.delivery.mode,
            Mode::Batch { events_max: 1_000, bytes_max: 1_048_576, wait: Duration::from_secs(1) }
        );
    }

    #[test]
    fn debug_of_an_endpoint_shows_none_of_its_secrets() {
        let hush = || "hush-hush".to_owned();
        let auths = [
            StoredAuth::Basic { username: "ann".to_owned(), password: hush() },
            StoredAuth::Bearer { token: hush() },
            StoredAuth::Headers { headers: vec![("x-key".to_owned(), hush())] },
            StoredAuth::OAuth2(StoredOAuth2 {
                token_url: "https://id.example/".to_owned(),
                client_id: "ann".to_owned(),
                client_secret: hush(),
                scope: None,
                audience: None,
                style: ClientStyle::Basic,
            }),
        ];
        for auth in auths {
            let secrets = EndpointSecrets { auth, ..secrets() };
            let settings = EndpointSettings::default().parse(head(), &secrets, 0).expect("settings");
            let shown = format!("{settings:?} {secrets:?}");
            assert!(!shown.contains("hush") && !shown.contains(&secrets.signing[0].secret[6..]), "{shown}");
        }
    }

    #[test]
    fn a_row_that_is_not_understood_says_which_part() {
        let with_url = EndpointHead { url: "ftp://example.com".to_owned(), ..head() };
        let error = EndpointSettings::default().parse(with_url, &secrets(), 0).expect_err("no http");
        assert!(error.starts_with("url "), "{error}");
        let with_state = EndpointHead { state: "asleep".to_owned(), ..head() };
        let error = EndpointSettings::default().parse(with_state, &secrets(), 0).expect_err("unknown state");
        assert!(error.contains("asleep"), "{error}");
    }
}
