//! ● `/openapi.json` and `/reference`: the API, described. Without a key: it says nothing of what is stored.

use std::sync::LazyLock;

use actix_web::{HttpResponse, http::header};

use super::{openapi, routes};

/// The document, as it is served and printed.
#[must_use]
pub fn written() -> &'static str {
    &WRITTEN.0
}

pub async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").insert_header(CACHE).body(written())
}

pub async fn reference() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(CACHE)
        .body(WRITTEN.1.as_str())
}

/// As JSON and as a page: the same for the life of the process.
static WRITTEN: LazyLock<(String, String)> = LazyLock::new(|| {
    let document = openapi::document(&routes::listed());
    let json = serde_json::to_string_pretty(&document).expect("invariant: a document is plain values");
    (json, openapi::page(&document))
});

const CACHE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "max-age=300");
