//! ● `/v1/endpoints/{id}/enable|disable|pause|resume|restart` and `/secrets/rotate`

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::{
    access::{Access, Write},
    endpoint_body::{check_secret, view},
    endpoints::{answered_write, named, opened, present, too_many_secrets},
    problem::Problem,
    request::{self, RawBody},
    responses::{answer, conditions},
    state::AdminState,
};
use crate::{
    api::{body::Said, endpoint_body::RotationBody, endpoint_view::IssuedEndpoint},
    clock,
    model::settings::EndpointState,
    notifications::{OperatorEvent, emit},
    store::{
        config_write::{Lookup, RowChange},
        endpoint_commands,
        endpoints::{self, Endpoint, EndpointWrite},
        secrets::signing_secret,
    },
};

type State = web::Data<AdminState>;

pub(super) async fn enable(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    set(&state, &access, &request, path, EndpointState::Enabled, true).await
}

pub(super) async fn disable(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    set(&state, &access, &request, path, EndpointState::Disabled, true).await
}

pub(super) async fn pause(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    set(&state, &access, &request, path, EndpointState::Paused, false).await
}

pub(super) async fn resume(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    set(&state, &access, &request, path, EndpointState::Enabled, false).await
}

/// Every instance rebuilds the endpoint's actor: what it held waits in the backlog, whatever it had come to is forgotten.
pub(super) async fn restart(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (name, customer) = named(&access, &request, path)?;
    let conditions = conditions(&request)?;
    let decide = |found: &Lookup<Endpoint>| conditions.check(Some(present(found)?.stamps.version));
    let written = endpoint_commands::restart(&state.pool, &name, customer.as_deref(), decide).await??;
    Ok(answered_write(&written))
}

/// A new signing secret, the caller's or one of ours; the one before goes on signing for a while.
pub(super) async fn rotate(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let (name, customer) = named(&access, &request, path)?;
    let object = request::optional_object(&state, &request, body).await?;
    let mut said = Said::of::<RotationBody>(&object);
    check_secret(&mut said);
    let body: RotationBody = said.into_body()?;
    let conditions = conditions(&request)?;
    let overlap_ms = body.overlap_ms();
    let secret = body.secret.unwrap_or_else(|| signing_secret(rand::random()));
    let written = endpoints::write(&state.pool, Some(&name), customer.as_deref(), |context| {
        let current = present(&context.endpoint)?;
        conditions.check(Some(current.stamps.version))?;
        let mut secrets = opened(&state, current)?;
        let now = clock::wall_ms();
        secrets.rotate(secret.clone(), now, now.saturating_add(overlap_ms)).map_err(too_many_secrets)?;
        let secrets = state.sealed(&current.id, &secrets);
        Ok::<_, Problem>(RowChange::Update(EndpointWrite { secrets, ..current.as_write() }))
    });
    let written = written.await??;
    Ok(answer(written.effect, &IssuedEndpoint { endpoint: view(&written.row), secret }))
}

/// `from_disabled`: whether a disabled endpoint may come to this state; pausing or resuming it would only confuse.
async fn set(
    state: &State,
    access: &Access,
    request: &HttpRequest,
    path: web::Path<String>,
    to: EndpointState,
    from_disabled: bool,
) -> Result<HttpResponse, Problem> {
    let (name, customer) = named(access, request, path)?;
    let conditions = conditions(request)?;
    let mut was_suspended = false;
    let written = endpoints::write(&state.pool, Some(&name), customer.as_deref(), |context| {
        let current = present(&context.endpoint)?;
        conditions.check(Some(current.stamps.version))?;
        was_suspended = current.suspended_at.is_some();
        if current.state == EndpointState::Disabled && !from_disabled {
            return Err(disabled());
        }
        let mut with = if current.state == to { current.as_write() } else { current.with_state(to, "api") };
        // Whoever wants events again gets those that were skipped, too: they are replayed.
        with.suspended &= to != EndpointState::Enabled;
        Ok(RowChange::Update(with))
    });
    let written = written.await??;
    if was_suspended && written.row.suspended_at.is_none() {
        let (endpoint_id, customer_id) = (written.row.id.as_str().into(), written.row.customer_id.as_str().into());
        emit(OperatorEvent::EndpointUnsuspended { endpoint_id, customer_id });
    }
    Ok(answered_write(&written))
}

/// 409 for what a disabled endpoint cannot do.
pub(super) fn disabled() -> Problem {
    let detail = "the endpoint is disabled; enable it first";
    Problem::new(StatusCode::CONFLICT, "endpoint_is_disabled", detail)
}
