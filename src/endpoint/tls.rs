//! ● TLS towards endpoints: one configuration for all of them, and one for each identity.

mod named; // certificates that an endpoint trusts as they are
mod error_texts; // why a connection did not come about

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
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
    without_identity: TlsConfigs,
}

/// TLS for one identity, by what is offered. Sessions are the same for both.
#[derive(Clone)]
pub struct TlsConfigs {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// Protocols that a connection is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Http1,
    /// HTTP/2, and HTTP/1.1 for those who do not speak it.
    Http2,
}

impl TlsConfigs {
    fn new(mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![HTTP1.to_vec()];
        let mut both = config.clone();
        both.alpn_protocols.insert(0, HTTP2.to_vec());
        TlsConfigs { http1: Arc::new(config), http2: Arc::new(both) }
    }

    #[must_use]
    pub fn offering(&self, offer: Offer) -> &Arc<ClientConfig> {
        match offer {
            Offer::Http1 => &self.http1,
            Offer::Http2 => &self.http2,
        }
    }
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
        let without_identity = config(&provider, Arc::clone(&verifier) as _, None, SESSIONS_MAX);
        Arc::new(Tls { provider, roots, verifier, without_identity })
    }

    #[must_use]
    pub fn without_identity(&self) -> &TlsConfigs {
        &self.without_identity
    }

    /// The configuration for an identity. A new one each time: sessions must not be resumed under another identity.
    ///
    /// # Errors
    /// When an authority cannot be read.
    pub fn config(&self, identity: &TlsIdentity) -> Result<TlsConfigs, rustls::Error> {
        let verifier: Arc<dyn ServerCertVerifier> = if identity.authorities().is_empty() {
            Arc::clone(&self.verifier) as _
        } else {
            let mut roots = self.roots.clone();
            for authority in identity.authorities() {
                roots.add(authority.clone())?;
            }
            Arc::new(NamedCertificates::new(identity.authorities(), verifier(&roots, &self.provider)?))
        };
        Ok(config(&self.provider, verifier, Some(identity), IDENTITY_SESSIONS_MAX))
    }
}

fn verifier(roots: &RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots.clone()), Arc::clone(provider))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<&TlsIdentity>,
    sessions_max: usize,
) -> TlsConfigs {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .dangerous() // each of ours checks
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity.and_then(TlsIdentity::certificate) {
        None => builder.with_no_client_auth(),
        Some(certified) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(certified)))),
    };
    config.resumption = Resumption::in_memory_sessions(sessions_max);
    TlsConfigs::new(config)
}

pub const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The library keeps eight tickets a host, some 30 kB where all of them are used; of its own accord, for 32 hosts only.
const TICKETS_OF_A_HOST: usize = 8;
/// For 1,024 hosts.
const SESSIONS_MAX: usize = 1024 * TICKETS_OF_A_HOST;
/// An identity is one endpoint's or a few endpoints'.
const IDENTITY_SESSIONS_MAX: usize = 4 * TICKETS_OF_A_HOST;

#[cfg(test)]
mod tests;
