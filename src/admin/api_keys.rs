//! ● `/v1/api-keys`: who may use this API.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;

use super::{
    access::{Administer, CONFIGURED, Read, Watch},
    api_key_body::view,
    auth::{hash_of, new_token, start_of},
    customer_names::names,
    customers::{OwnerFilter, owner_filter},
    paging::PageRequest,
    problem::{FieldError, Problem},
    request::{self, RawBody},
    responses::{answer, deleted},
    state::{AdminState, new_id},
};
use crate::{
    api::{
        api_key::{CurrentKey, IssuedApiKey, ListedApiKey, TokenRotationBody, parse, parse_change},
        body,
        resource::ListPage,
    },
    clock,
    model::id::{self, ResourceKind},
    store::{
        api_keys::{self, ApiKey, KeyChange, NewApiKey},
        config_write::WriteEffect,
    },
};

type State = web::Data<AdminState>;

/// The only answer with the token in it, but for a rotation's.
pub(super) async fn create(
    access: Administer,
    state: State,
    request: HttpRequest,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let body = parse(&request::object(&state, &request, body).await?, clock::wall_ms())?;
    let (id, token) = (new_id(ResourceKind::ApiKey), new_token());
    let key = NewApiKey {
        id: &id,
        name: &body.name,
        role: body.role,
        customer_id: body.customer_id.as_deref(),
        token_sha256: hash_of(&token),
        token_start: start_of(&token),
        expires_at: body.expires_at,
        created_by: &access.key_id,
    };
    let made = api_keys::create(&state.pool, &key).await?;
    let made =
        made.ok_or_else(|| Problem::invalid(vec![FieldError::new("customer_id", "there is no such customer")]))?;
    Ok(answer(WriteEffect::Created, &IssuedApiKey { key: view(made), token }))
}

pub(super) async fn list(access: Watch, state: State, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["limit", "cursor", "customer_id", "include"])?;
    let get = |name| query.get(name).map(String::as_str);
    let page = PageRequest::parse(ResourceKind::ApiKey, get("limit"), get("cursor"))?;
    let with_names = match get("include") {
        None => false,
        Some("customer") => true,
        Some(_) => return Err(Problem::invalid_query("include takes: customer")),
    };
    let customer_id = match owner_filter(&state, &access, get("customer_id")).await? {
        OwnerFilter::Any => None,
        OwnerFilter::Of(id) => Some(id),
        OwnerFilter::Nobody => return Ok(HttpResponse::Ok().json(ListPage::<ListedApiKey>::empty())),
    };
    let rows = api_keys::list(&state.pool, customer_id.as_deref(), &page.after, page.rows()).await?;
    let mut page = page.page(rows, |key| &key.id, |key| ListedApiKey { key: view(key), customer: None });
    if with_names {
        let known = names(&state, page.data.iter().filter_map(|listed| listed.key.customer_id.as_deref())).await?;
        for listed in &mut page.data {
            listed.customer = listed.key.customer_id.as_ref().and_then(|id| known.get(id).cloned());
        }
    }
    Ok(HttpResponse::Ok().json(page))
}

pub(super) async fn read(_: Watch, state: State, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let found = api_keys::read(&state.pool, key_id(&path)?).await?;
    Ok(HttpResponse::Ok().json(view(present(found)?)))
}

/// Describes the key of the request: a program learns from it what it may ask for.
pub(super) async fn current(access: Read, state: State) -> Result<HttpResponse, Problem> {
    let (role, customer_id) = (access.role.key_role(), access.customer().map(str::to_owned));
    let stored = match access.key_id.as_str() {
        CONFIGURED => None,
        id => api_keys::read(&state.pool, id).await?,
    };
    let expires_at = stored.as_ref().and_then(|key| key.expires_at);
    let name = stored.map(|key| key.name);
    Ok(HttpResponse::Ok().json(CurrentKey { id: access.key_id.clone(), name, role, customer_id, expires_at }))
}

pub(super) async fn patch(
    _: Administer,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let (name, expires_at) = parse_change(&request::object(&state, &request, body).await?, clock::wall_ms())?;
    let change = KeyChange { name, expires_at };
    let changed = api_keys::change(&state.pool, key_id(&path)?, &change).await?;
    Ok(HttpResponse::Ok().json(view(present(changed)?)))
}

/// Another token for the key; the one before holds for a while, so that its holder can change over.
pub(super) async fn rotate(
    _: Administer,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let body: TokenRotationBody = body::read(&request::optional_object(&state, &request, body).await?)?;
    let overlap_ms = i64::try_from(body.overlap_ms).unwrap_or(i64::MAX);
    let until = Timestamp::from_millisecond(clock::wall_ms().saturating_add(overlap_ms)).ok();
    let until = until.filter(|_| overlap_ms > 0);
    let token = new_token();
    let rotated = api_keys::rotate(&state.pool, key_id(&path)?, hash_of(&token), start_of(&token), until).await?;
    Ok(HttpResponse::Ok().json(IssuedApiKey { key: view(present(rotated)?), token }))
}

/// From then on the key is refused, on every instance within a few seconds.
pub(super) async fn revoke(_: Administer, state: State, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = key_id(&path)?;
    if !api_keys::revoke(&state.pool, id).await? {
        return Err(Problem::not_found(WHAT));
    }
    Ok(deleted(id))
}

fn key_id(path: &str) -> Result<&str, Problem> {
    if id::is(ResourceKind::ApiKey, path) { Ok(path) } else { Err(Problem::not_found(WHAT)) }
}

fn present(found: Option<ApiKey>) -> Result<ApiKey, Problem> {
    found.ok_or_else(|| Problem::not_found(WHAT))
}

const WHAT: &str = "API key";
