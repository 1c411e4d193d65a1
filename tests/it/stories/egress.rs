//! ● An endpoint's URL leads to the outside, or nowhere.

use serde_json::json;

use crate::harness::{Mode, Receiver, TestApp};

#[test]
fn an_endpoint_that_would_lead_inside_is_refused_when_it_is_written() {
    let app = TestApp::named("inside").set("EGRESS_ALLOW", "10.0.0.0/8").start();
    let customer = app.customer();
    let create = |url: &str| app.rest().post("/v1/endpoints", &json!({"customer_id": customer, "url": url}));
    for url in [
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://[::ffff:7f00:1]/",
        "http://192.168.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
        "http://10.0.0.1:5432/",
    ] {
        create(url).problem_with_fields(422, &["url"]);
    }
    let created = create("http://10.0.0.1/").ok().json();
    let path = format!("/v1/endpoints/{}", created["id"].as_str().expect("an id"));
    app.rest().patch(&path, &json!({"url": "http://[::1]/"})).problem_with_fields(422, &["url"]);
}

#[test]
fn an_endpoint_that_was_written_under_another_policy_is_not_connected_to() {
    let mut app = TestApp::start("walled");
    let receiver = Receiver::start();
    let (hook, after) = (receiver.hook("hook"), receiver.hook("after"));
    let retry = json!({"attempts_max": 2, "schedule_ms": [50]});
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "retry": retry}));
    app.produce(1);
    app.await_committed();
    assert_eq!(hook.accepted_count(), 1, "it is allowed");
    assert!(app.sigterm().status.success());

    app.set("EGRESS_DENY", "127.0.0.1");
    app.restart();
    hook.set(Mode::Status(500));
    app.produce(3);
    app.await_committed();
    let letters = app.dead_letters(&endpoint);
    assert_eq!(letters.len(), 3, "{letters:?}");
    for letter in letters {
        assert_eq!((&letter["last_class"], &letter["last_status"]), (&json!("blocked"), &json!(null)), "{letter}");
        assert_eq!(
            letter["last_excerpt"], "the endpoint's address is not allowed",
            "it tells nothing about the inside"
        );
    }
    let key = json!({"name": "theirs", "role": "customer", "customer_id": app.customer()});
    let token = app.rest().post("/v1/api-keys", &key).ok().json()["token"].as_str().expect("a token").to_owned();
    let id = &endpoint.id;
    for path in ["actors", &format!("actors/{id}"), &format!("endpoints/{id}"), &format!("endpoints/{id}/stats")] {
        let shown = app.rest().with_key(Some(&token)).get(&format!("/v1/{path}")).ok().json().to_string();
        assert!(!shown.contains("blocked") && !shown.contains("not allowed"), "{path}: {shown}");
    }
    let shown = app.rest().get(&format!("/v1/actors/{id}")).ok().json().to_string();
    assert!(shown.contains("blocked"), "operators are told: {shown}");
    assert_eq!(hook.requests_count(), 1, "nothing was sent");
    assert!(app.rest().metric("postrider_egress_blocked_total") >= 6.0);
    let url = json!({"customer_id": app.customer(), "url": after.url()});
    app.rest().post("/v1/endpoints", &url).problem_with_fields(422, &["url"]);
}
