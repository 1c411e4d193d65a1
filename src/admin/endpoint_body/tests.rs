//! ○ Bodies of endpoints, right and wrong.

use super::*;
use crate::{
    api::endpoint::{RetrySchedule, RetrySettings},
    model::settings::RateLimit,
};

fn check(body: Value) -> Result<EndpointBody, Vec<String>> {
    let rules = Rules { park_after_ms: 5_000, backlog_age_max_ms: 1, egress: Arc::new(crate::app::default_egress()) };
    let parsed = parse(body.as_object().expect("an object"), &rules);
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

/// Each member of it that is a value, with its path.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value.as_object().filter(|_| path != "auth") {
        Some(members) => members.iter().for_each(|(name, value)| {
            let dot = if path.is_empty() { "" } else { "." };
            leaves(value, &format!("{path}{dot}{name}"), found);
        }),
        None => found.push((path.to_owned(), value.clone())),
    }
}

#[test]
fn the_page_of_settings_has_each_of_them_with_its_default_and_its_range() {
    let page = include_str!("../../../docs/endpoint-settings.md");
    let (mut settings, schemas) = (Vec::new(), crate::admin::openapi::document(&[]));
    leaves(&json!(EndpointSettings::default()), "", &mut settings);
    for (path, default) in settings {
        let start = format!("| `{path}` | `{default}` |");
        let row = page.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("docs/endpoint-settings.md has no row {start}"));
        let (shape, name) = match path.split_once('.') {
            Some((part, name)) => (format!("{}{}", part[..1].to_uppercase(), &part[1..]), name),
            None => ("EndpointBody".to_owned(), path.as_str()),
        };
        let member = &schemas["components"]["schemas"][shape.as_str()]["properties"][name];
        let number = member.pointer("/anyOf/0").unwrap_or(member);
        let (Some(least), Some(most)) = (number["minimum"].as_u64(), number["maximum"].as_u64()) else { continue };
        // An operator may allow more or less.
        let most = if path == "batch.wait_ms_max" { "`delivery.park_after_ms`".to_owned() } else { most.to_string() };
        assert!(row.contains(&format!("| {least}, {most} |")), "{row}: {least}, {most}");
    }
}

/// A body with one member of the settings, and what another needs beside it.
fn with(path: &str, value: &Value) -> Value {
    let mut body = match path {
        "ordering.on_failure" => json!({"ordering": {"by": "key"}}),
        "rate_limit.burst_events" => json!({"rate_limit": {"events_per_second": 1}}),
        // The longest is at least the first.
        "retry.max_ms" => json!({"retry": {"base_ms": 1}}),
        "breaker.open_max_ms" => json!({"breaker": {"open_base_ms": 100}}),
        _ => json!({}),
    };
    body["url"] = "https://example.com/".into();
    match path.split_once('.') {
        Some((part, name)) => body[part][name] = value.clone(),
        None => body[path] = value.clone(),
    }
    body
}

/// For each member of a shape: values at its limits, and beyond them.
fn limits(shape: &Value, path: &str, found: &mut Vec<(String, Vec<Value>, Vec<Value>)>) {
    for name in shape["properties"].as_object().into_iter().flat_map(|members| members.keys()) {
        let (member, path) = (shape::member(shape, name).expect("a member"), format!("{path}{name}"));
        limits(member, &format!("{path}."), found);
        let text = |chars: u64| Value::from("x".repeat(usize::try_from(chars).expect("short")));
        if let (Some(min), Some(max)) = (member["minimum"].as_u64(), member["maximum"].as_u64()) {
            let below = json!(i128::from(min) as i64 - 1);
            found.push((path, vec![min.into(), max.into()], vec![below, (max + 1).into(), json!(1.5), json!("1")]));
        } else if let Some(max) = member["maxLength"].as_u64() {
            found.push((path, vec![text(1), text(max)], vec![text(0), text(max + 1), json!(5), json!("a\u{7}")]));
        } else if let Some(max) = member["maxItems"].as_u64() {
            let item = |item: &str| member["items"][item].clone();
            let list = |items: u64, item: Value| Value::from(vec![item; usize::try_from(items).expect("few")]);
            let over = json!(item("maximum").as_u64().expect("a limit") + 1);
            let inside = vec![list(1, item("minimum")), list(max, item("maximum"))];
            found.push((path, inside, vec![list(0, json!(1)), list(max + 1, json!(1)), list(1, over)]));
        } else if let Some(words) = member["enum"].as_array().or_else(|| member["oneOf"].as_array()) {
            let word = |word: &Value| word.get("const").unwrap_or(word).clone();
            found.push((path, words.iter().map(word).collect(), vec![json!("neither"), json!(1)]));
        }
    }
}

#[test]
fn what_the_document_allows_is_taken_and_what_is_beyond_it_is_refused() {
    let mut found = Vec::new();
    limits(&shape::taken::<EndpointSettings>(), "", &mut found);
    assert!(found.len() > 20, "{found:?}");
    // PEM is looked at as well, and not only for its length.
    for (path, inside, beyond) in found.iter().filter(|(path, ..)| path != "tls.ca") {
        for value in inside {
            let errors = check(with(path, value)).err().unwrap_or_default();
            assert!(!errors.iter().any(|field| field.starts_with(path.as_str())), "{path}: {value} is refused");
        }
        for value in beyond {
            let errors = check(with(path, value)).err().unwrap_or_default();
            assert!(errors.iter().any(|field| field.starts_with(path.as_str())), "{path}: {value} is taken");
        }
    }
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
    let mut merged = serde_json::to_value(&body.settings).expect("json");
    merged["url"] = "http://a/".into();
    if let Some(merged) = merged.as_object_mut() {
        merged.remove("auth");
    }
    let patch = json!({"rate_limit": null, "batch": {"wait_ms_max": 9}, "retry": {"schedule_ms": [5]}});
    merge(&mut merged, patch.as_object().expect("object"));
    let patched = check(merged).expect("valid").settings;
    assert_eq!(patched.rate_limit, None);
    assert_eq!((patched.batch.events_max, patched.batch.wait_ms_max), (50, 9));
    let schedule = RetrySchedule::Explicit { schedule_ms: vec![5] };
    assert_eq!(patched.retry, RetrySettings { attempts_max: Some(3), schedule });
}
