//! ● `/v1/actors`: the health of every actor of every live instance. A customer sees those of its own endpoints.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{access::Read, paging, problem::Problem, request, responses::visible_answer, state::AdminState};
use crate::{
    api::actor::{ActorEverywhere, ActorPage, ActorView},
    model::settings::EndpointStateCounts,
    monitoring::{
        actor_view::{ActorFilter, merge_pages},
        endpoint_snapshot::EndpointPart,
        overview::OverviewPart,
        peers::PeerAnswers,
    },
    store::endpoints,
};

/// Tells how this instance is. Asked seldom; must not block.
pub trait ActorReport: Send + Sync {
    /// The actors that the filter wants, in their order.
    fn actors(&self, filter: &ActorFilter) -> Vec<ActorView>;
    /// This instance's part of the overview.
    fn overview(&self) -> OverviewPart;
    /// This instance's parts of these endpoints; one that it does not know is left out.
    fn endpoints(&self, ids: &[String]) -> Vec<EndpointPart>;
    /// An endpoint has taken a test event: where its breaker is open, a probe is worth it now. False: it is not known here.
    fn want_probe(&self, id: &str) -> bool;
    fn endpoint_states(&self) -> EndpointStateCounts;
}

pub async fn list(access: Read, state: web::Data<AdminState>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = request::query(&request, &["limit", "cursor", "kind", "state", "q", "instance"])?;
    let limit = paging::limit(query.get("limit").map(String::as_str))?;
    let after = query.get("cursor").map(|cursor| decode(cursor)).transpose()?;
    let instance = query.remove("instance");
    let mut take = |name: &str| query.remove(name).filter(|text| !text.is_empty());
    let (kind, wanted_state, q) = (take("kind"), take("state"), take("q"));
    // One more than the page, to know whether there is another one.
    let customer = access.customer().map(str::to_owned);
    let filter = ActorFilter { kind, state: wanted_state, q, id: None, customer, after, limit: limit + 1 };
    let (pages, heard) = ask(&state, &filter, instance.as_deref()).await;
    let (data, next) = merge_pages(pages, limit);
    let page = ActorPage {
        instance: state.peers.own_id().to_owned(),
        data,
        next_cursor: next.map(|place| BASE64_URL_SAFE_NO_PAD.encode(place)),
        unreachable: heard.silent,
    };
    Ok(visible_answer(&access, &page))
}

/// One actor, at every instance that has it. An endpoint that was made a moment ago has none yet, until its settings
/// have reached an instance: an empty list then, because the endpoint is known.
pub async fn read(
    access: Read,
    state: web::Data<AdminState>,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let mut query = request::query(&request, &["instance"])?;
    let id = path.into_inner();
    let customer = access.customer().map(str::to_owned);
    let filter = ActorFilter { id: Some(id.clone()), customer, ..ActorFilter::default() };
    let (pages, heard) = ask(&state, &filter, query.remove("instance").as_deref()).await;
    let (data, _) = merge_pages(pages, usize::MAX);
    let mut kind = data.first().and_then(|actor| actor["kind"].as_str()).map(str::to_owned);
    if data.is_empty() && heard.silent.is_empty() {
        let endpoint = endpoints::read(&state.pool, &id, access.customer()).await?.found();
        endpoint.filter(|endpoint| endpoint.id == id).ok_or_else(|| Problem::not_found("actor"))?;
        kind = Some("endpoint".to_owned());
    }
    Ok(visible_answer(&access, &ActorEverywhere { id, kind, data, unreachable: heard.silent }))
}

/// Asks this instance and the others for their actors; one alone, when one is named.
async fn ask(
    state: &AdminState,
    filter: &ActorFilter,
    instance: Option<&str>,
) -> (Vec<Vec<Value>>, PeerAnswers<Vec<Value>>) {
    let own = state.peers.own_id();
    let mut heard = PeerAnswers { answers: Vec::new(), silent: Vec::new() };
    if instance.is_none_or(|named| named != own) {
        heard = state.peers.ask(&format!("/peer/actors?{}", filter.to_query()), None).await;
    }
    let mut pages: Vec<Vec<Value>> = std::mem::take(&mut heard.answers);
    pages.push(state.actors.actors(filter).into_iter().map(|actor| json!(actor)).collect());
    if let Some(named) = instance {
        pages.iter_mut().for_each(|page| page.retain(|actor| actor["instance"] == named));
        heard.silent.retain(|silent| silent.id == named);
    }
    (pages, heard)
}

fn decode(cursor: &str) -> Result<String, Problem> {
    let place = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    place.filter(|place| place.matches('\u{1}').count() == 2).ok_or_else(|| {
        let detail = "this cursor is not one that was given out for this list; begin without a cursor";
        Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", detail)
    })
}
