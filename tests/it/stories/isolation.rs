//! ● One customer's trouble is that customer's alone.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Mode, Receiver, Record, TestApp, eventually_holds, within};

const PARK_AFTER: Duration = Duration::from_secs(2);

#[test]
fn a_hung_endpoint_delays_neither_a_healthy_one_nor_the_commit() {
    let app = TestApp::named("hung").set("DELIVERY_PARK_AFTER_MS", PARK_AFTER.as_millis()).start();
    let receiver = Receiver::start();
    let hung = receiver.hook("hung");
    hung.set(Mode::Hang);
    let hung = app.subscribed_endpoint(&hung, json!({"mode": "stream", "request_timeout_ms": 30_000}));
    let healthy = app.subscribed_endpoint(&receiver.hook("healthy"), json!({"mode": "stream"}));
    let audit = app.audit().expect_all(&hung).expect_all(&healthy).watch_commits();

    let load = app.load(500);
    eventually_holds("the healthy one gets its events", || healthy.hook.accepted_count() > 1_500);
    assert!(hung.hook.waiting() > 0, "the other one still hangs");
    load.stop();
    let all = app.produced.count();
    eventually_holds("the healthy one gets all of its events", || healthy.hook.accepted_count() == all);
    let deadline = PARK_AFTER + Duration::from_secs(10);
    within(deadline, "the commit goes on", || (app.kafka.lag() == 0).then_some(()));
    assert!(hung.hook.waiting() > 0, "it was committed while the other one hung");

    let findings = audit.close();
    assert_eq!(findings.duplicates, 0, "the healthy one got each event once");
    assert_eq!(findings.backlog, all, "what the hung one did not take waits for it");
    assert!(app.dead_letters(&hung).is_empty());
}

/// What decides about waiting is how much waits, never the time that a producer wrote on an event.
#[test]
fn a_producer_whose_clock_is_a_day_behind_makes_nobody_wait_for_a_hung_endpoint() {
    let park_after = Duration::from_secs(20);
    let app = TestApp::named("day-behind")
        .set("DELIVERY_PARK_AFTER_MS", park_after.as_millis())
        .set("INGEST_EVENT_BYTES_MAX", 16 * 1024)
        .set("DELIVERY_ENDPOINT_BYTES_MAX", 128 * 1024)
        .start();
    let receiver = Receiver::start();
    let hung = receiver.hook("hung");
    hung.set(Mode::Hang);
    let hung = app.subscribed_endpoint(&hung, json!({"mode": "stream", "request_timeout_ms": 60_000}));
    let healthy = app.subscribed_endpoint(&receiver.hook("healthy"), json!({"mode": "stream"}));
    let yesterday = jiff::Timestamp::now().as_millisecond() - 24 * 3_600_000;
    let record = Record { timestamp_ms: Some(yesterday), size_bytes: 4 * 1024, ..Record::default() };
    for all in [100, 200] {
        for _ in 0..100 {
            app.produce_one(&record);
        }
        // Had a partition waited for the hung one, that would have been until the event is parked.
        within(park_after / 2, "the healthy one has all", || (healthy.hook.accepted_count() == all).then_some(()));
    }
    assert!(hung.hook.waiting() > 0, "the other one still hangs");
}

#[test]
fn failing_resetting_and_slow_endpoints_keep_nobody_waiting() {
    let app = TestApp::named("failing").set("DELIVERY_PARK_AFTER_MS", PARK_AFTER.as_millis()).start();
    let receiver = Receiver::start();
    let sick = [
        ("failing", Mode::Status(500)),
        ("resetting", Mode::BreakOff),
        ("slow", Mode::Slow(Duration::from_millis(10))),
        ("redirecting", Mode::StatusWith(302, vec![("location", "http://127.0.0.1:1/".to_owned())])),
        ("limiting", Mode::StatusWith(429, vec![("retry-after", "60".to_owned())])),
    ];
    let sick = sick.map(|(name, mode)| {
        let hook = receiver.hook(name);
        hook.set(mode);
        app.subscribed_endpoint(&hook, json!({"mode": "stream", "in_flight_max": 2}))
    });
    let healthy = app.subscribed_endpoint(&receiver.hook("healthy"), json!({"mode": "stream"}));
    let audit = sick.iter().fold(app.audit().expect_all(&healthy), |audit, endpoint| audit.expect_all(endpoint));
    let audit = audit.watch_commits();
    app.produce(1_000);
    eventually_holds("the healthy one gets all", || healthy.hook.accepted_count() == 1_000);
    let findings = audit.close();
    assert!(findings.backlog > 0, "what the others did not take waits for them");
    assert_eq!(healthy.hook.duplicates(), 0);
    for endpoint in sick.iter().filter(|endpoint| endpoint.hook.name() != "slow") {
        assert_eq!(endpoint.hook.accepted_count(), 0, "only a 2xx is an acceptance: {:?}", endpoint.hook);
    }
}

