//! ● Many events, two crashes and a rebalance: every one of them is accounted for.

use std::time::Instant;

use serde_json::json;

use crate::harness::{Receiver, TestApp, eventually_holds};

/// A million for the full proof; fewer where it has to be quick.
fn events() -> u32 {
    let asked = std::env::var("POSTRIDER_IT_EVENTS").ok();
    asked.map_or(50_000, |events| events.parse().expect("POSTRIDER_IT_EVENTS is a number"))
}

#[test]
fn million_events_with_two_crashes_and_a_rebalance_are_all_accounted_for() {
    let events = events();
    let mut app = TestApp::named("million").partitions(8).prepare();
    let receiver = Receiver::start();
    let [batch, stream] = [receiver.hook("batch"), receiver.hook("stream")];
    let (batch, stream) = app.before_the_first_start(|app| {
        let batched = json!({"mode": "batch", "batch": {"events_max": 1000, "wait_ms_max": 200}, "in_flight_max": 4});
        let batch = app.subscribed_endpoint(&batch, batched);
        // A tenth of the events, one by one.
        let stream = app.endpoint(&stream, json!({"mode": "stream", "in_flight_max": 16}));
        app.subscribe(&stream, json!({"level": "tenants", "tenants": ["4"]}));
        (batch, stream)
    });
    for hook in [&batch.hook, &stream.hook] {
        hook.keep_no_requests();
    }
    let audit = app.audit().expect_all(&batch).expect(&stream, |sent| sent.tenant.as_deref() == Some("4"));
    let audit = audit.watch_commits();

    app.produce(events);
    let started = Instant::now();
    app.restart();
    let total = events as usize;
    let reached = |share: f64| {
        let wanted = (total as f64 * share) as usize;
        eventually_holds("deliveries go on", || batch.hook.accepted_count() >= wanted);
    };
    reached(0.1);
    app.kill9();
    app.restart();
    reached(0.3);
    let mut second = app.second_instance();
    reached(0.5);
    app.kill9();
    app.restart();
    reached(0.8);
    assert!(second.sigterm().status.success());
    audit.await_nothing_waiting();
    let findings = audit.close();
    println!("{events} events, two crashes, three rebalances, in {:?}: {findings}", started.elapsed());
    assert_eq!(batch.hook.accepted_count() + findings.dead_letters, total);
}
