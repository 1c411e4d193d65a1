//! ○ The TLS identity of one endpoint's connections: a client certificate, authorities of the customer's own, or both.
//!
//! Connections are told apart by their host alone, so two endpoints of one host with different identities must not share
//! them: [`TlsIdentity::fingerprint`] tells whose they are.

use std::{fmt, sync::Arc};

use rustls::{
    RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

/// A client certificate and authorities for an endpoint's connections. Its `Debug` shows no key.
pub struct TlsIdentity {
    fingerprint: Fingerprint,
    certificate: Option<Arc<CertifiedKey>>,
    authorities: Vec<CertificateDer<'static>>,
}

/// SHA-256 of everything an identity is made of.
pub type Fingerprint = [u8; 32];

/// The reason why a PEM text is refused. Goes on after the field's name, and quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("must be PEM: one or more blocks that begin with -----BEGIN CERTIFICATE-----")]
    NoCertificates,
    #[error("must hold at most {CERTIFICATES_MAX} certificates")]
    TooMany,
    #[error("holds a certificate that cannot be read")]
    Unreadable,
    #[error("must be PEM: an unencrypted private key (PKCS #8, PKCS #1 or SEC 1)")]
    NoKey,
    #[error("is a private key of an unknown kind; RSA, ECDSA and Ed25519 are known")]
    UnknownKey,
    #[error("does not belong to the first certificate")]
    OtherKey,
}

/// Certificates in one PEM text.
pub const CERTIFICATES_MAX: usize = 16;

impl TlsIdentity {
    /// `certificate` is a chain, its own certificate first, and its key; `authorities` are trusted in addition to the machine's.
    /// `None` when there is neither.
    ///
    /// # Errors
    /// When a text is not what it should be.
    pub fn parse(
        certificate: Option<(&str, &str)>,
        authorities: Option<&str>,
    ) -> Result<Option<TlsIdentity>, IdentityError> {
        if certificate.is_none() && authorities.is_none() {
            return Ok(None);
        }
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        for text in [certificate.map(|(chain, _)| chain), certificate.map(|(_, key)| key), authorities] {
            // With its length before it, so that no text can pass for another's end.
            let bytes = text.unwrap_or_default().as_bytes();
            digest.update(&bytes.len().to_be_bytes());
            digest.update(bytes);
        }
        let fingerprint = digest.finish().as_ref().try_into().expect("SHA-256 has 32 bytes");
        let certificate = certificate.map(|(chain, key)| certified_key(chain, key)).transpose()?.map(Arc::new);
        let authorities = authorities.map(parse_authorities).transpose()?.unwrap_or_default();
        Ok(Some(TlsIdentity { fingerprint, certificate, authorities }))
    }

    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    #[must_use]
    pub fn certificate(&self) -> Option<&Arc<CertifiedKey>> {
        self.certificate.as_ref()
    }

    #[must_use]
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity(…)")
    }
}

/// The certificates of a PEM text, in their order.
///
/// # Errors
/// When it holds none, too many, or something else between its markers.
pub fn parse_certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let parsed = CertificateDer::pem_slice_iter(pem.as_bytes()).take(CERTIFICATES_MAX + 1);
    let certificates = parsed.collect::<Result<Vec<_>, _>>().map_err(|_| IdentityError::NoCertificates)?;
    match certificates.len() {
        0 => Err(IdentityError::NoCertificates),
        1..=CERTIFICATES_MAX => Ok(certificates),
        _ => Err(IdentityError::TooMany),
    }
}

/// Certificates of authorities, each readable.
///
/// # Errors
/// See [`parse_certificates`].
pub fn parse_authorities(pem: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let certificates = parse_certificates(pem)?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|_| IdentityError::Unreadable)?;
    }
    Ok(certificates)
}

/// A private key of a kind that can sign.
///
/// # Errors
/// When it is none.
pub fn parse_key(pem: &str) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| IdentityError::NoKey)?;
    default_provider().key_provider.load_private_key(key.clone_key()).map_err(|_| IdentityError::UnknownKey)?;
    Ok(key)
}

/// A chain and the key of its first certificate.
///
/// # Errors
/// When one cannot be read, or the key is another's.
pub fn certified_key(chain: &str, key: &str) -> Result<CertifiedKey, IdentityError> {
    let (chain, key) = (parse_certificates(chain)?, parse_key(key)?);
    CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => IdentityError::OtherKey,
        _ => IdentityError::Unreadable,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn made() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["client".to_owned()]).expect("a name").self_signed(&key);
        (certificate.expect("a certificate").pem(), key.serialize_pem())
    }

    fn parse(certificate: &str, key: &str) -> Result<Fingerprint, IdentityError> {
        let identity = TlsIdentity::parse(Some((certificate, key)), None)?.expect("an identity");
        Ok(*identity.fingerprint())
    }

    #[test]
    fn a_certificate_needs_the_key_that_belongs_to_it() {
        let ((certificate, key), (other_certificate, other_key)) = (made(), made());
        assert!(parse(&certificate, &key).is_ok());
        assert_eq!(parse(&certificate, &other_key), Err(IdentityError::OtherKey));
        // A chain: the first one is ours.
        assert!(parse(&format!("{certificate}{other_certificate}"), &key).is_ok());
        assert_eq!(parse(&format!("{other_certificate}{certificate}"), &key), Err(IdentityError::OtherKey));
    }

    #[test]
    fn what_is_no_certificate_or_no_key_is_refused_and_not_quoted() {
        let (certificate, key) = made();
        for wrong in ["", "geheim", &key, "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"] {
            assert_eq!(parse(wrong, &key), Err(IdentityError::NoCertificates), "{wrong}");
        }
        let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(parse(empty, &key), Err(IdentityError::Unreadable));
        assert_eq!(TlsIdentity::parse(None, Some(empty)).err(), Some(IdentityError::Unreadable));
        assert_eq!(parse(&certificate.repeat(17), &key), Err(IdentityError::TooMany));
        for wrong in [
            "",
            "geheim",
            &certificate,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ] {
            assert_eq!(parse(&certificate, wrong), Err(IdentityError::NoKey), "{wrong}");
        }
        let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(parse(&certificate, nonsense), Err(IdentityError::UnknownKey));
    }

    #[test]
    fn whatever_differs_is_another_identity() {
        let ((certificate, key), (other, other_key)) = (made(), made());
        let fingerprint = |certificate: Option<(&str, &str)>, authorities: Option<&str>| {
            *TlsIdentity::parse(certificate, authorities).expect("readable").expect("an identity").fingerprint()
        };
        let all = [
            fingerprint(Some((&certificate, &key)), None),
            fingerprint(Some((&other, &other_key)), None),
            fingerprint(Some((&certificate, &key)), Some(&other)),
            fingerprint(None, Some(&other)),
            fingerprint(None, Some(&certificate)),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(fingerprint(Some((&certificate, &key)), None), all[0]);
        assert!(TlsIdentity::parse(None, None).expect("nothing is right").is_none());
    }

    #[test]
    fn debug_shows_nothing() {
        let (certificate, key) = made();
        let identity = TlsIdentity::parse(Some((&certificate, &key)), None).expect("readable");
        assert_eq!(format!("{identity:?}"), "Some(TlsIdentity(…))");
    }
}
