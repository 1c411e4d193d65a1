//! ● `/v1/overview`: all instances at one glance, a quarter of an hour back.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::{access::Watch, problem::Problem, request, state::AdminState};
use crate::{
    clock,
    monitoring::{
        overview::{BacklogFacts, Overview, OverviewFacts, OverviewPart},
        peers::SilentPeer,
    },
    store::{instances::InstanceRow, queue_depths},
};

#[derive(Serialize)]
struct View {
    /// Milliseconds since 1970.
    at: i64,
    instances: Vec<InstanceRow>,
    /// Live instances whose part is missing.
    unreachable: Vec<SilentPeer>,
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
    let backlog = backlog.ok().map(|totals| BacklogFacts {
        events: totals.events,
        bytes: totals.bytes,
        age_ms: totals.oldest_ms.map(|at| (now_ms - at).max(0)),
    });
    let known = OverviewFacts { endpoints: state.actors.endpoint_states(), backlog };
    let mut parts = heard.answers;
    parts.push(state.actors.overview());
    Ok(HttpResponse::Ok().json(View {
        at: now_ms,
        instances: state.peers.instances(),
        unreachable: heard.silent,
        overview: Overview::of(&parts, known),
    }))
}
