//! ● Events that cannot be delivered, or not as they are.

use std::collections::HashSet;

use rand::rngs::SmallRng;
use serde_json::json;

use crate::{
    harness::{Mode, Receiver, Record, TestApp},
    row::Outcome,
    stage::LANES,
};

/// Row 52
pub fn poison_in_a_batch(_: &mut SmallRng) -> Outcome {
    const BATCH: u32 = 100;
    let app = TestApp::named("fault-52").partitions(1).lanes(LANES).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Refuse(HashSet::from([41])));
    let settings = json!({"mode": "batch", "batch": {"events_max": BATCH, "wait_ms_max": 2_000}});
    let endpoint = app.subscribed_endpoint(&hook, settings);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(BATCH);
    let findings = audit.settle();
    assert_eq!((findings.delivered, findings.dead_letters), (99, 1));
    let first = hook.requests().first().map(|request| request.seqs.len());
    assert_eq!(first, Some(BATCH as usize), "they came as one batch");
    // The refused one itself, and two for each halving.
    let most = 1 + 2 * u64::from(BATCH.next_power_of_two().ilog2());
    assert!(hook.requests_count() <= most, "{} requests, at most {most}", hook.requests_count());
    let note = format!("{} requests for a batch of {BATCH}", hook.requests_count());
    Outcome::of(findings).at_most(0).note(note)
}

/// Row 53
pub fn oversize(_: &mut SmallRng) -> Outcome {
    let app = TestApp::named("fault-53").partitions(1).start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(10);
    for _ in 0..3 {
        app.produce_one(&Record { size_bytes: 10_000_000, ..Record::default() });
        app.produce(10);
    }
    let findings = audit.settle();
    assert_eq!((findings.delivered, findings.dead_letters), (40, 3));
    let letters = app.rest().get("/v1/dead-letters").ok().json();
    let reasons: Vec<_> = letters["data"].as_array().into_iter().flatten().map(|letter| &letter["reason"]).collect();
    assert!(reasons.len() == 3 && reasons.iter().all(|reason| *reason == "too_large"), "{reasons:?}");
    Outcome::of(findings).at_most(0)
}
