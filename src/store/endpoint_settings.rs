//! ○ Rows of `endpoint`, turned into the settings of an endpoint actor.

use std::sync::Arc;

use super::secrets::EndpointSecrets;
use crate::{
    api::endpoint::EndpointSettings,
    model::{
        settings::{EndpointState, Settings},
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

impl EndpointHead {
    /// Settings for an endpoint actor, from the row and what is stored with it. `wall_ms` decides which secrets of a rotation still sign.
    ///
    /// # Errors
    /// Says which part of the row is not understood, without secrets.
    pub fn parse(self, stored: &EndpointSettings, secrets: &EndpointSecrets, wall_ms: i64) -> Result<Settings, String> {
        let signing_keys: Vec<SigningKey> =
            secrets.signing_keys(wall_ms).map_err(|error| format!("signing secret {error}"))?;
        if signing_keys.is_empty() {
            return Err("it has no signing secret".to_owned());
        }
        Ok(Settings {
            id: Arc::from(self.id),
            customer_id: Arc::from(self.customer_id),
            version: self.version,
            restarts: self.restarts,
            state: parse_state(&self.state).ok_or_else(|| format!("state `{}` is unknown", self.state))?,
            suspended: self.suspended,
            url: EndpointUrl::parse(&self.url).map_err(|error| format!("url {error}"))?,
            delivery: stored.delivery(),
            auth: secrets.auth.parse().map_err(|error| format!("auth {error}"))?,
            tls: secrets.auth.tls(stored.tls.ca.as_deref()).map_err(|error| format!("its TLS {error}"))?,
            signing_keys,
        })
    }
}

/// `enabled`, `paused` or `disabled`.
#[must_use]
pub fn parse_state(word: &str) -> Option<EndpointState> {
    match word {
        "enabled" => Some(EndpointState::Enabled),
        "paused" => Some(EndpointState::Paused),
        "disabled" => Some(EndpointState::Disabled),
        _ => None,
    }
}

/// The word for a state.
#[must_use]
pub fn state_word(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Enabled => "enabled",
        EndpointState::Paused => "paused",
        EndpointState::Disabled => "disabled",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::secrets::{StoredAuth, StoredOAuth2, StoredSigningSecret, signing_secret};
    use crate::{
        api::endpoint::{AuthView, RetrySchedule, RetrySettings},
        model::{
            oauth::ClientStyle,
            settings::{Mode, RateLimit},
        },
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
        let settings = head().parse(&stored, &secrets(), 0).expect("settings");
        assert_eq!(settings.state, EndpointState::Paused);
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
            let settings = head().parse(&EndpointSettings::default(), &secrets, 0).expect("settings");
            let shown = format!("{settings:?} {secrets:?}");
            assert!(!shown.contains("hush") && !shown.contains(&secrets.signing[0].secret[6..]), "{shown}");
        }
    }

    #[test]
    fn a_row_that_is_not_understood_says_which_part() {
        let with_url = EndpointHead { url: "ftp://example.com".to_owned(), ..head() };
        let error = with_url.parse(&EndpointSettings::default(), &secrets(), 0).expect_err("no http");
        assert!(error.starts_with("url "), "{error}");
        let with_state = EndpointHead { state: "asleep".to_owned(), ..head() };
        let error = with_state.parse(&EndpointSettings::default(), &secrets(), 0).expect_err("unknown state");
        assert!(error.contains("asleep"), "{error}");
    }
}
