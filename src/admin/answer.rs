//! ● Answers: problems, what a write came to, and what is said where there is nothing.

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde_json::Value;

use super::problem::Problem;
use crate::store::config_write::Effect;

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, "5"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response
            .content_type("application/problem+json")
            .body(serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned()))
    }
}

/// Stands beside an answer: the id of what was written.
#[derive(Debug)]
pub struct Written(pub String);

/// The answer to a write of the resource `id`.
pub fn answer(effect: Effect, id: &str, view: Value) -> HttpResponse {
    let mut response = match effect {
        Effect::Created => HttpResponse::Created().json(view),
        Effect::Updated | Effect::Unchanged => HttpResponse::Ok().json(view),
        Effect::Deleted => HttpResponse::NoContent().finish(),
    };
    response.extensions_mut().insert(Written(id.to_owned()));
    response
}

/// The answer to a resource that was made, with its `id`.
pub fn created(view: Value) -> HttpResponse {
    let id = view["id"].as_str().unwrap_or_default().to_owned();
    answer(Effect::Created, &id, view)
}

/// There is nothing at this path.
pub async fn nowhere() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("path"))
}

/// The path takes other methods.
pub async fn not_allowed(allowed: String) -> HttpResponse {
    let detail = format!("this path takes {allowed}");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    let mut response = problem.error_response();
    if let Ok(allowed) = header::HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}
