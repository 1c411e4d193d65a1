//! ● `/v1/endpoints/{id}/backlog`: what waits for an endpoint, and since when.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde_json::json;

use super::{endpoints::find, problem::Problem, server::AdminState};
use crate::store::backlog_read;

type State = web::Data<AdminState>;

pub async fn read(state: State, request: HttpRequest, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let endpoint = find(&state, &request, path).await?;
    let heads = backlog_read::heads_of_endpoint(&state.pool, &endpoint.id).await?;
    let (events, bytes) = heads.iter().fold((0, 0), |(events, bytes), head| (events + head.events, bytes + head.bytes));
    let time = |ms: i64| Timestamp::from_millisecond(ms).ok();
    let partitions: Vec<_> = heads
        .iter()
        .map(|head| {
            json!({
                "topic": head.topic, "partition": head.partition, "events": head.events, "bytes": head.bytes,
                "oldest_received_at": time(head.oldest_ms),
            })
        })
        .collect();
    let oldest = heads.first().and_then(|head| time(head.oldest_ms));
    Ok(HttpResponse::Ok().json(json!({
        "endpoint_id": endpoint.id, "events": events, "bytes": bytes, "oldest_received_at": oldest,
        "partitions": partitions,
    })))
}
