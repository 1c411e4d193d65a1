//! ● `/livez`, `/readyz` and `/metrics`: without a key, for those who watch the process.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::{auth::asker, problem::Problem, state::AdminState};
use crate::api::instance::{LiveProbe, ReadyProbe, UnreadyProbe};

/// Tells whether this instance does its work.
pub trait Readiness: Send + Sync {
    /// The reason why it is not ready; empty when it is. Postgres away is no reason: that would take all instances out at once.
    fn reasons(&self) -> Vec<String>;
    /// Parts that are stalled although they have something to do, and why: no reason to put the instance out, for
    /// another one would fare no better.
    fn details(&self) -> Vec<String>;
}

/// The process answers.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(LiveProbe { live: true })
}

pub async fn ready(state: web::Data<AdminState>) -> HttpResponse {
    let (reasons, details) = (state.readiness.reasons(), state.readiness.details());
    if reasons.is_empty() {
        HttpResponse::Ok().json(ReadyProbe { ready: true, details })
    } else {
        HttpResponse::ServiceUnavailable().json(UnreadyProbe { ready: false, reasons, details })
    }
}

/// Rendering takes its time; a probe on the same thread does not wait for it.
pub async fn metrics(state: web::Data<AdminState>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let render = Arc::clone(&state.metrics);
    let page = web::block(move || render()).await;
    let page = page.map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the metrics could not be rendered; the log says more",
        )
    })?;
    let page = state.memory.answer(&asker(request.peer_addr().map(|peer| peer.ip())), page)?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(page))
}
