//! ● `/v1/endpoints`

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::{
    access::{Access, Read, Write},
    customer_names::names,
    customers::{uid_of_put, unchanged},
    endpoint_body::{CheckedEndpoint, as_body, merge, parse, view},
    endpoint_health,
    endpoint_query::{EndpointQuery, PARAMETERS},
    endpoint_tls::{NEEDS_TLS, lacks_tls},
    paging::shown,
    problem::{FieldError, Problem},
    quotas,
    request::{self, RawBody},
    responses::{answer, conditions, deleted, found, visible_answer},
    state::{AdminState, new_id},
    unreadable_rows::delete_unreadable,
};
use serde_json::Value;

use crate::{
    api::{
        endpoint::AuthView,
        endpoint_body::RotationBody,
        endpoint_view::{EndpointView, IssuedEndpoint, ListedEndpoint},
        resource::{ListPage, ListRow},
    },
    clock,
    model::{
        id::ResourceKind,
        quotas::{Quota, Quotas},
        settings::EndpointState,
        url::EndpointUrl,
    },
    store::{
        StoreError,
        config_write::{Lookup, RowChange, WriteEffect, WrittenRow},
        corrupt_rows::{RowName, Table},
        endpoint_search,
        endpoints::{self, Endpoint, EndpointContext, EndpointWrite},
        list_row::Listed,
        secrets::{
            EndpointSecrets, SIGNING_SECRETS_MAX, StoredAuth, StoredSigningSecret, TooManySecrets, signing_secret,
        },
    },
};

type State = web::Data<AdminState>;

pub(super) async fn list(access: Read, state: State, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = EndpointQuery::parse(&request::query(&request, &PARAMETERS)?)?;
    let (rows, next_cursor) = search(&state, &access, &query).await?;
    let listed = |row: &Endpoint| ListedEndpoint { endpoint: view(row), health: None, customer: None };
    let shown = |(_, row): &(String, Listed<Endpoint>)| shown(row, listed);
    let mut data: Vec<ListRow<ListedEndpoint>> = rows.iter().take(query.limit).map(shown).collect();
    let mut readable: Vec<&mut ListedEndpoint> = data.iter_mut().filter_map(ListRow::readable).collect();
    if query.wants_health {
        endpoint_health::attach(&state, &mut readable).await?;
    }
    if query.wants_customer {
        let known = names(&state, readable.iter().map(|listed| listed.endpoint.customer_id.as_str())).await?;
        for listed in &mut readable {
            listed.customer = known.get(&listed.endpoint.customer_id).cloned();
        }
    }
    Ok(visible_answer(&access, &ListPage { data, next_cursor }))
}

/// A row more than the page has, when there is one, and the cursor that goes on.
async fn search(
    state: &AdminState,
    access: &Access,
    query: &EndpointQuery,
) -> Result<(Vec<(String, Listed<Endpoint>)>, Option<String>), Problem> {
    let customer = access.scoped_customer(query.customer());
    let rows_max = query.limit as i64 + 1;
    let mut rows = endpoint_search::search(&state.pool, query.search(customer), rows_max).await?;
    let known = rows.len();
    let first = rows.first().map(|(key, _)| key.clone());
    let sweep = query.next_sweep(first.as_deref()).filter(|_| known <= query.limit);
    if let Some(sweep) = &sweep {
        let more = rows_max - known as i64;
        rows.extend(endpoint_search::search(&state.pool, sweep.search(customer), more).await?);
    }
    // The last row of the page says where to go on: in this sweep, or in the next one.
    let next = rows.get(query.limit).and(rows.get(query.limit - 1));
    let next_cursor = next.map(|(key, row)| match &sweep {
        Some(sweep) if query.limit > known => sweep.cursor(&rows[known].0, (key, &row.id)),
        _ => query.cursor(first.as_deref().unwrap_or_default(), (key, &row.id)),
    });
    Ok((rows, next_cursor))
}

