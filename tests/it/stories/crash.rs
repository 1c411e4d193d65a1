//! ● A process that dies in the middle of its work loses nothing.

use serde_json::json;

use crate::harness::{Receiver, TestApp, eventually_holds};

#[test]
fn a_crash_under_load_loses_nothing_and_repeats_only_what_was_not_committed() {
    let mut app = TestApp::start("crash");
    let receiver = Receiver::start();
    let stream = json!({"mode": "stream", "in_flight_max": 8});
    let stream = app.subscribed_endpoint(&receiver.hook("stream"), stream);
    let batch = json!({"mode": "batch", "batch": {"events_max": 200, "wait_ms_max": 200}, "in_flight_max": 2});
    const IN_FLIGHT_EVENTS: u64 = 8 + 2 * 200;
    let batch = app.subscribed_endpoint(&receiver.hook("batch"), batch);
    let audit = app.audit().expect_all(&stream).expect_all(&batch).watch_commits();

    let load = app.load(1_000);
    let mut repeated_at_most = 0;
    for _ in 0..2 {
        let before = stream.hook.accepted_count();
        eventually_holds("events flow", || stream.hook.accepted_count() > before + 2_000);
        app.kill9();
        let committed: i64 = app.kafka.committed().iter().map(|(_, _, offset)| offset).sum();
        let uncommitted =
            |hook: &crate::harness::Hook| u64::try_from(hook.accepted_count() as i64 - committed).unwrap_or(0);
        // A request that the receiver reads after this look counts as well: as many as were under way.
        repeated_at_most += uncommitted(&stream.hook) + uncommitted(&batch.hook) + IN_FLIGHT_EVENTS;
        app.restart();
    }
    load.stop();
    let findings = audit.close();
    println!("two crashes: {findings}; at most {repeated_at_most} were delivered and not committed");
    assert!(findings.duplicates <= repeated_at_most, "{} > {repeated_at_most}", findings.duplicates);
}

#[test]
fn a_frozen_process_that_wakes_up_after_its_partitions_moved_harms_nothing() {
    let mut app = TestApp::start("frozen");
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    let load = app.load(500);
    eventually_holds("events flow", || endpoint.hook.accepted_count() > 500);

    app.instance().freeze();
    let second = app.second_instance();
    eventually_holds("the other instance has all partitions", || {
        second.rest.metric("postrider_partitions_assigned") == 4.0
    });
    let before = endpoint.hook.accepted_count();
    eventually_holds("the other instance delivers", || endpoint.hook.accepted_count() > before + 500);
    app.instance().thaw();
    eventually_holds("both share the work", || {
        let owned = |rest: &crate::harness::rest::Rest| rest.metric("postrider_partitions_assigned");
        owned(app.rest()) == 2.0 && owned(&second.rest) == 2.0
    });
    load.stop();
    println!("frozen: {}", audit.close());
}
