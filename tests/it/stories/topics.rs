//! ● Which records are read: topics and partitions that come later, and where the first start begins.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{Endpoint, Mode, Receiver, Record, TestApp, eventually_holds, link::Link, rest::Rest};

#[test]
fn partitions_and_topics_that_come_while_it_runs_are_read_from_their_beginning() {
    let app = TestApp::named("growth").partitions(1);
    let mut app = app.set("KAFKA_METADATA_REFRESH_MS", 500).set("KAFKA_FIRST_START", "latest").prepare();
    let pattern = format!("{}(\\.new)?", app.topic.replace('.', "\\."));
    app.set("KAFKA_TOPICS", "");
    app.set("KAFKA_TOPICS_PATTERN", pattern);
    app.restart();
    let receiver = Receiver::start();
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let new_topic = format!("{}.new", app.topic);
    app.subscribe(&endpoint, json!({"level": "topic"}));
    app.subscribe_to(&new_topic, &endpoint, json!({"level": "topic"}));
    app.await_settings();
    app.produce(50);

    app.kafka.create_partitions(&app.topic, 3);
    for partition in 1..3 {
        send_to_new(&app, &app.topic, partition);
    }
    app.kafka.create_topic(&new_topic, 2);
    for partition in 0..2 {
        send_to_new(&app, &new_topic, partition);
    }
    let findings = app.audit().expect_all(&endpoint).watch_commits().close();
    assert_eq!(findings.expected, 50 + 4 * 10);
}

#[test]
fn before_a_pattern_matches_a_topic_an_instance_is_ready_and_then_reads_all_of_it() {
    let mut app = before_its_topic("unmatched");
    let pattern = format!("{}(\\.[a-z]+)?", app.topic.replace('.', "\\."));
    app.set("KAFKA_TOPICS", "");
    app.set("KAFKA_TOPICS_PATTERN", &pattern);
    is_ready_before_during_and_after(app, &format!("kafka.topics_pattern `{pattern}`"));
}

#[test]
fn before_the_topics_of_a_list_are_there_an_instance_is_ready_and_then_reads_all_of_them() {
    let app = before_its_topic("unmade");
    let named = format!("`{}`", app.topic);
    is_ready_before_during_and_after(app, &named);
}

#[test]
fn the_first_start_at_latest_begins_with_what_comes_then() {
    let receiver = Receiver::start();
    let (app, endpoint) = started_after_history("latest", "latest", &receiver);
    app.produce(20);
    app.audit().expect(&endpoint, |sent| sent.seq >= 30).close();
    assert_eq!(endpoint.hook.accepted_count(), 20);
}

#[test]
fn the_first_start_at_earliest_begins_with_history() {
    let receiver = Receiver::start();
    let (app, endpoint) = started_after_history("earliest", "earliest", &receiver);
    app.audit().expect_all(&endpoint).close();
    assert_eq!(endpoint.hook.accepted_count(), 30);
}

#[test]
fn the_first_start_at_a_time_begins_with_the_first_record_of_that_time() {
    // The n-th record of the history is n seconds old at 2024-01-01.
    let receiver = Receiver::start();
    let (app, endpoint) = started_after_history("time", "2024-01-01T00:00:10Z", &receiver);
    app.audit().expect(&endpoint, |sent| sent.seq >= 10).close();
    assert_eq!(endpoint.hook.accepted_count(), 20);
}

#[test]
fn a_second_start_goes_on_where_the_group_stopped_whatever_the_first_start_says() {
    let receiver = Receiver::start();
    let (mut app, endpoint) = started_after_history("resume", "latest", &receiver);
    app.produce(20);
    app.audit().expect(&endpoint, |sent| sent.seq >= 30).close();
    assert!(app.sigterm().status.success());
    app.produce(20);
    app.restart();
    app.audit().expect(&endpoint, |sent| sent.seq >= 30).close();
    assert_eq!(endpoint.hook.accepted_count(), 40);
}

