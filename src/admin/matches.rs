//! ● `POST /v1/match`: who would get this event, and for one endpoint why or why not. Nothing is sent.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};

use super::{
    access::{Access, Read},
    endpoint_health,
    endpoints::present,
    match_explain::{Facts, why},
    paging::PageRequest,
    problem::{FieldError, Problem},
    replays::check_granted,
    request::{self, RawBody},
    state::AdminState,
};
use crate::{
    api::{
        match_view::{MatchVerdict, MatchView, MatchedEndpoint, MatchedEvent, RefusedRecord},
        resource::ListPage,
        sample::{MatchBody, parse},
    },
    clock,
    model::{event::Record, id::ResourceKind},
    monitoring::endpoint_snapshot::EndpointPart,
    router::index::Matches,
    store::{
        config_write::Lookup,
        endpoints,
        matching::{self, MatchCandidate, MatchFields},
    },
};

type State = web::Data<AdminState>;

/// A customer's key learns of its own endpoints only, and only of topics that are granted.
pub(super) async fn who_gets(
    access: Read,
    state: State,
    request: HttpRequest,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["limit", "cursor"])?;
    let get = |name| query.get(name).map(String::as_str);
    let page = PageRequest::parse(ResourceKind::Endpoint, get("limit"), get("cursor"))?;
    let parsed = request::parsed_by(&state, &request, body, |object, bytes| Ok(parse(object, bytes)?));
    let (body, record) = parsed.await?;
    check_granted(&state, &access, &body.topic).await?;
    let one = match &body.endpoint_id {
        Some(name) => Some(endpoint_id(&state, name, access.scoped_customer(body.customer_id.as_deref())).await?),
        None => None,
    };
    let event = decoded(&state, &body, record.as_ref());
    let asked =
        MatchFields { topic: &body.topic, tenant: event.tenant.as_deref(), department: event.department.as_deref() };
    let version = (state.live.version)();
    let topic_is_read = state.positions.reads(asked.topic);
    // What cannot be decoded gets nowhere.
    let live = if topic_is_read && event.refused.is_none() { matched(&state, &access, asked) } else { Vec::new() };
    let matched = live.len();
    let (shown, next_cursor) = match &one {
        Some(id) => (vec![id.clone()], None),
        None => shown(&page, &live),
    };
    let names: Vec<&str> = shown.iter().map(String::as_str).collect();
    let parts = endpoint_health::parts(&state, &shown).await.by_id;
    let (now_ms, unknown) = (clock::wall_ms(), EndpointPart::default());
    let candidates = matching::candidates(&state.pool, &names, asked).await?;
    let mut by_id: HashMap<&str, &MatchCandidate> =
        candidates.iter().map(|candidate| (candidate.endpoint_id.as_str(), candidate)).collect();
    // One that was deleted since the snapshot is left out.
    let found = names.iter().filter_map(|id| by_id.remove(id));
    let data: Vec<MatchedEndpoint> = found
        .map(|candidate| {
            let live = live.binary_search(&candidate.endpoint_id).is_ok();
            let verdict = why(Facts { asked, candidate, topic_is_read, live });
            let part = parts.get(&candidate.endpoint_id).unwrap_or(&unknown);
            MatchedEndpoint {
                endpoint_id: candidate.endpoint_id.clone(),
                uid: candidate.uid.clone(),
                customer_id: candidate.customer_id.clone(),
                url: candidate.url.clone(),
                state: candidate.state,
                silent_until: endpoint_health::silent_until(part, now_ms),
                verdict: event.refused.as_ref().map_or(verdict, nobody_gets),
            }
        })
        .collect();
    Ok(HttpResponse::Ok().json(MatchView { event, version, matched, data, next_cursor }))
}

/// The sample's fields, or why no record like it is delivered to anybody.
fn decoded(state: &AdminState, body: &MatchBody, record: Option<&Record>) -> MatchedEvent {
    let topic = body.topic.clone();
    let nothing = MatchedEvent { topic, tenant: None, department: None, kind: None, id: None, refused: None };
    let refused = |code: &'static str, detail| Some(RefusedRecord { code: code.into(), detail });
    let Some(record) = record else {
        return MatchedEvent { tenant: body.tenant.clone(), department: body.department.clone(), ..nothing };
    };
    let bytes_max = state.live.event_bytes_max;
    if record.bytes.len() > bytes_max {
        let detail = format!("a record of more than {bytes_max} bytes becomes a dead letter of the operator's");
        return MatchedEvent { refused: refused("too_large", detail), ..nothing };
    }
    match (state.live.decoder)(&body.topic).decode(record) {
        Ok(fields) => MatchedEvent {
            tenant: text(&fields.tenant, record),
            department: text(&fields.department, record),
            kind: text(&fields.kind, record),
            id: text(&fields.id, record),
            ..nothing
        },
        Err(error) => {
            let detail = format!("the record becomes a dead letter of the operator's: {error}");
            MatchedEvent { refused: refused("undecodable", detail), ..nothing }
        }
    }
}

fn text(field: &crate::model::event::Field, record: &Record) -> Option<String> {
    field.text(record).map(ToOwned::to_owned)
}

/// The ids of the endpoints that the routers of this instance would give the event to, of those that may be seen, sorted.
fn matched(state: &AdminState, access: &Access, asked: MatchFields<'_>) -> Vec<String> {
    let mut keys = Matches::new();
    let index = state.live.table.index();
    if let Some(topic) = index.topic(asked.topic) {
        topic.matches(asked.tenant, asked.department, &mut keys);
    }
    let endpoints = state.live.table.endpoints();
    let queues = keys.iter().filter_map(|key| endpoints.get(*key));
    let seen = queues.filter(|queue| access.sees(&queue.settings().customer_id));
    let mut ids: Vec<String> = seen.map(|queue| queue.id.to_string()).collect();
    ids.sort_unstable();
    ids
}

/// The page's ids, and where the next page begins.
fn shown(page: &PageRequest, sorted: &[String]) -> (Vec<String>, Option<String>) {
    let first = sorted.partition_point(|id| *id <= page.after);
    let rows: Vec<String> = sorted[first..].iter().take(page.limit + 1).cloned().collect();
    let ListPage { data, next_cursor } = page.page(rows, |id| id, |id| id);
    (data, next_cursor)
}

/// The verdict on a record that is delivered to nobody.
fn nobody_gets(record: &RefusedRecord) -> MatchVerdict {
    let RefusedRecord { code, detail } = record.clone();
    MatchVerdict { gets: false, code, detail, subscription_ids: Vec::new() }
}

async fn endpoint_id(state: &State, name: &str, customer: Option<&str>) -> Result<String, Problem> {
    match endpoints::read(&state.pool, name, customer).await? {
        Lookup::Missing => Err(Problem::invalid(vec![FieldError::new("endpoint_id", "there is no such endpoint")])),
        found => present(&found).map(|endpoint| endpoint.id.clone()),
    }
}
