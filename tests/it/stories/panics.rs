//! ● A bug in one actor costs latency, and no event.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{Mode, Receiver, Record, TestApp, eventually_holds};

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
    let actors = app.rest().get("/v1/actors?kind=endpoint").ok().json();
    let restarts = |actor: &serde_json::Value| actor["restarts"].as_u64().unwrap_or(0);
    let total: u64 = actors["data"].as_array().expect("a list").iter().map(restarts).sum();
    assert_eq!(total, 3, "the actors did panic: {actors}");
    assert!(app.rest().metric("postrider_receipts_abandoned_total") > 0.0, "events were in their hands");
}

#[test]
fn an_endpoint_actor_that_panics_before_it_stands_is_made_again_and_loses_nothing() {
    let mut app = TestApp::named("panic-new").env("FAILPOINTS", "endpoint-new=3*panic->off").start();
    let receiver = Receiver::start();
    let stream = app.subscribed_endpoint(&receiver.hook("stream"), json!({"mode": "stream"}));
    let audit = app.audit().expect_all(&stream).watch_commits();
    app.produce(100);
    println!("panicking before it stands: {}", audit.close());
    assert!(app.instance().log().contains("failpoint endpoint-new panic"), "it did panic");
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

#[test]
fn an_event_that_makes_us_panic_becomes_a_dead_letter_and_keeps_nobody_waiting() {
    let faults = "route-event=return(poison);decode-record=return(venom)";
    let app = TestApp::named("panic-event").partitions(1).env("FAILPOINTS", faults).start();
    let receiver = Receiver::start();
    let stream = app.subscribed_endpoint(&receiver.hook("stream"), json!({"mode": "stream"}));
    app.produce(100);
    let poisonous = ["poison", "venom"].map(|kind| {
        let seq = app.produce_one(&Record { tenant: Some("1"), kind: Some(kind), ..Record::default() });
        app.produce(100);
        seq
    });
    let audit = app.audit().expect(&stream, move |sent| !poisonous.contains(&sent.seq)).watch_commits();
    println!("poisonous events: {}", audit.close());
    assert_eq!(stream.hook.duplicates(), 0, "nothing was read again");
    let letters = app.rest().get("/v1/dead-letters").ok().json();
    let letters = letters["data"].as_array().expect("a list");
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(letters.iter().all(|letter| letter["reason"] == "internal"), "{letters:?}");
    let offsets: BTreeSet<_> = letters.iter().filter_map(|letter| letter["offset"].as_i64()).collect();
    assert_eq!(offsets, BTreeSet::from(poisonous.map(|seq| app.produced.place(seq).offset)));
    let kept = app.postgres.count("SELECT count(*) FROM dead_letter WHERE record_value IS NOT NULL");
    assert_eq!(kept, 2, "with their bytes");
}

#[test]
fn a_panicking_backlog_writer_loses_nothing_and_keeps_nothing_in_memory() {
    let faults = "backlog-insert=1*off->2*panic->off;backlog-remove=1*off->3*panic->off";
    let mut app = TestApp::named("panic-backlog")
        .partitions(1)
        .set("DELIVERY_PARK_AFTER_MS", 500)
        .set("BACKLOG_POLL_MS", 100)
        .set("BACKLOG_CONNECTIONS_MAX", 1)
        .env("FAILPOINTS", faults)
        .start();
    let receiver = Receiver::start();
    let breaker = json!({"consecutive_failures": 3, "open_base_ms": 100, "open_max_ms": 400});
    let retry = json!({"attempts_max": 100, "schedule_ms": [50]});
    let endpoint = |name: &str, mut settings: serde_json::Value| {
        let hook = receiver.hook(name);
        hook.set(Mode::Status(503));
        (settings["mode"], settings["breaker"], settings["retry"]) = (json!("stream"), breaker.clone(), retry.clone());
        app.subscribed_endpoint(&hook, settings)
    };
    let ordered = endpoint("ordered", json!({"ordering": {"by": "partition", "on_failure": "block"}}));
    let unordered = endpoint("unordered", json!({}));
    let audit = app.audit().expect_all(&ordered).expect_all(&unordered).watch_commits();
    for _ in 0..5 {
        app.produce(100);
    }
    app.await_committed();
    [&ordered, &unordered].iter().for_each(|endpoint| endpoint.hook.set(Mode::Ok));
    audit.await_nothing_waiting();
    println!("panicking backlog writer: {}", audit.close());
    eventually_holds("no row is left", || app.postgres.backlog().is_empty());

    // Nobody is taken for ever to have something waiting: what comes is soon sent from memory again.
    eventually_holds("what comes is sent from memory", || {
        let parked = app.rest().metric("postrider_backlog_parked_total");
        let audit = app.audit().expect_all(&ordered).expect_all(&unordered);
        app.produce(5);
        audit.close();
        app.rest().metric("postrider_backlog_parked_total") == parked
    });
    let died = app.instance().log().matches("the writer of the backlog panicked").count();
    assert_eq!(died, 5, "the writer did panic");
}
