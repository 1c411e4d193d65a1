//! ● One HTTP client a core: keep-alive connections, no redirects, no decompression, one deadline over everything.
//!
//! Every choice here answers a measured trap: redirects would turn into false acknowledgements and carry our headers
//! to other hosts; the pool's own limit is one queue for all hosts, so it is off and we cap requests ourselves; a body
//! left unread costs the connection; idle sockets are only looked at when their host is used again, so the whole
//! client is made anew now and then.

use std::{cell::RefCell, fmt, io, rc::Rc, sync::Arc, time::Duration};

use awc::{
    Client, Connector, FrozenClientRequest,
    error::{ConnectError, SendRequestError},
    http::{
        Method, Uri,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use base64::Engine as _;
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use tokio::sync::Semaphore;

use super::{
    connector::GuardedConnector,
    egress::{Egress, Refusal},
    outcome::Answer,
    resolver::{NameServer, Resolver, System},
    settings::{Auth, Request, Settings},
};
use crate::{clock, telemetry::names};

/// An excerpt of an answer is kept for people: in dead letters and as an endpoint's last error.
const EXCERPT_BYTES_MAX: usize = 1024;

/// Running out of handles rebuilds the client at most this often.
const FREE_HANDLES_SPACING: Duration = Duration::from_secs(1);

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

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
    fn asking(names: Box<dyn NameServer>, limits: ClientLimits, tls: Arc<rustls::ClientConfig>) -> Self {
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

    fn generation(&self) -> (u64, Client) {
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

/// Where one endpoint's requests go: everything that is the same for each of them, prepared once.
pub struct Target {
    settings: Arc<Settings>,
    prepared: Option<Prepared>,
}

struct Prepared {
    generation: u64,
    content_type: &'static str,
    request: FrozenClientRequest,
}

impl Target {
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Target { settings, prepared: None }
    }

    /// Starts a request; the future owns all it needs.
    pub fn send(&mut self, client: &Rc<CoreClient>, request: Request) -> impl Future<Output = Answer> + use<> {
        let prepared = self.prepare(client, request.content_type);
        let timeout = self.settings.delivery.request_timeout;
        let (client, settings) = (Rc::clone(client), Arc::clone(&self.settings));
        async move {
            // The deadline starts with the permit: waiting for our own cap is not the endpoint's fault.
            let Ok(_permit) = client.permits.acquire().await else {
                return Answer::LocalFault("the client is shutting down".into());
            };
            let body_max = client.limits.answer_bytes_max;
            let sending = async {
                let prepared = prepared?;
                let sent = prepared.extra_headers(webhook_headers(&request)).send_body(request.body);
                let mut response = sent.await.map_err(|error| failure_of(&error))?;
                let status = response.status().as_u16();
                if (100..200).contains(&status) {
                    // awc has put the connection back already, and the real answer is still to come on it: the next
                    // request would take that for its own. No connection of this client may be used again.
                    client.rebuild();
                }
                let retry_after =
                    response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).map(str::to_owned);
                let excerpt = read_body(&mut response, status, body_max).await?;
                Ok(Answer::Answered { status, retry_after, excerpt })
            };
            match tokio::time::timeout(timeout, sending).await {
                Ok(Ok(answer) | Err(Failure::Answer(answer))) => answer,
                Ok(Err(Failure::Refused(refusal))) => {
                    metrics::counter!(names::EGRESS_BLOCKED).increment(1);
                    tracing::warn!(endpoint.id = %settings.id, "nothing is sent to endpoint {}: its URL {refusal}", settings.id);
                    Answer::Blocked
                }
                Err(_) => Answer::TimedOut,
            }
        }
    }

    fn prepare(&mut self, client: &CoreClient, content_type: &'static str) -> Result<FrozenClientRequest, Failure> {
        let (generation, http) = client.generation();
        if let Some(prepared) = &self.prepared
            && prepared.generation == generation
            && prepared.content_type == content_type
        {
            return Ok(prepared.request.clone());
        }
        client.limits.egress.check_url(&self.settings.url).map_err(Failure::Refused)?;
        let request = freeze(&http, &self.settings, content_type).map_err(Answer::LocalFault)?;
        self.prepared = Some(Prepared { generation, content_type, request: request.clone() });
        Ok(request)
    }
}

/// Why there is no complete answer.
enum Failure {
    Answer(Answer),
    Refused(Refusal),
}

impl From<Answer> for Failure {
    fn from(answer: Answer) -> Self {
        Failure::Answer(answer)
    }
}

fn freeze(http: &Client, settings: &Settings, content_type: &'static str) -> Result<FrozenClientRequest, Box<str>> {
    let url = settings.url.url();
    let uri = url.as_str().parse::<Uri>().ok();
    // The client library reads the URL by itself: it must not see another host in it than was checked.
    let uri = uri.filter(|uri| uri.host() == url.host_str() && uri.port_u16() == url.port());
    let uri = uri.ok_or_else(|| Box::<str>::from("the endpoint's URL cannot be requested"))?;
    let host = host_header(url);
    let mut request = http
        .request(Method::POST, uri)
        .insert_header((header::HOST, host))
        .insert_header((header::USER_AGENT, concat!("postrider/", env!("CARGO_PKG_VERSION"))))
        .insert_header((header::CONTENT_TYPE, content_type));
    match &settings.auth {
        Auth::None => {}
        Auth::Basic { username, password } => {
            let pair = format!("{username}:{}", password.expose_secret());
            let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            request = request.insert_header((header::AUTHORIZATION, value));
        }
        Auth::Bearer { token } => {
            request = request.insert_header((header::AUTHORIZATION, format!("Bearer {}", token.expose_secret())));
        }
        Auth::Headers(headers) => {
            for (name, value) in headers {
                request = request.insert_header((name.as_str(), value.expose_secret()));
            }
        }
    }
    // awc's own message could quote a header's value, which may be a secret.
    request.freeze().map_err(|_| Box::from("the endpoint's headers cannot be sent"))
}

fn host_header(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn webhook_headers(request: &Request) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    let id = HeaderValue::from_str(&request.webhook_id);
    let signature = HeaderValue::from_str(&request.webhook_signature);
    debug_assert!(id.is_ok() && signature.is_ok(), "ids and signatures are built of header characters");
    if let (Ok(id), Ok(signature)) = (id, signature) {
        headers.insert(WEBHOOK_ID, id);
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(request.webhook_timestamp));
        headers.insert(WEBHOOK_SIGNATURE, signature);
    }
    headers
}

/// Reads the body so that the connection can be used again; beyond the limit the connection is dropped instead.
/// Of a 2xx answer nothing is kept.
async fn read_body(response: &mut awc::ClientResponse, status: u16, bytes_max: usize) -> Result<Box<str>, Answer> {
    let keep = !(200..300).contains(&status);
    let mut excerpt = Vec::new();
    let mut read = 0_usize;
    while let Some(chunk) = response.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            // The status is known, so the answer stands; only a truncated 2xx is not one.
            Err(error) if !keep => return Err(Answer::Broken(error.to_string().into())),
            Err(_) => break,
        };
        if keep && excerpt.len() < EXCERPT_BYTES_MAX {
            excerpt.extend_from_slice(&chunk[..chunk.len().min(EXCERPT_BYTES_MAX - excerpt.len())]);
        }
        read += chunk.len();
        if read > bytes_max {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&excerpt).into())
}

