//! ● A bug in one actor costs latency, and no event.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{Receiver, Record, TestApp};

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
