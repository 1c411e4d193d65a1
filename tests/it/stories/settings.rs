//! ● What customers change takes effect while events flow, with no restart and no rebalance.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use serde_json::json;

use crate::harness::{Endpoint, Hook, Mode, Receiver, TestApp, eventually_holds, within};

/// The promise of 5 s on every instance, and what a busy machine adds to it.
const IN_EFFECT: Duration = Duration::from_secs(20);

#[test]
fn a_new_subscription_takes_effect_within_5_s_without_a_rebalance() {
    let app = TestApp::start("subscribe");
    let receiver = Receiver::start();
    let early = app.subscribed_endpoint(&receiver.hook("early"), json!({"mode": "stream"}));
    let load = app.load(200);
    eventually_holds("events flow", || early.hook.accepted_count() > 100);
    let rebalances = app.rest().metric("postrider_rebalances_total");
    let late = app.endpoint(&receiver.hook("late"), json!({"mode": "stream"}));
    app.subscribe(&late, json!({"level": "tenants", "tenants": ["3"]}));
    within(IN_EFFECT, "the new subscription gets events", || (late.hook.accepted_count() > 0).then_some(()));
    load.stop();
    assert_eq!(app.rest().metric("postrider_rebalances_total"), rebalances);
    app.audit().expect_all(&early).close();
}

#[test]
fn a_change_reaches_every_instance() {
    let app = TestApp::start("everywhere");
    let second = app.second_instance();
    eventually_holds("both own partitions", || second.rest.metric("postrider_partitions_assigned") == 2.0);
    let receiver = Receiver::start();
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.subscribe(&endpoint, json!({"level": "topic"}));
    app.await_settings();
    app.await_settings_of(&second.rest);
    app.produce(200);
    let findings = app.audit().expect_all(&endpoint).close();
    assert_eq!(findings.expected, 200);
    let share = second.rest.metric("postrider_events_routed_total");
    assert!(share > 0.0, "the second instance has its share");
}

#[test]
fn a_deleted_endpoint_and_a_deleted_subscription_get_nothing_more() {
    let app = TestApp::start("delete");
    let receiver = Receiver::start();
    let [control, deleted, unsubscribed] = ["control", "deleted", "unsubscribed"]
        .map(|name| app.endpoint(&receiver.hook(name), json!({"mode": "stream"})));
    app.subscribe(&control, json!({"level": "topic"}));
    app.subscribe(&deleted, json!({"level": "topic"}));
    let subscription = app.subscribe(&unsubscribed, json!({"level": "topic"}));
    app.await_settings();
    app.produce(50);
    app.audit().expect_all(&control).expect_all(&deleted).expect_all(&unsubscribed).close();

    app.rest().delete(&format!("/v1/endpoints/{}", deleted.id)).ok();
    app.rest().delete(&format!("/v1/subscriptions/{subscription}")).ok();
    app.await_settings();
    app.produce(50);
    app.audit().expect_all(&control).close();
    assert_eq!(control.hook.accepted_count(), 100);
    assert_eq!((deleted.hook.accepted_count(), unsubscribed.hook.accepted_count()), (50, 50));
    app.rest().get(&format!("/v1/endpoints/{}", deleted.id)).problem(404);
}

#[test]
fn a_change_does_not_wait_while_everything_is_read_again() {
    let long = [("POSTGRES_SETTINGS_RECONCILE_MS", 1_000), ("POSTGRES_STATEMENT_TIMEOUT_MS", 60_000)];
    let app = long.into_iter().fold(TestApp::named("reconcile"), |app, (name, value)| app.set(name, value)).start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("before"), json!({"mode": "stream"}));
    let after = receiver.hook("after");
    after.verify_with(&[&endpoint.secret]);
    app.await_settings();
    let reading = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND wait_event_type = 'Lock' AND query LIKE 'SELECT id, grants FROM customer%'";
    // Grants are what a full read asks for last, and what a change of an endpoint does not ask for.
    let held = app.postgres.hold("LOCK TABLE customer IN ACCESS EXCLUSIVE MODE");
    eventually_holds("everything is being read again", || app.postgres.count(reading) == 1);
    app.postgres.execute(&format!(
        "BEGIN; UPDATE config_version SET version = version + 1;
         UPDATE endpoint SET url = '{}', version = (SELECT version FROM config_version) WHERE id = '{}'; COMMIT",
        after.url(),
        endpoint.id
    ));
    app.await_settings();
    app.produce(10);
    eventually_holds("they go where the change says", || after.accepted_count() == 10);
    assert_eq!(app.postgres.count(reading), 1, "it is still being read");
    drop(held);
    eventually_holds("it goes on", || app.postgres.count(reading) == 0);
    app.produce(10);
    eventually_holds("so do those behind the full read", || after.accepted_count() == 20);
    assert_eq!(endpoint.hook.accepted_count(), 0);
}

/// The events among these that are of tenant 3.
fn of_tenant_3(events: Range<u32>) -> BTreeSet<u32> {
    events.filter(|seq| seq % 10 + 1 == 3).collect()
}

/// The events that came in the requests after so many.
fn came_after(hook: &Hook, requests: usize) -> BTreeSet<u32> {
    hook.requests().iter().skip(requests).flat_map(|request| request.seqs.clone()).collect()
}

