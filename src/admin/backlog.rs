//! ● `/v1/endpoints/{id}/backlog`: what waits for an endpoint, and since when; thrown away by `/backlog/purge`.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};

use super::{
    access::{Read, Write},
    endpoints::find,
    problem::Problem,
    request::{self, RawBody},
    state::AdminState,
};
use crate::{
    api::{
        body,
        endpoint_backlog::{BacklogView, PartitionBacklog, PurgeResult, SkippedEvents, WaitingEvents},
        endpoint_body::PurgeBody,
        resource::time,
    },
    clock,
    model::receipt::Settlement,
    store::{
        backlog::HeadRow,
        backlog_read, endpoint_commands,
        skipped_ranges::{self, Gap, ShownGap},
    },
    telemetry::handles::BacklogMetrics,
};

type State = web::Data<AdminState>;

pub(super) async fn read(
    access: Read,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let endpoint = find(&state, &access, &request, path).await?;
    let heads = backlog_read::heads_of_endpoint(&state.pool, &endpoint.id).await?;
    let (events, bytes) = totals(&heads);
    let gaps = skipped_ranges::of_endpoint(&state.pool, &endpoint.id).await?;
    let oldest_ms = heads.first().map(|head| head.oldest_ms);
    let given_up_ms = oldest_ms.map(|oldest| oldest.saturating_add(state.rules.backlog_age_max_ms));
    Ok(HttpResponse::Ok().json(BacklogView {
        endpoint_id: endpoint.id,
        waiting: WaitingEvents { events, bytes, oldest_received_at: oldest_ms.and_then(time) },
        oldest_given_up_at: given_up_ms.and_then(time),
        partitions: heads.into_iter().map(partition).collect(),
        suspended_at: endpoint.suspended_at,
        gaps: gaps.into_iter().map(skipped).collect(),
    }))
}

fn partition(head: HeadRow) -> PartitionBacklog {
    let HeadRow { topic, partition, events, bytes, oldest_ms, .. } = head;
    let waiting = WaitingEvents { events, bytes, oldest_received_at: time(oldest_ms) };
    PartitionBacklog { topic, partition, waiting }
}

fn skipped(shown: ShownGap) -> SkippedEvents {
    let ShownGap { gap: Gap { topic, partition, from, end, events, .. }, since } = shown;
    SkippedEvents { topic, partition, from_offset: from, end_offset: end, events, since }
}

/// Throws away what was received before a time (now, unless the body says otherwise) and waits. What is on its way to the
/// endpoint at this moment may still reach it. Works as long as [`PURGE_MAX`]; the answer says whether anything is left.
pub(super) async fn purge(
    access: Write,
    state: State,
    request: HttpRequest,
    path: web::Path<String>,
    body: RawBody,
) -> Result<HttpResponse, Problem> {
    let asked: PurgeBody = body::read(&request::optional_object(&state, &request, body).await?)?;
    let before_ms = asked.received_before.map_or_else(clock::wall_ms, |time| time.as_millisecond());
    let endpoint = find(&state, &access, &request, path).await?;
    let until = clock::now() + PURGE_MAX;
    let (mut events, mut bytes) = (0, 0);
    let is_asked_for = |head: &HeadRow| asked.topic.as_ref().is_none_or(|topic| *topic == head.topic);
    for head in
        backlog_read::heads_of_endpoint(&state.pool, &endpoint.id).await?.iter().filter(|head| is_asked_for(head))
    {
        while clock::now() < until {
            let purged = endpoint_commands::purge(&state.pool, head, before_ms).await?;
            if purged.events == 0 {
                break;
            }
            (events, bytes) = (events + purged.events, bytes + purged.bytes);
        }
    }
    BacklogMetrics::new().left(Settlement::Cancelled, usize::try_from(events).unwrap_or(0));
    tracing::warn!(endpoint.id = endpoint.id, events, bytes, "the backlog of endpoint {} was purged", endpoint.id);
    let left = backlog_read::heads_of_endpoint(&state.pool, &endpoint.id).await?;
    Ok(HttpResponse::Ok().json(PurgeResult {
        endpoint_id: endpoint.id,
        purged_events: events,
        purged_bytes: bytes,
        events: totals(&left).0,
        finished: clock::now() < until,
    }))
}

fn totals(heads: &[HeadRow]) -> (i64, i64) {
    heads.iter().fold((0, 0), |(events, bytes), head| (events + head.events, bytes + head.bytes))
}

/// A client waits no longer; asked again, it goes on.
const PURGE_MAX: Duration = Duration::from_secs(20);