pub(super) async fn create(
    access: Write,
    state: State,
    request: HttpRequest,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let needed: &[&str] = if access.customer().is_none() { &["customer_id"] } else { &[] };
    let body = parse(&request::object(&state, &request, body).await?, &state.rules, needed)?;
    let customer = access.scoped_customer(body.customer.as_deref());
    let made = Made::new(&state, &body);
    let written = endpoints::write(&state.pool, body.uid.as_deref(), customer, |context| match context.endpoint {
        Lookup::Missing => made.change(&state.quotas, context, body.uid.clone(), &body),
        Lookup::Found(_) | Lookup::Ambiguous => Err(Problem::uid_taken(WHAT)),
    });
    let written = written.await??;
    Ok(answer(written.effect, &made.view(&written.row)))
}

pub(super) async fn read(
    access: Read,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let endpoint = find(&state, &access, &request, path).await?;
    let secrets_unreadable = opened(&state, &endpoint).is_err().then_some(true);
    found(&request, &EndpointView { endpoint: view(&endpoint), secrets_unreadable })
}

pub(super) async fn put(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let name = request::name(path, WHAT)?;
    let body = parse(&request::object(&state, &request, body).await?, &state.rules, &[])?;
    let made = Made::new(&state, &body);
    let conditions = conditions(&request)?;
    let written =
        endpoints::write(&state.pool, Some(&name), access.scoped_customer(body.customer.as_deref()), |context| {
            let current = unambiguous(&context.endpoint)?;
            conditions.check(current.map(|row| row.stamps.version))?;
            let known = current.map(|row| row.uid.as_deref());
            let uid = uid_of_put(ResourceKind::Endpoint, &name, body.uid.as_deref(), known, WHAT)?;
            match current {
                None => made.change(&state.quotas, context, uid, &body),
                Some(current) => replaced(&state, current, &body).map(RowChange::Update),
            }
        });
    let written = written.await??;
    Ok(match written.effect {
        WriteEffect::Created => answer(written.effect, &made.view(&written.row)),
        _ => answered_write(&written),
    })
}

pub(super) async fn patch(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let (name, customer) = named(&access, &request, path)?;
    let patch = request::object(&state, &request, body).await?;
    let conditions = conditions(&request)?;
    let written = endpoints::write(&state.pool, Some(&name), customer.as_deref(), |context| {
        let current = present(&context.endpoint)?;
        conditions.check(Some(current.stamps.version))?;
        let mut body = as_body(current);
        merge(&mut body, &patch);
        let mut body = parse(&body, &state.rules, &[])?;
        unchanged("uid", &body.uid, &current.uid)?;
        unchanged("customer_id", &body.customer.as_deref(), &Some(current.customer_id.as_str()))?;
        if patch.get("auth").is_some_and(Value::is_null) {
            body.auth = Some(StoredAuth::None);
        }
        if body.auth.is_none() {
            if current.settings.auth != AuthView::None && !same_host(&body.url, &current.url) {
                return Err(Problem::invalid(vec![FieldError::new("auth", SAY_AUTH_AGAIN)]));
            }
            body.settings.auth = current.settings.auth.clone();
        }
        if lacks_tls(&body.url, &body.settings.auth) {
            return Err(Problem::invalid(vec![FieldError::new("url", NEEDS_TLS)]));
        }
        let secrets = match (&body.auth, &body.secret) {
            // Not a word about secrets: they stay sealed.
            (None, None) => current.secrets.clone(),
            (auth, secret) => {
                let mut secrets = opened(&state, current)?;
                if let Some(auth) = auth {
                    secrets.auth = auth.clone();
                }
                resealed(&state, current, secrets, secret.as_ref())?
            }
        };
        let with = EndpointWrite { url: body.url, settings: body.settings, secrets, ..current.as_write() };
        Ok::<_, Problem>(RowChange::Update(with))
    });
    let written = written.await??;
    Ok(answered_write(&written))
}

