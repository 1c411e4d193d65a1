//! ● What a process does when what it needs is not there, or is wrong.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Endpoint, Instance, Mode, Receiver, TestApp, eventually_holds, kafka, link::Link, process};

#[test]
fn without_postgres_it_lives_consumes_nothing_and_recovers_by_itself() {
    let receiver = Receiver::start();
    let (mut app, endpoint) = stopped_app_with_an_endpoint("no-postgres", &receiver);
    app.postgres.go_away();
    app.produce(100);
    app.spawn();
    await_not_ready(app.instance(), "Postgres");
    // The instance that set it up has left, and Kafka may take a moment to say so. A new member would stay.
    eventually_holds("without its settings it would commit events away: it joins no group", || {
        app.kafka.members() == 0
    });
    assert_eq!(endpoint.hook.accepted_count(), 0);

    app.postgres.come_back();
    app.instance().await_ready();
    let findings = app.audit().expect_all(&endpoint).close();
    assert_eq!(findings.expected, 100);
}

#[test]
fn without_kafka_it_lives_and_recovers_by_itself() {
    let receiver = Receiver::start();
    let (mut app, endpoint) = stopped_app_with_an_endpoint("no-kafka", &receiver);
    let link = Link::to(&kafka::brokers());
    link.go_away();
    app.set("KAFKA_BROKERS", link.address());
    app.produce(100);
    app.spawn();
    await_not_ready(app.instance(), "Kafka");

    link.come_back();
    app.instance().await_ready();
    app.audit().expect_all(&endpoint).close();
}

#[test]
fn sigterm_ends_a_start_that_waits_for_a_broker_that_says_nothing() {
    let receiver = Receiver::start();
    let (mut app, endpoint) = stopped_app_with_an_endpoint("start-term", &receiver);
    let link = Link::to(&kafka::brokers());
    link.freeze();
    app.set("KAFKA_BROKERS", link.address());
    app.set("KAFKA_FIRST_START", "latest");
    app.set("SERVICE_SHUTDOWN_MS_MAX", 1_000);
    app.spawn();
    await_not_ready(app.instance(), "Kafka");
    let stopped = app.sigterm();
    // Asking the broker where the group begins takes 10 s when nobody answers.
    assert!(stopped.took < Duration::from_secs(6), "{:?}", stopped.took);
    drop(endpoint);
}

#[test]
fn while_postgres_is_away_healthy_endpoints_get_their_events() {
    let app = TestApp::start("blip");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce(10);
    eventually_holds("it works before", || endpoint.hook.accepted_count() == 10);
    app.postgres.go_away();
    app.produce(500);
    eventually_holds("it works without Postgres", || endpoint.hook.accepted_count() == 510);
    app.await_committed();
    assert_eq!(app.rest().get("/readyz").status, 200, "a blip of the database takes no instance out");
    app.postgres.come_back();
    let late = app.subscribed_endpoint(&receiver.hook("late"), json!({"mode": "stream"}));
    app.produce(10);
    app.audit().expect_all(&endpoint).expect(&late, |sent| sent.seq >= 510).close();
}

#[test]
fn what_should_become_a_dead_letter_is_not_committed_while_postgres_answers_nothing() {
    let app = TestApp::named("frozen-pg").set("POSTGRES_STATEMENT_TIMEOUT_MS", 1_000).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(422));
    let retry = json!({"attempts_max": 1, "schedule_ms": [50]});
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "retry": retry}));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(5);
    app.await_committed();
    app.postgres.freeze();
    app.produce(20);
    eventually_holds("they are refused", || hook.requests_count() >= 6);
    assert!(app.kafka.lag() > 0, "nothing is committed before it is stored");
    app.postgres.come_back();
    let findings = audit.close();
    assert!(findings.dead_letters >= 5, "{findings}");
    assert_eq!(findings.dead_letters + findings.backlog, 25, "what the open breaker held back waits");
}

#[test]
fn a_wrong_configuration_ends_with_64_and_tells_every_mistake_at_once() {
    let app = TestApp::named("wrong").partitions(0).prepare();
    let mut settings = app.settings().clone();
    for (setting, value) in [
        ("KAFKA_SESSION_TIMEOUT_MS", "soon"),
        ("KAFKA_FIRST_START", "yesterday"),
        ("EVENT_TENANT", "cookie:tenant"),
        ("DELIVERY_PARK_AFTER_MS", "0"),
        ("ADMIN_KEY", "short"),
        ("KAFKA_BROKRES", "127.0.0.1:1"),
    ] {
        settings.insert(format!("POSTRIDER_{setting}"), value.to_owned());
    }
    let output = process::command(&settings).arg("serve").output().expect("the binary runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{told}");
    for key in [
        "kafka.session_timeout_ms",
        "kafka.first_start",
        "event.tenant",
        "delivery.park_after_ms",
        "admin.key",
        "BROKRES",
    ] {
        assert!(told.contains(key), "nothing about {key} in:\n{told}");
    }
    assert!(!told.contains("short"), "a secret is not repeated: {told}");
}

#[test]
fn nothing_to_serve_with_is_told_before_anything_starts() {
    let output = process::command(&std::collections::BTreeMap::new()).arg("serve").output().expect("the binary runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{told}");
    for key in ["kafka.topics", "admin.key", "secrets.key"] {
        assert!(told.contains(key), "nothing about {key} in:\n{told}");
    }
}

fn stopped_app_with_an_endpoint(name: &'static str, receiver: &Receiver) -> (TestApp, Endpoint) {
    let mut app = TestApp::start(name);
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    assert!(app.sigterm().status.success());
    (app, endpoint)
}

/// Waits until the process says that it lives, and that it is not ready for want of this.
fn await_not_ready(instance: &Instance, wanted: &str) {
    eventually_holds("it lives and says why it is not ready", || {
        let looks = (instance.rest.try_get("/livez"), instance.rest.try_get("/readyz"));
        let (Some(live), Some(ready)) = looks else { return false };
        assert_eq!(live.status, 200, "{}", live.text);
        ready.status == 503 && ready.json()["reasons"].to_string().contains(wanted)
    });
}
