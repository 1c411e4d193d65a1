//! ● One endpoint's requests: what is the same for each of them is prepared once.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use base64::Engine as _;
use http::{
    HeaderMap, Method,
    header::{self, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret as _;

use super::{
    client::CoreClient,
    deadline::within,
    egress::Refusal,
    http_exchange::{ExchangeFailure, HttpReply, Way, exchange},
    redaction::Redaction,
    request::{Request, Source},
    shares::Unit,
    token::{HeldToken, TokenSource},
    waits::Waits,
};
use crate::{
    clock,
    model::{
        outcome::{Answer, EXCERPT_BYTES_MAX, refuses_token},
        settings::{Auth, Http2, Settings},
    },
    telemetry::names,
    trace::context::TRACEPARENT,
};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Sender of one endpoint's requests.
pub struct RequestSender {
    settings: Arc<Settings>,
    prepared: Option<Rc<Prepared>>,
    tokens: Option<Rc<TokenSource>>,
    redaction: Rc<Redaction>,
}

/// The same for each of an endpoint's requests.
struct Prepared {
    way: Way,
    headers: HeaderMap,
}

/// A request that has ended.
#[derive(Debug)]
pub struct SentRequest {
    pub answer: Answer,
    /// Time for which it waited for something of ours (a permit, a turn with the name servers): no part of what the
    /// endpoint took.
    pub waited: Duration,
}

impl RequestSender {
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        let tokens = match &settings.auth {
            Auth::OAuth2(oauth) => Some(Rc::new(TokenSource::new(Arc::clone(oauth), &settings))),
            _ => None,
        };
        let redaction = Rc::new(Redaction::new(&settings.auth));
        RequestSender { settings, prepared: None, tokens, redaction }
    }

    /// Starts a request, which waits for its permit first; the future owns all it needs.
    pub fn send(&mut self, client: &Rc<CoreClient>, request: Request) -> impl Future<Output = SentRequest> + use<> {
        self.send_with(client, None, request)
    }

    /// Starts a request that has its permit, or none yet.
    pub fn send_with(
        &mut self,
        client: &Rc<CoreClient>,
        permit: Option<Unit>,
        request: Request,
    ) -> impl Future<Output = SentRequest> + use<> {
        let prepared = self.prepare(client);
        let (client, settings, tokens) = (Rc::clone(client), Arc::clone(&self.settings), self.tokens.clone());
        let redaction = Rc::clone(&self.redaction);
        async move {
            let waits = Waits::default();
            // The deadline starts with the permit: waiting for our own cap is not the endpoint's fault.
            let _permit = match permit {
                Some(permit) => permit,
                None => awaited_permit(&client, &settings, &waits).await,
            };
            let posting = Posting {
                client: &client,
                settings: &settings,
                request: &request,
                tokens: tokens.as_deref(),
                for_token: Cell::new(false),
                redaction: RefCell::new(Cow::Borrowed(&redaction)),
                waits: &waits,
            };
            let answer = posting.answer(prepared).await;
            SentRequest { answer, waited: waits.so_far(clock::now()) }
        }
    }

    fn prepare(&mut self, client: &CoreClient) -> Result<Rc<Prepared>, ExchangeFailure> {
        if let Some(prepared) = &self.prepared {
            return Ok(Rc::clone(prepared));
        }
        client.egress().check_url(&self.settings.url).map_err(ExchangeFailure::Refused)?;
        let prepared = Rc::new(prepared(&self.settings).map_err(Answer::LocalFault)?);
        self.prepared = Some(Rc::clone(&prepared));
        Ok(prepared)
    }
}

/// One of the requests that may be under way at once.
async fn awaited_permit(client: &CoreClient, settings: &Settings, waits: &Waits) -> Unit {
    waits.begin(clock::now());
    let permit = client.permit(&settings.customer_id, &settings.id).await;
    waits.end(clock::now());
    permit
}

/// One attempt under way.
struct Posting<'a> {
    client: &'a CoreClient,
    settings: &'a Settings,
    request: &'a Request,
    tokens: Option<&'a TokenSource>,
    /// True if it waits for the token server.
    for_token: Cell<bool>,
    /// Secrets that were sent, tokens included.
    redaction: RefCell<Cow<'a, Redaction>>,
    waits: &'a Waits,
}