pub(super) async fn delete(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (name, customer) = named(&access, &request, path)?;
    let conditions = conditions(&request)?;
    let written = endpoints::write(&state.pool, Some(&name), customer.as_deref(), |context| {
        let current = present(&context.endpoint)?;
        conditions.check(Some(current.stamps.version)).map(|()| RowChange::Delete)
    });
    let id = match written.await {
        Err(StoreError::Unreadable(_)) => {
            let named = RowName { name: &name, customer: customer.as_deref(), endpoint: None };
            delete_unreadable(&state.pool, Table::Endpoint, named, WHAT, &conditions).await?
        }
        written => written??.row.id,
    };
    Ok(deleted(&id))
}

/// The answer to a write of an endpoint that shows no secret.
pub(super) fn answered_write(written: &WrittenRow<Endpoint>) -> HttpResponse {
    answer(written.effect, &EndpointView { endpoint: view(&written.row), secrets_unreadable: None })
}

/// The endpoint of a path, with `?customer_id=` where its key is not unique.
pub(super) async fn find(
    state: &State,
    access: &Access,
    request: &HttpRequest,
    path: web::Path<String>,
) -> Result<Endpoint, Problem> {
    find_as_asked(state, access, &request::query(request, &["customer_id"])?, path).await
}

/// As [`find`], of a query that says more than the customer.
pub(super) async fn find_as_asked(
    state: &State,
    access: &Access,
    query: &BTreeMap<String, String>,
    path: web::Path<String>,
) -> Result<Endpoint, Problem> {
    let customer = access.scoped_customer(query.get("customer_id").map(String::as_str));
    let found = endpoints::read(&state.pool, &request::name(path, WHAT)?, customer).await?;
    present(&found).cloned()
}

/// The name in the path, and the customer under which to look for it.
pub(super) fn named(
    access: &Access,
    request: &HttpRequest,
    path: web::Path<String>,
) -> Result<(String, Option<String>), Problem> {
    let query = request::query(request, &["customer_id"])?;
    let customer = access.scoped_customer(query.get("customer_id").map(String::as_str));
    Ok((request::name(path, WHAT)?, customer.map(ToOwned::to_owned)))
}

/// The endpoint that was found.
pub(super) fn present(found: &Lookup<Endpoint>) -> Result<&Endpoint, Problem> {
    unambiguous(found)?.ok_or_else(|| Problem::not_found(WHAT))
}

/// The endpoint's secrets in the clear.
pub(super) fn opened(state: &AdminState, endpoint: &Endpoint) -> Result<EndpointSecrets, Problem> {
    crate::store::settings::open_secrets(&state.secrets, &endpoint.id, &endpoint.secrets).map_err(|reason| {
        tracing::error!(endpoint.id = endpoint.id, reason, "the secrets of endpoint `{}` cannot be read", endpoint.id);
        let detail = "the stored secrets cannot be read with this service's key; PUT the endpoint with auth and secret";
        Problem::new(StatusCode::CONFLICT, "secrets_unreadable", detail)
    })
}

/// Secrets sealed again for their endpoint; as they were when nothing of them changed, nor the key that seals.
pub(super) fn resealed(
    state: &AdminState,
    endpoint: &Endpoint,
    mut secrets: EndpointSecrets,
    secret: Option<&String>,
) -> Result<Vec<u8>, Problem> {
    if let Some(secret) = secret {
        let now = clock::wall_ms();
        let rotated = secrets.rotate(secret.clone(), now, now.saturating_add(RotationBody::default().overlap_ms()));
        rotated.map_err(too_many_secrets)?;
    }
    if state.secrets.is_current(&endpoint.secrets) && opened(state, endpoint).is_ok_and(|before| before == secrets) {
        return Ok(endpoint.secrets.clone());
    }
    Ok(state.sealed(&endpoint.id, &secrets))
}

