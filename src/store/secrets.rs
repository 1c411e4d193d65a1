//! ○ Secrets of an endpoint, as they are sealed: for its authentication of us, and the keys that sign.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::model::{
    oauth::{ClientStyle, OAuth2},
    settings::Auth,
    signature::SigningKey,
    tls_identity::TlsIdentity,
    url::EndpointUrl,
};

/// Everything of an endpoint that never leaves the database in the clear. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecrets {
    pub auth: StoredAuth,
    /// The newest first. Never empty.
    pub signing: Vec<StoredSigningSecret>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StoredAuth {
    None,
    Basic {
        username: String,
        password: String,
    },
    Bearer {
        token: String,
    },
    Headers {
        headers: Vec<(String, String)>,
    },
    #[serde(rename = "oauth2")]
    OAuth2(StoredOAuth2),
    /// Both PEM.
    MutualTls {
        certificate: String,
        key: String,
    },
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOAuth2 {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: String,
    pub scope: Option<String>,
    pub audience: Option<String>,
    pub style: ClientStyle,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSigningSecret {
    /// `whsec_…`
    pub secret: String,
    /// During a rotation the old secret goes on signing until then (milliseconds since 1970).
    pub expires_ms: Option<i64>,
}

/// The reason why a signing secret is refused. Says nothing of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningSecretError {
    #[error("must begin with whsec_")]
    Prefix,
    #[error("must be base64 after whsec_")]
    NotBase64,
    #[error("must be 24 to 64 bytes long, before base64")]
    Length,
}

/// Secrets that sign at once: the newest, and those before it until they expire.
pub const SIGNING_SECRETS_MAX: usize = 3;

impl EndpointSecrets {
    /// The keys that sign at `wall_ms`: the newest always, older ones until they expire.
    ///
    /// # Errors
    /// When a stored secret is not one.
    pub fn signing_keys(&self, wall_ms: i64) -> Result<Vec<SigningKey>, SigningSecretError> {
        self.current(wall_ms).map(|stored| signing_bytes(&stored.secret).map(|bytes| SigningKey::new(&bytes))).collect()
    }

    /// Puts `secret` first; those before it go on signing until `expires_ms`, or as long as they were to before.
    ///
    /// # Errors
    /// When more than [`SIGNING_SECRETS_MAX`] would sign: none is ended before its time.
    pub fn rotate(&mut self, secret: String, wall_ms: i64, expires_ms: i64) -> Result<(), TooManySecrets> {
        let kept = self.current(wall_ms).filter(|old| old.secret != secret).map(|old| StoredSigningSecret {
            secret: old.secret.clone(),
            expires_ms: Some(old.expires_ms.unwrap_or(expires_ms).min(expires_ms)),
        });
        let kept: Vec<_> = kept.filter(|old| old.expires_ms.is_some_and(|expires| wall_ms < expires)).collect();
        if kept.len() >= SIGNING_SECRETS_MAX {
            let until_ms = kept.iter().filter_map(|old| old.expires_ms).min().unwrap_or(expires_ms);
            return Err(TooManySecrets { until_ms });
        }
        self.signing = std::iter::once(StoredSigningSecret { secret, expires_ms: None }).chain(kept).collect();
        Ok(())
    }

    fn current(&self, wall_ms: i64) -> impl Iterator<Item = &StoredSigningSecret> {
        self.signing
            .iter()
            .enumerate()
            .filter(move |(place, stored)| *place == 0 || stored.expires_ms.is_none_or(|expires| wall_ms < expires))
            .map(|(_, stored)| stored)
    }

    /// The bytes that are sealed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: strings and numbers are always JSON")
    }
}

/// Too many secrets sign already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManySecrets {
    /// End of the next of them: milliseconds since 1970.
    pub until_ms: i64,
}

impl fmt::Debug for EndpointSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointSecrets(…)")
    }
}

impl StoredAuth {
    /// The TLS that an endpoint needs: by its authentication, and with these authorities (PEM).
    ///
    /// # Errors
    /// Says what is not understood, without secrets.
    pub fn tls(&self, authorities: Option<&str>) -> Result<Option<Arc<TlsIdentity>>, String> {
        let certificate = match self {
            StoredAuth::MutualTls { certificate, key } => Some((certificate.as_str(), key.as_str())),
            _ => None,
        };
        let identity = TlsIdentity::parse(certificate, authorities).map_err(|error| error.to_string())?;
        Ok(identity.map(Arc::new))
    }

