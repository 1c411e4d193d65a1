//! Who asks how an endpoint answered sees each failure, what followed from it, and how it ended.

use serde_json::{Value, json};

use crate::harness::{Endpoint, Mode, Receiver, TestApp, eventually, kafka::event_id};

/// The newest first, once there are so many.
fn attempts(app: &TestApp, endpoint: &Endpoint, count: usize, query: &str) -> Vec<Value> {
    eventually(&format!("{count} attempts are written down"), || {
        let page = app.rest().get(&format!("/v1/endpoints/{}/attempts{query}", endpoint.id)).ok().json();
        let attempts = page["data"].as_array().expect("data").clone();
        (attempts.len() >= count).then_some(attempts)
    })
}

#[test]
fn every_failed_attempt_is_written_down_with_what_followed_from_it() {
    let mut app = TestApp::start("attempts");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Say(500, "no, hush-hush".to_owned()));
    let settings = json!({
        "mode": "stream", "retry": {"attempts_max": 3, "schedule_ms": [50, 50]},
        "auth": {"type": "bearer", "token": "hush-hush"},
    });
    let endpoint = app.subscribed_endpoint(&hook, settings);
    app.produce(1);
    let found = attempts(&app, &endpoint, 3, "");
    let told: Vec<Value> = found
        .iter()
        .map(|one| json!([one["attempt"], one["outcome"], one["status"], one["next"], one["excerpt"]]))
        .collect();
    let expected = [(3, "dead_letter"), (2, "retry"), (1, "retry")];
    let expected = expected.map(|(attempt, next)| json!([attempt, "failed", 500, next, "no, (hidden)"]));
    assert_eq!(told, expected);
    let (webhook, event) = (&found[0]["webhook_id"], &found[0]["first_events"][0]["event_id"]);
    let line = format!("webhook_id={webhook} event_id={event}");
    assert!(app.instance().log().matches(&line).count() == 3, "each attempt's line names the event: {line}");
    let place = app.produced.place(0);
    let event = &found[0]["first_events"][0];
    assert_eq!(
        (&event["event_id"], &event["partition"], &event["offset"]),
        (&json!(event_id(&app.topic, 0)), &json!(place.partition), &json!(place.offset)),
    );
    assert_eq!((&found[0]["webhook_id"], &found[0]["next_at"]), (&event["event_id"], &Value::Null));

    assert_eq!(attempts(&app, &endpoint, 3, "?outcome=not_delivered").len(), 3);
}

#[test]
fn what_went_well_at_once_leaves_no_record_and_what_went_well_in_the_end_does() {
    let app = TestApp::start("attempts-delivered");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(503));
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream"}));
    app.produce(1);
    attempts(&app, &endpoint, 1, "");
    hook.set(Mode::Ok);
    let delivered = attempts(&app, &endpoint, 1, "?outcome=delivered");
    assert!(delivered[0]["attempt"].as_u64() > Some(1), "{}", delivered[0]);
    assert_eq!((&delivered[0]["next"], &delivered[0]["status"]), (&json!("none"), &json!(200)));
    let before = attempts(&app, &endpoint, 1, "").len();
    app.produce(20);
    app.audit().expect_all(&endpoint).watch_commits().close();
    assert_eq!(attempts(&app, &endpoint, before, "").len(), before);
}

#[test]
fn what_was_delivered_and_what_failed_is_counted_over_a_restart() {
    let mut app = TestApp::start("counts");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(503));
    let endpoint =
        app.subscribed_endpoint(&hook, json!({"mode": "stream", "retry": {"attempts_max": 9, "schedule_ms": [50]}}));
    app.produce(1);
    eventually("an attempt has failed", || (hook.requests_count() > 0).then_some(()));
    hook.set(Mode::Ok);
    app.produce(99);
    app.await_committed();
    let counts = |app: &TestApp| {
        let mut stats = app.rest().get(&format!("/v1/endpoints/{}/stats", endpoint.id)).ok().json();
        (stats["counts"].take(), stats["failed_attempts"]["since_start"].take())
    };
    let failed = counts(&app).1;
    app.sigterm();
    app.restart();
    let counted = counts(&app).0;
    assert_eq!((&counted["delivered"], &counted["failed_attempts"]), (&json!(100), &failed), "{counted}");
}
