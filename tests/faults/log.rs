//! ● Logs that change behind the group's back: topics made again, records that retention took, batches and transactions that
//! a reader cannot get past.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::rngs::SmallRng;
use rdkafka::producer::Producer as _;
use serde_json::{Value, json};

use crate::{
    harness::{Endpoint, Mode, Receiver, Record, TestApp, eventually_holds, produced::Sent},
    row::Outcome,
    setup::{giving_up_at_once, stream_settings},
};

/// A topic that is made again while it is read.
struct MadeAgain {
    /// From its deletion to its making.
    pause: Duration,
    /// Records before, and after.
    before: u32,
    after: u32,
}

/// Row K1: gone for as long as takes nobody's notice, for less than a refresh of metadata, and for longer; the new log shorter
/// than the old one was, as long, and longer.
pub fn made_again_while_it_is_read(_: &mut SmallRng) -> Outcome {
    let seconds = |pause, before, after| MadeAgain { pause: Duration::from_secs(pause), before, after };
    let topics = [
        seconds(0, 100, 3_000),
        seconds(3, 100, 20),
        seconds(3, 100, 3_000),
        seconds(20, 100, 100),
        seconds(40, 20, 20),
    ];
    made_again("fault-k1", &topics, 30_000)
}

/// Row K1a: the quick part of it.
pub fn made_again_soon(_: &mut SmallRng) -> Outcome {
    let pause = Duration::from_secs(1);
    let of = |before, after| MadeAgain { pause, before, after };
    made_again("fault-k1a", &[of(20, 5), of(20, 20), of(20, 200)], 500)
}

fn made_again(name: &'static str, topics: &[MadeAgain], metadata_refresh_ms: u64) -> Outcome {
    let mut app = TestApp::named(name).partitions(0).set("KAFKA_METADATA_REFRESH_MS", metadata_refresh_ms).prepare();
    let names: Vec<String> = (0..topics.len()).map(|n| format!("{}.{n}", app.topic)).collect();
    names.iter().for_each(|name| app.kafka.create_topic(name, 1));
    app.set("KAFKA_TOPICS", names.join(","));
    app.restart();
    let receiver = Receiver::start();
    let endpoint = app.endpoint(&receiver.hook("stream"), stream_settings());
    names.iter().for_each(|name| drop(app.subscribe_to(name, &endpoint, json!({"level": "topic"}))));
    app.await_settings();
    for (name, topic) in names.iter().zip(topics) {
        send(&app, name, topic.before);
    }
    eventually_holds("what was there before is delivered", || endpoint.hook.accepted_count() == app.produced.count());
    app.await_committed();
    let before = app.produced.count() as u32;
    thread::scope(|scope| {
        for (name, topic) in names.iter().zip(topics) {
            let kafka = &app.kafka;
            scope.spawn(move || {
                kafka.delete_topic(name);
                thread::sleep(topic.pause); // the fault
                eventually_holds("the topic is gone and is made again", || kafka.make_again(name, 1));
                kafka.await_partition(name, 0); // a producer remembers for a while that it was gone
                for _ in 0..topic.after {
                    kafka.send(name, &Record { partition: Some(0), ..Record::default() });
                }
            });
        }
    });
    app.kafka.flush();
    let begun = Instant::now();
    let mut findings = app.audit().expect(&endpoint, move |sent: &Sent| sent.seq >= before).settle();
    let failed = app.rest().metric_with("postrider_commits_total", "result=\"failed\"");
    if failed > 0.0 {
        findings.complaints.push(format!("{failed} commits of topics that are gone count as failures"));
    }
    let note = format!(
        "all of {} new events there {:.0} s after the last was produced",
        findings.expected,
        begun.elapsed().as_secs_f64()
    );
    Outcome::of(findings).note(note)
}

/// Row K1b: the group's offset outlives the topic, because nobody was there to see it go.
pub fn made_again_while_nobody_reads(_: &mut SmallRng) -> Outcome {
    let (mut app, _receiver, endpoint) = one_partition("fault-k1b", &[]);
    send(&app, &app.topic, 50);
    app.await_committed();
    let stored = app.kafka.commits_with_notes();
    assert!(app.sigterm().status.success());
    app.kafka.delete_topic(&app.topic);
    eventually_holds("the topic is gone and is made again", || app.kafka.make_again(&app.topic, 1));
    send(&app, &app.topic, 80);
    // The broker forgets the offsets of a topic that is deleted; an instance that commits late writes them again.
    app.kafka.commit(&stored);
    app.restart();
    let findings = app.audit().expect(&endpoint, |sent: &Sent| sent.seq >= 50).settle();
    Outcome::of(findings).at_most(0)
}

