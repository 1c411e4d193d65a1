//! ● `/v1/endpoints/{id}/dead-letters` for a customer's, `/v1/dead-letters` for the operator's (records that never got
//! as far as an endpoint).

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::{
    access::{Access, Administer, Read, Watch, Write},
    dead_letter_long_poll::DeadLetterLongPolls,
    dead_letter_page::LetterPageRequest,
    dead_letter_query::{LetterQuery, PARAMETERS, selection},
    dead_letter_view::view,
    endpoints::{find, find_as_asked},
    problem::Problem,
    request::{self, RawBody},
    state::AdminState,
};
use crate::{
    api::{
        dead_letter_view::{Acknowledged, LetterPage},
        dead_letters::parse,
    },
    clock,
    fair_share::turns,
    model::{
        grants::Grants,
        id::{self, ResourceKind},
    },
    store::{
        customers,
        dead_letter_read::{
            self, DeadLetterQuery, DeadLetterSelection, LetterHead, LetterList, LetterOwner, TriedLetter,
        },
    },
};

type State = web::Data<AdminState>;

pub(super) async fn list_of_endpoint(
    access: Read,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    arrivals: web::Data<DeadLetterLongPolls>,
) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &PARAMETERS)?;
    let endpoint = find_as_asked(&state, &access, &query, path).await?;
    let granted = grants(&state, &access).await?;
    list(&state, &arrivals, &endpoint.id, &query, granted.as_ref()).await
}

pub(super) async fn list_of_operator(
    _: Watch,
    state: State,
    request: HttpRequest,
    arrivals: web::Data<DeadLetterLongPolls>,
) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &PARAMETERS[..PARAMETERS.len() - 1])?;
    list(&state, &arrivals, OPERATOR, &query, None).await
}

pub(super) async fn read(access: Read, state: State, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = path.into_inner();
    let found =
        if id::is(ResourceKind::DeadLetter, &id) { dead_letter_read::read(&state.pool, &id).await? } else { None };
    let granted = grants(&state, &access).await?;
    let found = found.filter(|(head, _)| access.sees(&head.customer_id) && shown(head, granted.as_ref()));
    let (head, data) = found.ok_or_else(|| Problem::not_found("dead letter"))?;
    Ok(HttpResponse::Ok().json(view(head, Some(data), granted.is_some())))
}

pub(super) async fn acknowledge(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let selection = selected(&state, &request, body).await?;
    let endpoint = find(&state, &access, &request, path).await?;
    let granted = grants(&state, &access).await?;
    let owner = LetterOwner { endpoint_id: &endpoint.id, granted: granted.as_ref() };
    let done = dead_letter_read::acknowledge(&state.pool, owner, &selection).await?;
    Ok(HttpResponse::Ok().json(Acknowledged { acknowledged: done.letters, more: done.more }))
}

pub(super) async fn acknowledge_of_operator(
    _: Administer,
    state: State,
    request: HttpRequest,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let selection = selected(&state, &request, body).await?;
    let done = dead_letter_read::acknowledge(&state.pool, LetterOwner::all_of(OPERATOR), &selection).await?;
    Ok(HttpResponse::Ok().json(Acknowledged { acknowledged: done.letters, more: done.more }))
}

type Query = std::collections::BTreeMap<String, String>;

/// The grants of the customer owner key this is; `None` for other keys.
pub(super) async fn grants(state: &AdminState, access: &Access) -> Result<Option<Grants>, Problem> {
    let Some(own) = access.customer() else { return Ok(None) };
    Ok(Some(customers::read(&state.pool, own).await?.map(|customer| customer.grants).unwrap_or_default()))
}

/// A customer's key sees no letter of what is no longer granted to it.
fn shown(head: &LetterHead, granted: Option<&Grants>) -> bool {
    granted.is_none_or(|grants| grants.give(&head.topic, head.tenant.as_deref()))
}

