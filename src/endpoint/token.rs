//! ● The access token of one endpoint: fetched when it is needed, kept until shortly before it expires, fetched by one
//! request at a time.

use std::{cell::RefCell, sync::Arc, time::Instant};

use awc::http::header::{self, HeaderValue};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::{
    client::CoreClient,
    exchange::{Failure, exchange, host_header, uri_of},
    identity::TlsIdentity,
    oauth::{self, OAuth2, Token},
    outcome::{self, Answer},
};
use crate::{clock, telemetry::names};

/// Where an endpoint's tokens come from.
pub struct TokenSource {
    oauth: Arc<OAuth2>,
    tls: Option<Arc<TlsIdentity>>,
    state: RefCell<State>,
    /// Held by the one that fetches.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<HeldToken>,
    /// How often the token server has answered or failed.
    fetches: u64,
    /// Why the last of them failed.
    failed: Option<Failure>,
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
    pub fn new(oauth: Arc<OAuth2>, tls: Option<Arc<TlsIdentity>>) -> Self {
        TokenSource { oauth, tls, state: RefCell::default(), turn: Mutex::new(()) }
    }

    /// A token that can be used now. `refused` is the number of one that the endpoint did not take: it is not used again.
    ///
    /// # Errors
    /// When the token server gives none. Whoever waited for that answer shares it.
    pub async fn token(&self, client: &CoreClient, refused: Option<u64>) -> Result<HeldToken, Failure> {
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
        let fetched = self.fetch(client).await;
        self.take(fetched)
    }

    fn usable(&self, refused: Option<u64>) -> Option<HeldToken> {
        let state = self.state.borrow();
        state.held.clone().filter(|held| clock::now() < held.until && Some(held.number) != refused)
    }

    fn take(&self, fetched: Result<Token, Failure>) -> Result<HeldToken, Failure> {
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

    async fn fetch(&self, client: &CoreClient) -> Result<Token, Failure> {
        let url = &self.oauth.token_url;
        client.egress().check_url(url).map_err(Failure::Refused)?;
        let uri = uri_of(url).ok_or_else(|| failed("the token URL cannot be requested"))?;
        let asked = oauth::token_request(&self.oauth);
        let identity = self.tls.as_deref();
        let http = client.generation(identity).map_err(Answer::LocalFault)?.client;
        let mut request = http
            .post(uri)
            .insert_header((header::HOST, host_header(url)))
            .insert_header((header::USER_AGENT, concat!("postrider/", env!("CARGO_PKG_VERSION"))))
            .insert_header((header::ACCEPT, "application/json"))
            .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"));
        if let Some(authorization) = asked.authorization {
            request = request.insert_header((header::AUTHORIZATION, authorization.expose_secret()));
        }
        let bytes_max = client.answer_bytes_max();
        let reply =
            exchange(client, identity, request.send_body(asked.form), |_| bytes_max).await.map_err(|failure| {
                match failure {
                    // Ours, not the token server's.
                    Failure::Answer(Answer::LocalFault(_)) | Failure::Refused(_) => failure,
                    Failure::Answer(answer) => {
                        let (_, note) = outcome::classify(&answer, 0);
                        failed(&format!("the token server: {} {}", note.class, note.excerpt))
                    }
                }
            })?;
        oauth::token_of(reply.status, &reply.body).map_err(|reason| failed(&reason))
    }
}

fn failed(reason: &str) -> Failure {
    Failure::Answer(Answer::TokenFailed(reason.trim_end().into()))
}
