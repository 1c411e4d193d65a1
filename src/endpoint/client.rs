//! ● The HTTP clients of a core: keep-alive connections, no redirects, no decompression, one deadline over everything.
//!
//! Every choice here answers a measured trap: redirects would turn into false acknowledgements and carry our headers
//! to other hosts; the pool's own limit is one queue for all hosts, so it is off and we cap requests ourselves; a body
//! left unread costs the connection; idle sockets are only looked at when their host is used again, so the whole
//! client is made anew now and then, and they are closed before that where there is no room for others (`connections.rs`).

use std::{
    cell::RefCell,
    fmt,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use awc::{Client, Connector, FrozenClientRequest};
use rustls::ClientConfig;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    connections::Connections,
    connector::GuardedConnector,
    egress::Egress,
    identity::{Fingerprint, TlsIdentity},
    recent::Recent,
    resolver::{NameServer, Resolver, System},
    tls::Tls,
};
use crate::clock;

/// The operator's limits, from `[http]`.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    pub connect_timeout: Duration,
    pub keep_alive: Duration,
    /// Connections are dropped and made anew this often.
    pub rebuild_after: Duration,
    /// Requests under way at once on this core; never more than `connections_max`.
    pub in_flight_max: usize,
    /// Connections of this core, those kept for later included.
    pub connections_max: usize,
    pub answer_bytes_max: usize,
    pub dns_cache: Duration,
    pub dns_timeout: Duration,
    pub dns_lookups_max: usize,
    /// TLS identities with connections of their own, on this core.
    pub tls_clients_max: usize,
    pub egress: Arc<Egress>,
}

/// The clients of one core: one for everybody, and one for each TLS identity. The pool tells connections apart by their
/// host alone, so a shared client would show the certificate of one endpoint in the name of another.
pub struct CoreClient {
    limits: ClientLimits,
    tls: Arc<Tls>,
    connector: GuardedConnector,
    shared: RefCell<Generation>,
    identified: RefCell<Recent<Fingerprint, Generation>>,
    permits: Semaphore,
    connections: Connections,
}

/// A request that is prepared once and sent often. It holds on to its client and that to its connections, so it stands
/// where the client's end can reach it.
pub type Prepared = RefCell<Option<FrozenClientRequest>>;

/// An identity's client as it is now; not to be kept.
pub struct Current {
    pub client: Client,
    prepared: Rc<RefCell<Vec<Weak<Prepared>>>>,
}

impl Current {
    /// Fills `prepared`, until this client is dropped.
    pub fn prepare(&self, prepared: &Rc<Prepared>, request: FrozenClientRequest) {
        *prepared.borrow_mut() = Some(request);
        let mut all = self.prepared.borrow_mut();
        if all.len() == all.capacity() {
            all.retain(|prepared| prepared.strong_count() > 0);
        }
        all.push(Rc::downgrade(prepared));
    }
}

struct Generation {
    client: Client,
    prepared: Rc<RefCell<Vec<Weak<Prepared>>>>,
    tls: Arc<ClientConfig>,
    rebuild_at: std::time::Instant,
}

impl CoreClient {
    #[must_use]
    pub fn new(limits: ClientLimits, tls: Arc<Tls>) -> Self {
        Self::asking(Box::new(System), limits, tls)
    }

    /// With a name server of one's own.
    pub(super) fn asking(names: Box<dyn NameServer>, limits: ClientLimits, tls: Arc<Tls>) -> Self {
        let resolver = Resolver::new(names, limits.dns_cache, limits.dns_timeout, limits.dns_lookups_max);
        let connections = Connections::new(limits.connections_max);
        let connector = GuardedConnector::new(resolver, Arc::clone(&limits.egress), connections.clone());
        let shared = Generation::new(&limits, tls.without_identity(), &connector);
        // A client that is idle for that long has only connections that would be dropped anyway.
        let identified = Recent::new(limits.tls_clients_max, limits.rebuild_after);
        CoreClient {
            // A request uses one connection at a time, so whoever has a permit finds a place for it.
            permits: Semaphore::new(limits.in_flight_max.min(limits.connections_max).max(1)),
            connections,
            limits,
            tls,
            connector,
            shared: RefCell::new(shared),
            identified: RefCell::new(identified),
        }
    }

    /// Drops an identity's pooled connections, so that the next requests connect anew.
    pub fn rebuild(&self, identity: Option<&TlsIdentity>) {
        match identity {
            None => {
                let mut shared = self.shared.borrow_mut();
                *shared = self.next_generation(&shared.tls);
            }
            Some(identity) => {
                if let Some(own) = self.identified.borrow_mut().get(identity.fingerprint(), clock::now()) {
                    *own = self.next_generation(&own.tls);
                }
            }
        }
    }

    /// One of the requests that may be under way at once; `None` when the client is shutting down.
    pub async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }

    /// What is open.
    #[must_use]
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    #[must_use]
    pub fn egress(&self) -> &Egress {
        &self.limits.egress
    }

    #[must_use]
    pub fn answer_bytes_max(&self) -> usize {
        self.limits.answer_bytes_max
    }

    /// Today's client of an identity.
    ///
    /// # Errors
    /// When TLS cannot be configured for it.
    pub fn generation(&self, identity: Option<&TlsIdentity>) -> Result<Current, Box<str>> {
        let now = clock::now();
        let Some(identity) = identity else {
            let mut shared = self.shared.borrow_mut();
            if now >= shared.rebuild_at {
                *shared = self.next_generation(&shared.tls);
                self.identified.borrow_mut().drop_idle(now);
            }
            return Ok(shared.current());
        };
        let mut identified = self.identified.borrow_mut();
        if let Some(own) = identified.get(identity.fingerprint(), now) {
            if now >= own.rebuild_at {
                *own = self.next_generation(&own.tls);
            }
            return Ok(own.current());
        }
        let config = self
            .tls
            .config(identity)
            .map_err(|error| Box::<str>::from(format!("no TLS for this endpoint: {error}")))?;
        let own = self.next_generation(&config);
        let current = own.current();
        identified.insert(*identity.fingerprint(), own, now);
        Ok(current)
    }

    fn next_generation(&self, tls: &Arc<ClientConfig>) -> Generation {
        Generation::new(&self.limits, tls, &self.connector)
    }
}

impl Generation {
    fn new(limits: &ClientLimits, tls: &Arc<ClientConfig>, connector: &GuardedConnector) -> Self {
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
        let rebuild_at = clock::now() + limits.rebuild_after;
        Generation { client, prepared: Rc::default(), tls: Arc::clone(tls), rebuild_at }
    }

    fn current(&self) -> Current {
        Current { client: self.client.clone(), prepared: Rc::clone(&self.prepared) }
    }
}

/// Its connections end with it, but for those of requests under way.
impl Drop for Generation {
    fn drop(&mut self) {
        for prepared in self.prepared.borrow_mut().drain(..).filter_map(|prepared| prepared.upgrade()) {
            prepared.borrow_mut().take();
        }
    }
}

impl fmt::Debug for CoreClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreClient").finish_non_exhaustive()
    }
}
