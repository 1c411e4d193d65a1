//! ● A bug in one actor costs latency, and no event.

use serde_json::json;

use crate::harness::{Receiver, TestApp};

#[test]
fn a_panicking_endpoint_actor_loses_nothing() {
    let app = TestApp::named("panic").env("FAILPOINTS", "endpoint-turn=3*off->3*panic->off").start();
    let receiver = Receiver::start();
    let stream = app.subscribed_endpoint(&receiver.hook("stream"), json!({"mode": "stream"}));
    let batch = json!({"mode": "batch", "batch": {"events_max": 50, "wait_ms_max": 100}});
    let batch = app.subscribed_endpoint(&receiver.hook("batch"), batch);
    let audit = app.audit().expect_all(&stream).expect_all(&batch).watch_commits();
    for _ in 0..20 {
        app.produce(100);
    }
    let findings = audit.close();
    println!("panicking endpoints: {findings}");
    let actors = app.rest().get("/v1/actors").ok().json();
    let restarts = |actor: &serde_json::Value| actor["restarts"].as_u64().unwrap_or(0);
    let total: u64 = actors["data"].as_array().expect("a list").iter().map(restarts).sum();
    assert_eq!(total, 3, "the actors did panic: {actors}");
    assert!(app.rest().metric("postrider_receipts_abandoned_total") > 0.0, "events were in their hands");
}

#[test]
fn a_panicking_router_loses_nothing() {
    let mut app = TestApp::named("panic-route").env("FAILPOINTS", "route-chunk=2*off->2*panic->off").start();
    let receiver = Receiver::start();
    let stream = app.subscribed_endpoint(&receiver.hook("stream"), json!({"mode": "stream"}));
    let audit = app.audit().expect_all(&stream).watch_commits();
    for _ in 0..20 {
        app.produce(100);
    }
    println!("panicking router: {}", audit.close());
    assert!(app.instance().log().contains("failpoint route-chunk panic"), "the router did panic");
}
