//! ● `/peer`: what this instance tells the others of itself. Not for people: see [`crate::monitoring::peers`].

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{problem::Problem, state::AdminState};
use crate::{
    clock,
    monitoring::{
        actor_view::ActorFilter,
        canary::CanaryPayload,
        peer_auth::{DIGEST_HEADER, HEADER, digest_of},
        peers::{PeerAnswer, is_for},
    },
};

type State = web::Data<AdminState>;

/// Ids of one question at most: a page of endpoints.
const IDS_MAX: usize = 1_000;
/// Room for that number of ids, and some to spare.
const BODY_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn actors(state: State, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let filter = ActorFilter::of_query(request.query_string());
    check(&state, &request, b"")?;
    Ok(answered(&state, state.actors.actors(&filter)))
}

pub(super) async fn overview(state: State, request: HttpRequest) -> Result<HttpResponse, Problem> {
    check(&state, &request, b"")?;
    Ok(answered(&state, state.actors.overview()))
}

pub(super) async fn endpoints(state: State, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Problem> {
    let body = signed_body(&state, &request, body).await?;
    let ids: Vec<String> = serde_json::from_slice(&body).unwrap_or_default();
    Ok(answered(&state, state.actors.endpoints(&ids[..ids.len().min(IDS_MAX)])))
}

/// An endpoint has taken a test event at another instance.
pub(super) async fn probe(state: State, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Problem> {
    let body = signed_body(&state, &request, body).await?;
    let id = serde_json::from_slice::<String>(&body).unwrap_or_default();
    Ok(answered(&state, state.actors.want_probe(&id)))
}

/// A canary of this instance's arrived at another one.
pub(super) async fn canary(state: State, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Problem> {
    let body = signed_body(&state, &request, body).await?;
    let canary = serde_json::from_slice::<CanaryPayload>(&body).ok();
    let own = canary.filter(|canary| canary.instance == state.peers.own_id());
    if let Some(canary) = &own {
        state.peers.canary_arrived(canary.number);
    }
    Ok(answered(&state, own.is_some()))
}

/// A body, once it is known that another instance of ours sends it: its digest is signed, and stands in the head.
async fn signed_body(state: &AdminState, request: &HttpRequest, body: web::Payload) -> Result<web::Bytes, Problem> {
    let digest = request.headers().get(DIGEST_HEADER).and_then(|digest| digest.to_str().ok());
    check_digest(state, request, digest.unwrap_or_default())?;
    let unreadable = || Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "the body did not arrive whole");
    let read = body.to_bytes_limited(BODY_BYTES_MAX).await;
    let body = read.ok().and_then(Result::ok).ok_or_else(unreadable)?;
    check(state, request, &body)?;
    Ok(body)
}

/// Only another instance of ours may ask.
fn check(state: &AdminState, request: &HttpRequest, body: &[u8]) -> Result<(), Problem> {
    check_digest(state, request, &digest_of(body))
}

fn check_digest(state: &AdminState, request: &HttpRequest, digest: &str) -> Result<(), Problem> {
    let token = request.headers().get(HEADER).and_then(|token| token.to_str().ok()).unwrap_or_default();
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let is_for_us = is_for(request.query_string(), state.peers.own_id());
    if is_for_us && state.peers.token().promises(token, clock::wall_ms(), path, digest) {
        return Ok(());
    }
    let detail =
        "only other instances of the same service ask here; check that their clocks and secrets.key are the same";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "not_a_peer", detail))
}

fn answered(state: &AdminState, answer: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(PeerAnswer { instance: state.peers.own_id().to_owned(), answer })
}
