//! ● A process that is asked to stop finishes what it began.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Mode, Receiver, TestApp, eventually_holds};

/// What Kubernetes gives a process is 30 s.
const DRAIN: Duration = Duration::from_secs(25);

#[test]
fn sigterm_under_load_finishes_what_is_in_flight_and_exits_with_0() {
    let mut app = TestApp::start("drain");
    let receiver = Receiver::start();
    let stream = json!({"mode": "stream", "in_flight_max": 8});
    let stream = app.subscribed_endpoint(&receiver.hook("stream"), stream);
    let batch = json!({"mode": "batch", "batch": {"events_max": 50, "wait_ms_max": 1000}, "in_flight_max": 2});
    let batch = app.subscribed_endpoint(&receiver.hook("batch"), batch);
    let in_flight_max = 8 + 2 * 50;
    let audit = app.audit().expect_all(&stream).expect_all(&batch).watch_commits();
    let load = app.load(1_000);
    eventually_holds("events flow", || stream.hook.accepted_count() > 1_000);

    let stopped = app.sigterm();
    assert!(stopped.status.success(), "{}", stopped.status);
    assert!(stopped.took <= DRAIN, "{:?}", stopped.took);
    eventually_holds("it has left the group", || app.kafka.members() == 0);
    load.stop();

    app.restart();
    let findings = audit.close();
    println!("drain in {:?}: {findings}", stopped.took);
    assert!(findings.duplicates <= in_flight_max, "only what was in flight may come twice: {findings}");
}

#[test]
fn a_hung_endpoint_does_not_hold_up_the_exit() {
    let mut app = TestApp::start("drain-hung");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Hang);
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "request_timeout_ms": 60_000}));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(100);
    eventually_holds("requests hang", || hook.waiting() > 0);
    let stopped = app.sigterm();
    assert!(stopped.status.success(), "{}", stopped.status);
    assert!(stopped.took <= DRAIN, "{:?}", stopped.took);
    hook.set(Mode::Ok);
    app.restart();
    audit.close();
}

#[test]
fn endpoints_with_nothing_to_do_cost_no_cpu_while_a_process_stops() {
    let mut app = TestApp::start("drain-idle");
    let receiver = Receiver::start();
    let hung = receiver.hook("hung");
    hung.set(Mode::Hang);
    let idle = receiver.hook("idle");
    let (url, customer) = (idle.url(), app.customer());
    let endpoint =
        |number| json!({"uid": format!("idle-{number}"), "customer_id": customer, "url": url, "mode": "stream"});
    let endpoints: Vec<Value> = (0..IDLE).map(endpoint).collect();
    app.rest().post("/v1/endpoints/bulk", &json!({ "endpoints": endpoints })).ok();
    let (topic, all) = (&app.topic, json!({"level": "topic"}));
    let subscription =
        |number| json!({"uid": "all", "endpoint_id": format!("idle-{number}"), "topic": topic, "scope": all});
    let subscriptions: Vec<Value> = (0..IDLE).map(subscription).collect();
    app.rest().post("/v1/subscriptions/bulk", &json!({ "subscriptions": subscriptions })).ok();
    app.subscribed_endpoint(&hung, json!({"mode": "stream", "request_timeout_ms": 60_000}));
    app.produce(1);
    eventually_holds("each had its event", || idle.requests().len() == IDLE && hung.waiting() > 0);
    let asked_at = app.instance().send_sigterm();
    // The first looks may still see what is done once.
    let is_quiet = (0..5).any(|_| {
        let (before, looked_at) = (app.instance().cpu_time(), Instant::now());
        thread::sleep(Duration::from_secs(2));
        let (spent, looked_for) = (app.instance().cpu_time().saturating_sub(before), looked_at.elapsed());
        println!("{spent:?} of CPU in {looked_for:?} with {IDLE} idle endpoints");
        assert!(app.instance().is_running(), "it waits for what hangs, {:?} long so far", asked_at.elapsed());
        spent < looked_for / 5
    });
    assert!(is_quiet, "it is busy while it waits");
    hung.set(Mode::Ok);
}

const IDLE: usize = 300;