/// A rotation would end a secret that was promised to go on signing.
pub(super) fn too_many_secrets(TooManySecrets { until_ms }: TooManySecrets) -> Problem {
    let until = jiff::Timestamp::from_millisecond(until_ms).map(|until| until.to_string()).unwrap_or_default();
    let detail = format!(
        "{SIGNING_SECRETS_MAX} secrets sign already, and one of the older ones does until {until}: rotate after that, or with \
         \"overlap_ms\": 0, which ends the older ones at once"
    );
    Problem::new(StatusCode::CONFLICT, "too_many_secrets", detail)
}

/// An endpoint that may be created: its id and secret are made before the store is asked.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) secret: String,
    sealed: Vec<u8>,
}

impl Made {
    pub(super) fn new(state: &AdminState, body: &CheckedEndpoint) -> Made {
        let id = new_id(ResourceKind::Endpoint);
        let secret = body.secret.clone().unwrap_or_else(|| signing_secret(rand::random()));
        let secrets = EndpointSecrets {
            auth: body.auth.clone().unwrap_or(StoredAuth::None),
            signing: vec![StoredSigningSecret { secret: secret.clone(), expires_ms: None }],
        };
        let sealed = state.sealed(&id, &secrets);
        Made { id, secret, sealed }
    }

    fn change(
        &self,
        defaults: &Quotas,
        context: &EndpointContext,
        uid: Option<String>,
        body: &CheckedEndpoint,
    ) -> Result<RowChange<EndpointWrite>, Problem> {
        let Some(customer) = &context.customer else {
            let message = if body.customer.is_some() { "there is no such customer" } else { "is missing" };
            return Err(Problem::invalid(vec![FieldError::new("customer_id", message)]));
        };
        quotas::check(defaults, (&customer.id, &context.allowance), &[(Quota::EndpointsMax, 1)])?;
        Ok(RowChange::Create { id: self.id.clone(), uid, with: self.write(&customer.id, body) })
    }

    /// The endpoint as it will be.
    pub(super) fn write(&self, customer_id: &str, body: &CheckedEndpoint) -> EndpointWrite {
        EndpointWrite {
            customer_id: customer_id.to_owned(),
            state: EndpointState::Enabled,
            state_reason: "api".to_owned(),
            suspended: false,
            url: body.url.clone(),
            settings: body.settings.clone(),
            secrets: self.sealed.clone(),
        }
    }

    /// The only answer with a secret in it.
    fn view(&self, endpoint: &Endpoint) -> IssuedEndpoint {
        IssuedEndpoint { endpoint: view(endpoint), secret: self.secret.clone() }
    }
}

/// The endpoint as PUT makes it of one that is there: all of it new, but the signing secret, which only a new one
/// replaces.
pub(super) fn replaced(
    state: &AdminState,
    current: &Endpoint,
    body: &CheckedEndpoint,
) -> Result<EndpointWrite, Problem> {
    let auth = body.auth.clone().unwrap_or(StoredAuth::None);
    let secrets = match (opened(state, current), &body.secret) {
        (Ok(secrets), _) => EndpointSecrets { auth, ..secrets },
        (Err(_), Some(secret)) => {
            EndpointSecrets { auth, signing: vec![StoredSigningSecret { secret: secret.clone(), expires_ms: None }] }
        }
        (Err(problem), None) => return Err(problem),
    };
    Ok(EndpointWrite {
        url: body.url.clone(),
        settings: body.settings.clone(),
        secrets: resealed(state, current, secrets, body.secret.as_ref())?,
        ..current.as_write()
    })
}

fn unambiguous(found: &Lookup<Endpoint>) -> Result<Option<&Endpoint>, Problem> {
    request::unambiguous(found, WHAT, "customer")
}

/// True if two URLs lead to the same scheme, host and port: what is secret towards one of them is none of another's business.
fn same_host(one: &str, other: &str) -> bool {
    let origin = |url: &str| EndpointUrl::parse(url).ok().map(|url| url.url().origin());
    origin(one).is_some_and(|one| Some(one) == origin(other))
}

const SAY_AUTH_AGAIN: &str = "must be said again: the url leads to another scheme, host or port, which would be sent the secrets of the one before";

const WHAT: &str = "endpoint";
