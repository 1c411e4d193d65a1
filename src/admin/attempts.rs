//! ● `/v1/endpoints/{id}/attempts`: how the endpoint answered, the newest first.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;

use super::{
    access::Read, counts, endpoints::find_as_asked, paging::PageRequest, problem::Problem, request,
    responses::visible_answer, state::AdminState,
};
use crate::{
    api::attempt::{AttemptOutcome, AttemptPage, AttemptView},
    model::id::{self, ResourceKind},
    store::attempts::{self, AttemptQuery, AttemptRow},
};

type State = web::Data<AdminState>;

pub(super) async fn list(
    access: Read,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &PARAMETERS)?;
    let get = |name| query.get(name).map(String::as_str);
    let page = PageRequest::parse(ResourceKind::Attempt, get("limit"), get("cursor"))?;
    let outcomes: &[&str] = match get("outcome") {
        None => &OUTCOMES,
        Some("not_delivered") => &OUTCOMES[1..],
        Some(word) => match OUTCOMES.iter().position(|known| *known == word) {
            Some(place) => &OUTCOMES[place..=place],
            None => {
                let known = OUTCOMES.join(", ");
                return Err(Problem::invalid_query(format!("outcome must be one of not_delivered, {known}")));
            }
        },
    };
    let since = request::time(&query, "since")?.map_or(String::new(), first_id);
    let until = request::time(&query, "until")?.map_or(BEYOND.to_owned(), first_id);
    let endpoint = find_as_asked(&state, &access, &query, path).await?;
    // The cursor is the last id of the page before: the newest come first.
    let before = if page.after.is_empty() { until } else { page.after.clone().min(until) };
    let of =
        AttemptQuery { endpoint_id: &endpoint.id, outcomes, event_id: get("event_id"), from: &since, before: &before };
    let counts = match get("include") {
        None => None,
        Some("counts") => Some(counts::of(&state.pool, &endpoint.id, &query).await?),
        Some(_) => return Err(Problem::invalid_query("include must be counts")),
    };
    let rows = attempts::list(&state.pool, of, page.rows()).await?;
    let page = page.page(rows, |row| &row.id, view);
    Ok(visible_answer(&access, &AttemptPage { page, counts }))
}

fn view(row: AttemptRow) -> AttemptView {
    AttemptView {
        id: row.id,
        endpoint_id: row.endpoint_id,
        ended_at: row.ended_at,
        webhook_id: row.batch_id,
        events: row.events,
        // For people to look at: of a form that this version does not know, nothing is shown.
        first_events: serde_json::from_value(row.members).unwrap_or_default(),
        attempt: row.attempt,
        next: row.next,
        next_at: row.next_at,
        stands_for: row.stands_for,
        outcome: AttemptOutcome {
            outcome: row.outcome,
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            class: row.class,
            duration_ms: u64::try_from(row.duration_ms).unwrap_or(0),
            excerpt: row.excerpt,
        },
    }
}

fn first_id(time: Timestamp) -> String {
    id::lowest(ResourceKind::Attempt, time.as_millisecond())
}

/// Above every id.
const BEYOND: &str = "~";
const PARAMETERS: [&str; 9] =
    ["limit", "cursor", "outcome", "since", "until", "event_id", "customer_id", "include", "per"];
/// `delivered` is the first.
const OUTCOMES: [&str; 6] = ["delivered", "rejected", "failed", "gone", "disconnected", "local_fault"];
