//! ○ Headers that a customer may set are headers that can be sent, and never one of ours or the connection's.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::{HeaderName, HeaderValue};
use postrider::{
    admin::endpoint_body::{EndpointRules, parse},
    model::settings::Auth,
};
use secrecy::ExposeSecret as _;
use serde_json::json;

static RULES: LazyLock<EndpointRules> = LazyLock::new(|| EndpointRules {
    park_after_ms: 5_000,
    backlog_age_max_ms: i64::MAX,
    egress: Arc::new(postrider::app::default_egress()),
});

pub(super) fn check(headers: &[(&str, &str)], username: &str, password: &str) {
    let headers: serde_json::Map<_, _> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    for auth in [
        json!({"type": "headers", "headers": headers}),
        json!({"type": "basic", "username": username, "password": password}),
        json!({"type": "bearer", "token": password}),
    ] {
        let body = json!({"customer_id": "c", "url": "https://example.com/", "auth": auth});
        let Ok(body) = parse(body.as_object().expect("an object"), &RULES, &[]) else { continue };
        let auth = body.auth.expect("it was given").parse().expect("what was accepted is understood");
        let Auth::Headers(headers) = auth else { continue };
        for (name, value) in headers {
            HeaderName::from_bytes(name.as_bytes()).expect("a name that can be sent");
            HeaderValue::from_str(value.expose_secret()).expect("a value that can be sent");
            assert!(
                !name.starts_with("webhook-") && !["host", "content-length", "transfer-encoding"].contains(&&*name)
            );
        }
    }
}
