//! ● What an endpoint does not take waits for it, through everything, and reaches it once it does.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::harness::{Endpoint, Mode, Receiver, Record, TestApp, eventually_holds, kafka::event_id};

/// Parks soon, and looks often.
fn app(name: &'static str) -> TestApp {
    TestApp::named(name).set("DELIVERY_PARK_AFTER_MS", 500).set("BACKLOG_POLL_MS", 100).start()
}

/// An endpoint's settings with a breaker that asks again soon.
fn eager() -> Value {
    let breaker = json!({"consecutive_failures": 3, "open_base_ms": 100, "open_max_ms": 400});
    json!({"mode": "stream", "breaker": breaker, "retry": {"attempts_max": 20, "schedule_ms": [50, 100, 200]}})
}

fn waiting(app: &TestApp, endpoint: &Endpoint) -> u64 {
    let backlog = app.rest().get(&format!("/v1/endpoints/{}/backlog", endpoint.id)).ok().json();
    backlog["events"].as_u64().unwrap_or_else(|| panic!("no events: {backlog}"))
}

#[test]
fn an_endpoint_that_was_down_gets_every_event_once_it_is_back() {
    let app = app("down");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(503));
    let endpoint = app.subscribed_endpoint(&hook, eager());
    let healthy = app.subscribed_endpoint(&receiver.hook("healthy"), json!({"mode": "stream"}));
    let audit = app.audit().expect_all(&endpoint).expect_all(&healthy).watch_commits();
    app.produce(2_000);
    app.await_committed();
    assert!(waiting(&app, &endpoint) > 1_900, "they wait: {}", waiting(&app, &endpoint));
    assert!(app.dead_letters(&endpoint).is_empty());

    hook.set(Mode::Ok);
    let findings = audit.await_nothing_waiting();
    assert_eq!((findings.dead_letters, findings.backlog), (0, 0));
    eventually_holds("nothing is left of it", || waiting(&app, &endpoint) == 0);
    audit.close();
    let some = hook.requests().into_iter().find(|request| request.answer == Some(200)).expect("one was taken");
    assert_eq!(some.webhook_id, event_id(&app.topic, some.seqs[0]), "an event keeps its id");
}

#[test]
fn what_waits_goes_out_in_batches_again() {
    let app = app("parkedbatch");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(500));
    let mut settings = eager();
    (settings["mode"], settings["batch"]) = (json!("batch"), json!({"events_max": 100, "wait_ms_max": 200}));
    let endpoint = app.subscribed_endpoint(&hook, settings);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(1_000);
    app.await_committed();
    hook.set(Mode::Ok);
    audit.await_nothing_waiting();
    audit.close();
    let largest =
        hook.requests().iter().filter(|request| request.answer == Some(200)).map(|request| request.seqs.len()).max();
    assert!(largest >= Some(50), "batches are formed again: {largest:?}");
}

#[test]
fn a_crash_and_another_owner_lose_nothing_of_what_waits() {
    let mut app = app("parkedcrash");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Hang);
    let mut settings = eager();
    settings["request_timeout_ms"] = json!(1_000);
    let endpoint = app.subscribed_endpoint(&hook, settings);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(500);
    app.await_committed();
    app.kill9();
    hook.set(Mode::Ok);
    app.restart();
    app.produce(100);
    let second = app.second_instance();
    audit.await_nothing_waiting();
    drop(second);
    audit.close();
}

#[test]
fn a_paused_endpoints_events_wait_until_it_is_resumed_and_no_attempt_is_made() {
    let app = app("paused");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let endpoint = app.subscribed_endpoint(&hook, eager());
    let command = |word: &str| app.rest().post(&format!("/v1/endpoints/{}/{word}", endpoint.id), &json!({})).ok();
    command("pause");
    app.await_settings();
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(300);
    app.await_committed();
    assert_eq!((waiting(&app, &endpoint), hook.requests_count()), (300, 0));
    command("resume");
    let findings = audit.await_nothing_waiting();
    assert_eq!(findings.duplicates, 0);
    audit.close();
}

#[test]
fn what_waits_for_a_subscription_that_is_gone_is_cancelled() {
    let app = app("unsubscribed");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let endpoint = app.endpoint(&hook, eager());
    let whole = app.subscribe(&endpoint, json!({"level": "topic"}));
    app.subscribe(&endpoint, json!({"level": "tenants", "tenants": ["3"]}));
    let command = |word: &str| app.rest().post(&format!("/v1/endpoints/{}/{word}", endpoint.id), &json!({})).ok();
    command("pause");
    app.await_settings();
    app.produce(100);
    app.await_committed();
    assert_eq!(waiting(&app, &endpoint), 100);
    app.rest().delete(&format!("/v1/subscriptions/{whole}")).ok();
    command("resume");
    eventually_holds("nothing waits any more", || waiting(&app, &endpoint) == 0);
    let seqs: BTreeSet<u32> = hook.requests().iter().flat_map(|request| request.seqs.clone()).collect();
    let of_tenant: BTreeSet<u32> = (0..100).filter(|seq| seq % 10 + 1 == 3).collect();
    assert_eq!(seqs, of_tenant, "only what it still may see was sent");
}

