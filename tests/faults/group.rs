//! ● Kafka that is away, silent or misbehavior, topics that change, and a group whose members come and go.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::{Rng as _, rngs::SmallRng};
use serde_json::json;

use crate::{
    harness::{
        Instance, Receiver, Record, TestApp, eventually_holds,
        link::Link,
        produced::{KafkaPosition, Sent},
    },
    row::Outcome,
    setup::{IN_FLIGHT, LANES, Setup, batch_settings, stream_settings},
};

/// A setup whose instances reach the broker over a wire.
fn wired(name: &'static str) -> (Setup, Link) {
    let link = Link::to_kafka();
    (Setup::from(TestApp::named(name).set("KAFKA_BROKERS", link.address())), link)
}

/// Row 15: gone for longer than a session lasts.
pub fn broker_restarts(_: &mut SmallRng) -> Outcome {
    let (setup, link) = wired("fault-15");
    let audit = setup.audit();
    let load = setup.app.load(500);
    setup.flow(500);
    link.go_away();
    thread::sleep(Duration::from_secs(8)); // the fault
    let repeated = audit.delivered_beyond_commit() + IN_FLIGHT;
    link.come_back();
    setup.flow(1_000);
    load.stop();
    Outcome::of(audit.settle()).at_most(repeated)
}

/// Row 16: nothing passes, nobody is told, and the session ends meanwhile.
pub fn broker_is_silent(_: &mut SmallRng) -> Outcome {
    let (setup, link) = wired("fault-16");
    let audit = setup.audit();
    let load = setup.app.load(500);
    setup.flow(500);
    link.freeze();
    thread::sleep(Duration::from_secs(15)); // the fault
    let repeated = audit.delivered_beyond_commit() + IN_FLIGHT;
    link.come_back();
    setup.flow(1_000);
    load.stop();
    Outcome::of(audit.settle()).at_most(repeated)
}

/// Row 17
pub fn broker_resets_connections(_: &mut SmallRng) -> Outcome {
    let (setup, link) = wired("fault-17");
    let audit = setup.audit();
    let load = setup.app.load(500);
    for _ in 0..10 {
        setup.flow(100);
        link.reset();
        thread::sleep(Duration::from_secs(1)); // the fault's pace
    }
    setup.flow(500);
    load.stop();
    Outcome::of(audit.settle()).at_most(0)
}

/// Row 20: two members stay; others join, leave, crash and freeze.
pub fn rebalance_storm(entropy: &mut SmallRng) -> Outcome {
    const CHANGES: u32 = 10;
    const RATE: u32 = 500;
    let app = TestApp::named("fault-20").partitions(8).lanes(LANES);
    let app = app.set("KAFKA_SESSION_TIMEOUT_MS", 2_000).set("KAFKA_HEARTBEAT_INTERVAL_MS", 500);
    let setup = Setup::of(app.start());
    let audit = setup.audit();
    let load = setup.app.load(RATE);
    let mut others: Vec<Instance> = vec![setup.app.second_instance()];
    let mut repeated = 0;
    let mut changes = String::new();
    for _ in 0..CHANGES {
        let from = usize::from(others.len() > 2);
        match entropy.random_range(from..5) {
            0 | 4 => {
                changes.push('+');
                others.push(setup.app.second_instance());
            }
            1 if !others.is_empty() => {
                changes.push('-');
                others.swap_remove(0).sigterm();
            }
            2 if !others.is_empty() => {
                changes.push('x');
                others.swap_remove(0).kill9();
            }
            _ => {
                changes.push('z');
                let frozen = others.first();
                frozen.inspect(|frozen| frozen.freeze());
                thread::sleep(Duration::from_secs(3)); // longer than its session
                frozen.inspect(|frozen| frozen.thaw());
            }
        }
        repeated += audit.delivered_beyond_commit() + IN_FLIGHT;
        thread::sleep(Duration::from_millis(entropy.random_range(500..2_500))); // any moment
        repeated += audit.delivered_beyond_commit() + IN_FLIGHT;
    }
    load.stop();
    let findings = audit.settle();
    drop(others);
    Outcome::of(findings).at_most(repeated).note(format!("members: {changes}"))
}

