//! ● `/v1/subscriptions`

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::{
    access::{Access, Read, Write},
    customers::{OwnerFilter, owner_filter, uid_of_put, unchanged},
    endpoint_body::{merge_objects, object_of},
    paging::PageRequest,
    problem::{FieldError, Problem},
    quotas,
    request::{self, RawBody},
    responses::{answer, conditions, deleted, found},
    state::{AdminState, new_id},
    subscription_body::{as_body, check_grants, view, warnings},
    unreadable_rows::delete_unreadable,
};
use crate::{
    api::{
        resource::ListPage,
        subscription::{SubscriptionBody, SubscriptionView, parse},
    },
    model::{
        id::ResourceKind,
        quotas::{Quota, Quotas},
        scope::Scope,
    },
    store::{
        StoreError,
        config_write::{Lookup, RowChange},
        corrupt_rows::{RowName, Table},
        endpoints,
        list_row::RowOwner,
        subscriptions::{self, StoredSubscription, SubscriptionContext, SubscriptionParent, SubscriptionWrite},
    },
};

type State = web::Data<AdminState>;

pub(super) async fn list(access: Read, state: State, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["limit", "cursor", "customer_id", "endpoint_id", "topic"])?;
    let get = |name| query.get(name).map(String::as_str);
    let page = PageRequest::parse(ResourceKind::Subscription, get("limit"), get("cursor"))?;
    let Some(owner) = owner(&state, &access, get("customer_id"), get("endpoint_id")).await? else {
        return Ok(HttpResponse::Ok().json(ListPage::<SubscriptionView>::empty()));
    };
    let rows = subscriptions::list(&state.pool, &owner, get("topic"), &page.after, page.rows()).await?;
    Ok(HttpResponse::Ok().json(page.listed(rows, |row| shown(&state, row))))
}

pub(super) async fn create(
    access: Write,
    state: State,
    request: HttpRequest,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let body = parse(&request::object(&state, &request, body).await?, &["endpoint_id"])?;
    let written =
        subscriptions::write(&state.pool, under(&access, &body.endpoint_id), body.uid.as_deref(), |context| {
            match context.subscription {
                Lookup::Missing => created(&state.quotas, context, body.uid.clone(), &body),
                Lookup::Found(_) | Lookup::Ambiguous => Err(Problem::uid_taken(WHAT)),
            }
        });
    let written = written.await??;
    Ok(answer(written.effect, &shown(&state, &written.row)))
}

pub(super) async fn read(
    access: Read,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (name, endpoint) = named(&request, path)?;
    let stored = subscriptions::read(&state.pool, under(&access, &endpoint), &name).await?;
    found(&request, &shown(&state, present(&stored)?))
}

pub(super) async fn put(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let name = request::name(path, WHAT)?;
    let body = parse(&request::object(&state, &request, body).await?, &[])?;
    let conditions = conditions(&request)?;
    let written = subscriptions::write(&state.pool, under(&access, &body.endpoint_id), Some(&name), |context| {
        let current = unambiguous(&context.subscription)?;
        conditions.check(current.map(|row| row.stamps.version))?;
        let known = current.map(|row| row.uid.as_deref());
        let uid = uid_of_put(ResourceKind::Subscription, &name, body.uid.as_deref(), known, WHAT)?;
        match current {
            None => created(&state.quotas, context, uid, &body),
            Some(current) => updated(&state.quotas, context, current, &body),
        }
    });
    let written = written.await??;
    Ok(answer(written.effect, &shown(&state, &written.row)))
}

pub(super) async fn patch(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let (name, endpoint) = named(&request, path)?;
    let patch = request::object(&state, &request, body).await?;
    let conditions = conditions(&request)?;
    let written = subscriptions::write(&state.pool, under(&access, &endpoint), Some(&name), |context| {
        let current = present(&context.subscription)?;
        conditions.check(Some(current.stamps.version))?;
        let mut body = object_of(&as_body(current));
        // A scope is one thing: another level has other fields.
        if patch.contains_key("scope") {
            body.insert("scope".to_owned(), Value::Null);
        }
        merge_objects(&mut body, &patch);
        let body = parse(&body, &[])?;
        unchanged("uid", &body.uid, &current.uid)?;
        unchanged("endpoint_id", &body.endpoint_id.as_deref(), &Some(current.endpoint_id.as_str()))?;
        updated(&state.quotas, context, current, &body)
    });
    let written = written.await??;
    Ok(answer(written.effect, &shown(&state, &written.row)))
}

pub(super) async fn delete(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (name, endpoint) = named(&request, path)?;
    let conditions = conditions(&request)?;
    let written = subscriptions::write(&state.pool, under(&access, &endpoint), Some(&name), |context| {
        let current = present(&context.subscription)?;
        conditions.check(Some(current.stamps.version)).map(|()| RowChange::Delete)
    });
    let id = match written.await {
        Err(StoreError::Unreadable(_)) => {
            let named = RowName { name: &name, customer: access.customer(), endpoint: endpoint.as_deref() };
            delete_unreadable(&state.pool, Table::Subscription, named, WHAT, &conditions).await?
        }
        written => written??.row.id,
    };
    Ok(deleted(&id))
}

