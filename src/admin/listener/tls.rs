//! ● The listener's certificate and key: read from files, and again whenever these change, so that a renewed certificate
//! needs no restart.
//!
//! **Invariant:** files that cannot be used change nothing: connections go on with what was read last.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring::default_provider},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::telemetry::names;

/// `[admin.tls]` of the configuration.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// PEM: the certificate, and then those between it and its authority.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// Changes are looked for this often.
    pub reload: Duration,
}

/// TLS of one listener.
pub struct ServerTls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: TlsFiles,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(files: TlsFiles) -> Result<Self, String> {
        let provider = Arc::new(default_provider());
        let content = Content::read(&files)?;
        let current = Arc::new(Current { certified: ArcSwap::from(content.certified(&provider, &files)?), provider });
        let config = ServerConfig::builder_with_provider(Arc::clone(&current.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::clone(&current) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(ServerTls { acceptor: TlsAcceptor::from(Arc::new(config)), current, files })
    }

    /// The server's side of a handshake.
    ///
    /// # Errors
    /// When the client does not speak TLS, or goes away.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// Looks for changed files until the runtime ends.
    pub async fn follow(self: Arc<Self>) {
        let mut seen = Content::read(&self.files);
        loop {
            tokio::time::sleep(self.files.reload).await;
            let files = self.files.clone();
            let Ok(read) = actix_web::web::block(move || Content::read(&files)).await else { continue };
            if read == seen {
                continue;
            }
            match read.clone().and_then(|content| content.certified(&self.current.provider, &self.files)) {
                Ok(certified) => {
                    self.current.certified.store(certified);
                    metrics::counter!(names::API_CERTIFICATE_RELOADS, "outcome" => "used").increment(1);
                    tracing::info!(file = %self.files.certificate.display(), "the API's certificate was read again and is used");
                }
                Err(error) => {
                    metrics::counter!(names::API_CERTIFICATE_RELOADS, "outcome" => "refused").increment(1);
                    tracing::error!(error, "the API's new certificate cannot be used; the old one stays");
                }
            }
            seen = read;
        }
    }
}

/// Both files as they were read.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Content {
    fn read(files: &TlsFiles) -> Result<Self, String> {
        let read = |setting: &str, path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| format!("admin.tls.{setting} ({}) cannot be read: {error}", path.display()))
        };
        Ok(Content { certificate: read("certificate_file", &files.certificate)?, key: read("key_file", &files.key)? })
    }

    fn certified(&self, provider: &CryptoProvider, files: &TlsFiles) -> Result<Arc<CertifiedKey>, String> {
        let wrong = |setting: &str, path: &PathBuf, problem: &str| {
            format!("admin.tls.{setting} ({}) {problem}", path.display())
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| wrong("certificate_file", &files.certificate, "has no certificate in PEM"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| wrong("key_file", &files.key, "has no private key in PEM"))?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|_| {
            wrong("key_file", &files.key, "does not belong to the certificate, or is of an unknown kind")
        })?;
        Ok(Arc::new(certified))
    }
}

/// The certificates of new connections.
struct Current {
    certified: ArcSwap<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified.load_full())
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current(…)")
    }
}
