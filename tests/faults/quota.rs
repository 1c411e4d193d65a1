//! ● Customers that write more than their share: settings without end, and a crowd of endpoints that nobody answers for.

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::{
    harness::{Endpoint, Receiver, TestApp, eventually_holds},
    row::Outcome,
    setup::{LANES, latency, stream_settings},
};

/// What events of a victim may take at most: as of a partition that is delayed by others.
const LATENCY_MAX: Duration = Duration::from_secs(1);
/// The factor by which a victim's events may become slower beside a crowd, and what a busy machine adds by itself.
const SLOWER_MAX: f64 = 1.5;
const NOISE: Duration = Duration::from_millis(50);

fn resident_mib(app: &TestApp) -> f64 {
    app.rest().metric("postrider_resident_bytes") / 1_048_576.0
}

/// A customer of its own, and an endpoint of it that gets everything and is well.
fn victim(app: &TestApp, receiver: &Receiver) -> Endpoint {
    let mut settings = stream_settings();
    settings["customer_id"] = app.new_customer().into();
    let victim = app.subscribed_endpoint(&receiver.hook("victim"), settings);
    victim.hook.keep_no_requests();
    victim
}

/// Row settings: one subscription after the other to thousands of departments that nobody has.
pub fn settings_without_end(_: &mut SmallRng) -> Outcome {
    const PUTS: usize = 100;
    const DEPARTMENTS: usize = 10_000;
    /// What a hundred thousand names may take, and what reading them leaves behind.
    const GROWN_MIB_MAX: f64 = 100.0;
    let mut app = TestApp::named("fault-settings").lanes(LANES).start();
    let receiver = Receiver::start();
    let victim = victim(&app, &receiver);
    let audit = app.audit().expect_all(&victim).watch_commits();
    let load = app.load(20);
    eventually_holds("events flow", || victim.hook.accepted_count() > 100);
    let before = resident_mib(&app);
    let attacker = app.endpoint(&receiver.hook("attacker"), stream_settings());
    let mut refused = Vec::new();
    for number in 0..PUTS {
        let names: Vec<String> = (0..DEPARTMENTS).map(|name| format!("department-{number}-{name}")).collect();
        let scope = json!({"level": "departments", "departments": {"1": names}});
        let body = json!({"endpoint_id": attacker.id, "topic": app.topic, "scope": scope});
        let reply = app.rest().put(&format!("/v1/subscriptions/s{number}"), &body);
        if reply.status != 201 {
            refused.push(reply.problem(409));
        }
    }
    app.await_settings();
    let grown = resident_mib(&app) - before;
    load.stop();
    let findings = audit.settle();
    let slowest = latency(&app, &[&victim], 0.99);
    app.sigterm();
    app.restart();
    let after_restart = resident_mib(&app);
    assert_eq!(refused.len(), PUTS - 10, "a customer may name a hundred thousand");
    assert!(refused.iter().all(|problem| problem["quota"]["name"] == "subscription_entries_max"), "{}", refused[0]);
    assert!(grown < GROWN_MIB_MAX, "{grown:.0} MiB more than before");
    assert!(slowest < LATENCY_MAX, "the victim's p99 is {slowest:.1?}");
    Outcome::of(findings).at_most(0).note(format!(
        "{} of {PUTS} refused, {grown:.0} MiB more, {after_restart:.0} MiB after a restart; the victim's p99 {slowest:.1?}",
        refused.len()
    ))
}

