//! ● Processes that die, freeze and stop.

use std::{thread, time::Duration};

use rand::{Rng as _, rngs::SmallRng};
use serde_json::json;

use crate::{
    harness::{Receiver, TestApp, eventually_holds},
    row::Outcome,
    stage::{IN_FLIGHT, LANES, Stage, batch_settings, stream_settings},
};

/// What Kubernetes gives a process is 30 s.
const STOPS_WITHIN: Duration = Duration::from_secs(25);

/// Row 1: all events in batches, a tenth of them one by one as well.
pub fn killed_at_random(dice: &mut SmallRng) -> Outcome {
    const KILLS: u32 = 20;
    let app = TestApp::named("fault-1").lanes(LANES);
    // A dead member is waited for until its session ends.
    let mut app = app.set("KAFKA_SESSION_TIMEOUT_MS", 2_000).set("KAFKA_HEARTBEAT_INTERVAL_MS", 500).start();
    let receiver = Receiver::start();
    let batch = app.subscribed_endpoint(&receiver.hook("batch"), batch_settings());
    let stream = app.endpoint(&receiver.hook("stream"), stream_settings());
    app.subscribe(&stream, json!({"level": "tenants", "tenants": ["4"]}));
    app.await_settings();
    [&stream, &batch].iter().for_each(|endpoint| endpoint.hook.keep_no_requests());
    let wanted = |sent: &crate::harness::produced::Sent| sent.tenant.as_deref() == Some("4");
    let audit = app.audit().expect_all(&batch).expect(&stream, wanted).watch_commits();

    let load = app.load(5_000);
    let mut repeated = 0;
    for _ in 0..KILLS {
        let before = batch.hook.accepted_count();
        eventually_holds("events flow", || batch.hook.accepted_count() > before);
        thread::sleep(Duration::from_millis(dice.random_range(0..1_500))); // any moment
        app.kill9();
        repeated += audit.delivered_beyond_commit() + IN_FLIGHT;
        app.restart();
    }
    load.stop();
    Outcome::of(audit.settle()).at_most(repeated)
}

/// Row 12
pub fn stopped_under_load(_: &mut SmallRng) -> Outcome {
    let mut stage = Stage::set("fault-12");
    let audit = stage.audit();
    let load = stage.app.load(1_000);
    stage.flow(1_000);
    let stopped = stage.app.sigterm();
    assert!(stopped.status.success(), "it ended with {}", stopped.status);
    assert!(stopped.took <= STOPS_WITHIN, "it took {:?}", stopped.took);
    load.stop();
    stage.app.restart();
    let note = format!("stopped in {:.1} s", stopped.took.as_secs_f64());
    Outcome::of(audit.settle()).at_most(IN_FLIGHT).note(note)
}
