//! ● HTTPS servers: one that wants to see a certificate of its clients, and those that nobody should trust.

use std::{
    io::{BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use super::{
    acceptor::{accept_each, wake},
    http,
};

/// A certificate and its key, PEM.
pub struct Certified {
    pub certificate: String,
    pub key: String,
}

/// An authority of a customer's own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// A server that shows the authority's own certificate, as one made by `openssl req -x509`.
    pub fn as_server(&self) -> Certified {
        Certified { certificate: self.certificate.clone(), key: self.issuer.key().serialize_pem() }
    }

    pub fn issue(&self, name: &str) -> Certified {
        self.issue_with(name, |_| {})
    }

    /// A certificate that was valid until the year 2000.
    pub fn issue_expired(&self, name: &str) -> Certified {
        self.issue_with(name, |params| {
            params.not_before = rcgen::date_time_ymd(1999, 1, 1);
            params.not_after = rcgen::date_time_ymd(2000, 1, 1);
        })
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certified {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Certified { certificate, key: key.serialize_pem() }
    }
}

/// A certificate that vouches for itself.
pub fn self_signed(name: &str) -> Certified {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    Certified { certificate: params.self_signed(&key).expect("a certificate").pem(), key: key.serialize_pem() }
}

/// Answers 200 to everyone who gets as far as a request.
pub struct TlsReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
}

/// A request, and who sent it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    /// The client's own certificate, DER.
    pub certificate: Option<Vec<u8>>,
}

impl TlsReceiver {
    /// Shows `own`; wants a certificate that `clients_of` issued, if there is one.
    pub fn start(own: &Certified, clients_of: Option<&Authority>) -> Self {
        let config = Arc::new(server_config(own, clients_of));
        let shared = Arc::new(Shared::default());
        let (stopping, serving) = (Arc::clone(&shared), Arc::clone(&shared));
        let is_stopped = move || stopping.stopped.load(Ordering::Acquire);
        let address = accept_each(is_stopped, move |stream| serving.serve(stream, Arc::clone(&config)));
        TlsReceiver { address, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.address.port())
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Connections that somebody opened, whatever became of them.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }
}

impl Drop for TlsReceiver {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        wake(self.address);
    }
}

impl Shared {
    fn serve(&self, mut socket: TcpStream, config: Arc<ServerConfig>) {
        self.connections.fetch_add(1, Ordering::AcqRel);
        let mut tls = ServerConnection::new(config).expect("a server");
        while tls.is_handshaking() {
            if tls.complete_io(&mut socket).is_err() {
                // The alert must arrive: closing with data unread would send a reset instead.
                while tls.wants_write() && tls.write_tls(&mut socket).is_ok() {}
                let _ = socket.flush().and_then(|()| socket.shutdown(Shutdown::Write));
                let _ = socket.read_to_end(&mut Vec::new());
                return;
            }
        }
        let certificate = tls.peer_certificates().and_then(|chain| chain.first()).map(|own| own.to_vec());
        let mut reader = BufReader::new(StreamOwned::new(tls, socket));
        while let Ok(Some(request)) = http::read(&mut reader) {
            let seen = Seen { path: request.path.clone(), certificate: certificate.clone() };
            self.seen.lock().unwrap().push(seen);
            if http::answer(reader.get_mut(), 200, &[], "ok").is_err() {
                return;
            }
        }
    }
}

/// A server that shows `own`.
pub fn server_config(own: &Certified, clients_of: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions");
    let builder = match clients_of {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(der(&authority.certificate)).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key");
    builder.with_single_cert(vec![der(&own.certificate)], key).expect("a certificate with its key")
}

pub fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}
