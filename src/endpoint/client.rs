//! ● One HTTP client a core: keep-alive connections, no redirects, no decompression, one deadline over everything.
//!
//! Every choice here answers a measured trap: redirects would turn into false acknowledgements and carry our headers
//! to other hosts; the pool's own limit is one queue for all hosts, so it is off and we cap requests ourselves; a body
//! left unread costs the connection; idle sockets are only looked at when their host is used again, so the whole
//! client is made anew now and then.

use std::{cell::RefCell, fmt, sync::Arc, time::Duration};

use awc::{Client, Connector};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    connector::GuardedConnector,
    egress::Egress,
    resolver::{NameServer, Resolver, System},
};
use crate::clock;

/// Running out of handles rebuilds the client at most this often.
const FREE_HANDLES_SPACING: Duration = Duration::from_secs(1);

/// The operator's limits, from `[http]`.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    pub connect_timeout: Duration,
    pub keep_alive: Duration,
    /// Connections are dropped and made anew this often.
    pub rebuild_after: Duration,
    /// Requests under way at once on this core.
    pub in_flight_max: usize,
    pub answer_bytes_max: usize,
    pub dns_cache: Duration,
    pub dns_timeout: Duration,
    pub dns_lookups_max: usize,
    pub egress: Arc<Egress>,
}

/// The client of one core.
pub struct CoreClient {
    limits: ClientLimits,
    tls: Arc<rustls::ClientConfig>,
    connector: GuardedConnector,
    current: RefCell<Generation>,
    permits: Semaphore,
}

struct Generation {
    number: u64,
    client: Client,
    rebuild_at: std::time::Instant,
}

impl CoreClient {
    #[must_use]
    pub fn new(limits: ClientLimits, tls: Arc<rustls::ClientConfig>) -> Self {
        Self::asking(Box::new(System), limits, tls)
    }

    /// With a name server of one's own.
    pub(super) fn asking(names: Box<dyn NameServer>, limits: ClientLimits, tls: Arc<rustls::ClientConfig>) -> Self {
        let resolver = Resolver::new(names, limits.dns_cache, limits.dns_timeout, limits.dns_lookups_max);
        let connector = GuardedConnector::new(resolver, Arc::clone(&limits.egress));
        let generation = Generation::new(1, &limits, &tls, &connector);
        let permits = Semaphore::new(limits.in_flight_max.max(1));
        CoreClient { limits, tls, connector, current: RefCell::new(generation), permits }
    }

    /// File handles ran out: idle connections are the first to go, but not more often than they can come back.
    pub fn free_handles(&self) {
        let made_at = self.current.borrow().rebuild_at - self.limits.rebuild_after;
        if clock::now().duration_since(made_at) >= FREE_HANDLES_SPACING {
            self.rebuild();
        }
    }

    /// Drops every pooled connection, so that the next requests connect anew.
    pub fn rebuild(&self) {
        let number = self.current.borrow().number + 1;
        *self.current.borrow_mut() = Generation::new(number, &self.limits, &self.tls, &self.connector);
    }

    /// One of the requests that may be under way at once; `None` when the client is shutting down.
    pub async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }

    #[must_use]
    pub fn egress(&self) -> &Egress {
        &self.limits.egress
    }

    #[must_use]
    pub fn answer_bytes_max(&self) -> usize {
        self.limits.answer_bytes_max
    }

    /// Today's client.
    pub fn http(&self) -> Client {
        self.generation().1
    }

    /// Today's client, and a number that changes with it.
    pub fn generation(&self) -> (u64, Client) {
        if clock::now() >= self.current.borrow().rebuild_at {
            self.rebuild();
        }
        let current = self.current.borrow();
        (current.number, current.client.clone())
    }
}

impl Generation {
    fn new(number: u64, limits: &ClientLimits, tls: &Arc<rustls::ClientConfig>, connector: &GuardedConnector) -> Self {
        let connector = Connector::new()
            .connector(connector.clone())
            // Not `max_http_version` beside it: that would put a TLS configuration of its own in the place of ours.
            .rustls_0_23(Arc::clone(tls))
            .timeout(limits.connect_timeout)
            .handshake_timeout(limits.connect_timeout)
            .conn_keep_alive(limits.keep_alive)
            .conn_lifetime(limits.rebuild_after)
            .limit(0);
        let client = Client::builder()
            .connector(connector)
            .disable_redirects()
            .disable_timeout() // one deadline of our own covers connecting, request and body
            .no_default_headers()
            .finish();
        Generation { number, client, rebuild_at: clock::now() + limits.rebuild_after }
    }
}

/// The rustls configuration all cores share: the machine's roots, or Mozilla's where the machine has none. HTTP/1.1 only.
pub fn tls_config() -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(native.certs);
    if added == 0 {
        tracing::warn!("no root certificates on this machine; using the built-in Mozilla roots");
        roots = actix_tls::connect::rustls_0_23::webpki_roots_cert_store();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

impl fmt::Debug for CoreClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreClient").field("generation", &self.current.borrow().number).finish_non_exhaustive()
    }
}