#[test]
fn what_waits_for_an_endpoint_that_is_deleted_is_cancelled() {
    let app = app("deleted");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(500));
    let endpoint = app.subscribed_endpoint(&hook, eager());
    app.produce(200);
    app.await_committed();
    app.rest().delete(&format!("/v1/endpoints/{}", endpoint.id)).ok();
    eventually_holds("nothing waits any more", || app.postgres.backlog().is_empty());
    assert_eq!(hook.accepted_count(), 0);
}

#[test]
fn an_attempt_that_outlasts_its_parking_and_succeeds_takes_the_row_out() {
    let app = app("outlasts");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    // Longer than it takes to park the rows, to commit and to look, however busy the machine.
    hook.set(Mode::Slow(Duration::from_secs(12)));
    let mut settings = eager();
    (settings["request_timeout_ms"], settings["in_flight_max"]) = (json!(60_000), json!(8));
    let endpoint = app.subscribed_endpoint(&hook, settings);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(8);
    app.await_committed();
    assert_eq!(
        (waiting(&app, &endpoint), hook.accepted_count()),
        (8, 0),
        "committed while the attempts were under way"
    );
    let findings = audit.await_nothing_waiting();
    assert_eq!(findings.duplicates, 0, "nothing was sent twice");
    eventually_holds("the rows are gone", || waiting(&app, &endpoint) == 0);
    assert_eq!(hook.requests_count(), 8);
    audit.close();
}

#[test]
fn a_restarted_endpoint_begins_anew_and_loses_nothing() {
    let app = app("restarted");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Hang);
    let mut settings = eager();
    settings["request_timeout_ms"] = json!(1_000);
    let endpoint = app.subscribed_endpoint(&hook, settings);
    let other = app.subscribed_endpoint(&receiver.hook("other"), json!({"mode": "stream"}));
    let audit = app.audit().expect_all(&endpoint).expect_all(&other).watch_commits();
    app.produce(200);
    eventually_holds("requests hang, and the rest is parked", || waiting(&app, &endpoint) > 0);
    hook.set(Mode::Ok);
    app.rest().post(&format!("/v1/endpoints/{}/restart", endpoint.id), &json!({})).ok();
    audit.await_nothing_waiting();
    let restarts = |id: &str| {
        let actors = app.rest().get("/v1/actors").ok().json();
        let actors = actors["data"].as_array().expect("actors");
        actors.iter().find(|actor| actor["id"] == id).expect("the actor")["restarts"].clone()
    };
    // The receiver answers again: everything may have arrived before the command has.
    eventually_holds("it was restarted", || restarts(&endpoint.id) == 1);
    assert_eq!(restarts(&other.id), 0);
    audit.close();
}

#[test]
fn a_purged_backlog_is_gone_and_only_that() {
    let app = TestApp::named("purged")
        .set("DELIVERY_PARK_AFTER_MS", 500)
        .set("BACKLOG_POLL_MS", 100)
        .set("BACKLOG_REFRESH_MS", 1_000)
        .start();
    let receiver = Receiver::start();
    let endpoints = ["purged", "kept"].map(|name| app.subscribed_endpoint(&receiver.hook(name), eager()));
    let [purged, kept] = &endpoints;
    let command = |endpoint: &Endpoint, word: &str, body: Value| {
        app.rest().post(&format!("/v1/endpoints/{}/{word}", endpoint.id), &body)
    };
    endpoints.iter().for_each(|endpoint| drop(command(endpoint, "pause", json!({})).ok()));
    app.await_settings();
    app.produce(300);
    app.await_committed();
    assert_eq!((waiting(&app, purged), waiting(&app, kept)), (300, 300));

    let of_nothing = command(purged, "backlog/purge", json!({"received_before": "2020-01-01T00:00:00Z"})).ok().json();
    assert_eq!((&of_nothing["purged_events"], &of_nothing["events"]), (&json!(0), &json!(300)));
    command(purged, "backlog/purge", json!({"received_before": "yesterday"}))
        .problem_with_fields(422, &["received_before"]);
    let done = command(purged, "backlog/purge", json!({})).ok().json();
    assert_eq!((&done["purged_events"], &done["events"], &done["finished"]), (&json!(300), &json!(0), &json!(true)));
    assert_eq!((waiting(&app, purged), waiting(&app, kept)), (0, 300));
    eventually_holds("the gauge says so", || app.rest().metric("postrider_backlog_events") == 300.0);

    endpoints.iter().for_each(|endpoint| drop(command(endpoint, "resume", json!({})).ok()));
    eventually_holds("the other one gets all", || kept.hook.accepted_count() == 300);
    assert_eq!(purged.hook.accepted_count(), 0);
}

