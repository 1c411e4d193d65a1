//! ○ Secrets at rest: XChaCha20-Poly1305 with a nonce from the caller's entropy.
//!
//! **Invariant:** a sealed secret opens only for the endpoint it was sealed for (its id is associated data), so a
//! ciphertext copied to another endpoint's row is worthless.
//!
//! Format: version (1 byte, 1) | key id (1 byte) | nonce (24 bytes) | ciphertext and tag.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};

/// Seals with the first key, opens with any: a new key is put first, and the old one stays until all is
/// [sealed again](super::resealing).
#[derive(Clone)]
pub struct SecretBox {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    /// From the key itself: no one has to number keys.
    id: u8,
    cipher: XChaCha20Poly1305,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    #[error("secrets.key is missing; give 32 random bytes in base64, from `openssl rand -base64 32`")]
    Missing,
    #[error("secrets.key is not base64; make one with `openssl rand -base64 32`")]
    NotBase64,
    #[error("secrets.key must be 32 bytes, it has {0}; make one with `openssl rand -base64 32`")]
    Length(usize),
    #[error("two keys of secrets.key cannot be told apart; make another one with `openssl rand -base64 32`")]
    SameId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("it was sealed by a newer version of this service")]
    Version,
    #[error("it was sealed with key {0:#04x}, which secrets.key does not have")]
    UnknownKey(u8),
    #[error("it was changed, or belongs to another endpoint, or was sealed with another key")]
    NotOurs,
}

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;

impl SecretBox {
    /// `keys`: one key in base64, or several separated by commas, the one to seal with first.
    ///
    /// # Errors
    /// Says what to do.
    pub fn new(keys: &str) -> Result<Self, SecretKeyError> {
        let mut parsed: Vec<Key> = Vec::new();
        for text in keys.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let bytes = BASE64_STANDARD.decode(text).map_err(|_| SecretKeyError::NotBase64)?;
            let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| SecretKeyError::Length(bytes.len()))?;
            let id = ring::digest::digest(&ring::digest::SHA256, &key).as_ref()[0];
            if parsed.iter().any(|other| other.id == id) {
                return Err(SecretKeyError::SameId);
            }
            parsed.push(Key { id, cipher: XChaCha20Poly1305::new(&key.into()) });
        }
        if parsed.is_empty() { Err(SecretKeyError::Missing) } else { Ok(SecretBox { keys: parsed }) }
    }

    /// Seals `secret` for the endpoint `owner`. A nonce must never be used twice: take it from a random source.
    #[must_use]
    pub fn seal(&self, owner: &str, secret: &[u8], nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
        let key = &self.keys[0];
        let payload = Payload { msg: secret, aad: owner.as_bytes() };
        let sealed = key.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.expect("invariant: a secret is far below the cipher's limit of 256 GiB");
        [&self.head()[..], &nonce, &sealed].concat()
    }

    /// The bytes with which all begins that is sealed now.
    #[must_use]
    pub fn head(&self) -> [u8; 2] {
        [VERSION, self.keys[0].id]
    }

    /// True if `sealed` is as it would be sealed now: with the first key.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.head())
    }

    /// Opens what was sealed for `owner`.
    ///
    /// # Errors
    /// When it was not sealed by one of these keys for this owner.
    pub fn open(&self, owner: &str, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (head, rest) = sealed.split_at_checked(2).ok_or(OpenError::NotOurs)?;
        if head[0] != VERSION {
            return Err(OpenError::Version);
        }
        let key = self.keys.iter().find(|key| key.id == head[1]).ok_or(OpenError::UnknownKey(head[1]))?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES).ok_or(OpenError::NotOurs)?;
        let payload = Payload { msg: ciphertext, aad: owner.as_bytes() };
        key.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| OpenError::NotOurs)
    }
}

impl fmt::Debug for SecretBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBox(…)")
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; NONCE_BYTES] = [9; NONCE_BYTES];

    fn key(byte: u8) -> String {
        BASE64_STANDARD.encode([byte; 32])
    }

    fn secret_box() -> SecretBox {
        SecretBox::new(&key(1)).expect("a key")
    }

    #[test]
    fn what_was_sealed_for_an_endpoint_opens_for_it() {
        let sealed = secret_box().seal("ep_a", b"whsec", NONCE);
        assert_eq!(secret_box().open("ep_a", &sealed), Ok(b"whsec".to_vec()));
    }

    #[test]
    fn a_ciphertext_copied_to_another_endpoint_does_not_open() {
        let sealed = secret_box().seal("ep_a", b"whsec", NONCE);
        assert_eq!(secret_box().open("ep_b", &sealed), Err(OpenError::NotOurs));
    }

    #[test]
    fn what_is_stored_does_not_contain_the_secret() {
        let secret = b"correct horse battery staple";
        let sealed = secret_box().seal("ep_a", secret, NONCE);
        assert!(!sealed.windows(8).any(|part| secret.windows(8).any(|plain| plain == part)));
    }

    #[test]
    fn any_changed_bit_is_noticed() {
        let sealed = secret_box().seal("ep_a", b"whsec", NONCE);
        for byte in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[byte] ^= 1;
            assert!(secret_box().open("ep_a", &changed).is_err(), "byte {byte}");
        }
        for len in 0..sealed.len() {
            assert!(secret_box().open("ep_a", &sealed[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn an_old_key_still_opens_and_the_new_one_seals() {
        let old = secret_box().seal("ep_a", b"whsec", NONCE);
        let both = SecretBox::new(&format!("{},{}", key(2), key(1))).expect("two keys");
        assert_eq!(both.open("ep_a", &old), Ok(b"whsec".to_vec()));
        let new = both.seal("ep_a", b"whsec", NONCE);
        assert!(both.is_current(&new) && !both.is_current(&old) && secret_box().is_current(&old));
        assert!(matches!(secret_box().open("ep_a", &new), Err(OpenError::UnknownKey(_))));
    }

    #[test]
    fn a_useless_key_is_refused() {
        assert_eq!(SecretBox::new("").err(), Some(SecretKeyError::Missing));
        assert_eq!(SecretBox::new("not base64!").err(), Some(SecretKeyError::NotBase64));
        assert_eq!(SecretBox::new("AAAA").err(), Some(SecretKeyError::Length(3)));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", secret_box()), "SecretBox(…)");
    }
}
