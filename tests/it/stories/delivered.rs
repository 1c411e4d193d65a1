//! ● Events reach the endpoints that subscribed to them, signed, in the form each endpoint asked for.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::{
    Endpoint, Receiver, Record, TestApp, eventually_holds, hook::Received, kafka::event_id, produced::Sent,
};

#[test]
fn every_level_of_subscription_gets_its_events_and_no_others() {
    let app = TestApp::start("levels");
    let receiver = Receiver::start();
    let [all, tenants, departments] =
        ["all", "tenants", "departments"].map(|name| app.endpoint(&receiver.hook(name), json!({"mode": "stream"})));
    app.subscribe(&all, json!({"level": "topic"}));
    app.subscribe(&tenants, json!({"level": "tenants", "tenants": ["2", "7"]}));
    app.subscribe(&departments, json!({"level": "departments", "departments": {"2": ["1", "3"], "4": ["2"]}}));
    app.await_settings();
    app.produce(300);
    app.produce_one(&Record::default());

    let of_two_tenants = |sent: &Sent| matches!(sent.tenant.as_deref(), Some("2" | "7"));
    let of_three_departments = |sent: &Sent| {
        let fields = (sent.tenant.as_deref(), sent.department.as_deref());
        matches!(fields, (Some("2"), Some("1" | "3")) | (Some("4"), Some("2")))
    };
    let audit =
        app.audit().expect_all(&all).expect(&tenants, of_two_tenants).expect(&departments, of_three_departments);
    let findings = audit.close();
    let got = [&all, &tenants, &departments].map(|endpoint| endpoint.hook.accepted_count());
    assert_eq!(got, [301, 60, 30], "nobody gets what it did not ask for");
    assert_eq!(
        (findings.duplicates, findings.dead_letters),
        (0, 0),
        "without faults nothing is sent twice or given up"
    );
}

