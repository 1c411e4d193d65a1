//! ● `/v1/overview`: all instances at one glance, a quarter of an hour back.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::{access::Watch, problem::Problem, request, state::AdminState};
use crate::{
    clock,
    monitoring::{
        overview::{Known, Overview, OverviewPart},
        peers::Silent,
    },
    store::{instances::Instance, queue_depths},
};

#[derive(Serialize)]
struct View {
    /// Milliseconds since 1970.
    at: i64,
    instances: Vec<Instance>,
    /// Live instances whose part is missing.
    unreachable: Vec<Silent>,
    #[serde(flatten)]
    overview: Overview,
}

pub(super) async fn read(
    _: Watch,
    state: web::Data<AdminState>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    request::query(&request, &[])?;
    let (heard, backlog) =
        tokio::join!(state.peers.ask::<OverviewPart>("/peer/overview", None), queue_depths::backlog(&state.pool));
    let now_ms = clock::wall_ms();
    let (enabled, paused, disabled) = state.actors.endpoint_states();
    let backlog = backlog.ok().map(|(events, bytes, oldest)| (events, bytes, oldest.map(|at| (now_ms - at).max(0))));
    let known = Known { enabled, paused, disabled, backlog };
    let mut parts = heard.answers;
    parts.push(state.actors.overview());
    Ok(HttpResponse::Ok().json(View {
        at: now_ms,
        instances: state.peers.instances(),
        unreachable: heard.silent,
        overview: Overview::of(&parts, known),
    }))
}
