//! ● Partitions that nobody leads.

use rand::rngs::SmallRng;
use serde_json::Value;

use crate::{
    harness::{
        Receiver, Record, TestApp, eventually_holds,
        kafka::second_broker::{SECOND, SecondBroker},
        produced::Sent,
    },
    row::Outcome,
    setup::stream_settings,
};

/// Row K12: at the group's very first start, which is to begin with what comes, nobody leads one of the partitions, and later
/// somebody does.
pub fn none_at_the_first_start(_: &mut SmallRng) -> Outcome {
    let mut app = TestApp::named("fault-k12")
        .partitions(0)
        .set("KAFKA_FIRST_START", "latest")
        .set("DELIVERY_PARK_AFTER_MS", "1000")
        .prepare();
    let mut second = SecondBroker::start();
    app.kafka.create_topic_on(&app.topic, &[1, SECOND]);
    let receiver = Receiver::start();
    let endpoint =
        app.before_the_first_start(|app| app.subscribed_endpoint(&receiver.hook("stream"), stream_settings()));
    send(&app, 0, 20);
    send(&app, 1, 30);
    let before = app.produced.count() as u32;
    second.go_away(); // the fault
    eventually_holds("nobody leads it", || !app.kafka.has_leader(&app.topic, 1));
    let audit = app.audit().expect(&endpoint, move |sent: &Sent| sent.seq >= before).watch_commits();
    app.restart();
    send(&app, 0, 50);
    eventually_holds("the other one goes on", || endpoint.hook.accepted_count() == 50);
    eventually_holds("it is told that one waits, and why", || stands(&app));
    let mut complaints = Vec::new();
    if app.rest().metric_with("postrider_partition_standing_seconds", "why=\"no_leader\"") <= 0.0 {
        complaints.push("no metric says that it stands".to_owned());
    }
    second.come_back();
    eventually_holds("somebody leads it", || app.kafka.has_leader(&app.topic, 1));
    send(&app, 1, 60);
    send(&app, 0, 10);
    let mut findings = audit.settle();
    eventually_holds("nothing stands any more", || details(&app).is_empty());
    let old = (0..before).filter(|seq| endpoint.hook.accepted(*seq) > 0).count();
    if old > 0 {
        complaints.push(format!("{old} events were delivered that were there before the first start"));
    }
    findings.complaints.extend(complaints);
    Outcome::of(findings).at_most(0)
}

fn send(app: &TestApp, partition: i32, events: u32) {
    for _ in 0..events {
        app.kafka.send(&app.topic, &Record { partition: Some(partition), ..Record::default() });
    }
    app.kafka.flush();
}

fn stands(app: &TestApp) -> bool {
    details(app).iter().any(|detail| detail.contains("no_leader") && detail.contains(&app.topic))
}

/// The part of `/readyz` beside being ready.
fn details(app: &TestApp) -> Vec<String> {
    let ready: Value = app.rest().get("/readyz").json();
    let details = ready["details"].as_array().cloned().unwrap_or_default();
    details.iter().filter_map(|detail| detail.as_str().map(str::to_owned)).collect()
}
