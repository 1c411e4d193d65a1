//! ● The access token of one endpoint: fetched when it is needed, kept until shortly before it expires, fetched by one
//! request at a time.

use std::{cell::RefCell, sync::Arc, time::Instant};

use http::{
    Method, Request,
    header::{self, HeaderValue},
};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::{
    client::CoreClient,
    http_exchange::{ExchangeFailure, Way, exchange},
    oauth::{self, Token},
    request_sender::USER_AGENT,
    waits::Waits,
};
use crate::{
    clock,
    model::{
        oauth::OAuth2,
        outcome::{self, Answer},
        settings::Settings,
    },
    telemetry::names,
};

/// Source of an endpoint's tokens.
pub struct TokenSource {
    oauth: Arc<OAuth2>,
    /// The customer whose share name look-ups take.
    customer: Arc<str>,
    way: Option<Way>,
    state: RefCell<State>,
    /// Held by the one that fetches.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<HeldToken>,
    /// Number of answers and failures of the token server.
    fetches: u64,
    /// The reason why the last of them failed.
    failed: Option<ExchangeFailure>,
}

/// A token as it stands in a request.
#[derive(Clone)]
pub struct HeldToken {
    /// Marked as sensitive: its `Debug` shows nothing.
    pub authorization: HeaderValue,
    /// Tells it from the tokens before.
    pub number: u64,
    until: Instant,
}

impl HeldToken {
    /// The token alone; a secret.
    #[must_use]
    pub fn bare(&self) -> &str {
        let text = self.authorization.to_str().unwrap_or_default();
        text.strip_prefix("Bearer ").unwrap_or(text)
    }
}

impl TokenSource {
    #[must_use]
    pub fn new(oauth: Arc<OAuth2>, settings: &Settings) -> Self {
        let way = Way::to(&oauth.token_url, settings.tls.as_ref());
        TokenSource {
            oauth,
            customer: Arc::clone(&settings.customer_id),
            way,
            state: RefCell::default(),
            turn: Mutex::new(()),
        }
    }

    /// A token that can be used now. `refused` is the number of one that the endpoint did not take: it is not used again.
    ///
    /// # Errors
    /// When the token server gives none. Whoever waited for that answer shares it.
    pub async fn token(
        &self,
        client: &CoreClient,
        refused: Option<u64>,
        waits: &Waits,
    ) -> Result<HeldToken, ExchangeFailure> {
        if let Some(held) = self.usable(refused) {
            return Ok(held);
        }
        let fetches_before = self.state.borrow().fetches;
        let _turn = self.turn.lock().await;
        if let Some(held) = self.usable(refused) {
            return Ok(held);
        }
        {
            let state = self.state.borrow();
            if state.fetches > fetches_before
                && let Some(failure) = &state.failed
            {
                return Err(failure.clone());
            }
        }
        let fetched = self.fetch(client, waits).await;
        self.take(fetched)
    }

    fn usable(&self, refused: Option<u64>) -> Option<HeldToken> {
        let state = self.state.borrow();
        state.held.clone().filter(|held| clock::now() < held.until && Some(held.number) != refused)
    }

    fn take(&self, fetched: Result<Token, ExchangeFailure>) -> Result<HeldToken, ExchangeFailure> {
        let mut state = self.state.borrow_mut();
        state.fetches += 1;
        let result = if fetched.is_ok() { "ok" } else { "failed" };
        metrics::counter!(names::OAUTH_TOKENS, "result" => result).increment(1);
        let held = fetched.and_then(|token| {
            let header = HeaderValue::from_str(token.authorization.expose_secret());
            let mut authorization = header.map_err(|_| failed("the token is no header's value"))?;
            authorization.set_sensitive(true);
            Ok(HeldToken { authorization, number: state.fetches, until: clock::now() + token.use_for })
        });
        state.failed = held.as_ref().err().cloned();
        state.held = held.as_ref().ok().cloned();
        held
    }

    async fn fetch(&self, client: &CoreClient, waits: &Waits) -> Result<Token, ExchangeFailure> {
        client.egress().check_url(&self.oauth.token_url).map_err(ExchangeFailure::Refused)?;
        let way = self.way.as_ref().ok_or_else(|| failed("the token URL cannot be requested"))?;
        let request = self.request(way).ok_or_else(|| failed("the token request cannot be sent"))?;
        let bytes_max = client.answer_bytes_max();
        let exchanged = exchange(client, &self.customer, way, waits, request, &|_| bytes_max).await;
        let reply = exchanged.map_err(|failure| match failure {
            // Ours, not the token server's.
            ExchangeFailure::Answer(Answer::LocalFault(_)) | ExchangeFailure::Refused(_) => failure,
            ExchangeFailure::Answer(Answer::ResolveFailed(error)) => {
                ExchangeFailure::Answer(Answer::TokenServerUnresolved(error))
            }
            ExchangeFailure::Answer(answer) => {
                let (_, note) = outcome::classify(&answer, 0);
                failed(&format!("the token server: {} {}", note.class, note.excerpt))
            }
        })?;
        oauth::token_of(reply.status, &reply.body).map_err(|reason| failed(&reason))
    }

    /// `None` when a header cannot hold what it should.
    fn request(&self, way: &Way) -> Option<Request<bytes::Bytes>> {
        let asked = oauth::token_request(&self.oauth);
        let mut request = Request::new(bytes::Bytes::from(asked.form));
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_str(&way.host).ok()?);
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(authorization) = asked.authorization {
            let mut value = HeaderValue::from_str(authorization.expose_secret()).ok()?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Some(request)
    }
}

fn failed(reason: &str) -> ExchangeFailure {
    ExchangeFailure::Answer(Answer::TokenFailed(reason.trim_end().into()))
}
