//! ● `/v1/api-keys`: who may use this API.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    access::{Administer, CONFIGURED, Read, Role, Watch},
    api_key_body::{role, view},
    auth::{hash_of, new_token, start_of},
    customer_names,
    customers::{OwnerFilter, owner_filter},
    paging::{ListPage, PageRequest},
    problem::{FieldError, Problem},
    request::{self, RawBody},
    responses::{WrittenId, created},
    state::{AdminState, new_id},
};
use crate::{
    api::{
        api_key::{TokenRotationBody, parse, parse_change},
        body,
    },
    clock,
    model::id::{self, ResourceKind},
    store::api_keys::{self, ApiKey, KeyChange, NewApiKey},
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
        role: role(&body),
        token_sha256: hash_of(&token),
        token_start: start_of(&token),
        expires_at: body.expires_at,
        created_by: &access.key_id,
    };
    let made = api_keys::create(&state.pool, &key).await?;
    let made =
        made.ok_or_else(|| Problem::invalid(vec![FieldError::new("customer_id", "there is no such customer")]))?;
    let mut shown = view(&made);
    shown["token"] = token.into();
    Ok(created(shown))
}

pub(super) async fn list(access: Watch, state: State, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["limit", "cursor", "customer_id", "include"])?;
    let get = |name| query.get(name).map(String::as_str);
    let page = PageRequest::parse(ResourceKind::ApiKey, get("limit"), get("cursor"))?;
    let names = match get("include") {
        None => false,
        Some("customer") => true,
        Some(_) => return Err(Problem::invalid_query("include takes: customer")),
    };
    let customer_id = match owner_filter(&state, &access, get("customer_id")).await? {
        OwnerFilter::Any => None,
        OwnerFilter::Of(id) => Some(id),
        OwnerFilter::Nobody => return Ok(HttpResponse::Ok().json(ListPage::<Value>::empty())),
    };
    let rows = api_keys::list(&state.pool, customer_id.as_deref(), &page.after, page.rows()).await?;
    let mut page = page.page(rows, |key| &key.id, |key| view(&key));
    if names {
        customer_names::attach(&state, &mut page.data).await?;
    }
    Ok(HttpResponse::Ok().json(page))
}

pub(super) async fn read(_: Watch, state: State, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let found = api_keys::read(&state.pool, key_id(&path)?).await?;
    Ok(HttpResponse::Ok().json(view(&present(found)?)))
}

/// Describes the key of the request: a program learns from it what it may ask for.
pub(super) async fn current(access: Read, state: State) -> Result<HttpResponse, Problem> {
    let (role, customer) = match &access.role {
        Role::Admin => ("admin", None),
        Role::Operator => ("operator", None),
        Role::Customer(own) => ("customer", Some(&own.id)),
    };
    let stored = match access.key_id.as_str() {
        CONFIGURED => None,
        id => api_keys::read(&state.pool, id).await?,
    };
    Ok(HttpResponse::Ok().json(json!({
        "id": access.key_id,
        "name": stored.as_ref().map(|key| key.name.as_str()),
        "role": role,
        "customer_id": customer,
        "expires_at": stored.as_ref().and_then(|key| key.expires_at),
    })))
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
    Ok(HttpResponse::Ok().json(view(&present(changed)?)))
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
    let mut shown = view(&present(rotated)?);
    shown["token"] = token.into();
    Ok(HttpResponse::Ok().json(shown))
}

/// From then on the key is refused, on every instance within a few seconds.
pub(super) async fn revoke(_: Administer, state: State, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let id = key_id(&path)?;
    if !api_keys::revoke(&state.pool, id).await? {
        return Err(Problem::not_found(WHAT));
    }
    let mut response = HttpResponse::NoContent().finish();
    response.extensions_mut().insert(WrittenId(id.to_owned()));
    Ok(response)
}

fn key_id(path: &str) -> Result<&str, Problem> {
    if id::is(ResourceKind::ApiKey, path) { Ok(path) } else { Err(Problem::not_found(WHAT)) }
}

fn present(found: Option<ApiKey>) -> Result<ApiKey, Problem> {
    found.ok_or_else(|| Problem::not_found(WHAT))
}

const WHAT: &str = "API key";
