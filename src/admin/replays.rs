//! ● `/v1/replays`: Kafka once more, for one endpoint.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde_json::Value;

use super::{
    endpoint_commands::disabled,
    endpoints::present,
    paging::{Page, PageRequest},
    problem::{FieldError, Problem},
    replay_body::{Range, ReplayBody, not_there, parse, view},
    request::{self, Body},
    server::{AdminState, new_id},
};
use crate::{
    clock,
    endpoint::settings::State as EndpointState,
    replay::{
        positions::PositionError,
        range::{self, Share},
    },
    store::{
        config_write::Lookup,
        endpoints,
        id::{self, Kind},
        replays::{self, NewReplay, NewShare, ReplayRow},
    },
};

type State = web::Data<AdminState>;

pub async fn create(state: State, request: HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let body = parse(&request::object(&request, body)?, clock::wall_ms())?;
    let found = endpoints::read(&state.pool, &body.endpoint, body.customer.as_deref()).await?;
    let endpoint = match &found {
        Lookup::Missing => {
            return Err(Problem::invalid(vec![FieldError::new("endpoint_id", "there is no such endpoint")]));
        }
        found => present(found)?,
    };
    if endpoint.state == EndpointState::Disabled {
        return Err(disabled());
    }
    let shares = shares(&state, &body).await?;
    let share = |share: Share| NewShare {
        partition: share.partition,
        from: share.from,
        end: share.end,
        at_log_start: share.at_log_start,
    };
    let replay = NewReplay {
        id: new_id(Kind::Replay),
        endpoint_id: endpoint.id.clone(),
        topic: body.topic,
        times: match body.range {
            Range::Times { from_ms, to_ms } => Some((from_ms, to_ms)),
            Range::Offsets(_) => None,
        },
        shares: shares.into_iter().map(share).collect(),
    };
    if !replays::create(&state.pool, &replay, OPEN_MAX).await? {
        let detail = format!("the endpoint has {OPEN_MAX} replays that are not done; wait for one, or cancel one");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_replays", detail));
    }
    tracing::info!(
        replay.id = replay.id,
        endpoint.id = replay.endpoint_id,
        topic = replay.topic,
        "a replay was asked for"
    );
    Ok(HttpResponse::Created().json(view(&find(&state, &replay.id).await?)))
}

pub async fn list(state: State, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["limit", "cursor", "endpoint_id", "customer_id"])?;
    let get = |name| query.get(name).map(String::as_str);
    let page = PageRequest::parse(Kind::Replay, get("limit"), get("cursor"))?;
    let endpoint_id = match get("endpoint_id") {
        None => None,
        Some(name) => match endpoints::read(&state.pool, name, get("customer_id")).await? {
            Lookup::Found(endpoint) => Some(endpoint.id),
            Lookup::Missing => {
                return Ok(HttpResponse::Ok().json(Page::<Value> { data: Vec::new(), next_cursor: None }));
            }
            Lookup::Ambiguous => return Err(Problem::ambiguous("endpoint", "customer")),
        },
    };
    let rows = replays::list(&state.pool, endpoint_id.as_deref(), &page.after, page.rows()).await?;
    Ok(HttpResponse::Ok().json(page.page(rows, |row| &row.id, |row| view(&row))))
}

pub async fn read(state: State, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(&find(&state, &path).await?)))
}

/// One that is done stays done; one that was cancelled stays cancelled.
pub async fn cancel(state: State, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    find(&state, &path).await?;
    replays::cancel(&state.pool, &path, "api").await?;
    Ok(HttpResponse::Ok().json(view(&find(&state, &path).await?)))
}

async fn find(state: &State, id: &str) -> Result<ReplayRow, Problem> {
    let found = if id::is(Kind::Replay, id) { replays::read(&state.pool, id).await? } else { None };
    found.ok_or_else(|| Problem::not_found("replay"))
}

/// What the range is in offsets, as Kafka has it at this moment.
async fn shares(state: &State, body: &ReplayBody) -> Result<Vec<Share>, Problem> {
    let positions = &state.positions;
    match &body.range {
        Range::Times { from_ms, to_ms } => {
            positions.of_times(&body.topic, *from_ms, *to_ms).await.map_err(|error| problem(&error))
        }
        Range::Offsets(asked) => {
            let extents = positions.extents(&body.topic).await.map_err(|error| problem(&error))?;
            range::of_offsets(asked, &extents).map_err(not_there)
        }
    }
}

fn problem(error: &PositionError) -> Problem {
    match error {
        PositionError::NotRead | PositionError::NoTopic => {
            Problem::invalid(vec![FieldError::new("topic", error.to_string())])
        }
        PositionError::Unavailable(_) => {
            tracing::warn!(%error, "a request could not reach Kafka");
            let detail = "Kafka cannot be reached at the moment; try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "kafka_unavailable", detail)
        }
    }
}

/// Of one endpoint.
const OPEN_MAX: i64 = 100;
