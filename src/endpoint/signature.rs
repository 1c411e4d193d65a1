//! ○ Standard Webhooks signatures: HMAC-SHA256 over `{id}.{timestamp}.{body}`.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;

/// The key of one `v1` signature. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// Why a text is no signing secret. Never shows the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("signing secret must begin with whsec_")]
    Prefix,
    #[error("signing secret must be base64 after whsec_")]
    Base64,
    #[error("signing secret must decode to 24 to 64 bytes")]
    Length,
}

impl SigningKey {
    /// Of the secret's own bytes, not of its text.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        SigningKey(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Of `whsec_<base64>`, 24 to 64 bytes when decoded.
    pub fn parse(secret: &str) -> Result<Self, SecretError> {
        let encoded = secret.strip_prefix(PREFIX).ok_or(SecretError::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(SecretError::Length);
        }
        Ok(SigningKey::new(&bytes))
    }

    fn tag(&self, id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(part);
        }
        context.sign()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The value of `webhook-signature`: one signature for each key, separated by spaces.
/// `timestamp` is in seconds since 1970.
#[must_use]
pub fn sign(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let timestamp = timestamp.to_string();
    let mut header = String::with_capacity(keys.len() * (SIGNATURE_LEN + 1));
    for key in keys {
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str("v1,");
        STANDARD.encode_string(key.tag(id, &timestamp, body), &mut header);
    }
    header
}

const PREFIX: &str = "whsec_";
/// `v1,` and 32 bytes in base64.
const SIGNATURE_LEN: usize = 47;