#[test]
fn an_endpoint_over_its_quota_is_suspended_and_gets_what_it_missed_once_it_is_resumed() {
    let app = TestApp::named("quota")
        .set("DELIVERY_PARK_AFTER_MS", 500)
        .set("BACKLOG_POLL_MS", 100)
        .set("BACKLOG_ENDPOINT_ROWS_MAX", 200)
        .start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(503));
    let endpoint = app.subscribed_endpoint(&hook, eager());
    let other = app.subscribed_endpoint(&receiver.hook("other"), json!({"mode": "stream"}));
    // What is skipped is committed with only its position stored, which the audit does not know of.
    let audit = app.audit().expect_all(&endpoint).expect_all(&other);
    let backlog = || app.rest().get(&format!("/v1/endpoints/{}/backlog", endpoint.id)).ok().json();
    app.produce(300);
    eventually_holds("it is suspended", || backlog()["suspended_at"].is_string());
    app.await_settings();
    app.await_committed();
    let rows = waiting(&app, &endpoint);
    app.produce(400);
    app.await_committed();
    let gaps = backlog()["gaps"].as_array().expect("gaps").clone();
    let skipped: u64 = gaps.iter().map(|gap| gap["events"].as_u64().expect("a count")).sum();
    // Of the first 300, those that were not yet stored when it was suspended are skipped as well.
    let of_both = (rows, 700 - rows);
    assert_eq!((waiting(&app, &endpoint), skipped), of_both, "nothing is stored of what comes: {gaps:?}");

    hook.set(Mode::Ok);
    eventually_holds("what waited is delivered all the same", || waiting(&app, &endpoint) == 0);
    assert_eq!(hook.accepted_count() as u64, rows);
    app.rest().post(&format!("/v1/endpoints/{}/resume", endpoint.id), &json!({})).ok();
    audit.await_nothing_waiting();
    eventually_holds("the gaps are closed", || backlog()["gaps"] == json!([]));
    let state = backlog();
    assert!(state["suspended_at"].is_null(), "{state}");
    app.produce(100);
    audit.close();
}

#[test]
fn of_a_customer_over_its_quota_the_endpoints_with_the_most_rows_are_suspended() {
    let app = TestApp::named("ofcustomer").set("DELIVERY_PARK_AFTER_MS", 500).set("BACKLOG_POLL_MS", 100).start();
    let receiver = Receiver::start();
    let hooks = ["heavy", "light", "others"].map(|name| receiver.hook(name));
    hooks.iter().for_each(|hook| hook.set(Mode::Status(503)));
    let heavy = app.subscribed_endpoint(&hooks[0], eager());
    let light = app.endpoint(&hooks[1], eager());
    app.subscribe(&light, json!({"level": "tenants", "tenants": ["3"]}));
    let mut of_another = eager();
    of_another["customer_id"] = app.new_customer().into();
    let other = app.subscribed_endpoint(&hooks[2], of_another);
    let quotas = json!({"quotas": {"backlog_rows_max": 100}});
    app.rest().patch(&format!("/v1/customers/{}", app.customer()), &quotas).ok();
    app.await_settings();
    app.produce(300);
    let suspended = |endpoint: &Endpoint| {
        let backlog = app.rest().get(&format!("/v1/endpoints/{}/backlog", endpoint.id)).ok().json();
        backlog["suspended_at"].is_string()
    };
    eventually_holds("the one with the most rows is suspended", || suspended(&heavy));
    app.await_committed();
    assert_eq!((waiting(&app, &light), waiting(&app, &other)), (30, 300));
    assert!(!suspended(&light), "what the others of its customer hold fits");
    assert!(!suspended(&other), "it is another customer's");
    let used = app.rest().get(&format!("/v1/customers/{}/quotas", app.customer())).ok().json();
    let rows = &used["quotas"]["backlog_rows_max"];
    assert_eq!((&rows["limit"], rows["used"].as_u64() > Some(100)), (&json!(100), true), "{used}");
}

