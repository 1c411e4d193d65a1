//! ● `/v1/endpoints/{id}/attempts`: how the endpoint answered, the newest first.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde_json::{Value, json};

use super::{access::Read, fields::checked_time, paging::PageRequest, problem::Problem, request, server::AdminState};
use crate::store::{
    attempts::{self, AttemptRow, Of},
    id::{self, Kind},
};

type State = web::Data<AdminState>;

pub async fn list(
    access: Read,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["limit", "cursor", "outcome", "since", "until", "event_id", "customer_id"])?;
    let get = |name| query.get(name).map(String::as_str);
    let page = PageRequest::parse(Kind::Attempt, get("limit"), get("cursor"))?;
    let outcomes: &[&str] = match get("outcome") {
        None => &OUTCOMES,
        Some("not_delivered") => &OUTCOMES[1..],
        Some(word) => match OUTCOMES.iter().position(|known| *known == word) {
            Some(place) => &OUTCOMES[place..=place],
            None => {
                let known = OUTCOMES.join(", ");
                return Err(invalid_query(format!("outcome must be one of not_delivered, {known}")));
            }
        },
    };
    let since = time(get("since"), "since")?.map_or(String::new(), |ms| id::lowest(Kind::Attempt, ms));
    let until = time(get("until"), "until")?.map_or(BEYOND.to_owned(), |ms| id::lowest(Kind::Attempt, ms));
    let name = request::name(path, "endpoint")?;
    let found = crate::store::endpoints::read(&state.pool, &name, access.within(get("customer_id"))).await?;
    let endpoint = super::endpoints::present(&found)?;
    // The cursor is the last id of the page before: the newest come first.
    let before = if page.after.is_empty() { until } else { page.after.clone().min(until) };
    let of = Of { endpoint_id: &endpoint.id, outcomes, event_id: get("event_id"), from: &since, before: &before };
    let rows = attempts::list(&state.pool, of, page.rows()).await?;
    Ok(HttpResponse::Ok().json(page.page(rows, |row| &row.id, |row| view(&row))))
}

fn view(row: &AttemptRow) -> Value {
    json!({
        "id": row.id,
        "endpoint_id": row.endpoint_id,
        "ended_at": row.ended_at,
        "duration_ms": row.duration_ms,
        "webhook_id": row.batch_id,
        "events": row.events,
        "first_events": row.members,
        "attempt": row.attempt,
        "outcome": row.outcome,
        "status": row.status,
        "class": row.class,
        "excerpt": row.excerpt,
        "next": row.next,
        "next_at": row.next_at,
        "stands_for": row.stands_for,
    })
}

fn time(text: Option<&str>, name: &str) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    match checked_time(text) {
        Ok(time) => Ok(Some(time.as_millisecond())),
        Err(message) => Err(invalid_query(format!("{name} {message}"))),
    }
}

fn invalid_query(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
}

/// Above every id.
const BEYOND: &str = "~";
/// `delivered` is the first.
const OUTCOMES: [&str; 6] = ["delivered", "rejected", "failed", "gone", "disconnected", "local_fault"];