    /// As an endpoint actor needs it.
    ///
    /// # Errors
    /// Says what is not understood, without secrets.
    pub fn parse(&self) -> Result<Auth, String> {
        let secret = |text: &String| SecretString::from(text.clone());
        Ok(match self {
            StoredAuth::None => Auth::None,
            StoredAuth::Basic { username, password } => {
                Auth::Basic { username: username.clone(), password: secret(password) }
            }
            StoredAuth::Bearer { token } => Auth::Bearer { token: secret(token) },
            StoredAuth::Headers { headers } => {
                Auth::Headers(headers.iter().map(|(name, value)| (name.clone(), secret(value))).collect())
            }
            StoredAuth::OAuth2(stored) => Auth::OAuth2(Arc::new(OAuth2 {
                token_url: EndpointUrl::parse(&stored.token_url).map_err(|error| format!("token_url {error}"))?,
                client_id: stored.client_id.clone(),
                client_secret: secret(&stored.client_secret),
                scope: stored.scope.clone(),
                audience: stored.audience.clone(),
                style: stored.style,
            })),
            StoredAuth::MutualTls { .. } => Auth::MutualTls,
        })
    }
}

/// A signing secret from 32 random bytes, in the form customers know: `whsec_…`
#[must_use]
pub fn signing_secret(entropy: [u8; 32]) -> String {
    format!("{SIGNING_PREFIX}{}", BASE64_STANDARD.encode(entropy))
}

/// The bytes of a `whsec_…` secret.
///
/// # Errors
/// When it is none.
pub fn signing_bytes(secret: &str) -> Result<Vec<u8>, SigningSecretError> {
    let encoded = secret.strip_prefix(SIGNING_PREFIX).ok_or(SigningSecretError::Prefix)?;
    let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| SigningSecretError::NotBase64)?;
    if (24..=64).contains(&bytes.len()) { Ok(bytes) } else { Err(SigningSecretError::Length) }
}

const SIGNING_PREFIX: &str = "whsec_";

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> String {
        signing_secret([byte; 32])
    }

    fn secrets() -> EndpointSecrets {
        EndpointSecrets {
            auth: StoredAuth::Bearer { token: "hush".to_owned() },
            signing: vec![StoredSigningSecret { secret: secret(1), expires_ms: None }],
        }
    }

    #[test]
    fn both_secrets_sign_during_a_rotation_and_the_old_one_ends() {
        let mut secrets = secrets();
        assert_eq!(secrets.rotate(secret(2), 0, 1_000), Ok(()));
        assert_eq!(secrets.signing[0].secret, secret(2));
        assert_eq!(secrets.signing_keys(999).map(|keys| keys.len()), Ok(2));
        assert_eq!(secrets.signing_keys(1_000).map(|keys| keys.len()), Ok(1));
    }

    #[test]
    fn a_rotation_that_would_end_a_secret_before_its_time_is_refused() {
        let mut secrets = secrets();
        assert_eq!(secrets.rotate(secret(2), 0, 2_000), Ok(()));
        assert_eq!(secrets.rotate(secret(3), 0, 1_000), Ok(()));
        assert_eq!(secrets.rotate(secret(4), 999, 5_000), Err(TooManySecrets { until_ms: 1_000 }));
        assert_eq!(secrets.signing_keys(999).map(|keys| keys.len()), Ok(3), "all of them go on");
        assert_eq!(secrets.rotate(secret(4), 1_000, 5_000), Ok(()));
        assert_eq!(secrets.signing.len(), SIGNING_SECRETS_MAX - 1, "both of the older ones ended");
        assert_eq!(secrets.rotate(secret(5), 1_000, 5_000), Ok(()));
        assert_eq!(secrets.rotate(secret(6), 1_000, 1_000), Ok(()), "without an overlap, the older ones end at once");
        assert_eq!(secrets.signing.len(), 1);
    }

    #[test]
    fn rotating_to_the_secret_in_use_changes_nothing() {
        let mut secrets = secrets();
        let before = secrets.clone();
        assert_eq!(secrets.rotate(secret(1), 0, 1_000), Ok(()));
        assert!(secrets == before);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", secrets()), "EndpointSecrets(…)");
    }

    #[test]
    fn only_standard_webhooks_secrets_are_taken() {
        assert_eq!(signing_bytes(&secret(3)), Ok(vec![3; 32]));
        assert_eq!(signing_bytes("sk_abc"), Err(SigningSecretError::Prefix));
        assert_eq!(signing_bytes("whsec_%%"), Err(SigningSecretError::NotBase64));
        assert_eq!(signing_bytes("whsec_YWJj"), Err(SigningSecretError::Length));
    }
}
