//! ● What may be wrong with the logs that are read, and whose they are.

use serde_json::json;

use crate::harness::{Receiver, Record, TestApp, eventually_holds};

/// The group's offset lies beyond the end of the log: somebody set it, or the log was cut.
#[test]
fn an_offset_that_the_log_does_not_reach_goes_on_as_the_operator_wants() {
    let mut app = TestApp::named("offset-lost").partitions(1).set("DELIVERY_PARK_AFTER_MS", 1_000).start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce(20);
    eventually_holds("they are delivered", || endpoint.hook.accepted_count() == 20);
    app.await_committed();
    let beyond = |app: &mut TestApp, policy: &str| {
        assert!(app.sigterm().status.success());
        app.kafka.commit(&[(app.topic.clone(), 0, 1_000, String::new())]);
        app.set("KAFKA_OFFSET_LOST", policy);
        app.restart();
    };
    let told = |app: &TestApp| app.rest().metric("postrider_kafka_offsets_lost_total") >= 1.0;

    beyond(&mut app, "earliest");
    eventually_holds("all of it comes again", || endpoint.hook.duplicates() == 20);
    assert!(told(&app));
    app.await_committed();

    beyond(&mut app, "latest");
    eventually_holds("operators are told", || told(&app));
    app.produce(5);
    eventually_holds("what comes is delivered", || endpoint.hook.accepted_count() == 25);
    app.await_committed();
    assert_eq!(endpoint.hook.duplicates(), 20, "and nothing else");

    beyond(&mut app, "stop");
    let stands = || app.rest().get("/readyz").json()["details"].to_string().contains("offset_lost");
    eventually_holds("it says that it stands, and why", stands);
    let overview = app.rest().get("/v1/overview").ok().json();
    assert_eq!(overview["standing"][0]["why"], "offset_lost", "{overview}");
    assert!(app.rest().metric_with("postrider_partition_standing_seconds", "why=\"offset_lost\"") > 0.0);
    app.produce(5);
    assert_eq!(endpoint.hook.accepted_count(), 25);
}

#[test]
fn kafkas_own_topics_are_not_read_though_a_pattern_means_them() {
    let mut app = TestApp::named("own-topics").partitions(2).prepare();
    app.set("KAFKA_TOPICS", "");
    let pattern = format!("({}|__consumer_offsets|__transaction_state)", app.topic.replace('.', "\\."));
    app.set("KAFKA_TOPICS_PATTERN", pattern);
    app.restart();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce(10);
    app.audit().expect_all(&endpoint).close();
    assert_eq!(app.rest().metric("postrider_partitions_assigned"), 2.0);
    let body = json!({"endpoint_id": endpoint.id, "topic": "__consumer_offsets", "scope": {"level": "topic"}});
    let refused = app.rest().post("/v1/subscriptions", &body);
    assert_eq!(refused.status, 422, "{}", refused.text);
}

#[test]
fn a_record_without_a_time_happened_when_it_came_and_an_old_one_was_not_late() {
    let app = TestApp::named("no-time").partitions(1).start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce_one(&Record { timestamp_ms: Some(-1), ..Record::default() });
    app.produce_one(&Record { timestamp_ms: Some(1_000_000_000_000), ..Record::default() });
    eventually_holds("both come", || endpoint.hook.accepted_count() == 2);
    let times: Vec<String> =
        endpoint.hook.requests().iter().map(|request| request.json()["timestamp"].to_string()).collect();
    assert!(times.iter().any(|time| time.starts_with("\"2001-09-09")), "{times:?}");
    assert!(times.iter().all(|time| !time.starts_with("\"1970") && !time.starts_with("\"1969")), "{times:?}");
    let seconds = app.rest().metric("postrider_end_to_end_seconds_sum");
    assert!(seconds < 60.0, "delivered {seconds} s after they were received");
    eventually_holds("the event's own age is another figure", || {
        app.rest().metric("postrider_event_age_seconds_sum") > 1e8
    });
}

/// Waits until it says that what comes waits, and why.
fn await_unreadable(app: &TestApp) {
    eventually_holds("it says that what comes waits, and why", || {
        app.produce(2);
        app.rest().get("/readyz").json()["details"].to_string().contains("settings_unreadable")
    });
}

/// Writes a scope as another version would, and waits until it is known.
fn write_scope(app: &TestApp, subscription: &str, scope: &str) {
    app.postgres.execute(&format!(
        "UPDATE config_version SET version = version + 1;
         UPDATE subscription SET scope = '{scope}', version = (SELECT version FROM config_version) WHERE id = '{subscription}'"
    ));
    app.await_settings();
}

