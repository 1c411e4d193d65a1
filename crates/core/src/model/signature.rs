//! ○ Standard Webhooks signatures: HMAC-SHA256 over `{id}.{timestamp}.{body}`.
//!
//! By ring: 690 ns for a 600-byte body, on a CPU with SHA extensions; RustCrypto took 630 ns there, and half as long
//! again as ring on a CPU without them.

use std::{fmt, io::Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;
use subtle::ConstantTimeEq;

/// The key of one `v1` signature. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// The reason why a text is no signing secret. Never shows the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("signing secret must begin with whsec_, followed by 24 to 64 bytes in base64")]
    Prefix,
    #[error("signing secret must be standard base64 (with its padding) after whsec_")]
    Base64,
    #[error("signing secret must decode to 24 to 64 bytes, not {0}")]
    Length(usize),
}

/// The reason why a receiver must not trust a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("webhook-timestamp is not a number of seconds")]
    Timestamp,
    #[error("webhook-timestamp is more than five minutes from now; check both clocks, or drop it as a replay")]
    NotNow,
    #[error("no signature in webhook-signature is of this secret and this request")]
    Mismatch,
}

impl SigningKey {
    /// Key of the secret's own bytes, not of its text.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        SigningKey(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Reads `whsec_<base64>`, 24 to 64 bytes when decoded. Raw text is refused: a secret that was meant as base64 and
    /// taken as text would sign with a key that no receiver derives.
    pub fn parse(secret: &str) -> Result<Self, SecretError> {
        let encoded = secret.strip_prefix(SECRET_PREFIX).ok_or(SecretError::Prefix)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError::Base64)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(SecretError::Length(bytes.len()));
        }
        Ok(SigningKey::new(&bytes))
    }

    fn tag(&self, id: &str, timestamp: &[u8], body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [id.as_bytes(), b".", timestamp, b".", body] {
            context.update(part);
        }
        context.sign()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The value of `webhook-signature`: one signature for each key, separated by spaces.
/// `id` has no `.` and `timestamp` is in seconds since 1970.
#[must_use]
pub fn sign(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    debug_assert!(!id.contains('.'), "a dot would move the border between id and timestamp");
    let mut digits = [0_u8; 20];
    let mut left = &mut digits[..];
    write!(left, "{timestamp}").expect("an i64 has at most 20 characters");
    let unused = left.len();
    let timestamp = &digits[..20 - unused];

    let mut header = String::with_capacity(keys.len() * (SIGNATURE_LEN + 1));
    for key in keys {
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str("v1,");
        STANDARD.encode_string(key.tag(id, timestamp, body), &mut header);
    }
    header
}

/// Verifies a request as a receiver does: `id`, `timestamp` and `signature` are the three `webhook-…` headers as they
/// came, `now` is in seconds since 1970.
pub fn verify(
    keys: &[SigningKey],
    id: &str,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: i64,
) -> Result<(), VerifyError> {
    let seconds: i64 = timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    if now.abs_diff(seconds) > TOLERANCE_SECONDS {
        return Err(VerifyError::NotNow);
    }
    let given = signature.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
    let given: Vec<Vec<u8>> = given.collect();
    for key in keys {
        let tag = key.tag(id, timestamp.as_bytes(), body);
        // In constant time, or the answer's delay would tell how much of a guess was right.
        if given.iter().any(|given| bool::from(given.as_slice().ct_eq(tag.as_ref()))) {
            return Ok(());
        }
    }
    Err(VerifyError::Mismatch)
}

const SECRET_PREFIX: &str = "whsec_";
/// `v1,` and 32 bytes in base64.
const SIGNATURE_LEN: usize = 47;
/// As the specification advises: old enough for a slow network, young enough against a replay.
const TOLERANCE_SECONDS: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const AT: i64 = 1_614_265_330;

    fn key() -> SigningKey {
        SigningKey::parse(SECRET).unwrap()
    }

    fn other() -> SigningKey {
        SigningKey::new(&[9; 32])
    }

    /// The specification's own example; computed again with OpenSSL.
    #[test]
    fn a_signature_is_what_the_specification_says() {
        assert_eq!(sign(&[key()], ID, AT, BODY), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    /// Computed with Python's hmac.
    #[test]
    fn an_empty_body_and_a_time_before_1970_are_signed_too() {
        let key = SigningKey::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        assert_eq!(sign(&[key], "evt_1", -1, b""), "v1,hPGSFV2ro91a8eWT1tl8cxjs6G66TT61lHTvjDHNIvY=");
    }

    #[test]
    fn during_a_rotation_every_key_signs_and_each_alone_verifies() {
        let header = sign(&[key(), other()], ID, AT, BODY);
        assert_eq!(header.split(' ').count(), 2);
        for key in [key(), other()] {
            assert_eq!(verify(&[key], ID, &AT.to_string(), &header, BODY, AT), Ok(()));
        }
        assert_eq!(sign(&[], ID, AT, BODY), "");
    }

    #[track_caller]
    fn check(id: &str, timestamp: &str, signature: &str, body: &[u8], now: i64, expected: Result<(), VerifyError>) {
        assert_eq!(verify(&[key()], id, timestamp, signature, body, now), expected);
    }

    #[test]
    fn whatever_was_changed_does_not_verify() {
        let good = sign(&[key()], ID, AT, BODY);
        let at = AT.to_string();
        check(ID, &at, &good, BODY, AT, Ok(()));
        check(ID, &at, &format!("v1a,xyz v1,AAAA  {good} v2,{}", &good[3..]), BODY, AT, Ok(()));
        check(ID, &at, &good, br#"{"test": 2432232315}"#, AT, Err(VerifyError::Mismatch));
        check("msg_other", &at, &good, BODY, AT, Err(VerifyError::Mismatch));
        check(ID, &(AT + 1).to_string(), &good, BODY, AT, Err(VerifyError::Mismatch));
        check(ID, &at, &good[3..], BODY, AT, Err(VerifyError::Mismatch));
        check(ID, &at, &format!("v2,{}", &good[3..]), BODY, AT, Err(VerifyError::Mismatch));
        check(ID, &at, "", BODY, AT, Err(VerifyError::Mismatch));
        check(ID, &at, "v1,", BODY, AT, Err(VerifyError::Mismatch));
        check(ID, &at, &sign(&[other()], ID, AT, BODY), BODY, AT, Err(VerifyError::Mismatch));
    }

    #[test]
    fn a_request_of_another_time_does_not_verify() {
        let good = sign(&[key()], ID, AT, BODY);
        let at = AT.to_string();
        check(ID, &at, &good, BODY, AT + 300, Ok(()));
        check(ID, &at, &good, BODY, AT - 300, Ok(()));
        check(ID, &at, &good, BODY, AT + 301, Err(VerifyError::NotNow));
        check(ID, &at, &good, BODY, AT - 301, Err(VerifyError::NotNow));
        check(ID, &i64::MIN.to_string(), &good, BODY, AT, Err(VerifyError::NotNow));
        check(ID, "soon", &good, BODY, AT, Err(VerifyError::Timestamp));
        check(ID, "", &good, BODY, AT, Err(VerifyError::Timestamp));
    }

    #[track_caller]
    fn check_secret(text: &str, expected: Result<(), SecretError>) {
        assert_eq!(SigningKey::parse(text).map(|_| ()), expected);
    }

    #[test]
    fn a_secret_is_24_to_64_bytes_in_base64_behind_its_prefix() {
        let of_len = |len: usize| format!("whsec_{}", STANDARD.encode(vec![1; len]));
        check_secret(SECRET, Ok(()));
        check_secret(&of_len(64), Ok(()));
        check_secret(&of_len(23), Err(SecretError::Length(23)));
        check_secret(&of_len(65), Err(SecretError::Length(65)));
        check_secret("whsec_", Err(SecretError::Length(0)));
        check_secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Err(SecretError::Prefix));
        check_secret("", Err(SecretError::Prefix));
        check_secret("whsec_not base64 at all, but long enough", Err(SecretError::Base64));
        check_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS_", Err(SecretError::Base64));
    }

    #[test]
    fn neither_a_key_nor_an_error_shows_the_secret() {
        let text = format!("{:?} {:?}", key(), SigningKey::parse("whsec_geheim!").unwrap_err());
        assert_eq!(text, "SigningKey(…) Base64");
    }
}