#[test]
fn an_endpoint_that_recovers_gets_its_events_by_retry_under_the_same_ids() {
    let app = TestApp::named("retry").set("DELIVERY_PARK_AFTER_MS", 60_000).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(503));
    let settings = json!({
        "mode": "stream", "retry": {"attempts_max": 100, "schedule_ms": [50, 100, 200]},
        "breaker": {"open_base_ms": 100, "open_max_ms": 500},
    });
    let endpoint = app.subscribed_endpoint(&hook, settings);
    app.produce(20);
    eventually_holds("attempts are made", || hook.requests_count() >= 10);
    assert_eq!(app.kafka.lag(), 20, "nothing is committed before it is delivered");
    hook.set(Mode::Ok);
    app.audit().expect_all(&endpoint).close();
    let requests = hook.requests();
    assert!(requests.iter().take(10).all(|request| request.answer == Some(503)), "these were refused");
    for request in requests {
        let id = crate::harness::kafka::event_id(&app.topic, request.seqs[0]);
        assert_eq!(request.webhook_id, id, "every attempt of an event has the event's id");
    }
}

#[test]
fn a_deleted_endpoint_is_no_longer_counted_among_the_broken() {
    let app = TestApp::start("gauge");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(500));
    let breaker = json!({"consecutive_failures": 1, "open_base_ms": 600_000, "open_max_ms": 600_000});
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "breaker": breaker}));
    let open = || app.rest().metric_with("postrider_breaker_endpoints", r#""open""#);
    app.produce(1);
    eventually_holds("its breaker opens", || open() == 1.0);
    assert_eq!(app.rest().delete(&format!("/v1/endpoints/{}", endpoint.id)).status, 204);
    eventually_holds("nobody counts it any more", || open() == 0.0);
}

#[test]
fn the_lag_counts_what_is_not_settled_from_the_first_record_on() {
    let app = TestApp::named("lag").set("DELIVERY_PARK_AFTER_MS", 60_000).start();
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Hang);
    app.subscribed_endpoint(&hook, json!({"mode": "stream", "retry": {"schedule_ms": [50]}}));
    app.produce(100);
    eventually_holds("nothing was ever committed, and it shows", || app.rest().metric("postrider_kafka_lag") == 100.0);
    hook.set(Mode::Ok);
    eventually_holds("everything is settled, and it shows", || app.rest().metric("postrider_kafka_lag") == 0.0);
}

/// It takes so many events a second that half a second of them would be more than an endpoint may hold in memory.
#[test]
fn a_quick_endpoint_that_takes_batches_gets_a_topic_full_of_events_without_the_backlog() {
    let app = TestApp::named("quickbatch").set("DELIVERY_ENDPOINT_BYTES_MAX", 4 << 20).start();
    let receiver = Receiver::start();
    let batch = json!({"events_max": 1_000, "wait_ms_max": 200});
    let settings = json!({"mode": "batch", "batch": batch, "in_flight_max": 8});
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), settings);
    let audit = app.audit().expect_all(&endpoint);
    // Its rate is known from these.
    app.produce(8_000);
    audit.await_nothing_waiting();
    let parked = app.rest().metric("postrider_backlog_parked_total");
    app.produce(40_000);
    audit.await_nothing_waiting();
    assert_eq!(app.rest().metric("postrider_backlog_parked_total"), parked, "nothing of it waited in the backlog");
}

