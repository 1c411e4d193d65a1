//! ● Answers: problems, what a write came to, and what is said where there is nothing.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;

use super::{
    access::Access,
    conceal::conceal,
    conditions::{Conditions, tag_of},
    problem::Problem,
};
use crate::{
    api::{problem::ProblemView, resource::ApiResource},
    store::config_write::WriteEffect,
};

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        let unavailable = (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        if let Some(seconds) = self.retry_after_s.or(unavailable) {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            // The rest of the body would be read as the next request.
            response.force_close();
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response
            .content_type("application/problem+json")
            .body(serde_json::to_string(&ProblemView::from(self)).unwrap_or_else(|_| "{}".to_owned()))
    }
}

/// Attached to an answer: the id of what was written.
#[derive(Debug)]
pub(super) struct WrittenId(pub String);

/// The answer to a write of a resource. With its version comes an entity tag.
pub(super) fn answer(effect: WriteEffect, resource: &impl ApiResource) -> HttpResponse {
    let mut response = match effect {
        WriteEffect::Created => HttpResponse::Created().json(resource),
        WriteEffect::Updated | WriteEffect::Unchanged => HttpResponse::Ok().json(resource),
        WriteEffect::Deleted => return deleted(resource.id()),
    };
    response.extensions_mut().insert(WrittenId(resource.id().to_owned()));
    tagged(response, resource.version())
}

/// The answer to the deletion of the resource `id`.
pub(super) fn deleted(id: &str) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    response.extensions_mut().insert(WrittenId(id.to_owned()));
    response
}

/// The answer to a read: the resource, or 304 where the reader has this version.
pub(super) fn found(request: &HttpRequest, resource: &impl ApiResource) -> Result<HttpResponse, Problem> {
    let version = resource.version();
    let asked = conditions(request)?;
    let known = version.is_some_and(|version| asked.is_known(version));
    let response = if known { HttpResponse::NotModified().finish() } else { HttpResponse::Ok().json(resource) };
    Ok(tagged(response, version))
}

/// An answer, as the holder of this key may see it.
pub(super) fn visible_answer(access: &Access, answer: &impl Serialize) -> HttpResponse {
    if access.customer().is_none() {
        return HttpResponse::Ok().json(answer);
    }
    let mut shown = serde_json::to_value(answer).expect("invariant: an answer is plain values");
    conceal(&mut shown);
    HttpResponse::Ok().json(shown)
}

/// Conditions of the request on the version that is there.
pub(super) fn conditions(request: &HttpRequest) -> Result<Conditions, Problem> {
    let header = |name| {
        let values: Vec<&str> = request.headers().get_all(name).map(|value| value.to_str().unwrap_or("?")).collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    Conditions::parse(header(header::IF_MATCH).as_deref(), header(header::IF_NONE_MATCH).as_deref())
}

fn tagged(mut response: HttpResponse, version: Option<i64>) -> HttpResponse {
    let tag = version.map(tag_of).and_then(|tag| header::HeaderValue::from_str(&tag).ok());
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// There is nothing at this path.
pub(super) async fn nowhere() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("path"))
}

/// The path takes other methods.
pub(super) async fn not_allowed(allowed: String) -> HttpResponse {
    let detail = format!("this path takes {allowed}");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    let mut response = problem.error_response();
    if let Ok(allowed) = header::HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}