#[test]
fn an_envelope_says_what_an_event_is() {
    let app = TestApp::start("envelope");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let seq = app.produce_one(&Record {
        tenant: Some("acme"),
        department: Some("7"),
        kind: Some("order.paid"),
        timestamp_ms: Some(1_700_000_000_123),
        value: Some(br#"{"seq":0,  "text":"\u00fc \"quoted\"", "big":12345678901234567890.1}"#),
        ..Record::default()
    });
    let request = only_request(&endpoint);
    let envelope = request.json();
    assert_eq!(envelope["id"], event_id(&app.topic, seq));
    assert_eq!(envelope["type"], "order.paid");
    assert_eq!((&envelope["tenant"], &envelope["department"]), (&json!("acme"), &json!("7")));
    assert_eq!(envelope["data"]["text"], "ü \"quoted\"");
    let timestamp: jiff::Timestamp = envelope["timestamp"].as_str().expect("a text").parse().expect("RFC 3339");
    assert_eq!(timestamp.as_millisecond(), 1_700_000_000_123);
    let text = String::from_utf8(request.body.clone()).expect("UTF-8");
    assert!(text.contains(r#""big":12345678901234567890.1"#), "the data are the producer's own bytes: {text}");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.webhook_id, event_id(&app.topic, seq));
    endpoint.hook.assert_no_complaints();
}

#[test]
fn what_is_missing_in_an_event_is_missing_in_its_envelope() {
    let app = TestApp::start("bare");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce_one(&Record { without_id: true, ..Record::default() });
    let envelope = only_request(&endpoint).json();
    assert_eq!((&envelope["tenant"], &envelope["department"]), (&Value::Null, &Value::Null));
    assert_eq!(envelope["type"], app.topic, "the topic's name where an event has no type of its own");
    assert!(envelope["id"].as_str().is_some_and(|id| !id.is_empty()), "{envelope}");
}

#[test]
fn a_payload_that_is_no_json_travels_as_base64() {
    let app = TestApp::start("base64");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce_one(&Record { value: Some(br#"1},{"id":"forged""#), ..Record::default() });
    let envelope = only_request(&endpoint).json();
    assert_eq!(envelope["data_base64"], "MX0seyJpZCI6ImZvcmdlZCI=", "it cannot forge an event under our signature");
    assert_eq!(envelope.get("data"), None);
}

#[test]
fn batches_are_json_arrays_or_lines_and_nothing_is_missing_from_them() {
    let app = TestApp::start("batches");
    let receiver = Receiver::start();
    let batch = json!({"events_max": 100, "wait_ms_max": 300});
    let batched = |name: &str, format: &str, batch_format: &str| {
        let settings = json!({"mode": "batch", "batch": batch, "format": format, "batch_format": batch_format});
        app.subscribed_endpoint(&receiver.hook(name), settings)
    };
    let array = batched("array", "envelope", "json_array");
    let lines = batched("lines", "envelope", "ndjson");
    let raw = batched("raw", "raw", "json_array");
    app.produce(1_050);
    let findings = app.audit().expect_all(&array).expect_all(&lines).expect_all(&raw).close();
    assert_eq!(findings.duplicates, 0);

    for (endpoint, content_type) in
        [(&array, "application/json"), (&lines, "application/x-ndjson"), (&raw, "application/json")]
    {
        let requests = endpoint.hook.requests();
        assert!(requests.iter().all(|request| request.header("content-type") == content_type));
        let sizes: Vec<usize> = requests.iter().map(|request| request.seqs.len()).collect();
        assert!(sizes.iter().all(|size| (1..=100).contains(size)), "{sizes:?}");
        assert!(sizes.contains(&100), "batches fill up: {sizes:?}");
        let ids: HashSet<_> = requests.iter().map(|request| &request.webhook_id).collect();
        assert_eq!(ids.len(), requests.len(), "each batch has an id of its own");
    }
    let item = array.hook.requests()[0].json()[0].clone();
    assert_eq!(item["type"], "test", "an item is a whole envelope: {item}");
    let item = raw.hook.requests()[0].json()[0].clone();
    assert_eq!(item.as_object().map(serde_json::Map::len), Some(1), "a raw item is the payload alone: {item}");
}

#[test]
fn a_batch_that_does_not_fill_leaves_when_its_time_is_up() {
    let app = TestApp::start("lone");
    let receiver = Receiver::start();
    let settings = json!({"mode": "batch", "batch": {"events_max": 1000, "wait_ms_max": 200}});
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), settings);
    let seq = app.produce_one(&Record::default());
    eventually_holds("the lone event arrives", || endpoint.hook.accepted(seq) == 1);
}

#[test]
fn a_raw_stream_carries_the_record_as_it_is() {
    let app = TestApp::start("raw");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream", "format": "raw"}));
    let value = b"any bytes \xff\x00 at all";
    app.produce_one(&Record { value: Some(value), ..Record::default() });
    assert_eq!(only_request(&endpoint).body, value);
    endpoint.hook.assert_no_complaints();
}

#[test]
fn an_endpoint_is_told_who_we_are_as_it_asked() {
    let app = TestApp::start("auth");
    let receiver = Receiver::start();
    let with = |name: &str, auth: Value| app.subscribed_endpoint(&receiver.hook(name), json!({"auth": auth}));
    let basic = with("basic", json!({"type": "basic", "username": "ann", "password": "pw"}));
    let bearer = with("bearer", json!({"type": "bearer", "token": "tok"}));
    let headers = with("headers", json!({"type": "headers", "headers": {"x-api-key": "k-1"}}));
    app.produce_one(&Record::default());
    assert_eq!(only_request(&basic).header("authorization"), "Basic YW5uOnB3");
    assert_eq!(only_request(&bearer).header("authorization"), "Bearer tok");
    assert_eq!(only_request(&headers).header("x-api-key"), "k-1");
}

fn only_request(endpoint: &Endpoint) -> Received {
    eventually_holds("the event arrives", || endpoint.hook.requests_count() > 0);
    let mut requests = endpoint.hook.requests();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}
