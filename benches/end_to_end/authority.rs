//! ● Certificates of the benchmark's customers, by an authority that lives for a run.

use std::{collections::HashMap, io, net::IpAddr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    server::{ServerSessionMemoryCache, StoresServerSessions},
};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;

/// Known to the driver, which says whom to trust, and to the receiver, which has to show certificates. PEM.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Authority {
    pub certificate: String,
    key: String,
}

impl Authority {
    pub fn new() -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = parameters()?.self_signed(&key).map_err(io::Error::other)?.pem();
        Ok(Authority { certificate, key: key.serialize_pem() })
    }
}

/// For a client that trusts nobody else.
pub fn roots(certificate: &str) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    Ok(roots)
}

/// A TLS server for each address, made when it is first connected to. They have one key, and one memory of sessions.
pub struct Servers {
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
    sessions: Arc<dyn StoresServerSessions>,
    acceptors: HashMap<IpAddr, TlsAcceptor>,
    http2: bool,
}

impl Servers {
    pub fn new(authority: &Authority, http2: bool) -> io::Result<Self> {
        let key = KeyPair::from_pem(&authority.key).map_err(io::Error::other)?;
        Ok(Servers {
            issuer: Issuer::new(parameters()?, key),
            key: KeyPair::generate().map_err(io::Error::other)?,
            sessions: ServerSessionMemoryCache::new(SESSIONS_MAX),
            acceptors: HashMap::new(),
            http2,
        })
    }

    pub fn at(&mut self, address: IpAddr) -> io::Result<TlsAcceptor> {
        if let Some(acceptor) = self.acceptors.get(&address) {
            return Ok(acceptor.clone());
        }
        let parameters = CertificateParams::new(vec![address.to_string()]).map_err(io::Error::other)?;
        let certificate = parameters.signed_by(&self.key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(io::Error::other)?;
        config.session_storage = Arc::clone(&self.sessions);
        if self.http2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        let acceptor = TlsAcceptor::from(Arc::new(config));
        self.acceptors.insert(address, acceptor.clone());
        Ok(acceptor)
    }
}

/// The same in each process, so that the key alone makes the same authority.
fn parameters() -> io::Result<CertificateParams> {
    let mut parameters = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(parameters)
}

const SESSIONS_MAX: usize = 65_536;
