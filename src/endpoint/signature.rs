//! ○ Standard Webhooks signatures.

/// The key of one `v1` signature. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct SigningKey(ring::hmac::Key);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        SigningKey(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret))
    }
}