#[test]
fn a_topic_that_was_made_again_is_read_from_its_beginning() {
    let receiver = Receiver::start();
    let (mut app, endpoint) = started_after_history("remade", "latest", &receiver);
    assert!(app.sigterm().status.success());
    app.kafka.delete_topic(&app.topic);
    eventually_holds("the topic is gone and is made again", || app.kafka.make_again(&app.topic, 1));
    // More than there were at the first start.
    app.produce(100);
    app.restart();
    app.audit().expect(&endpoint, |sent| sent.seq >= 30).close();
}

/// While the new log is empty, nothing is settled that would take the place of the position in the old one.
#[test]
fn the_commit_of_a_topic_that_was_made_again_stays_in_the_new_log() {
    let app = TestApp::named("remade-empty").partitions(2).set("KAFKA_METADATA_REFRESH_MS", 500).start();
    let receiver = Receiver::start();
    app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let send = |partition| app.kafka.send(&app.topic, &Record { partition: Some(partition), ..Record::default() });
    (0..20).for_each(|n| _ = send(n % 2));
    app.kafka.flush();
    app.await_committed();
    app.kafka.delete_topic(&app.topic);
    eventually_holds("the topic is gone and is made again", || app.kafka.make_again(&app.topic, 2));
    (0..2).for_each(|partition| app.kafka.await_partition(&app.topic, partition));
    let committed = |partition| {
        let commits = app.kafka.committed();
        commits.into_iter().find_map(|(_, of, offset)| (of == partition).then_some(offset))
    };
    eventually_holds("the new log is read", || committed(0) == Some(0));
    for sent in 1..=5 {
        send(1);
        app.kafka.flush();
        eventually_holds("what comes in another partition is committed", || committed(1) == Some(sent));
        assert_eq!(committed(0), Some(0), "nothing was read of it");
    }
}

/// Nobody can read it again.
#[test]
fn what_was_read_of_a_topic_that_was_made_again_outlives_a_graceful_stop() {
    let mut app = TestApp::named("remade-stop").partitions(1).set("KAFKA_METADATA_REFRESH_MS", 500).start();
    let receiver = Receiver::start();
    let settings = json!({"mode": "stream", "request_timeout_ms": 15_000, "retry": {"schedule_ms": [50]}});
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), settings);
    let hook = &endpoint.hook;
    app.produce(5);
    eventually_holds("they are delivered", || hook.accepted_count() == 5);
    app.await_committed();
    hook.set(Mode::Hang);
    app.produce(20);
    eventually_holds("requests hang", || hook.waiting() > 0);
    app.kafka.delete_topic(&app.topic);
    eventually_holds("the topic is gone and is made again", || app.kafka.make_again(&app.topic, 1));
    let is_of_the_new_log = || app.kafka.committed().iter().any(|(_, _, offset)| *offset == 0);
    eventually_holds("the new log is read", is_of_the_new_log);
    assert!(app.sigterm().status.success());
    hook.set(Mode::Ok);
    app.restart();
    eventually_holds("all of it is delivered", || hook.accepted_count() == 25);
}

/// A first start before there is anything to read.
fn before_its_topic(name: &'static str) -> TestApp {
    let app = TestApp::named(name).partitions(0).set("KAFKA_FIRST_START", "latest");
    app.set("KAFKA_METADATA_REFRESH_MS", 500).prepare()
}