/// Row K3: a batch of a few kilobytes that holds 90 MB.
pub fn batch_larger_than_it_looks(_: &mut SmallRng) -> Outcome {
    let (app, _receiver, endpoint) = one_partition("fault-k3", &[]);
    endpoint.hook.keep_no_requests();
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    send(&app, &app.topic, 10);
    app.kafka.compressed_batch(&app.topic, 100, 900_000);
    send(&app, &app.topic, 10);
    Outcome::of(audit.settle()).at_most(0)
}

/// Row K4: records behind a transaction that stays open, and then does not.
pub fn behind_an_open_transaction(_: &mut SmallRng) -> Outcome {
    let (app, _receiver, endpoint) = one_partition("fault-k4", &[("DELIVERY_PARK_AFTER_MS", "1000")]);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    send(&app, &app.topic, 10);
    app.await_committed();
    let transaction = app.kafka.open_transaction(&app.topic, 5);
    send(&app, &app.topic, 50);
    let stands =
        || details(&app).iter().any(|detail| detail.contains("open_transaction") && detail.contains(&app.topic));
    eventually_holds("it is told that they wait, and why", stands);
    let lag = app.rest().metric("postrider_kafka_lag");
    let mut complaints = Vec::new();
    if lag < 55.0 {
        complaints.push(format!("lag is {lag} while 55 records wait"));
    }
    let actor = app.rest().get("/v1/actors?kind=ingest&state=standing").ok().json();
    if actor["data"].as_array().is_none_or(Vec::is_empty) {
        complaints.push(format!("no actor stands: {actor}"));
    }
    transaction.commit_transaction(Duration::from_secs(30)).expect("it commits");
    app.produced.complete(&app.topic, 0, app.kafka.end(&app.topic, 0));
    let mut findings = audit.settle();
    eventually_holds("nothing stands any more", || details(&app).is_empty());
    findings.complaints.extend(complaints);
    Outcome::of(findings).at_most(0)
}

/// Row K4a: the broker lets the group read a topic no more, and then again.
pub fn the_right_to_read_is_taken_away(_: &mut SmallRng) -> Outcome {
    let (mut app, _receiver, endpoint) = one_partition("fault-k4a", &[("DELIVERY_PARK_AFTER_MS", "1000")]);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    send(&app, &app.topic, 10);
    app.await_committed();
    app.kafka.allow(&app.topic, &["Write", "Describe", "DescribeConfigs"]); // the fault
    eventually_holds("the broker refuses", || app.instance().log().contains("TopicAuthorizationFailed"));
    send(&app, &app.topic, 50);
    let stands = || details(&app).iter().any(|detail| detail.contains("not_authorized") && detail.contains(&app.topic));
    eventually_holds("it is told that they wait, and why", stands);
    let mut complaints = Vec::new();
    let lag = app.rest().metric("postrider_kafka_lag");
    if lag < 50.0 {
        complaints.push(format!("lag is {lag} while 50 records wait"));
    }
    app.kafka.allow(&app.topic, &["Read"]);
    let mut findings = audit.settle();
    eventually_holds("nothing stands any more", || details(&app).is_empty());
    findings.complaints.extend(complaints);
    Outcome::of(findings).at_most(0)
}