impl Posting<'_> {
    async fn answer(&self, prepared: Result<Rc<Prepared>, ExchangeFailure>) -> Answer {
        match within(self.settings.delivery.request_timeout, self.waits, self.run(prepared)).await {
            Ok(Ok(reply)) => {
                Answer::Answered { status: reply.status, excerpt: self.shown(&reply), retry_after: reply.retry_after }
            }
            Ok(Err(ExchangeFailure::Answer(answer))) => answer,
            Ok(Err(ExchangeFailure::Refused(refusal))) => blocked(self.settings, &refusal),
            Err(_) if self.for_token.get() => Answer::TokenFailed("the token server did not answer in time".into()),
            Err(_) if self.waits.for_stream(clock::now()).is_some() => Answer::NoStream,
            Err(_) => Answer::TimedOut,
        }
    }

    async fn run(&self, prepared: Result<Rc<Prepared>, ExchangeFailure>) -> Result<HttpReply, ExchangeFailure> {
        let prepared = prepared?;
        let Some(tokens) = self.tokens else { return self.post(&prepared, None).await };
        let token = self.token(tokens, None).await?;
        let reply = self.post(&prepared, Some(&token)).await?;
        if !refuses_token(reply.status) {
            return Ok(reply);
        }
        // It may have been revoked before its time. The same request again, once.
        let token = self.token(tokens, Some(token.number)).await?;
        self.post(&prepared, Some(&token)).await
    }

    async fn token(&self, tokens: &TokenSource, refused: Option<u64>) -> Result<HeldToken, ExchangeFailure> {
        self.for_token.set(true);
        let token = tokens.token(self.client, refused, self.waits).await;
        self.for_token.set(false);
        if let Ok(token) = &token {
            self.redaction.borrow_mut().to_mut().hide(token.bare());
        }
        token
    }

    async fn post(&self, prepared: &Prepared, token: Option<&HeldToken>) -> Result<HttpReply, ExchangeFailure> {
        let mut request = http::Request::new(self.request.body.clone());
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        *headers = prepared.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.request.content_type));
        add_webhook_headers(headers, self.request);
        if let Some(token) = token {
            headers.insert(header::AUTHORIZATION, token.authorization.clone());
        }
        let kept_bytes = EXCERPT_BYTES_MAX + self.redaction.borrow().margin_bytes();
        // Of a 2xx answer nothing is kept.
        let keep = |status| if (200..300).contains(&status) { 0 } else { kept_bytes };
        exchange(self.client, &self.settings.customer_id, &prepared.way, self.waits, request, &keep).await
    }

    /// An answer's beginning as it may be shown and stored; of a redirect also where it leads.
    fn shown(&self, reply: &HttpReply) -> Box<str> {
        let body = String::from_utf8_lossy(&reply.body);
        let text = match &reply.location {
            Some(location) => format!("Location: {location} (not followed)\n{body}"),
            None => body.into_owned(),
        };
        self.redaction.borrow().applied_to(&text, EXCERPT_BYTES_MAX).into()
    }
}

fn blocked(settings: &Settings, refusal: &Refusal) -> Answer {
    metrics::counter!(names::EGRESS_BLOCKED).increment(1);
    tracing::warn!(endpoint.id = %settings.id, "nothing is sent to endpoint {}: its URL {refusal}", settings.id);
    Answer::Blocked
}

fn prepared(settings: &Settings) -> Result<Prepared, Box<str>> {
    let way = Way::to(&settings.url, settings.tls.as_ref());
    let mut way = way.ok_or_else(|| Box::<str>::from("the endpoint's URL cannot be requested"))?;
    if settings.delivery.http2 == Http2::Auto {
        way = way.with_http2(&settings.id);
    }
    // The library's own message could quote a header's value, which may be a secret.
    let headers = base_headers(settings, &way.host).ok_or("the endpoint's headers cannot be sent")?;
    Ok(Prepared { way, headers })
}

/// The headers of each request. `None` when one of them cannot be sent.
fn base_headers(settings: &Settings, host: &str) -> Option<HeaderMap> {
    // Of our own a dozen at most.
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(header::HOST, HeaderValue::from_str(host).ok()?);
    headers.insert(header::USER_AGENT, USER_AGENT);
    match &settings.auth {
        // A token comes with each request, a certificate with each connection.
        Auth::None | Auth::OAuth2(_) | Auth::MutualTls => {}
        Auth::Basic { username, password } => {
            let pair = format!("{username}:{}", password.expose_secret());
            let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            headers.insert(header::AUTHORIZATION, secret(&value)?);
        }
        Auth::Bearer { token } => {
            headers.insert(header::AUTHORIZATION, secret(&format!("Bearer {}", token.expose_secret()))?);
        }
        Auth::Headers(own) => {
            for (name, value) in own {
                headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, secret(value.expose_secret())?);
            }
        }
    }
    Some(headers)
}

/// A value whose `Debug` shows nothing.
fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn add_webhook_headers(headers: &mut HeaderMap, request: &Request) {
    let id = HeaderValue::from_str(&request.webhook_id);
    let signature = HeaderValue::from_str(&request.webhook_signature);
    debug_assert!(id.is_ok() && signature.is_ok(), "ids and signatures are built of header characters");
    if let (Ok(id), Ok(signature)) = (id, signature) {
        headers.insert(WEBHOOK_ID, id);
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(request.webhook_timestamp));
        headers.insert(WEBHOOK_SIGNATURE, signature);
    }
    if let Some(source) = &request.source {
        add_source(headers, source);
    }
    if let Some(trace) = request.trace
        && let Ok(value) = HeaderValue::from_str(&trace.traceparent())
    {
        headers.insert(HeaderName::from_static(TRACEPARENT), value);
    }
}

/// Values without an envelope come with these.
fn add_source(headers: &mut HeaderMap, source: &Source) {
    let mut insert = |name, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    insert("postrider-topic", &source.topic);
    insert("postrider-partition", &source.partition.to_string());
    insert("postrider-offset", &source.offset.to_string());
    if let Some(key) = &source.key {
        insert("postrider-key", key);
    }
    if let Some(id) = &source.event_id {
        insert("postrider-event-id", id);
    }
}

/// Our name, for those who read their logs.
pub(super) const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("postrider/", env!("CARGO_PKG_VERSION")));

#[cfg(test)]
pub(super) mod testing; // requests and clients
#[cfg(test)]
mod tests;

#[cfg(test)]
mod page_tests;
