//! ● Instances come and go under load.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Instance, Receiver, TestApp, eventually_holds, within};

/// What is promised between two orderly instances is a moment, after a crash 10 s; on a busy machine, this.
const TAKEOVER: Duration = Duration::from_secs(30);

#[test]
fn instances_that_come_go_and_crash_lose_nothing() {
    let app = TestApp::named("rebalance").partitions(8).start();
    let receiver = Receiver::start();
    let stream = app.subscribed_endpoint(&receiver.hook("stream"), json!({"mode": "stream"}));
    let batch = json!({"mode": "batch", "batch": {"events_max": 100, "wait_ms_max": 100}});
    let batch = app.subscribed_endpoint(&receiver.hook("batch"), batch);
    let audit = app.audit().expect_all(&stream).expect_all(&batch).watch_commits();
    let load = app.load(1_000);
    let owned = |instance: &crate::harness::rest::Rest| instance.metric("postrider_partitions_assigned");
    let flow = || {
        let before = stream.hook.accepted_count();
        eventually_holds("events flow", || stream.hook.accepted_count() > before + 1_000);
    };
    let join = || -> Instance {
        let second = app.second_instance();
        eventually_holds("the second takes half of the partitions", || {
            owned(app.rest()) == 4.0 && owned(&second.rest) == 4.0
        });
        flow();
        second
    };
    flow();

    let mut leaving = join();
    let stopped = leaving.sigterm();
    assert!(stopped.status.success(), "{}", stopped.status);
    within(TAKEOVER, "the first has all partitions again", || (owned(app.rest()) == 8.0).then_some(()));
    flow();

    let mut crashing = join();
    crashing.kill9();
    within(TAKEOVER, "the first has the dead one's partitions", || (owned(app.rest()) == 8.0).then_some(()));
    flow();

    load.stop();
    println!("rebalances: {}", audit.close());
}
