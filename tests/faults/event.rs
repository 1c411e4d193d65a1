//! ● Events that cannot be delivered, or not as they are.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, SystemTime},
};

use rand::rngs::SmallRng;
use serde_json::json;

use crate::{
    harness::{Mode, Receiver, Record, TestApp, eventually, eventually_holds},
    row::Outcome,
    setup::LANES,
};

/// Row 52
pub fn poison_in_a_batch(_: &mut SmallRng) -> Outcome {
    const BATCH: u32 = 100;
    let app = TestApp::named("fault-52").partitions(1).lanes(LANES).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Refuse(HashSet::from([41])));
    let settings = json!({"mode": "batch", "batch": {"events_max": BATCH, "wait_ms_max": 5_000}});
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

/// Row d1: nothing is given up before it was tried alone.
pub fn fails_its_batch(_: &mut SmallRng) -> Outcome {
    const BATCH: u32 = 20;
    let app = TestApp::named("fault-d1").partitions(1).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::FailOn(HashSet::from([7])));
    let settings = json!({
        "mode": "batch", "batch": {"events_max": BATCH, "wait_ms_max": 2_000},
        "retry": {"attempts_max": 6, "schedule_ms": [50]},
    });
    let endpoint = app.subscribed_endpoint(&hook, settings);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(BATCH);
    let findings = audit.settle();
    assert_eq!((findings.delivered, findings.dead_letters), (19, 1));
    assert!(hook.requests_count() <= 30, "{} requests for a batch of {BATCH}", hook.requests_count());
    Outcome::of(findings).at_most(0).note(format!("{} requests for a batch of {BATCH}", hook.requests_count()))
}

/// Row d2: an endpoint's failures add up although its actor retires between them, and nothing is given up for want of attempts.
pub fn alone_with_nobody_there(_: &mut SmallRng) -> Outcome {
    let app = TestApp::named("fault-d2").partitions(1).set("DELIVERY_IDLE_AFTER_MS", 1_000).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::BreakOff);
    // Each attempt comes when the actor before it is gone.
    let breaker = json!({"consecutive_failures": 4, "open_base_ms": 2_000, "open_max_ms": 2_000});
    let retry = json!({"schedule_ms": [3_000]});
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "breaker": breaker, "retry": retry}));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(1);
    eventually_holds("its breaker opens", || app.rest().metric("postrider_breaker_trips_total") > 0.0);
    thread::sleep(Duration::from_secs(20));
    let requests = hook.requests_count();
    assert!(app.dead_letters(&endpoint).is_empty(), "it is not given up after {requests} attempts");
    hook.set(Mode::Ok);
    eventually_holds("it is delivered", || hook.accepted_count() == 1);
    let findings = audit.settle();
    assert_eq!((findings.delivered, findings.dead_letters), (1, 0));
    Outcome::of(findings).at_most(0).note(format!("{requests} attempts before somebody was there"))
}

/// Row d5: letters that a customer may no longer see are not sent.
pub fn redriven_ungranted(_: &mut SmallRng) -> Outcome {
    let app = TestApp::named("fault-d5").partitions(2).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(422));
    let breaker = json!({"consecutive_failures": 1_000, "requests_min": 100_000});
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "in_flight_max": 1, "breaker": breaker}));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    app.produce(3);
    let findings = audit.settle();
    assert_eq!((findings.delivered, findings.dead_letters), (0, 3));
    hook.set(Mode::Ok);
    let sent = hook.requests_count();
    let customer = format!("/v1/customers/{}", app.customer());
    app.rest().patch(&customer, &json!({"grants": {"topics": ["*"], "tenants": ["nobody"]}})).ok();
    let redrive = format!("/v1/endpoints/{}/dead-letters/redrive", endpoint.id);
    assert_eq!(app.rest().post(&redrive, &json!({"all": true})).ok().json()["redriving"], 3);
    let ended = eventually("the redrive is over", || {
        Some(app.rest().get(&redrive).ok().json()).filter(|progress| progress["waiting"] == 0)
    });
    assert_eq!((&ended["cancelled"], &ended["delivered"]), (&json!(3), &json!(0)), "{ended}");
    assert_eq!(hook.requests_count(), sent, "something was sent");
    app.rest().patch(&customer, &json!({"grants": {"topics": ["*"], "tenants": ["*"]}})).ok();
    app.await_settings();
    app.rest().post(&redrive, &json!({"all": true})).ok();
    eventually_holds("granted again, they are delivered", || hook.accepted_count() == 3);
    Outcome::of(findings).note("3 cancelled while they were not granted, then 3 delivered")
}

/// Row d6: every record of these times, whatever the order, and only those.
pub fn replayed_in_disorder(_: &mut SmallRng) -> Outcome {
    let app = TestApp::named("fault-d6").partitions(1).set("REPLAY_POLL_MS", 100).start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let now_ms = i64::try_from(now.as_millis()).expect("before the end of time");
    // The third is twenty minutes ahead of its neighbours, and the first is younger than all of them.
    let ages_minutes = [5, 39, 18, 38, 37, 36, 35, 34, 33, 32];
    for age_minutes in ages_minutes {
        let timestamp_ms = Some(now_ms - age_minutes * 60_000);
        app.produce_one(&Record { tenant: Some("1"), timestamp_ms, ..Record::default() });
    }
    app.await_committed();
    let time = |age_minutes: i64| {
        jiff::Timestamp::from_millisecond(now_ms - age_minutes * 60_000).expect("a time").to_string()
    };
    let body = json!({
        "endpoint_id": endpoint.id, "topic": app.topic, "from_time": time(40), "to_time": time(30),
    });
    let made = app.rest().post("/v1/replays", &body);
    let path = format!("/v1/replays/{}", made.json()["id"].as_str().expect("an id"));
    let done = eventually("the replay is done", || {
        Some(app.rest().get(&path).ok().json()).filter(|replay| replay["state"] == "done")
    });
    let twice = (0..10).filter(|seq| endpoint.hook.accepted(*seq) == 2).count();
    assert_eq!((twice, &done["events_sent"], &done["gap_offsets"]), (8, &json!(8), &json!(0)), "{done}");
    Outcome::of(audit.settle()).at_most(8).note("8 of 10 records sent again")
}