/// Row K4b: what was read can neither be delivered nor stored, so the partition pauses, and then goes on.
pub fn a_partition_is_paused(_: &mut SmallRng) -> Outcome {
    let settings = [
        ("DELIVERY_PARK_AFTER_MS", "1000"),
        ("POSTGRES_STATEMENT_TIMEOUT_MS", "1000"),
        ("INGEST_CHUNK_EVENTS_MAX", "10"),
        ("INGEST_PARTITION_EVENTS_MAX", "20"),
    ];
    let (app, receiver, endpoint) = one_partition("fault-k4b", &settings);
    let refusing = receiver.hook("refusing");
    refusing.set(Mode::Status(500));
    let refusing = app.subscribed_endpoint(&refusing, giving_up_at_once());
    let audit = app.audit().expect_all(&endpoint).expect_all(&refusing).watch_commits();
    send(&app, &app.topic, 10);
    app.await_committed();
    app.postgres.freeze(); // the fault
    send(&app, &app.topic, 200);
    let mut complaints = Vec::new();
    let stands = || {
        let is_it = |detail: &String| detail.contains("paused: events") && detail.contains(&app.topic);
        details(&app).iter().any(is_it)
    };
    eventually_holds("it is told that it stands, and why", stands);
    let lag = app.rest().metric("postrider_kafka_lag");
    if lag < 200.0 {
        complaints.push(format!("lag is {lag} while 200 records wait"));
    }
    if app.rest().metric_with("postrider_partition_standing_seconds", "why=\"paused\"") <= 0.0 {
        complaints.push("no metric says that it stands".to_owned());
    }
    if app.rest().metric_with("postrider_operator_events_total", "partitions.standing") != 1.0 {
        complaints.push("operators were not told once".to_owned());
    }
    let actor = app.rest().get("/v1/actors?kind=ingest&state=standing").ok().json();
    if actor["data"].as_array().is_none_or(Vec::is_empty) {
        complaints.push(format!("no actor stands: {actor}"));
    }
    app.postgres.come_back();
    let mut findings = audit.settle();
    eventually_holds("nothing stands any more", || details(&app).is_empty());
    findings.complaints.extend(complaints);
    Outcome::of(findings).at_most(0)
}

/// Row K6: retention takes what was not read yet.
pub fn retention_is_faster(_: &mut SmallRng) -> Outcome {
    let (mut app, _receiver, endpoint) = one_partition("fault-k6", &[]);
    send(&app, &app.topic, 400);
    app.await_committed();
    assert!(app.sigterm().status.success());
    send(&app, &app.topic, 600);
    app.kafka.delete_records(&app.topic, 0, 1_000);
    app.restart();
    eventually_holds("what was lost is counted", || app.rest().metric("postrider_source_lost_offsets_total") == 600.0);
    eventually_holds("and is no lag", || app.rest().metric("postrider_kafka_lag") == 0.0);
    let mut complaints = Vec::new();
    let log = app.instance().log();
    if !log.contains("from 400 to 999 before it was read") {
        complaints.push("the operator is not told which were lost".to_owned());
    }
    send(&app, &app.topic, 10);
    app.produced.complete(&app.topic, 0, 1_000);
    let is_there = |sent: &Sent| sent.seq < 400 || sent.seq >= 1_000;
    let mut findings = app.audit().expect(&endpoint, is_there).settle();
    if app.rest().metric("postrider_source_lost_offsets_total") != 600.0 {
        complaints.push("what was lost was counted twice".to_owned());
    }
    findings.complaints.extend(complaints);
    Outcome::of(findings).at_most(0)
}

/// Row K7: a log that ends with what is no event.
pub fn nothing_at_the_end(_: &mut SmallRng) -> Outcome {
    let (app, _receiver, endpoint) = one_partition("fault-k7", &[]);
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    send(&app, &app.topic, 10);
    app.kafka.transaction(&app.topic, 10, true);
    app.kafka.transaction(&app.topic, 1_000, false);
    app.produced.complete(&app.topic, 0, app.kafka.end(&app.topic, 0));
    let begun = Instant::now();
    let findings = audit.settle();
    let note = format!("committed to the very end after {:.0} s", begun.elapsed().as_secs_f64());
    Outcome::of(findings).at_most(0).note(note)
}

/// One partition, and one endpoint that gets all of it.
fn one_partition(name: &'static str, settings: &[(&str, &str)]) -> (TestApp, Receiver, Endpoint) {
    let app = TestApp::named(name).partitions(1);
    let app = settings.iter().fold(app, |app, (setting, value)| app.set(setting, value)).start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("stream"), stream_settings());
    (app, receiver, endpoint)
}

fn send(app: &TestApp, topic: &str, events: u32) {
    for _ in 0..events {
        app.kafka.send(topic, &Record { partition: Some(0), ..Record::default() });
    }
    app.kafka.flush();
}

/// What `/readyz` says beside being ready.
fn details(app: &TestApp) -> Vec<String> {
    let ready: Value = app.rest().get("/readyz").json();
    let details = ready["details"].as_array().cloned().unwrap_or_default();
    details.iter().filter_map(|detail| detail.as_str().map(str::to_owned)).collect()
}
