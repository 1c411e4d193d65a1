//! ● Who asks for order gets it: through failures, the backlog, crashes and other owners.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};

use crate::harness::{Mode, Receiver, TestApp, eventually, eventually_holds, within};

fn app(name: &'static str) -> TestApp {
    TestApp::named(name).lanes(20).set("DELIVERY_PARK_AFTER_MS", 500).set("BACKLOG_POLL_MS", 100).start()
}

fn ordered(by: &str, on_failure: &str) -> Value {
    json!({
        "mode": "stream", "ordering": {"by": by, "on_failure": on_failure},
        "breaker": {"consecutive_failures": 3, "open_base_ms": 100, "open_max_ms": 400},
        "retry": {"attempts_max": 3, "schedule_ms": [50, 100, 200]},
    })
}

/// A breaker that looks at so many requests that it stays closed.
fn never_opens() -> Value {
    json!({"consecutive_failures": 1000, "failure_ratio": 1.0, "requests_min": 1000})
}

#[test]
fn each_key_keeps_its_order_through_an_outage() {
    let app = app("keyorder");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let endpoint = app.subscribed_endpoint(&hook, ordered("key", "block"));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    let load = app.load(300);
    eventually_holds("events arrive", || hook.accepted_count() > 300);
    hook.set(Mode::Status(503));
    // What comes after these need not go by way of the backlog.
    let waited = eventually("some wait", || Some(app.postgres.backlog()).filter(|rows| rows.len() > 300));
    hook.set(Mode::Ok);
    eventually_holds("what waited is sent while more comes", || app.postgres.backlog().is_disjoint(&waited));
    load.stop();
    let findings = audit.await_nothing_waiting();
    assert_eq!((findings.reordered, findings.dead_letters), (0, 0), "{findings}");
    audit.close();
}

#[test]
fn a_partition_keeps_its_order_through_a_crash_with_events_waiting() {
    let mut app = app("partorder");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let mut settings = ordered("partition", "block");
    (settings["mode"], settings["batch"]) = (json!("batch"), json!({"events_max": 50, "wait_ms_max": 100}));
    let endpoint = app.subscribed_endpoint(&hook, settings);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    let load = app.load(300);
    eventually_holds("events arrive", || hook.accepted_count() > 200);
    hook.set(Mode::BreakOff);
    eventually_holds("some wait", || app.postgres.backlog().len() > 200);
    app.kill9();
    app.spawn();
    eventually_holds("more wait", || app.postgres.backlog().len() > 400);
    hook.set(Mode::Ok);
    let mut second = app.second_instance();
    eventually_holds("what waited is sent", || app.postgres.backlog().is_empty());
    second.kill9();
    load.stop();
    let findings = audit.await_nothing_waiting();
    assert_eq!((findings.reordered, findings.dead_letters), (0, 0), "{findings}");
    audit.close();
}

#[test]
fn an_endpoint_over_its_quota_is_resumed_while_events_come_and_gets_what_it_missed_in_order() {
    let app = TestApp::named("quotaorder")
        .lanes(20)
        .set("BACKLOG_POLL_MS", 100)
        .set("BACKLOG_ENDPOINT_ROWS_MAX", 300)
        .start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let mut settings = ordered("partition", "block");
    (settings["mode"], settings["batch"]) = (json!("batch"), json!({"events_max": 50, "wait_ms_max": 20}));
    let endpoint = app.subscribed_endpoint(&hook, settings);
    // What is skipped is committed with only its position stored, which the audit does not know of.
    let audit = app.audit().expect_all(&endpoint);
    hook.set(Mode::Status(503));
    let load = app.load(100);
    let shown = || app.rest().get(&format!("/v1/endpoints/{}/backlog", endpoint.id)).ok().json();
    eventually_holds("it is suspended", || shown()["suspended_at"].is_string());
    app.await_settings();
    hook.set(Mode::Ok);
    eventually_holds("what waited is delivered", || app.postgres.backlog().is_empty());
    let skipped = || app.postgres.count("SELECT coalesce(sum(events), 0)::bigint FROM backlog_gap");
    eventually_holds("some is skipped", || skipped() > 300);
    app.rest().post(&format!("/v1/endpoints/{}/resume", endpoint.id), &json!({})).ok();
    let open = || {
        app.postgres.count("SELECT count(*) FROM backlog_gap")
            + app.postgres.count("SELECT count(*) FROM replay_partition WHERE open")
    };
    // A round that takes longer than `park_after` is followed by another one, however long the machine is that slow.
    within(Duration::from_secs(180), "it has caught up while events come", || (open() == 0).then_some(()));
    let caught_up = hook.accepted_count();
    eventually_holds("they come live", || hook.accepted_count() > caught_up + 100);
    assert_eq!(open(), 0, "nothing is skipped any more");
    load.stop();
    let findings = audit.await_nothing_waiting();
    assert_eq!((findings.reordered, findings.dead_letters), (0, 0), "{findings}");
    audit.close();
}

