//! ● `/v1/endpoints/{id}/dead-letters/redrive`: letters are asked for again, and how that goes.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{
    access::{Read, Write},
    dead_letters::{grants, selected},
    endpoint_commands::disabled,
    endpoints::{find, find_as_asked},
    problem::Problem,
    request::{self, RawBody},
    state::AdminState,
};
use crate::{
    api::dead_letter_view::Redriving,
    model::settings::EndpointState,
    store::{dead_letter_read::LetterOwner, redrive_progress},
};

type State = web::Data<AdminState>;

pub(super) async fn redrive(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let selection = selected(&state, &request, body).await?;
    let endpoint = find(&state, &access, &request, path).await?;
    if endpoint.state == EndpointState::Disabled {
        return Err(disabled());
    }
    let granted = grants(&state, &access).await?;
    let owner = LetterOwner { endpoint_id: &endpoint.id, granted: granted.as_ref() };
    let (requested_at, done) = redrive_progress::redrive(&state.pool, owner, &selection).await?;
    Ok(HttpResponse::Accepted().json(Redriving { redriving: done.letters, more: done.more, requested_at }))
}

pub(super) async fn progress(
    access: Read,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["customer_id", "since"])?;
    let since = request::time(&query, "since")?;
    let endpoint = find_as_asked(&state, &access, &query, path).await?;
    let granted = grants(&state, &access).await?;
    let owner = LetterOwner { endpoint_id: &endpoint.id, granted: granted.as_ref() };

    Ok(HttpResponse::Ok().json(redrive_progress::progress(&state.pool, owner, since).await?))
}