async fn list(
    state: &AdminState,
    arrivals: &DeadLetterLongPolls,
    endpoint_id: &str,
    query: &Query,
    granted: Option<&Grants>,
) -> Result<HttpResponse, Problem> {
    let get = |name| query.get(name).map(String::as_str);
    let page = LetterPageRequest::parse(get("limit"), get("cursor"))?;
    let LetterQuery { filter, with_data, wait } = LetterQuery::parse(query)?;
    let of = DeadLetterQuery { endpoint_id, filter: &filter };
    let (deadline, mut seen) = (clock::now() + wait, page.after.clone());
    let mut place = None;
    let list = loop {
        let turn = if filter.is_by_record() { Some(state.scans.turn().await?) } else { None };
        let list = dead_letter_read::list(&state.pool, of, &page.after, page.rows()).await?;
        drop(turn);
        if page.is_news(&list) || wait.is_zero() || clock::now() >= deadline {
            break list;
        }
        if place.is_none() {
            place = Some(arrivals.place(&turns::holder())?);
        }
        if list != LetterList::default() {
            if arrivals.rest_until(deadline.min(clock::now() + SETTLES_IN)).await {
                continue;
            }
            break list;
        }
        match arrivals.newer(endpoint_id, &seen, deadline).await {
            Some(newest) => seen = newest,
            None => break list,
        }
    };
    let LetterList { mut rows, tried } = list;
    if with_data {
        return page_with_data(state, &page, rows, granted, tried.as_ref()).await;
    }
    let more = rows.len() > page.limit;
    rows.truncate(page.limit);
    let (next_cursor, resume_cursor) = page.cursors(&rows, more, tried.as_ref());
    let data = rows.into_iter().filter(|row| shown(row, granted)).map(|row| view(row, None, granted.is_some()));
    Ok(HttpResponse::Ok().json(LetterPage { data: data.collect(), next_cursor, resume_cursor }))
}

/// A page with data ends early rather than grow beyond [`DATA_BYTES_MAX`]; it has at least one letter.
async fn page_with_data(
    state: &AdminState,
    page: &LetterPageRequest,
    mut rows: Vec<LetterHead>,
    granted: Option<&Grants>,
    tried: Option<&TriedLetter>,
) -> Result<HttpResponse, Problem> {
    let mut bytes = 0;
    let fit = rows.iter().take(page.limit).take_while(|row| {
        let first = bytes == 0;
        bytes += row.data_bytes.max(1);
        first || bytes <= DATA_BYTES_MAX
    });
    let fit = fit.count();
    let more = rows.len() > fit;
    rows.truncate(fit);
    let (next_cursor, resume_cursor) = page.cursors(&rows, more, tried);
    rows.retain(|row| shown(row, granted));
    // The data itself, and what it is as JSON.
    let bytes: i64 = rows.iter().map(|row| row.data_bytes).sum();
    let _reserved = state.memory.reserve(&turns::holder(), usize::try_from(bytes).unwrap_or(0).saturating_mul(3))?;
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let data = dead_letter_read::read_data(&state.pool, &ids).await?;
    let is_customer = granted.is_some();
    // Megabytes take their time; nobody else waits for it.
    let written = state.work.run(move || {
        let mut data = data.by_id()?;
        // One that was acknowledged meanwhile is left out.
        let views = rows.into_iter().filter_map(|row| {
            let data = data.remove(&row.id)?;
            Some(view(row, Some(data), is_customer))
        });
        let page = LetterPage { data: views.collect(), next_cursor, resume_cursor };
        serde_json::to_string(&page).map_err(|error| {
            tracing::error!(%error, "a page of dead letters cannot be written as JSON");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is our fault; the log says more")
        })
    });
    let written = written.await??;
    Ok(HttpResponse::Ok().content_type("application/json").body(written))
}

/// The letters that a command selects.
pub(super) async fn selected(
    state: &AdminState,
    request: &HttpRequest,
    body: RawBody,
) -> Result<DeadLetterSelection, Problem> {
    let body = parse(&request::object(state, request, body).await?)?;
    Ok(selection(body, clock::wall_ms()))
}

/// The endpoint of records that never got as far as one.
const OPERATOR: &str = "";
const DATA_BYTES_MAX: i64 = 8 * 1024 * 1024;
/// Time for which a transaction owner letters are awaited usually still runs.
const SETTLES_IN: Duration = Duration::from_millis(500);
