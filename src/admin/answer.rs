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

/// The answer to a write.
pub fn answer(effect: Effect, view: Value) -> HttpResponse {
    match effect {
        Effect::Created => HttpResponse::Created().json(view),
        Effect::Updated | Effect::Unchanged => HttpResponse::Ok().json(view),
        Effect::Deleted => HttpResponse::NoContent().finish(),
    }
}

/// There is nothing at this path.
pub async fn nowhere() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found("path"))
}

/// The path takes other methods.
pub async fn not_allowed(methods: &'static [&'static str]) -> HttpResponse {
    let allowed = methods.join(", ").to_ascii_uppercase();
    let detail = format!("this path takes {allowed}");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    let mut response = problem.error_response();
    if let Ok(allowed) = header::HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}