#[test]
fn an_event_that_is_refused_for_good_leaves_its_lane_where_that_was_chosen() {
    let app = app("lanegoeson");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Refuse(HashSet::from([40])));
    let endpoint = app.subscribed_endpoint(&hook, ordered("key", "dead_letter"));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(200);
    let findings = audit.await_nothing_waiting();
    assert_eq!((findings.reordered, findings.dead_letters, findings.delivered), (0, 1, 199), "{findings}");
    audit.close();
}

#[test]
fn an_event_that_is_refused_holds_its_lane_where_that_was_chosen() {
    let app = app("laneblocks");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Refuse(HashSet::from([0])));
    let mut settings = ordered("key", "block");
    settings["breaker"] = never_opens();
    let endpoint = app.subscribed_endpoint(&hook, settings);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(40);
    app.await_committed();
    eventually_holds("other lanes go on", || hook.accepted_count() >= 10);
    assert!(app.dead_letters(&endpoint).is_empty(), "nothing is given up");
    assert!(
        hook.requests().iter().all(|request| request.seqs != [20] || request.answer != Some(200)),
        "20 waits for 0"
    );
    hook.set(Mode::Ok);
    let findings = audit.await_nothing_waiting();
    assert_eq!((findings.reordered, findings.dead_letters), (0, 0), "{findings}");
    audit.close();
}

#[test]
fn what_waits_in_order_goes_out_after_a_restart_although_nothing_new_comes() {
    let mut app = app("idleorder");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(503));
    let endpoint = app.subscribed_endpoint(&hook, ordered("key", "block"));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(100);
    app.await_committed();
    app.kill9();
    hook.set(Mode::Ok);
    app.restart();
    let findings = audit.await_nothing_waiting();
    assert_eq!((findings.reordered, findings.dead_letters), (0, 0), "{findings}");
    audit.close();
}

#[test]
fn an_event_that_waits_long_for_its_next_attempt_holds_its_key_and_no_other() {
    // So long that nothing is parked for another reason.
    let app =
        TestApp::named("keywaits").lanes(20).set("DELIVERY_PARK_AFTER_MS", 10_000).set("BACKLOG_POLL_MS", 100).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Refuse(HashSet::from([0])));
    let mut settings = ordered("key", "block");
    settings["breaker"] = never_opens();
    settings["retry"] = json!({"attempts_max": 3, "schedule_ms": [600_000]});
    app.subscribed_endpoint(&hook, settings);
    app.produce(40);
    eventually_holds("it is in the backlog", || !app.postgres.backlog().is_empty());
    app.produce(400);
    // Every twentieth has its key.
    eventually_holds("all others arrive", || hook.accepted_count() == 440 / 20 * 19);
    let parked = app.rest().metric("postrider_backlog_parked_total");
    assert!(parked <= 22.0, "of the others nothing waited in the backlog: {parked}");
    let requests = hook.requests();
    assert_eq!(requests.iter().filter(|request| request.seqs == [0]).count(), 1, "it waits");
    let accepted: Vec<u32> =
        requests.iter().filter(|it| it.answer == Some(200)).flat_map(|it| it.seqs.clone()).collect();
    for key in 0..20 {
        let of_key: Vec<u32> = accepted.iter().copied().filter(|seq| seq % 20 == key).collect();
        assert!(of_key.is_sorted() && of_key.len() == if key == 0 { 0 } else { 22 }, "{key}: {of_key:?}");
    }
}