/// Row 22
pub fn partitions_and_topics_appear(_: &mut SmallRng) -> Outcome {
    let app = TestApp::named("fault-22").partitions(1).set("KAFKA_METADATA_REFRESH_MS", 500);
    let mut app = app.set("KAFKA_FIRST_START", "latest").prepare();
    let pattern = format!("{}(\\.new)?", app.topic.replace('.', "\\."));
    app.set("KAFKA_TOPICS", "");
    app.set("KAFKA_TOPICS_PATTERN", pattern);
    app.restart();
    let receiver = Receiver::start();
    let endpoints = [("stream", stream_settings()), ("batch", batch_settings())].map(|(name, settings)| {
        let endpoint = app.endpoint(&receiver.hook(name), settings);
        app.subscribe(&endpoint, json!({"level": "topic"}));
        app.subscribe_to(&format!("{}.new", app.topic), &endpoint, json!({"level": "topic"}));
        endpoint
    });
    app.await_settings();
    let audit = endpoints.iter().fold(app.audit(), |audit, endpoint| audit.expect_all(endpoint)).watch_commits();
    let load = app.load(300);
    app.kafka.create_partitions(&app.topic, 6);
    let new_topic = format!("{}.new", app.topic);
    app.kafka.create_topic(&new_topic, 3);
    // Before anybody has heard of them: they are read from their beginning.
    for partition in 0..3 {
        app.kafka.await_partition(&new_topic, partition);
        for _ in 0..50 {
            app.kafka.send(&new_topic, &Record { partition: Some(partition), ..Record::default() });
        }
    }
    let sent = app.produced.count();
    eventually_holds("more comes", || app.produced.count() > sent + 1_000);
    load.stop();
    Outcome::of(audit.settle()).at_most(IN_FLIGHT)
}

/// Row 24: of most keys only the last record is left, and some records were never committed by their producer.
pub fn compaction_and_aborted_transactions(_: &mut SmallRng) -> Outcome {
    let mut app = TestApp::named("fault-24").partitions(0).prepare();
    let compacted = [("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0.01")];
    app.kafka.create_topic_with(&app.topic, 1, &compacted);
    let receiver = Receiver::start();
    let hook = receiver.hook("stream");
    let stream = app.before_the_first_start(|app| app.subscribed_endpoint(&hook, stream_settings()));
    let send = |events: u32, lanes: u32| {
        for event in 0..events {
            app.kafka.send(&app.topic, &Record { lane: Some(event % lanes), ..Record::default() });
        }
        app.kafka.flush();
    };
    send(500, 10);
    app.kafka.transaction(&app.topic, 50, false);
    send(300, 10);
    app.kafka.transaction(&app.topic, 20, true);
    // A later segment: the cleaner leaves the one that is written to alone.
    thread::sleep(Duration::from_millis(200));
    send(100, 1_000);
    let left = eventually_compacted(&app, 500);
    app.produced.complete(&app.topic, 0, app.kafka.end(&app.topic, 0));
    let compacted_to = app.kafka.end(&app.topic, 0);
    let wanted = left.clone();
    let survives = move |sent: &Sent| sent.offset >= compacted_to || wanted.contains(&sent.offset);
    let audit = app.audit().expect(&stream, survives).watch_commits();
    app.restart();
    let in_books = || {
        let place = |offset: i64| KafkaPosition { topic: app.topic.clone(), partition: 0, offset };
        left.iter().filter(|offset| app.produced.at(&place(**offset)).is_some()).count()
    };
    eventually_holds("all of it is delivered", || stream.hook.accepted_count() >= in_books());
    app.kafka.transaction(&app.topic, 30, false);
    app.produce_one(&Record { lane: Some(0), ..Record::default() });
    let last = app.kafka.end(&app.topic, 0);
    app.produced.complete(&app.topic, 0, last);
    let findings = audit.settle();
    let note = format!("{} of 900 records are left", in_books());
    Outcome::of(findings).at_most(0).note(note)
}

/// The offsets that a reader of committed records sees, once fewer are left than `below` and it stays at that: the
/// cleaner takes several rounds.
fn eventually_compacted(app: &TestApp, below: usize) -> std::collections::HashSet<i64> {
    const QUIET: Duration = Duration::from_secs(4);
    let mut last = (app.kafka.readable(&app.topic, 0), Instant::now());
    crate::harness::eventually("the topic is compacted", || {
        thread::sleep(Duration::from_millis(500)); // the cleaner's pace
        let left = app.kafka.readable(&app.topic, 0);
        if left != last.0 {
            last = (left, Instant::now());
        }
        (last.0.len() < below && last.1.elapsed() > QUIET).then(|| last.0.clone())
    })
}