#[test]
fn while_a_subscription_is_of_a_newer_version_its_topic_waits_in_kafka() {
    let app = TestApp::named("newer-version").partitions(2).set("DELIVERY_PARK_AFTER_MS", 1_000).start();
    let receiver = Receiver::start();
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let subscription = app.subscribe(&endpoint, json!({"level": "topic"}));
    app.await_settings();
    app.produce(10);
    eventually_holds("they are delivered", || endpoint.hook.accepted_count() == 10);
    app.await_committed();
    write_scope(&app, &subscription, r#"{"level": "galaxy"}"#);
    // What is being read when the settings come is read again later, or was delivered before.
    await_unreadable(&app);
    let delivered = endpoint.hook.accepted_count();
    app.produce(20);
    eventually_holds("they stay in Kafka", || app.kafka.lag() >= 20);
    assert_eq!(endpoint.hook.accepted_count(), delivered);
    write_scope(&app, &subscription, r#"{"level": "topic"}"#);
    app.audit().expect_all(&endpoint).close();
}

/// The scope that it had when it could be read is no measure: by now it may give less.
#[test]
fn rows_of_a_subscription_that_cannot_be_read_wait_until_it_can_be() {
    let app = TestApp::named("newer-rows").partitions(2).set("BACKLOG_POLL_MS", 100).start();
    let receiver = Receiver::start();
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let subscription = app.subscribe(&endpoint, json!({"level": "topic"}));
    let tell = |command: &str| app.rest().post(&format!("/v1/endpoints/{}/{command}", endpoint.id), &json!({})).ok();
    let rows = |which: &str| app.postgres.count(&format!("SELECT count(*) FROM backlog {which}"));
    tell("pause");
    app.await_settings();
    app.produce(20);
    app.await_committed();
    eventually_holds("they wait in the backlog", || rows("") == 20);
    write_scope(&app, &subscription, r#"{"level": "galaxy"}"#);
    tell("resume");
    app.await_settings();
    let old = "WHERE received_ms < extract(epoch FROM now() - interval '9 seconds') * 1000";
    eventually_holds("rows are old enough to be cancelled", || rows(old) == 20);
    assert_eq!(endpoint.hook.requests_count(), 0);
    write_scope(&app, &subscription, r#"{"level": "tenants", "tenants": ["3"]}"#);
    eventually_holds("nothing waits any more", || rows("") == 0);
    let seqs: Vec<u32> = endpoint.hook.requests().iter().flat_map(|request| request.seqs.clone()).collect();
    assert_eq!(seqs.len(), 2, "{seqs:?}");
    assert!(seqs.iter().all(|seq| seq % 10 + 1 == 3), "{seqs:?}");
}

/// A rollback, or a damaged row: what its customer may have is not known, so nothing of it is sent, committed or cancelled.
#[test]
fn while_grants_cannot_be_read_nothing_of_the_topic_is_sent_committed_or_cancelled() {
    let app = TestApp::named("grants-unreadable")
        .partitions(2)
        .set("DELIVERY_PARK_AFTER_MS", 1_000)
        .set("POSTGRES_SETTINGS_RECONCILE_MS", 1_000)
        .start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.produce(10);
    eventually_holds("they are delivered", || endpoint.hook.accepted_count() == 10);
    app.await_committed();
    let tell = |command: &str| app.rest().post(&format!("/v1/endpoints/{}/{command}", endpoint.id), &json!({})).ok();
    tell("pause");
    app.await_settings();
    app.produce(10);
    eventually_holds("ten wait in the backlog", || app.postgres.count("SELECT count(*) FROM backlog") == 10);
    app.await_committed();

    app.postgres
        .execute(r#"CREATE TABLE before AS SELECT id, grants FROM customer; UPDATE customer SET grants = '{"v": 2}'"#);
    await_unreadable(&app);
    tell("resume");
    app.produce(20);
    eventually_holds("they stay in Kafka", || app.kafka.lag() >= 20);
    let old =
        "SELECT count(*) FROM backlog WHERE received_ms < extract(epoch FROM now() - interval '9 seconds') * 1000";
    eventually_holds("rows are old enough to be cancelled", || app.postgres.count(old) >= 10);
    assert_eq!(endpoint.hook.accepted_count(), 10);

    app.postgres.execute("UPDATE customer c SET grants = b.grants FROM before b WHERE b.id = c.id");
    app.audit().expect_all(&endpoint).close();
}
