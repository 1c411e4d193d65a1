//! ● Errors as RFC 9457 problems: `application/problem+json` with a stable `code`, and `errors` by field.

use std::time::Duration;

use actix_web::http::StatusCode;

pub use crate::api::errors::{ERRORS_MAX, FieldError};
use crate::{
    api::{
        errors::FieldErrors,
        problem::{OverQuota, ProblemView},
    },
    fair_share::shares::Refused,
    store::StoreError,
};

/// An error, on its way to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable: programs may decide by it.
    pub code: &'static str,
    pub detail: String,
    pub errors: Vec<FieldError>,
    /// The quota that would be exceeded.
    pub quota: Option<Box<OverQuota>>,
    /// Number of errors, listed or not.
    pub errors_total: usize,
    /// Time after which to try again, as in the header `Retry-After`.
    pub retry_after_s: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (errors, quota) = (Vec::new(), None);
        Problem { status, code, detail: detail.into(), errors, errors_total: 0, quota, retry_after_s: None }
    }

    /// Fields that are wrong: how many, and the first [`ERRORS_MAX`] of them.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Problem::invalid_of(errors.len(), errors)
    }

    /// As [`Problem::invalid`], where `total` fields are wrong and `errors` are the first of them.
    #[must_use]
    pub fn invalid_of(total: usize, mut errors: Vec<FieldError>) -> Self {
        let names: Vec<&str> = errors.iter().map(|error| error.field.as_str()).take(5).collect();
        let more = if total > ERRORS_MAX { "; only the first mistakes are listed" } else { "" };
        let detail = format!("{total} field(s) are not valid: {}{more}", names.join(", "));
        errors.truncate(ERRORS_MAX);
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail);
        Problem { errors, errors_total: total, ..problem }
    }

    /// Names these mistakes, the first [`ERRORS_MAX`] of them.
    #[must_use]
    pub fn listing(mut self, mut errors: Vec<FieldError>) -> Self {
        self.errors_total = errors.len();
        if errors.len() > ERRORS_MAX {
            self.detail = format!("{} ({} mistakes; only the first are listed)", self.detail, errors.len());
            errors.truncate(ERRORS_MAX);
        }
        Problem { errors, ..self }
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

    /// 429: this key, or its customer's keys together, have as much under way as they may.
    #[must_use]
    pub fn beyond_share(of: &str) -> Self {
        let detail = format!("this key has its whole share of {of} under way; wait until something of it has ended");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        Problem { retry_after_s: Some(1), ..problem }
    }

    /// No share of `of` for this request.
    #[must_use]
    pub fn no_share(refused: Refused, of: &str) -> Self {
        match refused {
            Refused::BeyondShare => Problem::beyond_share(of),
            Refused::UsedUp => {
                let detail = format!("there is too much to do: no {of} left; try again in a moment");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_busy", detail)
            }
        }
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

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status.as_u16(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<FieldErrors> for Problem {
    fn from(errors: FieldErrors) -> Self {
        Problem::invalid_of(errors.total, errors.listed)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error == StoreError::BeyondShare {
            return Problem::beyond_share("statements");
        }
        if error.is_unavailable() {
            tracing::warn!(%error, "a request could not reach postgres");
            let detail = "the database cannot be reached at the moment; try again";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail);
        }
        if error.lacks_schema() {
            tracing::warn!(%error, "a request came before the database has this version's schema");
            let detail = "the service is starting, and the database is not ready for it yet; try again";
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", detail);
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

impl From<&Problem> for ProblemView {
    fn from(problem: &Problem) -> Self {
        ProblemView {
            status: problem.status.as_u16(),
            title: problem.status.canonical_reason().unwrap_or("Error").into(),
            code: problem.code.into(),
            detail: problem.detail.clone(),
            errors: problem.errors.clone(),
            quota: problem.quota.as_deref().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_mistakes_the_first_are_named_and_all_are_counted() {
        let errors =
            (0..90_000).map(|number| FieldError::new(format!("field_{number}"), "is not known here")).collect();
        let problem = Problem::invalid(errors);
        assert_eq!((problem.errors.len(), problem.errors[99].field.as_str()), (100, "field_99"));
        assert!(problem.detail.starts_with("90000 field(s)") && problem.detail.contains("only the first"));
        let one = Problem::invalid(vec![FieldError::new("url", "is missing")]);
        assert_eq!(one.detail, "1 field(s) are not valid: url");
    }

    fn refused(code: &str) -> Problem {
        let message = "relation \"customer\" does not exist".to_owned();
        StoreError::Refused { code: code.to_owned(), message, constraint: None }.into()
    }

    #[test]
    fn before_the_schema_is_there_the_service_is_starting_and_asks_to_be_asked_again() {
        for code in ["42P01", "42703", "42883"] {
            let problem = refused(code);
            assert_eq!((problem.status.as_u16(), problem.code), (503, "starting"), "{code}");
        }
        assert_eq!(refused("42601").status.as_u16(), 500, "a statement that is wrong is our fault");
    }
}
