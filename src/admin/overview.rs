//! ● `/v1/overview`: all instances at one glance, a quarter of an hour back.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{access::Watch, problem::Problem, request, state::AdminState};
use crate::{
    api::{instance::InstanceView, overview::Overview},
    clock,
    monitoring::overview::{BacklogFacts, OverviewFacts, OverviewPart, totals},
    store::{instances::InstanceRow, queue_depths},
};
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
    Ok(HttpResponse::Ok().json(Overview {
        at: now_ms,
        instances: state.peers.instances().into_iter().map(view).collect(),
        unreachable: heard.silent,
        totals: totals(&parts, known),
    }))
}

fn view(instance: InstanceRow) -> InstanceView {
    let InstanceRow { id, started_at, seen_at, version, .. } = instance;
    InstanceView { id, started_at, seen_at, version }
}