#[test]
fn an_endpoint_that_takes_nothing_for_too_long_is_disabled_and_one_that_takes_something_is_not() {
    let app =
        TestApp::named("failing").set("DELIVERY_PARK_AFTER_MS", 500).set("DELIVERY_DISABLE_AFTER_MS", 3_000).start();
    let receiver = Receiver::start();
    let hooks = ["down", "flaky"].map(|name| receiver.hook(name));
    hooks.iter().for_each(|hook| hook.set(Mode::Status(503)));
    let [down, flaky] = hooks.each_ref().map(|hook| app.subscribed_endpoint(hook, eager()));
    let load = app.load(50);
    let state = |endpoint: &Endpoint| app.rest().get(&format!("/v1/endpoints/{}", endpoint.id)).ok().json();
    let mut flips = 0;
    eventually_holds("it is disabled", || {
        flips += 1;
        hooks[1].set(if flips % 4 == 0 { Mode::Status(503) } else { Mode::Ok });
        state(&down)["state"] == "disabled"
    });
    assert_eq!(state(&down)["state_reason"], "it took nothing for 3 s");
    assert_eq!(state(&flaky)["state"], "enabled");
    load.stop();
}

#[test]
fn an_endpoint_that_recovered_is_not_disabled_for_one_failure_after_a_long_silence() {
    let app = TestApp::named("silence").set("DELIVERY_DISABLE_AFTER_MS", 4_000).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let endpoint = app.subscribed_endpoint(&hook, eager());
    let fails_for = |time: Duration| {
        hook.set(Mode::Status(503));
        app.produce(1);
        std::thread::sleep(time); // several looks find that it fails
        hook.set(Mode::Ok);
        app.await_committed();
    };
    fails_for(Duration::from_secs(1));
    std::thread::sleep(Duration::from_secs(5)); // longer than the limit, and nothing to deliver
    fails_for(Duration::from_secs(1));
    let endpoint = app.rest().get(&format!("/v1/endpoints/{}", endpoint.id)).ok().json();
    assert_eq!(endpoint["state"], "enabled", "{endpoint}");
}

#[test]
fn what_waits_of_a_topic_that_was_deleted_is_delivered_all_the_same() {
    let mut app = TestApp::named("orphan")
        .set("DELIVERY_PARK_AFTER_MS", 500)
        .set("BACKLOG_POLL_MS", 100)
        .set("BACKLOG_SWEEP_MS", 300)
        .set("KAFKA_METADATA_REFRESH_MS", 500)
        .prepare();
    let doomed = format!("{}.doomed", app.topic);
    app.kafka.create_topic(&doomed, 2);
    app.set("KAFKA_TOPICS", format!("{},{doomed}", app.topic));
    app.restart();
    let receiver = Receiver::start();
    let ordering = json!({"mode": "stream", "ordering": {"by": "partition", "on_failure": "block"}});
    let endpoints = [app.endpoint(&receiver.hook("plain"), eager()), app.endpoint(&receiver.hook("ordered"), ordering)];
    for endpoint in &endpoints {
        app.subscribe_to(&doomed, endpoint, json!({"level": "topic"}));
    }
    let command = |word: &str| {
        for endpoint in &endpoints {
            app.rest().post(&format!("/v1/endpoints/{}/{word}", endpoint.id), &json!({})).ok();
        }
    };
    command("pause");
    app.await_settings();
    for key in 0..100_u32 {
        app.kafka.send(&doomed, &Record { lane: Some(key), ..Record::default() });
    }
    eventually_holds("they wait", || endpoints.iter().all(|endpoint| waiting(&app, endpoint) == 100));
    app.kafka.delete_topic(&doomed);
    command("resume");
    eventually_holds("they are delivered", || endpoints.iter().all(|one| one.hook.accepted_count() == 100));
    eventually_holds("nothing is left of it", || endpoints.iter().all(|endpoint| waiting(&app, endpoint) == 0));
}

#[test]
fn a_purge_is_noticed_at_once_by_those_who_would_have_waited_for_its_events() {
    let app = TestApp::named("purgedorder")
        .partitions(1)
        .set("DELIVERY_PARK_AFTER_MS", 5_000)
        .set("BACKLOG_REFRESH_MS", 600_000)
        .start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let settings = json!({"mode": "stream", "ordering": {"by": "partition", "on_failure": "block"}});
    let endpoint = app.subscribed_endpoint(&hook, settings);
    let call = |word: &str| app.rest().post(&format!("/v1/endpoints/{}/{word}", endpoint.id), &json!({})).ok().json();
    call("pause");
    app.await_settings();
    app.produce(300);
    app.await_committed();
    assert_eq!(call("backlog/purge")["purged_events"], 300);
    call("resume");
    app.await_settings();
    let parked = app.rest().metric("postrider_backlog_parked_total");
    app.produce(10);
    eventually_holds("what comes now arrives", || hook.accepted_count() == 10);
    app.await_committed();
    assert_eq!(app.rest().metric("postrider_backlog_parked_total"), parked, "nothing of it waited in the backlog");
}
