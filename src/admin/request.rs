//! ● Body, path and query of a request, with problems for whatever is wrong with them.

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::{StatusCode, header},
    web,
};
use jiff::Timestamp;
use serde_json::Value;

use super::{problem::Problem, state::AdminState};
use crate::{
    api::{check::Object, text},
    store::config_write::Lookup,
};

/// A body as the extractor gives it: too large is for us to say.
pub(super) type RawBody = Result<web::Bytes, actix_web::Error>;

/// The JSON object of a body. A large one is read by a thread that answers nobody else.
pub(super) async fn object(state: &AdminState, request: &HttpRequest, body: RawBody) -> Result<Object, Problem> {
    let bytes = bytes(request, body)?;
    if bytes.len() < LARGE_BYTES_MIN {
        return parsed(&bytes);
    }
    state.work.run(move || parsed(&bytes)).await?
}

/// The result of `parse` for a body that is a JSON object. A large one is parsed, looked through and dropped off the threads
/// that answer: with very many fields that takes longer than anybody may wait for.
pub(super) async fn parsed_by<T: Send + 'static>(
    state: &AdminState,
    request: &HttpRequest,
    body: RawBody,
    parse: impl FnOnce(&Object, &[u8]) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let bytes = bytes(request, body)?;
    if bytes.len() < LARGE_BYTES_MIN {
        return parse(&parsed(&bytes)?, &bytes);
    }
    state.work.run(move || parse(&parsed(&bytes)?, &bytes)).await?
}

fn parsed(bytes: &[u8]) -> Result<Object, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => {
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", "the body must be a JSON object"))
        }
        // The parser's message has the line and the column, and quotes nothing.
        Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, "malformed_json", error.to_string())),
    }
}

/// The JSON object of a body that may be left out.
pub(super) async fn optional_object(
    state: &AdminState,
    request: &HttpRequest,
    body: RawBody,
) -> Result<Object, Problem> {
    match body {
        Ok(bytes) if bytes.is_empty() => Ok(Object::new()),
        body => object(state, request, body).await,
    }
}

/// A millisecond of work or less.
const LARGE_BYTES_MIN: usize = 64 * 1024;

/// The query's parameters: only `known` ones, each once.
pub(super) fn query(request: &HttpRequest, known: &[&str]) -> Result<BTreeMap<String, String>, Problem> {
    let mut query = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(request.query_string().as_bytes()) {
        if !known.contains(&name.as_ref()) {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Problem::invalid_query(format!("a query parameter is not known here; known: {known}")));
        }
        if value.contains('\0') || value.len() > 1_000 {
            return Err(Problem::invalid_query(format!("{name} is too long or contains NUL")));
        }
        if query.insert(name.clone().into_owned(), value.into_owned()).is_some() {
            return Err(Problem::invalid_query(format!("{name} is given twice")));
        }
    }
    Ok(query)
}

/// The time that a parameter of the query says, if it is there.
pub(super) fn time(query: &BTreeMap<String, String>, name: &str) -> Result<Option<Timestamp>, Problem> {
    let time = query.get(name).map(|text| text::time(text)).transpose();
    time.map_err(|message| Problem::invalid_query(format!("{name} {message}")))
}

/// An id or a caller's own key from the path; what cannot be one leads to nothing.
pub(super) fn name(path: web::Path<String>, what: &str) -> Result<String, Problem> {
    let name = path.into_inner();
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err(Problem::not_found(what));
    }
    Ok(name)
}

/// The row that a name led to, if it led to at most one; `owner` tells several apart.
pub(super) fn unambiguous<'a, R>(found: &'a Lookup<R>, what: &str, owner: &str) -> Result<Option<&'a R>, Problem> {
    match found {
        Lookup::Found(row) => Ok(Some(row)),
        Lookup::Missing => Ok(None),
        Lookup::Ambiguous => Err(Problem::ambiguous(what, owner)),
    }
}

fn bytes(request: &HttpRequest, body: RawBody) -> Result<web::Bytes, Problem> {
    let bytes = body.map_err(|error| match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than this service takes")
        }
        Some(error) => unreadable(error),
        None => not_whole(),
    })?;
    check_content_type(request)?;
    Ok(bytes)
}

/// A body that did not arrive: in time, or whole.
pub(super) fn unreadable(error: &PayloadError) -> Problem {
    match error {
        PayloadError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            let detail = "the body did not arrive in time; send it faster, or in smaller parts";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "unreadable_body", detail)
        }
        PayloadError::Io(error) => {
            let refused = error.get_ref().and_then(|error| error.downcast_ref::<Problem>()).cloned();
            refused.unwrap_or_else(not_whole)
        }
        _ => not_whole(),
    }
}

fn not_whole() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "the body did not arrive whole")
}

/// The length of a body, as its head says; a body in chunks says nothing.
#[must_use]
pub(super) fn promised_bytes(headers: &header::HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a body that says it is something other than JSON.
pub(super) fn check_content_type(request: &HttpRequest) -> Result<(), Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = content_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if essence.is_some_and(|essence| essence != "application/json" && !essence.ends_with("+json")) {
        let detail = "send JSON, and say so: content-type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    Ok(())
}
