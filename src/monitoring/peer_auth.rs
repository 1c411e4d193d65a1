//! ○ By which instances know each other: a signature over the moment and the request, with a key that follows from
//! `secrets.key`, which all instances share.
//!
//! **Invariant:** what one instance sends another holds no key of anybody's, and is of use for one request and a minute.

use ring::hmac;

use crate::model::hex;

/// The header it travels in.
pub const HEADER: &str = "x-postrider-peer";
/// The SHA-256 of the body: what was signed is checked by it before the body is read.
pub const DIGEST_HEADER: &str = "x-postrider-peer-digest";
/// Two clocks may differ by this much.
const TOLERANCE_SECONDS: u64 = 60;
const PURPOSE: &[u8] = b"postrider: one instance asks another, version 1";

/// Signs with the first key of `secrets.key`, accepts all of them: so that keys can be changed one instance at a time.
#[derive(Clone)]
pub struct PeerToken(Vec<hmac::Key>);

impl PeerToken {
    /// `keys` as in `secrets.key`.
    #[must_use]
    pub fn new(keys: &str) -> Self {
        let derived = |secret: &str| {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, PURPOSE).as_ref())
        };
        PeerToken(keys.split(',').map(str::trim).filter(|key| !key.is_empty()).map(derived).collect())
    }

    /// For one request: its path with its query, and its body.
    #[must_use]
    pub fn sign(&self, wall_ms: i64, path: &str, body: &[u8]) -> String {
        let seconds = wall_ms.div_euclid(1_000);
        let key = self.0.first().expect("invariant: without secrets.key nothing is served");
        let tag = hmac::sign(key, &signed(seconds, path, &sha256(body)));
        format!("v1,{seconds},{}", hex::encode(tag.as_ref()))
    }

    /// True if another instance of ours has signed this a moment ago.
    #[must_use]
    pub fn is_ours(&self, token: &str, wall_ms: i64, path: &str, body: &[u8]) -> bool {
        self.promises(token, wall_ms, path, &digest_of(body))
    }

    /// True if another instance of ours has signed a request with a body of this digest a moment ago: known before any of
    /// the body was read.
    #[must_use]
    pub fn promises(&self, token: &str, wall_ms: i64, path: &str, body_digest: &str) -> bool {
        let mut parts = token.split(',');
        let (Some("v1"), Some(seconds), Some(tag), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let (Ok(seconds), Some(tag)) = (seconds.parse::<i64>(), hex::decode(tag)) else { return false };
        let Some(digest) = hex::decode(body_digest) else { return false };
        let is_now = wall_ms.div_euclid(1_000).abs_diff(seconds) <= TOLERANCE_SECONDS;
        // `verify` compares in constant time.
        is_now && self.0.iter().any(|key| hmac::verify(key, &signed(seconds, path, &digest), &tag).is_ok())
    }
}

impl std::fmt::Debug for PeerToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerToken(…)")
    }
}

/// A body's digest, as [`DIGEST_HEADER`] carries it.
#[must_use]
pub fn digest_of(body: &[u8]) -> String {
    hex::encode(&sha256(body))
}

fn sha256(body: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, body).as_ref().to_vec()
}

fn signed(seconds: i64, path: &str, digest: &[u8]) -> Vec<u8> {
    [seconds.to_string().as_bytes(), b"\n", path.as_bytes(), b"\n", digest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600_000;

    #[test]
    fn what_was_signed_for_one_request_is_good_for_it_alone_and_for_a_minute() {
        let ours = PeerToken::new("first, second");
        let token = ours.sign(NOW, "/peer/actors?q=a", b"{}");
        assert!(ours.is_ours(&token, NOW + 59_000, "/peer/actors?q=a", b"{}"));
        assert!(!ours.is_ours(&token, NOW + 62_000, "/peer/actors?q=a", b"{}"));
        assert!(!ours.is_ours(&token, NOW - 62_000, "/peer/actors?q=a", b"{}"));
        assert!(!ours.is_ours(&token, NOW, "/peer/actors", b"{}"));
        assert!(!ours.is_ours(&token, NOW, "/peer/actors?q=a", b"[]"));
    }

    #[test]
    fn a_request_is_known_by_its_bodys_digest_before_the_body_is_there() {
        let ours = PeerToken::new("key");
        let token = ours.sign(NOW, "/peer/endpoints", b"[]");
        assert!(ours.promises(&token, NOW, "/peer/endpoints", &digest_of(b"[]")));
        for wrong in [digest_of(b"{}"), String::new(), "zz".to_owned()] {
            assert!(!ours.promises(&token, NOW, "/peer/endpoints", &wrong), "{wrong}");
        }
    }

    #[test]
    fn while_keys_are_changed_instances_with_either_order_know_each_other() {
        let (old, both) = (PeerToken::new("old"), PeerToken::new("new,old"));
        assert!(both.is_ours(&old.sign(NOW, "/", b""), NOW, "/", b""));
        assert!(
            !old.is_ours(&both.sign(NOW, "/", b""), NOW, "/", b""),
            "the new key goes to all instances first as second"
        );
        assert!(!PeerToken::new("other").is_ours(&old.sign(NOW, "/", b""), NOW, "/", b""));
    }

    #[test]
    fn what_is_no_token_is_none() {
        let ours = PeerToken::new("key");
        let good = ours.sign(NOW, "/", b"");
        for token in
            ["", "v1", "v1,,", "v2,1,ab", "v1,1767225600,zz", "v1,1767225600,abc", &format!("{good},x"), &good[..40]]
        {
            assert!(!ours.is_ours(token, NOW, "/", b""), "{token}");
        }
        assert!(!format!("{ours:?}").contains("key"));
    }
}
