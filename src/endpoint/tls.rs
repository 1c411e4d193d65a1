//! ● TLS towards endpoints: one configuration for all of them, and one for each identity.

mod named; // certificates that an endpoint trusts as they are
mod error_texts; // why a connection did not come about

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring::default_provider},
    sign::SingleCertAndKey,
};

pub use self::error_texts::in_words;
use self::named::NamedCertificates;
use crate::model::tls_identity::TlsIdentity;

/// Common state of every TLS connection of this process. Certificates of servers are checked always: there is no
/// setting that turns it off.
pub struct Tls {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    verifier: Arc<WebPkiServerVerifier>,
    without_identity: Arc<ClientConfig>,
}

impl Tls {
    /// With the machine's roots, or Mozilla's where the machine has none.
    #[must_use]
    pub fn of_this_machine() -> Arc<Self> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(native.certs);
        if added == 0 {
            tracing::warn!("no root certificates on this machine; using the built-in Mozilla roots");
            roots = actix_tls::connect::rustls_0_23::webpki_roots_cert_store();
        }
        let provider = Arc::new(default_provider());
        let verifier = verifier(&roots, &provider).expect("there are roots");
        let without_identity = config(&provider, Arc::clone(&verifier) as _, None);
        Arc::new(Tls { provider, roots, verifier, without_identity })
    }

    #[must_use]
    pub fn without_identity(&self) -> &Arc<ClientConfig> {
        &self.without_identity
    }

    /// The configuration for an identity. A new one each time: sessions must not be resumed under another identity.
    ///
    /// # Errors
    /// When an authority cannot be read.
    pub fn config(&self, identity: &TlsIdentity) -> Result<Arc<ClientConfig>, rustls::Error> {
        let verifier: Arc<dyn ServerCertVerifier> = if identity.authorities().is_empty() {
            Arc::clone(&self.verifier) as _
        } else {
            let mut roots = self.roots.clone();
            for authority in identity.authorities() {
                roots.add(authority.clone())?;
            }
            Arc::new(NamedCertificates::new(identity.authorities(), verifier(&roots, &self.provider)?))
        };
        Ok(config(&self.provider, verifier, Some(identity)))
    }
}

fn verifier(roots: &RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), Arc::clone(provider))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

/// HTTP/1.1 only.
fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<&TlsIdentity>,
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .dangerous() // each of ours checks
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity.and_then(TlsIdentity::certificate) {
        None => builder.with_no_client_auth(),
        Some(certified) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(certified)))),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

#[cfg(test)]
mod tests;