fn failure_of(error: &SendRequestError) -> Failure {
    if let SendRequestError::Connect(ConnectError::Resolver(error)) = error
        && let Some(refusal) = error.downcast_ref::<Refusal>()
    {
        return Failure::Refused(refusal.clone());
    }
    Failure::Answer(answer_of(error))
}

fn answer_of(error: &SendRequestError) -> Answer {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => Answer::Disconnected,
        SendRequestError::Connect(ConnectError::Timeout) => Answer::ConnectFailed("connecting timed out".into()),
        SendRequestError::Connect(ConnectError::Resolver(error)) => Answer::ResolveFailed(error.to_string().into()),
        SendRequestError::Connect(ConnectError::NoRecords | ConnectError::Unresolved) => {
            Answer::ResolveFailed("the name has no address".into())
        }
        SendRequestError::Connect(ConnectError::Io(error)) => connect_answer(error),
        SendRequestError::Connect(error) => Answer::ConnectFailed(error.to_string().into()),
        SendRequestError::Send(error) => Answer::Broken(error.to_string().into()),
        SendRequestError::Response(error) if is_io(error) => Answer::Broken(error.to_string().into()),
        SendRequestError::Timeout => Answer::TimedOut,
        error => Answer::Malformed(error.to_string().into()),
    }
}

/// The connection broke while the answer's head was read.
fn is_io(error: &dyn std::error::Error) -> bool {
    error.source().is_some_and(|source| source.is::<io::Error>())
}

/// Errors of this machine rather than of the endpoint: no handles, no buffers, no local port, no route at all.
fn is_local(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const EADDRNOTAVAIL: i32 = 99;
    const ENETDOWN: i32 = 100;
    const ENETUNREACH: i32 = 101;
    const ENOBUFS: i32 = 105;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE | EADDRNOTAVAIL | ENETDOWN | ENETUNREACH | ENOBUFS))
}

fn connect_answer(error: &io::Error) -> Answer {
    if is_local(error) {
        return Answer::LocalFault(error.to_string().into());
    }
    // rustls hands its own errors on inside an `io::Error`.
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => Answer::TlsFailed(tls.to_string().into()),
        None => Answer::ConnectFailed(error.to_string().into()),
    }
}

impl fmt::Debug for CoreClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreClient").field("generation", &self.current.borrow().number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
