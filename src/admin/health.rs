//! ● `/livez`, `/readyz` and `/metrics`: without a key, for those who watch the process.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::server::AdminState;

/// Tells whether this instance does its work.
pub trait Readiness: Send + Sync {
    /// Why it is not ready; empty when it is. Postgres away is no reason: that would take all instances out at once.
    fn reasons(&self) -> Vec<String>;
}

/// The process answers.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"live": true}))
}

pub async fn ready(state: web::Data<AdminState>) -> HttpResponse {
    let reasons = state.readiness.reasons();
    if reasons.is_empty() {
        HttpResponse::Ok().json(json!({"ready": true}))
    } else {
        HttpResponse::ServiceUnavailable().json(json!({"ready": false, "reasons": reasons}))
    }
}

pub async fn metrics(state: web::Data<AdminState>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body((state.metrics)())
}