/// An endpoint whose requests hang, with one of them under way and all else held behind it.
fn held_behind_one(app: &TestApp, hook: &Hook) -> (Endpoint, String) {
    hook.set(Mode::Hang);
    let settings = json!({"mode": "stream", "in_flight_max": 1, "request_timeout_ms": 60_000});
    let endpoint = app.endpoint(hook, settings);
    let whole = app.subscribe(&endpoint, json!({"level": "topic"}));
    app.subscribe(&endpoint, json!({"level": "tenants", "tenants": ["3"]}));
    app.await_settings();
    (endpoint, whole)
}

#[test]
fn what_is_held_for_a_subscription_that_is_deleted_is_not_sent() {
    let app = TestApp::named("held").set("DELIVERY_PARK_AFTER_MS", 60_000).partitions(2).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let (_endpoint, whole) = held_behind_one(&app, &hook);
    app.produce(100);
    eventually_holds("all are routed", || app.rest().metric("postrider_events_routed_total") == 100.0);
    eventually_holds("one is under way", || hook.waiting() == 1);
    app.rest().delete(&format!("/v1/subscriptions/{whole}")).ok();
    app.await_settings();
    // One of the others may have been sent, and would be sent again.
    hook.set(Mode::Ok);
    app.await_committed();
    assert_eq!(came_after(&hook, 1), of_tenant_3(0..100), "what it still subscribes to, and nothing else");
    assert_eq!(app.postgres.count("SELECT count(*) FROM backlog"), 0);
}

#[test]
fn rows_that_are_held_are_not_sent_once_they_are_no_longer_granted() {
    let app = TestApp::named("held-rows").set("DELIVERY_PARK_AFTER_MS", 60_000).set("BACKLOG_POLL_MS", 100).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let (endpoint, _) = held_behind_one(&app, &hook);
    let tell = |command: &str| app.rest().post(&format!("/v1/endpoints/{}/{command}", endpoint.id), &json!({})).ok();
    tell("pause");
    app.await_settings();
    app.produce(100);
    app.await_committed();
    let rows = || app.postgres.count("SELECT count(*) FROM backlog");
    eventually_holds("all of them wait", || rows() == 100);
    tell("resume");
    eventually_holds("one is under way", || hook.waiting() == 1);
    let narrower = json!({"grants": {"topics": ["*"], "tenants": ["3"]}});
    app.rest().patch(&format!("/v1/customers/{}", app.customer()), &narrower).ok();
    app.await_settings();
    hook.set(Mode::Ok);
    eventually_holds("nothing waits any more", || rows() == 0);
    assert_eq!(came_after(&hook, 1), of_tenant_3(0..100), "what it is still granted, and nothing else");
}

#[test]
fn a_paused_endpoint_gets_nothing_until_it_is_resumed_and_then_everything() {
    let app = TestApp::named("pause").set("DELIVERY_PARK_AFTER_MS", 60_000).start();
    let receiver = Receiver::start();
    let paused = app.subscribed_endpoint(&receiver.hook("paused"), json!({"mode": "stream"}));
    let control = app.subscribed_endpoint(&receiver.hook("control"), json!({"mode": "stream"}));
    app.rest().post(&format!("/v1/endpoints/{}/pause", paused.id), &json!({})).ok();
    app.await_settings();
    app.produce(100);
    eventually_holds("the other one gets all", || control.hook.accepted_count() == 100);
    assert_eq!(paused.hook.requests_count(), 0);
    app.rest().post(&format!("/v1/endpoints/{}/resume", paused.id), &json!({})).ok();
    let findings = app.audit().expect_all(&paused).expect_all(&control).close();
    assert_eq!((findings.dead_letters, findings.duplicates), (0, 0));
}

#[test]
fn an_endpoint_that_answers_410_is_disabled() {
    let app = TestApp::start("gone");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "in_flight_max": 1}));
    app.produce(10);
    eventually_holds("it worked before", || hook.accepted_count() == 10);
    hook.set(Mode::Status(410));
    app.produce(10);
    let path = format!("/v1/endpoints/{}", endpoint.id);
    eventually_holds("it is disabled", || app.rest().get(&path).ok().json()["state"] == "disabled");
    app.await_settings();
    app.await_committed();
    let requests = hook.requests_count();
    let control = app.subscribed_endpoint(&receiver.hook("control"), json!({"mode": "stream"}));
    app.produce(10);
    eventually_holds("the other one gets its events", || control.hook.accepted_count() == 10);
    assert_eq!(hook.requests_count(), requests, "it is left alone");

    hook.set(Mode::Ok);
    app.rest().post(&format!("{path}/enable"), &json!({})).ok();
    app.await_settings();
    app.produce(10);
    eventually_holds("enabled again, it gets events", || hook.accepted_count() >= 20);
}

#[test]
fn a_rotated_secret_signs_beside_the_old_one_while_events_flow() {
    let app = TestApp::start("rotate");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let load = app.load(200);
    eventually_holds("events flow", || endpoint.hook.requests_count() > 50);
    let path = format!("/v1/endpoints/{}/secrets/rotate", endpoint.id);
    let rotated = app.rest().post(&path, &json!({})).ok().json();
    let new = rotated["secret"].as_str().expect("the new secret, shown once");
    app.await_settings();
    assert_ne!(new, endpoint.secret);
    let signatures = || {
        let last = endpoint.hook.requests().pop().expect("a request");
        last.header("webhook-signature").split(' ').count()
    };
    eventually_holds("both sign", || signatures() == 2);
    load.stop();
    app.audit().expect_all(&endpoint).close(); // with the old secret: there was never a request without it
    for secret in [new, &endpoint.secret] {
        endpoint.hook.verify_with(&[secret]);
        app.produce(5);
    }
    app.audit().expect_all(&endpoint).close();
}