/// `absent` stands in the details for as long as there is no topic, and an instance that was ready stays so.
#[track_caller]
fn is_ready_before_during_and_after(mut app: TestApp, absent: &str) {
    app.restart();
    let details = |app: &TestApp| {
        let looked = app.internal().get("/readyz").ok().json();
        assert_eq!(looked["reasons"], Value::Null, "{looked}");
        looked["details"].to_string()
    };
    let says_so = |app: &TestApp| unescaped(&details(app)).contains(absent);
    eventually_holds("it says what it waits for", || says_so(&app));
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    app.kafka.create_topic(&app.topic, 2);
    (0..2).for_each(|partition| app.kafka.await_partition(&app.topic, partition));
    app.produce(50);
    eventually_holds("all of it is read, and nothing is missing any more", || {
        details(&app) == "[]" && endpoint.hook.accepted_count() == 50
    });
    app.audit().expect_all(&endpoint).close();
    app.kafka.delete_topic(&app.topic);
    eventually_holds("what was deleted is waited for again", || says_so(&app));
}

fn unescaped(json: &str) -> String {
    json.replace("\\\\", "\\")
}

/// A group whose first start comes after 30 records, each a second younger than the one before, and after the
/// subscriptions: what is read before them matches nobody.
fn started_after_history(name: &'static str, first_start: &str, receiver: &Receiver) -> (TestApp, Endpoint) {
    const NEW_YEAR_2024_MS: i64 = 1_704_067_200_000;
    let mut app = TestApp::named(name).partitions(1).set("KAFKA_FIRST_START", first_start).prepare();
    for second in 0..30 {
        let timestamp_ms = Some(NEW_YEAR_2024_MS + second * 1000);
        app.produce_one(&Record { timestamp_ms, ..Record::default() });
    }
    let hook = receiver.hook("hook");
    let endpoint = app.before_the_first_start(|app| app.subscribed_endpoint(&hook, json!({"mode": "stream"})));
    app.restart();
    (app, endpoint)
}

/// Sends ten events to a partition that the producer may not have heard of yet.
fn send_to_new(app: &TestApp, topic: &str, partition: i32) {
    app.kafka.await_partition(topic, partition);
    for _ in 0..10 {
        app.kafka.send(topic, &Record { partition: Some(partition), ..Record::default() });
    }
    app.kafka.flush();
}

#[test]
fn an_instance_beyond_the_partitions_is_ready_all_the_same() {
    let app = TestApp::named("idle").partitions(1).start();
    let beyond = app.second_instance();
    let assigned = |rest: &Rest| rest.metric("postrider_partitions_assigned");
    eventually_holds("one of them has the partition", || assigned(&beyond.rest) + assigned(app.rest()) == 1.0);
    assert_eq!((beyond.rest.get("/readyz").status, app.rest().get("/readyz").status), (200, 200));
}

#[test]
fn an_instance_beyond_the_partitions_is_not_ready_once_kafka_is_away_for_longer_than_a_session() {
    let link = Link::to_kafka();
    let app = TestApp::named("idle-away").partitions(1).set("KAFKA_BROKERS", link.address()).start();
    let second = app.second_instance();
    let owns = |rest: &Rest| rest.metric("postrider_partitions_assigned") > 0.0;
    eventually_holds("one of them has the partition", || owns(app.rest()) != owns(&second.rest));
    let beyond = if owns(app.rest()) { &second.rest } else { app.rest() };
    assert!(!owns(beyond));
    link.go_away();
    let says = |status| move || beyond.get("/readyz").status == status;
    eventually_holds("it is out of its group, and nobody says what is there for it", says(503));
    link.come_back();
    eventually_holds("it is in its group again", says(200));
}

#[test]
fn an_instance_waits_for_kafka_at_rest() {
    let link = Link::to_kafka();
    let mut app = TestApp::named("kafka-away").partitions(4).set("KAFKA_BROKERS", link.address()).start();
    eventually_holds("it has its partitions", || app.rest().metric("postrider_partitions_assigned") == 4.0);
    link.refuse();
    let (away_at, used) = (Instant::now(), app.instance().cpu_time());
    eventually_holds("it is out of its group", || app.rest().get("/readyz").status == 503);
    let share = (app.instance().cpu_time() - used).as_secs_f64() / away_at.elapsed().as_secs_f64();
    assert!(share < 0.2, "{share} of a core");
}
