//! ● Errors as RFC 9457 problems: `application/problem+json` with a stable `code`, and `errors` by field.

use std::time::Duration;

use actix_web::http::StatusCode;
use serde::Serialize;

use crate::store::StoreError;

/// An error as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(serialize_with = "as_number")]
    pub status: StatusCode,
    pub title: &'static str,
    /// Stable: programs may decide by it.
    pub code: &'static str,
    pub detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The quota that would be exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Box<OverQuota>>,
    /// When to try again, as the header `Retry-After` says it.
    #[serde(skip)]
    pub retry_after_s: Option<u64>,
}

/// A quota, and what was asked for on top of what is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OverQuota {
    pub name: &'static str,
    pub limit: i64,
    pub used: i64,
    pub asked: i64,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// `batch.events_max`
    pub field: String,
    /// Goes on after the field's name: "must be …".
    pub message: String,
    /// Of a body with many items: which of them, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
}

/// All there are.
pub const CODES: &[&str] = &[
    "ambiguous_uid",
    "body_too_large",
    "endpoint_is_disabled",
    "endpoint_unreadable",
    "forbidden",
    "internal",
    "invalid_cursor",
    "invalid_header",
    "invalid_query",
    "kafka_unavailable",
    "malformed_json",
    "method_not_allowed",
    "missing_key",
    "not_a_peer",
    "not_found",
    "outside_grants",
    "precondition_failed",
    "quota_exceeded",
    "refused_by_store",
    "secrets_unreadable",
    "store_unavailable",
    "stored_unreadable",
    "too_busy",
    "too_many_replays",
    "too_many_requests",
    "too_many_tests",
    "uid_taken",
    "unreadable_body",
    "unsupported_media_type",
    "validation_failed",
    "wrong_key",
];

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Problem { status, title, code, detail: detail.into(), errors: Vec::new(), quota: None, retry_after_s: None }
    }

    /// Fields that are wrong, all of them.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.field.as_str()).take(5).collect();
        let detail = format!("{} field(s) are not valid: {}", errors.len(), names.join(", "));
        Problem { errors, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail) }
    }

    /// 400: a parameter of the query is wrong.
    #[must_use]
    pub fn invalid_query(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
    }

    /// 429: come back after `wait`.
    #[must_use]
    pub fn too_many(detail: &str, wait: Duration) -> Self {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        Problem { retry_after_s: Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)), ..problem }
    }

    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    #[must_use]
    pub fn ambiguous(what: &str, owner: &str) -> Self {
        let detail = format!("several {what}s have this uid; use the id, or say which {owner} with ?{owner}_id=");
        Problem::new(StatusCode::CONFLICT, "ambiguous_uid", detail)
    }

    #[must_use]
    pub fn uid_taken(what: &str) -> Self {
        let detail = format!("this uid is that of another {what}; PUT changes it");
        Problem::new(StatusCode::CONFLICT, "uid_taken", detail)
    }
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        FieldError { field: field.into(), message: message.into(), index: None }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status.as_u16(), self.detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(%error, "a request could not reach postgres");
            let detail = "the database cannot be reached at the moment; try again";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail);
        }
        if error.blames_data() {
            tracing::warn!(%error, "postgres refused a caller's data");
            let detail = "the database refuses these values";
            return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused_by_store", detail);
        }
        if let StoreError::Unreadable(what) = &error {
            tracing::error!(what, "a request needs a stored row that cannot be read");
            let detail = "what is stored cannot be read by this version of the service (it was written by a newer one, or by \
                hand): DELETE removes it, or an operator brings back the version that wrote it; the log says more";
            return Problem::new(StatusCode::CONFLICT, "stored_unreadable", detail);
        }
        tracing::error!(%error, "a request failed in the store");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this is our fault; the log says more")
    }
}

// serde's signature.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
