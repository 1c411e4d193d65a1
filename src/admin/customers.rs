//! ● `/v1/customers`

use actix_web::{HttpRequest, HttpResponse, web};

use super::{
    access::{Access, Administer, Read},
    customer_body::{as_body, view, write},
    endpoint_body::{merge_objects, object_of},
    paging::PageRequest,
    problem::{FieldError, Problem},
    request::{self, RawBody},
    responses::{answer, conditions, deleted, found},
    state::{AdminState, new_id},
    unreadable_rows::delete_unreadable,
};
use crate::{
    api::{
        customer::parse,
        resource::{ListPage, ListRow},
        text,
    },
    model::id::{self, ResourceKind},
    store::{
        StoreError,
        config_write::RowChange,
        corrupt_rows::{RowName, Table},
        customers,
    },
};

type State = web::Data<AdminState>;

pub(super) async fn list(access: Read, state: State, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["limit", "cursor"])?;
    let page = PageRequest::parse(
        ResourceKind::Customer,
        query.get("limit").map(String::as_str),
        query.get("cursor").map(String::as_str),
    )?;
    if let Some(own) = access.customer() {
        let own = customers::read(&state.pool, own).await?.filter(|own| own.id > page.after);
        let data = own.iter().map(view).map(ListRow::Readable).collect();
        return Ok(HttpResponse::Ok().json(ListPage { data, next_cursor: None }));
    }
    let rows = customers::list(&state.pool, &page.after, page.rows()).await?;
    Ok(HttpResponse::Ok().json(page.listed(rows, view)))
}

pub(super) async fn create(
    _: Administer,
    state: State,
    request: HttpRequest,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let body = parse(&request::object(&state, &request, body).await?, &[])?;
    let (uid, with) = (body.uid.clone(), write(body));
    let written = customers::write(&state.pool, uid.as_deref(), |current| match current {
        Some(_) => Err(Problem::uid_taken(WHAT)),
        None => Ok(RowChange::Create { id: new_id(ResourceKind::Customer), uid: uid.clone(), with }),
    });
    let written = written.await??;
    Ok(answer(written.effect, &view(&written.row)))
}

pub(super) async fn read(
    access: Read,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let name = request::name(path, WHAT)?;
    let name = access.scoped_customer(Some(&name)).unwrap_or(&name);
    let customer = customers::read(&state.pool, name).await?.ok_or_else(|| Problem::not_found(WHAT))?;
    found(&request, &view(&customer))
}

pub(super) async fn put(
    _: Administer,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let name = request::name(path, WHAT)?;
    let body = parse(&request::object(&state, &request, body).await?, &[])?;
    let conditions = conditions(&request)?;
    let written = customers::write(&state.pool, Some(&name), |current| {
        conditions.check(current.map(|row| row.stamps.version))?;
        let uid = uid_of_put(
            ResourceKind::Customer,
            &name,
            body.uid.as_deref(),
            current.map(|row| row.uid.as_deref()),
            WHAT,
        )?;
        Ok::<_, Problem>(match current {
            Some(_) => RowChange::Update(write(body)),
            None => RowChange::Create { id: new_id(ResourceKind::Customer), uid, with: write(body) },
        })
    });
    let written = written.await??;
    Ok(answer(written.effect, &view(&written.row)))
}

pub(super) async fn patch(
    _: Administer,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let name = request::name(path, WHAT)?;
    let patch = request::object(&state, &request, body).await?;
    let conditions = conditions(&request)?;
    let written = customers::write(&state.pool, Some(&name), |current| {
        let current = current.ok_or_else(|| Problem::not_found(WHAT))?;
        conditions.check(Some(current.stamps.version))?;
        let mut body = object_of(&as_body(current));
        merge_objects(&mut body, &patch);
        let body = parse(&body, &[])?;
        unchanged("uid", &body.uid, &current.uid)?;
        Ok::<_, Problem>(RowChange::Update(write(body)))
    });
    let written = written.await??;
    Ok(answer(written.effect, &view(&written.row)))
}

pub(super) async fn delete(
    _: Administer,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let name = request::name(path, WHAT)?;
    let conditions = conditions(&request)?;
    let written = customers::write(&state.pool, Some(&name), |current| {
        let current = current.ok_or_else(|| Problem::not_found(WHAT))?;
        conditions.check(Some(current.stamps.version)).map(|()| RowChange::Delete)
    });
    let id = match written.await {
        Err(StoreError::Unreadable(_)) => {
            let named = RowName { name: &name, ..RowName::default() };
            delete_unreadable(&state.pool, Table::Customer, named, WHAT, &conditions).await?
        }
        written => written??.row.id,
    };
    Ok(deleted(&id))
}

/// A filter of a list by owner.
pub(super) enum OwnerFilter {
    Any,
    /// This customer's (its id).
    Of(String),
    /// There is no such customer, or none that this key may see.
    Nobody,
}

/// The owners meant by `?customer_id=` and the key.
pub(super) async fn owner_filter(
    state: &AdminState,
    access: &Access,
    named: Option<&str>,
) -> Result<OwnerFilter, Problem> {
    match access.scoped_customer(named) {
        None => Ok(OwnerFilter::Any),
        Some(id) if access.customer() == Some(id) => Ok(OwnerFilter::Of(id.to_owned())),
        Some(name) => {
            let customer = customers::read(&state.pool, name).await?;
            Ok(customer.map_or(OwnerFilter::Nobody, |customer| OwnerFilter::Of(customer.id)))
        }
    }
}

/// The key under which PUT creates; refuses what cannot be created or would change a key.
pub(super) fn uid_of_put(
    kind: ResourceKind,
    name: &str,
    given: Option<&str>,
    current: Option<Option<&str>>,
    what: &str,
) -> Result<Option<String>, Problem> {
    match current {
        Some(uid) if given.is_none() || given == uid => Ok(uid.map(ToOwned::to_owned)),
        None if id::is(kind, name) || name.starts_with(kind.prefix()) => Err(Problem::not_found(what)),
        None if given.is_none_or(|given| given == name) => match text::check_uid(name, kind.prefix()) {
            Ok(()) => Ok(Some(name.to_owned())),
            Err(message) => Err(Problem::invalid(vec![FieldError::new("uid", message)])),
        },
        _ => Err(Problem::invalid(vec![FieldError::new("uid", "must be the one in the path, or left out")])),
    }
}

/// Refuses to change what stays as it is for life.
pub(super) fn unchanged<T: PartialEq>(field: &str, new: &T, old: &T) -> Result<(), Problem> {
    if new == old { Ok(()) } else { Err(Problem::invalid(vec![FieldError::new(field, "cannot be changed")])) }
}

const WHAT: &str = "customer";