/// The owner of a list's rows, by `?customer_id=`, `?endpoint_id=` and the key; `None` when there can be nothing.
pub(super) async fn owner(
    state: &AdminState,
    access: &Access,
    customer: Option<&str>,
    endpoint: Option<&str>,
) -> Result<Option<RowOwner>, Problem> {
    let Some(name) = endpoint else {
        return Ok(match owner_filter(state, access, customer).await? {
            OwnerFilter::Any => Some(RowOwner::Anyone),
            OwnerFilter::Of(id) => Some(RowOwner::Customer(id)),
            OwnerFilter::Nobody => None,
        });
    };
    match endpoints::read(&state.pool, name, access.scoped_customer(customer)).await? {
        Lookup::Found(endpoint) => Ok(Some(RowOwner::Endpoint(endpoint.id))),
        Lookup::Missing => Ok(None),
        Lookup::Ambiguous => Err(Problem::ambiguous("endpoint", "customer")),
    }
}

/// The subscription as it is answered, with what keeps it from ever matching.
fn shown(state: &AdminState, subscription: &StoredSubscription) -> SubscriptionView {
    view(subscription, warnings(&subscription.topic, state.positions.reads(&subscription.topic)))
}

fn created(
    defaults: &Quotas,
    context: &SubscriptionContext,
    uid: Option<String>,
    body: &SubscriptionBody,
) -> Result<RowChange<SubscriptionWrite>, Problem> {
    let message = match (&context.endpoint, &body.endpoint_id) {
        (Lookup::Found(_), _) => {
            let with = granted(context, body)?;
            let more = [(Quota::SubscriptionsMax, 1), (Quota::SubscriptionEntriesMax, entries(&body.scope))];
            fits(defaults, context, &more)?;
            return Ok(RowChange::Create { id: new_id(ResourceKind::Subscription), uid, with });
        }
        (_, None) => "is missing",
        (Lookup::Missing, _) => "there is no such endpoint",
        (Lookup::Ambiguous, _) => "several endpoints have this uid; give the id",
    };
    Err(Problem::invalid(vec![FieldError::new("endpoint_id", message)]))
}

fn updated(
    defaults: &Quotas,
    context: &SubscriptionContext,
    current: &StoredSubscription,
    body: &SubscriptionBody,
) -> Result<RowChange<SubscriptionWrite>, Problem> {
    let with = granted(context, body)?;
    let more = entries(&body.scope) - entries(&current.scope);
    fits(defaults, context, &[(Quota::SubscriptionEntriesMax, more)])?;
    Ok(RowChange::Update(with))
}

fn fits(defaults: &Quotas, context: &SubscriptionContext, more: &[(Quota, i64)]) -> Result<(), Problem> {
    let customer_id = context.customer.as_ref().map_or("", |customer| &customer.id);
    quotas::check(defaults, (customer_id, &context.allowance), more)
}

fn entries(scope: &Scope) -> i64 {
    i64::try_from(scope.entries()).unwrap_or(i64::MAX)
}

/// The row to write, when the customer's grants allow it.
fn granted(context: &SubscriptionContext, body: &SubscriptionBody) -> Result<SubscriptionWrite, Problem> {
    let grants = context.customer.as_ref().map(|customer| customer.grants.clone()).unwrap_or_default();
    check_grants(&grants, &body.topic, &body.scope)?;
    let endpoint = match &context.endpoint {
        Lookup::Found(endpoint) => endpoint,
        Lookup::Missing | Lookup::Ambiguous => return Err(Problem::not_found("endpoint")),
    };
    Ok(SubscriptionWrite { endpoint_id: endpoint.id.clone(), topic: body.topic.clone(), scope: body.scope.clone() })
}

fn named(request: &HttpRequest, path: web::Path<String>) -> Result<(String, Option<String>), Problem> {
    let mut query = request::query(request, &["endpoint_id"])?;
    Ok((request::name(path, WHAT)?, query.remove("endpoint_id")))
}

fn under<'a>(access: &'a Access, endpoint: &'a Option<String>) -> SubscriptionParent<'a> {
    SubscriptionParent { customer_id: access.customer(), endpoint: endpoint.as_deref() }
}

fn present(found: &Lookup<StoredSubscription>) -> Result<&StoredSubscription, Problem> {
    unambiguous(found)?.ok_or_else(|| Problem::not_found(WHAT))
}

fn unambiguous(found: &Lookup<StoredSubscription>) -> Result<Option<&StoredSubscription>, Problem> {
    request::unambiguous(found, WHAT, "endpoint")
}

const WHAT: &str = "subscription";