#[test]
fn while_postgres_is_away_one_customers_dead_letters_keep_nobody_elses_events_in_kafka() {
    const LIMIT: u32 = 1 << 20;
    let app = TestApp::named("letters-share")
        .partitions(1)
        .set("DELIVERY_PARK_AFTER_MS", PARK_AFTER.as_millis())
        .set("POSTGRES_STATEMENT_TIMEOUT_MS", 1_000)
        .set("DEAD_LETTER_QUEUE_BYTES_MAX", LIMIT)
        .start();
    let receiver = Receiver::start();
    let of_customer = |name: &str| {
        let settings = json!({"customer_id": app.new_customer(), "mode": "stream", "in_flight_max": 4});
        app.subscribed_endpoint(&receiver.hook(name), settings)
    };
    let (refusing, victim) = (of_customer("refusing"), of_customer("victim"));
    refusing.hook.set(Mode::Refuse((0..2_000).filter(|seq| seq % 2 == 0).collect()));
    let audit = app.audit().expect_all(&refusing).expect_all(&victim).watch_commits();
    app.postgres.freeze();
    let record = Record { size_bytes: 4 * 1024, ..Record::default() };
    for _ in 0..1_000 {
        app.kafka.send(&app.topic, &record);
    }
    app.kafka.flush();
    eventually_holds("the victim gets all", || victim.hook.accepted_count() == 1_000);
    let metric = |name: &str| app.rest().metric(name);
    assert_eq!(metric("postrider_dead_letter_customers_beyond_share"), 1.0);
    assert_eq!(metric("postrider_partitions_paused"), 0.0);
    let (letters, in_flight) = (metric("postrider_dead_letter_queue_bytes"), f64::from(4 * 5 * 1024));
    assert!(letters > 0.0 && letters <= f64::from(LIMIT / 2) + in_flight, "{letters} bytes of letters wait");
    assert!(refusing.hook.requests_count() < 400, "it stopped at its share");

    app.postgres.come_back();
    eventually_holds("the refusing one gets the rest", || refusing.hook.accepted_count() == 500);
    eventually_holds("its letters are stored", || app.postgres.dead_letters().len() == 500);
    let findings = audit.close();
    println!("letters beyond a share: {findings}");
    assert_eq!(findings.dead_letters, 500, "nothing was given up for want of a share");
    assert_eq!(victim.hook.duplicates(), 0);
    eventually_holds("nobody is held", || metric("postrider_dead_letter_customers_beyond_share") == 0.0);
    assert_eq!(metric("postrider_breaker_endpoints"), 0.0, "nobody was blamed");
}

#[test]
fn while_postgres_is_away_records_that_nobody_could_read_pause_their_own_partition_only() {
    let app = TestApp::named("letters-operator")
        .partitions(2)
        .set("EVENT_TENANT", "json:/tenant")
        .set("POSTGRES_STATEMENT_TIMEOUT_MS", 1_000)
        .set("DEAD_LETTER_QUEUE_BYTES_MAX", 1 << 20)
        .start();
    let receiver = Receiver::start();
    let victim = app.subscribed_endpoint(&receiver.hook("victim"), json!({"mode": "stream"}));
    app.postgres.freeze();
    let garbage = vec![b'x'; 4 * 1024];
    for _ in 0..500 {
        app.kafka.send(&app.topic, &Record { partition: Some(0), value: Some(&garbage), ..Record::default() });
    }
    app.kafka.flush();
    eventually_holds("their partition pauses", || app.rest().metric("postrider_partitions_paused") == 1.0);
    for seq in 500..600 {
        let value = format!(r#"{{"seq":{seq},"tenant":"acme"}}"#);
        app.produce_one(&Record { partition: Some(1), value: Some(value.as_bytes()), ..Record::default() });
    }
    eventually_holds("the other one goes on", || victim.hook.accepted_count() == 100);
    assert_eq!(app.rest().metric("postrider_partitions_paused"), 1.0);

    app.postgres.come_back();
    eventually_holds("all are stored", || app.postgres.dead_letters().len() == 500);
    app.await_committed();
}
