//! A customer tries an endpoint: one synthetic event, right now, and what came of it.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Mode, Receiver, TestApp, eventually_holds, rest::Rest, within_looks};

#[test]
fn a_test_event_is_signed_and_sent_as_any_other_also_to_an_endpoint_that_is_paused_or_disabled() {
    let app = TestApp::start("trying");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let endpoint = app.endpoint(&hook, json!({"auth": {"type": "bearer", "token": "hush-hush"}}));
    let test = || app.rest().post(&format!("/v1/endpoints/{}/test", endpoint.id), &json!({})).ok().json();
    for action in ["enable", "pause", "disable"] {
        app.rest().post(&format!("/v1/endpoints/{}/{action}", endpoint.id), &json!({})).ok();
        let said = test();
        assert_eq!((&said["outcome"], &said["status"]), (&json!("delivered"), &json!(200)), "{said}");
    }
    // The hook itself complains about a wrong signature.
    let received = hook.requests();
    assert_eq!(received.len(), 3);
    let event = received[0].json();
    assert_eq!((&event["type"], &event["data"]["test"]), (&json!("postrider.test"), &json!(true)));
    assert_eq!(received[0].header("authorization"), "Bearer hush-hush");
    assert_eq!(event["id"], received[0].webhook_id);
    assert_ne!(received[0].webhook_id, received[1].webhook_id);

    hook.set(Mode::Say(418, "no, hush-hush".to_owned()));
    let said = test();
    let told = (&said["outcome"], &said["status"], &said["class"], &said["excerpt"]);
    assert_eq!(told, (&json!("failed"), &json!(418), &json!("http_4xx"), &json!("no, (hidden)")));
    drop(receiver);
    test(); // may find the connection broken that was kept alive
    assert_eq!(test()["class"], "connect");
}

#[test]
fn an_endpoint_is_tested_only_so_often_and_nothing_of_the_callers_is_sent() {
    let app = TestApp::start("trying-often");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let endpoint = app.endpoint(&hook, json!({"mode": "batch", "format": "raw"}));
    let path = format!("/v1/endpoints/{}/test", endpoint.id);
    app.rest().post(&path, &json!({"data": "buy this"})).problem_with_fields(422, &["data"]);
    for _ in 0..10 {
        app.rest().post(&path, &json!({})).ok();
    }
    assert_eq!(hook.requests()[0].json()[0]["type"], "postrider.test");
    let refused = app.rest().post(&path, &json!({})).problem(429);
    assert_eq!(refused["code"], "too_many_tests");
    app.rest().post("/v1/endpoints/nobody/test", &json!({})).problem(404);
}

#[test]
fn a_test_that_is_taken_while_the_breaker_is_open_brings_the_deliveries_back_at_once() {
    let app = TestApp::start("trying-probe");
    // It has some of the partitions, and breakers of its own.
    let other = app.second_instance();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let breaker = json!({"consecutive_failures": 1, "open_base_ms": 600_000, "open_max_ms": 600_000});
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "breaker": breaker}));
    hook.set(Mode::Status(503));
    app.await_settings_of(&other.rest);
    let open_at = |rest: &Rest| rest.metric_with("postrider_breaker_endpoints", r#""open""#);
    let open = || open_at(app.rest()) + open_at(&other.rest);
    // Until each of them has some of the partitions.
    within_looks(Duration::from_secs(60), Duration::from_millis(200), "the breaker of each instance opens", || {
        app.produce(4);
        (open() == 2.0).then_some(())
    });
    // Something waits for each of them: what opened the first one's may have moved to the second since.
    app.produce(100);
    eventually_holds("the first has heard of the second, which it tells of the test", || {
        app.rest().get("/v1/overview").ok().json()["instances"].as_array().map(Vec::len) == Some(2)
    });
    hook.set(Mode::Ok);
    let path = format!("/v1/endpoints/{}/test", endpoint.id);
    // Long before the breakers would have let anything through; another test where the second was too busy to be told.
    within_looks(Duration::from_secs(60), Duration::from_secs(10), "both breakers are closed", || {
        assert_eq!(app.rest().post(&path, &json!({})).ok().json()["outcome"], "delivered");
        eventually_holds("the first's breaker is closed", || open_at(app.rest()) == 0.0);
        (open() == 0.0).then_some(())
    });
    app.audit().expect_all(&endpoint).await_nothing_missing();
}
