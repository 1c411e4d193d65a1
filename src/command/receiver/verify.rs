//! ○ Standard Webhooks as a customer verifies it. Written from the specification and apart from the code that signs, so
//! that a mistake there cannot hide here.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;

/// The secrets that an endpoint shares with its customer; any of them may have signed.
pub(crate) struct Verifier {
    keys: Vec<hmac::Key>,
}

/// The reason why a request must not be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSignature {
    #[error("webhook-id, webhook-timestamp or webhook-signature is missing")]
    Missing,
    #[error("webhook-timestamp is not a time within 5 minutes")]
    Timestamp,
    #[error("no signature matches")]
    NoMatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and base64")]
pub(crate) struct NotASecret;

/// An older or newer request may be somebody else's copy of one.
const TOLERANCE_S: i64 = 300;

impl Verifier {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, NotASecret> {
        let key = |secret: &str| {
            let bytes =
                BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).map_err(|_| NotASecret)?;
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        };
        Ok(Verifier { keys: secrets.into_iter().map(key).collect::<Result<_, _>>()? })
    }

    /// `now_s`: seconds since 1970.
    pub(crate) fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now_s: i64,
    ) -> Result<(), BadSignature> {
        if id.is_empty() || timestamp.is_empty() || signatures.is_empty() {
            return Err(BadSignature::Missing);
        }
        let sent_s: i64 = timestamp.parse().map_err(|_| BadSignature::Timestamp)?;
        if sent_s.abs_diff(now_s) > TOLERANCE_S.unsigned_abs() {
            return Err(BadSignature::Timestamp);
        }
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        let given =
            signatures.split(' ').filter_map(|signature| BASE64_STANDARD.decode(signature.strip_prefix("v1,")?).ok());
        for signature in given {
            if self.keys.iter().any(|key| hmac::verify(key, &signed, &signature).is_ok()) {
                return Ok(());
            }
        }
        Err(BadSignature::NoMatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example that the reference libraries of Standard Webhooks test with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: &str = "1614265330";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    const NOW: i64 = 1_614_265_330;

    fn verify(id: &str, time: &str, signatures: &str, body: &[u8], now_s: i64) -> Result<(), BadSignature> {
        Verifier::new([SECRET]).unwrap().verify(id, time, signatures, body, now_s)
    }

    #[test]
    fn the_specifications_example_is_good() {
        assert_eq!(verify(ID, TIME, SIGNATURE, BODY, NOW), Ok(()));
    }

    #[test]
    fn one_good_signature_among_several_is_enough() {
        let both = format!("v1,AAAA v1a,xyz {SIGNATURE}");
        assert_eq!(verify(ID, TIME, &both, BODY, NOW), Ok(()));
    }

    #[test]
    fn anything_changed_is_bad() {
        assert_eq!(verify("msg_other", TIME, SIGNATURE, BODY, NOW), Err(BadSignature::NoMatch));
        assert_eq!(verify(ID, "1614265331", SIGNATURE, BODY, NOW), Err(BadSignature::NoMatch));
        assert_eq!(verify(ID, TIME, SIGNATURE, b"{}", NOW), Err(BadSignature::NoMatch));
    }

    #[test]
    fn an_old_request_is_bad_however_well_signed() {
        assert_eq!(verify(ID, TIME, SIGNATURE, BODY, NOW + 301), Err(BadSignature::Timestamp));
        assert_eq!(verify(ID, TIME, SIGNATURE, BODY, NOW - 301), Err(BadSignature::Timestamp));
    }

    #[test]
    fn an_unsigned_request_is_bad() {
        assert_eq!(verify(ID, TIME, "", BODY, NOW), Err(BadSignature::Missing));
    }
}
