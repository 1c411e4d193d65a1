//! ● Metrics that follow exactly from what happened, and that nothing else here reads.

use serde_json::json;

use crate::harness::{Mode, Receiver, TestApp, eventually_holds};

#[test]
fn requests_under_way_subscriptions_and_waits_for_a_rate_limit_are_counted() {
    let app = TestApp::start("counted");
    let receiver = Receiver::start();
    let metric = |name: &str| app.rest().metric(name);
    let hanging = receiver.hook("hanging");
    hanging.set(Mode::Hang);
    let three = json!({"mode": "stream", "in_flight_max": 3, "request_timeout_ms": 60_000});
    let hanging = app.endpoint(&hanging, three);
    let subscription = app.subscribe(&hanging, json!({"level": "topic"}));
    let one_a_second = json!({"mode": "stream", "rate_limit": {"events_per_second": 1, "burst_events": 1}});
    let limited = app.subscribed_endpoint(&receiver.hook("limited"), one_a_second);
    assert_eq!((metric("postrider_subscriptions"), metric("postrider_rate_limited_total")), (2.0, 0.0));
    app.produce(10);
    eventually_holds("three requests are under way", || metric("postrider_in_flight") == 3.0);
    eventually_holds("three and eight may be", || metric("postrider_in_flight_limit") == 3.0 + 8.0);
    eventually_holds("it waits for its rate", || metric("postrider_rate_limited_total") >= 1.0);
    assert!(limited.hook.accepted_count() >= 1);

    hanging.hook.set(Mode::Ok);
    app.rest().delete(&format!("/v1/subscriptions/{subscription}")).ok();
    eventually_holds("one subscription is left", || metric("postrider_subscriptions") == 1.0);
    eventually_holds("nothing is under way", || metric("postrider_in_flight") == 0.0);
}

#[test]
fn reading_the_backlog_in_vain_is_counted() {
    let app = TestApp::named("readinvain").set("DELIVERY_PARK_AFTER_MS", 500).set("BACKLOG_POLL_MS", 100).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(503));
    let breaker = json!({"consecutive_failures": 1000, "failure_ratio": 1.0, "requests_min": 1000});
    let soon = json!({"mode": "stream", "breaker": breaker, "retry": {"schedule_ms": [1_000]}});
    let endpoint = app.subscribed_endpoint(&hook, soon);
    app.produce(20);
    eventually_holds("they wait in the backlog", || app.postgres.backlog().len() == 20);
    let failures = || app.rest().metric("postrider_backlog_read_failures_total");
    assert_eq!(failures(), 0.0);
    app.postgres.go_away();
    eventually_holds("they cannot be read", || failures() >= 1.0);
    app.postgres.come_back();
    hook.set(Mode::Ok);
    app.audit().expect_all(&endpoint).await_nothing_waiting();
}

#[test]
fn each_commit_is_answered_and_counted() {
    let app = TestApp::start("commits");
    let receiver = Receiver::start();
    app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let answered = || app.rest().metric_with("postrider_commits_total", "result=\"ok\"");
    let mut before = answered();
    for _ in 0..5 {
        app.produce(1);
        app.await_committed();
        eventually_holds("its commit is answered", || answered() > before);
        before = answered();
    }
    // The client's own look at what is stored comes every five seconds, and finds it committed.
    assert_eq!(app.rest().metric_with("postrider_commits_total", "result=\"failed\""), 0.0);
}
