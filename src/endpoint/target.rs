//! ● One endpoint's requests: what is the same for each of them is prepared once.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use awc::{
    Client, FrozenClientRequest, SendClientRequest,
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use base64::Engine as _;
use secrecy::ExposeSecret as _;

use super::{
    client::{CoreClient, Prepared},
    egress::Refusal,
    exchange::{Failure, Reply, exchange, host_header, uri_of},
    identity::TlsIdentity,
    outcome::{Answer, EXCERPT_BYTES_MAX, refuses_token},
    redaction::Redaction,
    settings::{Auth, Request, Settings},
    token::{HeldToken, TokenSource},
};
use crate::{telemetry::names, trace::context::TRACEPARENT};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Where one endpoint's requests go.
pub struct Target {
    settings: Arc<Settings>,
    prepared: Rc<Prepared>,
    /// What `prepared` says its bodies are.
    content_type: &'static str,
    tokens: Option<Rc<TokenSource>>,
    redaction: Rc<Redaction>,
}

impl Target {
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        let tokens = match &settings.auth {
            Auth::OAuth2(oauth) => Some(Rc::new(TokenSource::new(Arc::clone(oauth), settings.tls.clone()))),
            _ => None,
        };
        let redaction = Rc::new(Redaction::new(&settings.auth));
        Target { settings, prepared: Rc::default(), content_type: "", tokens, redaction }
    }

    /// Starts a request; the future owns all it needs.
    pub fn send(&mut self, client: &Rc<CoreClient>, request: Request) -> impl Future<Output = Answer> + use<> {
        let prepared = self.prepare(client, request.content_type);
        let (client, settings, tokens) = (Rc::clone(client), Arc::clone(&self.settings), self.tokens.clone());
        let redaction = Rc::clone(&self.redaction);
        async move {
            // The deadline starts with the permit: waiting for our own cap is not the endpoint's fault.
            let Some(_permit) = client.permit().await else {
                return Answer::LocalFault("the client is shutting down".into());
            };
            let posting = Posting {
                client: &client,
                identity: settings.tls.as_deref(),
                request: &request,
                tokens: tokens.as_deref(),
                for_token: Cell::new(false),
                redaction: RefCell::new(Cow::Borrowed(&redaction)),
            };
            match tokio::time::timeout(settings.delivery.request_timeout, posting.run(prepared)).await {
                Ok(Ok(reply)) => Answer::Answered {
                    status: reply.status,
                    retry_after: reply.retry_after,
                    excerpt: posting.shown(&reply.body),
                },
                Ok(Err(Failure::Answer(answer))) => answer,
                Ok(Err(Failure::Refused(refusal))) => blocked(&settings, &refusal),
                Err(_) if posting.for_token.get() => {
                    Answer::TokenFailed("the token server did not answer in time".into())
                }
                Err(_) => Answer::TimedOut,
            }
        }
    }

    fn prepare(&mut self, client: &CoreClient, content_type: &'static str) -> Result<FrozenClientRequest, Failure> {
        let current = client.generation(self.settings.tls.as_deref()).map_err(Answer::LocalFault)?;
        if let Some(prepared) = &*self.prepared.borrow()
            && self.content_type == content_type
        {
            return Ok(prepared.clone());
        }
        client.egress().check_url(&self.settings.url).map_err(Failure::Refused)?;
        let request = freeze(&current.client, &self.settings, content_type).map_err(Answer::LocalFault)?;
        current.prepare(&self.prepared, request.clone());
        self.content_type = content_type;
        Ok(request)
    }
}

/// One attempt under way.
struct Posting<'a> {
    client: &'a CoreClient,
    identity: Option<&'a TlsIdentity>,
    request: &'a Request,
    tokens: Option<&'a TokenSource>,
    /// Whether it waits for the token server.
    for_token: Cell<bool>,
    /// What was sent to prove who we are, tokens included.
    redaction: RefCell<Cow<'a, Redaction>>,
}

impl Posting<'_> {
    async fn run(&self, prepared: Result<FrozenClientRequest, Failure>) -> Result<Reply, Failure> {
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

    async fn token(&self, tokens: &TokenSource, refused: Option<u64>) -> Result<HeldToken, Failure> {
        self.for_token.set(true);
        let token = tokens.token(self.client, refused).await;
        self.for_token.set(false);
        if let Ok(token) = &token {
            self.redaction.borrow_mut().to_mut().hide(token.bare());
        }
        token
    }

    async fn post(&self, prepared: &FrozenClientRequest, token: Option<&HeldToken>) -> Result<Reply, Failure> {
        let mut headers = webhook_headers(self.request);
        if let Some(token) = token {
            headers.insert(header::AUTHORIZATION, token.authorization.clone());
        }
        let sent: SendClientRequest = prepared.extra_headers(headers).send_body(self.request.body.clone());
        let kept_bytes = EXCERPT_BYTES_MAX + self.redaction.borrow().margin_bytes();
        // Of a 2xx answer nothing is kept.
        let keep = |status| if (200..300).contains(&status) { 0 } else { kept_bytes };
        exchange(self.client, self.identity, sent, keep).await
    }

    /// An answer's beginning as it may be shown and stored.
    fn shown(&self, body: &[u8]) -> Box<str> {
        self.redaction.borrow().applied_to(&String::from_utf8_lossy(body), EXCERPT_BYTES_MAX).into()
    }
}

fn blocked(settings: &Settings, refusal: &Refusal) -> Answer {
    metrics::counter!(names::EGRESS_BLOCKED).increment(1);
    tracing::warn!(endpoint.id = %settings.id, "nothing is sent to endpoint {}: its URL {refusal}", settings.id);
    Answer::Blocked
}

fn freeze(http: &Client, settings: &Settings, content_type: &'static str) -> Result<FrozenClientRequest, Box<str>> {
    let uri = uri_of(&settings.url).ok_or_else(|| Box::<str>::from("the endpoint's URL cannot be requested"))?;
    let mut request = http
        .request(Method::POST, uri)
        .insert_header((header::HOST, host_header(&settings.url)))
        .insert_header((header::USER_AGENT, concat!("postrider/", env!("CARGO_PKG_VERSION"))))
        .insert_header((header::CONTENT_TYPE, content_type));
    match &settings.auth {
        // A token comes with each request, a certificate with each connection.
        Auth::None | Auth::OAuth2(_) | Auth::MutualTls => {}
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
    if let Some(trace) = request.trace
        && let Ok(value) = HeaderValue::from_str(&trace.traceparent())
    {
        headers.insert(HeaderName::from_static(TRACEPARENT), value);
    }
    headers
}

#[cfg(test)]
mod tests;