/// Row crowd: thousands of endpoints of one customer at a port that nobody listens on.
pub fn crowd_at_a_closed_port(_: &mut SmallRng) -> Outcome {
    const ASKED: usize = 3_000;
    const ENDPOINTS: usize = 300;
    const ROWS_MAX: u64 = 10_000;
    const PER_SECOND: u32 = 20;
    /// Until a customer's endpoints are suspended: what waited in memory is parked, the look comes, and the instance hears of it.
    const SECONDS_MAX: u64 = 5;
    let app = TestApp::named("fault-crowd").lanes(LANES).set("BACKLOG_POLL_MS", 200).start();
    let receiver = Receiver::start();
    let victim = victim(&app, &receiver);
    let audit = app.audit().expect_all(&victim);
    let load = app.load(PER_SECOND);
    thread::sleep(Duration::from_secs(5)); // what it is without the crowd
    load.stop();
    app.await_committed();
    let (quiet, first) = (latency(&app, &[&victim], 0.99), app.produced.count());
    // Nobody listens on it any more.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}/");
    let crowd = |count: usize| -> Value {
        let endpoint = |number| json!({"uid": format!("crowd-{number}"), "customer_id": app.customer(), "url": url, "mode": "stream"});
        json!({"endpoints": (0..count).map(endpoint).collect::<Vec<_>>()})
    };
    let problem = app.rest().post("/v1/endpoints/bulk", &crowd(ASKED)).problem(409);
    assert_eq!(problem["quota"], json!({"name": "endpoints_max", "limit": 1_000, "used": 0, "asked": ASKED}));
    app.rest().post("/v1/endpoints/bulk", &crowd(ENDPOINTS)).ok();
    let own = json!({"quotas": {"backlog_rows_max": ROWS_MAX}});
    app.rest().patch(&format!("/v1/customers/{}", app.customer()), &own).ok();
    let subscription = |number| {
        let endpoint = format!("crowd-{number}");
        json!({"uid": "all", "endpoint_id": endpoint, "topic": app.topic, "scope": {"level": "topic"}})
    };
    let all: Vec<Value> = (0..ENDPOINTS).map(subscription).collect();
    app.rest().post("/v1/subscriptions/bulk", &json!({ "subscriptions": all })).ok();
    app.await_settings();

    let load = app.load(PER_SECOND);
    let until = Instant::now() + Duration::from_secs(20);
    let (mut oldest, mut most_rows) = (0.0_f64, 0);
    while Instant::now() < until {
        oldest = oldest.max(app.rest().metric_max("postrider_uncommitted_age_seconds"));
        most_rows = most_rows.max(rows(&app));
        thread::sleep(Duration::from_millis(500));
    }
    load.stop();
    eventually_holds("everything is committed", || app.kafka.lag() == 0);
    let slowest = latency_since(&app, &victim, first);
    let suspended = app.postgres.count("SELECT count(*) FROM endpoint WHERE suspended_at IS NOT NULL");
    let findings = audit.settle();
    assert!(suspended > 0, "those with more than an equal share are suspended");
    let rows_max = 2 * ROWS_MAX + SECONDS_MAX * ENDPOINTS as u64 * u64::from(PER_SECOND);
    assert!(most_rows < rows_max, "{most_rows} rows at most, in place of {rows_max}");
    let allowed = quiet.mul_f64(SLOWER_MAX) + NOISE;
    assert!(slowest <= allowed, "the victim's p99 is {slowest:.1?}, in place of {allowed:.1?}");
    Outcome::of(findings).at_most(0).note(format!(
        "{ASKED} endpoints refused; of {ENDPOINTS}, {suspended} suspended at {most_rows} rows; oldest uncommitted \
         {oldest:.1} s, the victim's p99 {slowest:.1?}, without the crowd {quiet:.1?}"
    ))
}

/// The 99th percentile of how long the victim's events took, from the one of this number on.
fn latency_since(app: &TestApp, victim: &Endpoint, first: usize) -> Duration {
    let mut all = Vec::new();
    app.produced.each_of(&victim.hook.order(), |sent, at| {
        if sent.seq as usize >= first {
            all.push(at.saturating_duration_since(sent.at));
        }
    });
    all.sort_unstable();
    all.get(all.len() * 99 / 100).copied().unwrap_or_default()
}

fn rows(app: &TestApp) -> u64 {
    let quotas = app.rest().get(&format!("/v1/customers/{}/quotas", app.customer())).ok().json();
    quotas["quotas"]["backlog_rows_max"]["used"].as_u64().unwrap_or(0)
}
