//! ○ Bodies of endpoints, right and wrong.

use serde_json::json;

use super::*;
use crate::{
    api::endpoint::{RetrySchedule, RetrySettings},
    model::settings::RateLimit,
};

fn check(body: Value) -> Result<CheckedEndpoint, Vec<String>> {
    let rules =
        EndpointRules { park_after_ms: 5_000, backlog_age_max_ms: 1, egress: Arc::new(crate::app::default_egress()) };
    let parsed = parse(body.as_object().expect("an object"), &rules, &[]);
    parsed.map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
}

#[track_caller]
fn refused(body: Value, fields: &[&str]) {
    let mut body = body;
    body["url"] = "https://example.com/".into();
    assert_eq!(check(body).err().expect("refused"), fields);
}

#[test]
fn a_url_is_enough() {
    let body = check(json!({"url": "https://example.com/hook"})).expect("valid");
    assert_eq!(body.settings, EndpointSettings::default());
    assert!(body.auth.is_none() && body.secret.is_none());
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let body = json!({
        "url": "ftp://example.com", "mode": "x", "in_flight_max": 257, "secret": "s", "typo": 1,
        "batch": {"events_max": 0}, "breaker": {"failure_ratio": 2}, "auth": {"type": "basic"},
    });
    let mut errors = check(body).err().expect("refused");
    errors.sort();
    let mut expected = [
        "url",
        "mode",
        "in_flight_max",
        "secret",
        "typo",
        "batch.events_max",
        "breaker.failure_ratio",
        "auth.username",
        "auth.password",
    ];
    expected.sort_unstable();
    assert_eq!(errors, expected);
}

#[test]
fn urls_that_are_not_plain_http_to_a_public_address_are_refused() {
    for url in [
        "file:///etc/passwd",
        "gopher://x",
        "javascript:alert(1)",
        "http+unix://x",
        "https://user:pass@host/",
        "https://good.com@evil/",
        "https://good.com\\@evil/",
        "https://a/\tb",
        "https://a/\nb",
        "",
        "http://127.0.0.1/",
        "http://example.com:22/",
    ] {
        assert_eq!(check(json!({"url": url})).err().expect(url), ["url"]);
    }
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    refused(json!({"batch": {"wait_ms_max": 5_001}}), &["batch.wait_ms_max"]);
    let limit = json!({"events_per_second": 10, "burst_events": 10});
    refused(json!({"mode": "batch", "batch": {"events_max": 11}, "rate_limit": limit}), &["rate_limit.burst_events"]);
    refused(json!({"retry": {"base_ms": 1_000, "max_ms": 999}}), &["retry.max_ms"]);
    refused(json!({"retry": {"base_ms": 1_000, "schedule_ms": [1]}}), &["retry.schedule_ms"]);
    refused(json!({"breaker": {"open_base_ms": 1_000, "open_max_ms": 999}}), &["breaker.open_max_ms"]);
}

#[test]
fn a_burst_that_is_not_said_is_large_enough_for_a_batch() {
    let limit = json!({"events_per_second": 10});
    let body = json!({"url": "http://a/", "mode": "batch", "batch": {"events_max": 50}, "rate_limit": limit});
    let body = check(body).expect("valid");
    assert_eq!(body.settings.rate_limit, Some(RateLimit { events_per_second: 10, burst_events: 50 }));
}

#[test]
fn a_patch_changes_what_it_says_and_null_takes_away() {
    let body = json!({
        "url": "http://a/", "rate_limit": {"events_per_second": 10}, "batch": {"events_max": 50},
        "retry": {"attempts_max": 3, "base_ms": 7},
    });
    let body = check(body).expect("valid");
    let mut merged = object_of(&body.settings);
    merged.insert("url".to_owned(), "http://a/".into());
    merged.remove("auth");
    let patch = json!({"rate_limit": null, "batch": {"wait_ms_max": 9}, "retry": {"schedule_ms": [5]}});
    merge(&mut merged, patch.as_object().expect("object"));
    let patched = check(merged.into()).expect("valid").settings;
    assert_eq!(patched.rate_limit, None);
    assert_eq!((patched.batch.events_max, patched.batch.wait_ms_max), (50, 9));
    let schedule = RetrySchedule::Explicit { schedule_ms: vec![5] };
    assert_eq!(patched.retry, RetrySettings { attempts_max: Some(3), schedule });
}
