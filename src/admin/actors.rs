//! ● `/v1/actors`: the health of every actor of this instance.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;

use crate::endpoint::health::LastError;

use super::{access::Watch, problem::Problem, server::AdminState};

/// Tells how the actors are. Asked seldom; must not block.
pub trait ActorReport: Send + Sync {
    /// The name of this instance.
    fn instance(&self) -> String;
    fn actors(&self) -> Vec<ActorView>;
}

/// How one actor is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ActorView {
    /// `endpoint`, `router`, `ingest`, …
    pub kind: &'static str,
    /// The endpoint's id, the topic and partition, …
    pub id: String,
    /// `running`, `rebuilding`, `paused`, …
    pub state: String,
    pub queue_events: u64,
    pub queue_bytes: u64,
    pub in_flight: u64,
    /// `closed`, `open` or `half_open`, for an endpoint.
    pub breaker: Option<&'static str>,
    pub restarts: u64,
    pub delivered: u64,
    pub failed_attempts: u64,
    pub last_error: Option<LastError>,
    /// The age of the oldest event that is not settled, in milliseconds.
    pub oldest_ms: Option<u64>,
}

pub async fn list(_: Watch, state: web::Data<AdminState>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(json!({"instance": state.actors.instance(), "data": state.actors.actors()})))
}
