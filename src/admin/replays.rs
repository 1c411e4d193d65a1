//! ● `/v1/replays`: A range of Kafka again, for one endpoint.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::{
    access::{Access, Read, Write},
    endpoint_commands::disabled,
    endpoints::present,
    paging::PageRequest,
    problem::{FieldError, Problem},
    quotas::{self, beyond},
    replay_body::{not_there, view},
    request::{self, RawBody},
    responses::answer,
    state::{AdminState, new_id},
    subscription_body::outside_grants,
    subscriptions::owner,
};
use crate::{
    api::{
        replay::{ReplayBody, ReplayView, parse},
        resource::ListPage,
    },
    clock,
    model::{
        grants::BeyondGrants,
        id::{self, ResourceKind},
        quotas::Quota,
        settings::EndpointState,
    },
    replay::{
        positions::PositionError,
        range::{self, Share},
    },
    store::{
        config_write::{Lookup, WriteEffect},
        customers, endpoints,
        quotas::CustomerAllowance,
        replays::{self, NewReplay, NewShare, ReplayCreation, ReplayRow},
    },
};

type State = web::Data<AdminState>;

pub(super) async fn create(
    access: Write,
    state: State,
    request: HttpRequest,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let body = parse(&request::object(&state, &request, body).await?, clock::wall_ms())?;
    let found =
        endpoints::read(&state.pool, &body.endpoint_id, access.scoped_customer(body.customer_id.as_deref())).await?;
    let endpoint = match &found {
        Lookup::Missing => {
            return Err(Problem::invalid(vec![FieldError::new("endpoint_id", "there is no such endpoint")]));
        }
        found => present(found)?,
    };
    if endpoint.state == EndpointState::Disabled {
        return Err(disabled());
    }
    check_granted(&state, &access, &body.topic).await?;
    let shares = shares(&state, &body).await?;
    let share = |share: Share| NewShare {
        partition: share.partition,
        from: share.from,
        end: share.end,
        at_log_start: share.at_log_start,
    };
    let replay = NewReplay {
        of_gap: false,
        id: new_id(ResourceKind::Replay),
        endpoint_id: endpoint.id.clone(),
        times: body.times_ms(),
        topic: body.topic,
        shares: shares.into_iter().map(share).collect(),
    };
    stored(&state, &replay).await?;
    tracing::info!(
        replay.id = replay.id,
        endpoint.id = replay.endpoint_id,
        topic = replay.topic,
        "a replay was asked for"
    );
    Ok(answer(WriteEffect::Created, &view(find(&state, &access, &replay.id).await?)))
}

/// Stores a replay that fits what its endpoint and its customer may have.
async fn stored(state: &State, replay: &NewReplay) -> Result<(), Problem> {
    let records = replay.shares.iter().map(|share| share.end - share.from).sum();
    let fits =
        |allowance: &CustomerAllowance| beyond(&state.quotas, allowance, Quota::ReplayEventsMax, records).is_none();
    match replays::create(&state.pool, replay, OPEN_MAX, fits).await? {
        ReplayCreation::Created => Ok(()),
        ReplayCreation::TooMany => {
            let detail = format!("the endpoint has {OPEN_MAX} replays that are not done; wait for one, or cancel one");
            Err(Problem::new(StatusCode::CONFLICT, "too_many_replays", detail))
        }
        ReplayCreation::Beyond { customer_id, allowance } => {
            quotas::check(&state.quotas, (&customer_id, &allowance), &[(Quota::ReplayEventsMax, records)])
        }
    }
}

pub(super) async fn list(access: Read, state: State, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request::query(&request, &["limit", "cursor", "endpoint_id", "customer_id"])?;
    let get = |name| query.get(name).map(String::as_str);
    let page = PageRequest::parse(ResourceKind::Replay, get("limit"), get("cursor"))?;
    let Some(owner) = owner(&state, &access, get("customer_id"), get("endpoint_id")).await? else {
        return Ok(HttpResponse::Ok().json(ListPage::<ReplayView>::empty()));
    };
    let rows = replays::list(&state.pool, &owner, &page.after, page.rows()).await?;
    Ok(HttpResponse::Ok().json(page.page(rows, |row| &row.id, view)))
}

pub(super) async fn read(access: Read, state: State, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(find(&state, &access, &path).await?)))
}

/// One that is done stays done; one that was cancelled stays cancelled.
pub(super) async fn cancel(access: Write, state: State, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    find(&state, &access, &path).await?;
    replays::cancel(&state.pool, &path, "api").await?;
    Ok(HttpResponse::Ok().json(view(find(&state, &access, &path).await?)))
}

async fn find(state: &State, access: &Access, id: &str) -> Result<ReplayRow, Problem> {
    let is_id = id::is(ResourceKind::Replay, id);
    let found = if is_id { replays::read(&state.pool, id, access.customer()).await? } else { None };
    found.ok_or_else(|| Problem::not_found("replay"))
}

/// A customer's key learns nothing of topics that are not granted: neither that they exist nor how much is in them.
pub(super) async fn check_granted(state: &AdminState, access: &Access, topic: &str) -> Result<(), Problem> {
    let Some(own) = access.customer() else { return Ok(()) };
    let granted = customers::read(&state.pool, own).await?.is_some_and(|own| own.grants.give_some_of(topic));
    if granted { Ok(()) } else { Err(outside_grants("topic", &BeyondGrants::Topic(topic.to_owned()))) }
}

/// The range in offsets, as Kafka has it at this moment.
async fn shares(state: &State, body: &ReplayBody) -> Result<Vec<Share>, Problem> {
    let positions = &state.positions;
    if let Some((from_ms, _)) = body.times_ms() {
        return positions.of_times(&body.topic, from_ms).await.map_err(|error| problem(&error));
    }
    let ranges = body.partitions.as_deref().unwrap_or_default().iter();
    let asked = ranges.map(|range| range::RequestedRange {
        partition: range.partition,
        from_offset: range.from_offset,
        to_offset: range.to_offset,
    });
    let extents = positions.extents(&body.topic).await.map_err(|error| problem(&error))?;
    range::of_offsets(&asked.collect::<Vec<_>>(), &extents).map_err(not_there)
}

fn problem(error: &PositionError) -> Problem {
    match error {
        PositionError::NotRead | PositionError::NoTopic => {
            Problem::invalid(vec![FieldError::new("topic", error.to_string())])
        }
        PositionError::Busy(refused) => Problem::no_share(*refused, "look-ups in Kafka"),
        PositionError::Unavailable(_) => {
            tracing::warn!(%error, "a request could not reach Kafka");
            let detail = "Kafka cannot be reached at the moment; try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "kafka_unavailable", detail)
        }
    }
}

/// Replays of one endpoint that are not done.
const OPEN_MAX: i64 = 100;
