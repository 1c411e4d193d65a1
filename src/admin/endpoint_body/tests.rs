//! ○ Bodies of endpoints, right and wrong.

use super::*;

fn check(body: Value) -> Result<EndpointBody, Vec<String>> {
    let rules = Rules { park_after_ms: 5_000, backlog_age_max_ms: 1, egress: Arc::new(Egress::by_default()) };
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
    assert_eq!(body.settings, StoredSettings::default());
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
    leaves(&json!(StoredSettings::default()), "", &mut settings);
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
    let schedule = StoredSchedule::Explicit { schedule_ms: vec![5] };
    assert_eq!(patched.retry, StoredRetry { attempts_max: Some(3), schedule });
}
