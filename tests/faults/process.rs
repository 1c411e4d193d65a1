//! ● Processes that die, freeze and stop.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::{Rng as _, rngs::SmallRng};
use serde_json::json;

use crate::{
    harness::{Hook, Mode, Receiver, TestApp, eventually_holds, link::Link, rest::Rest},
    row::Outcome,
    setup::{IN_FLIGHT, LANES, Setup, batch_settings, giving_up_at_once, stream_settings},
};

/// What Kubernetes gives a process is 30 s.
const STOPS_WITHIN: Duration = Duration::from_secs(25);
/// What is under way ends at once, and the broker is waited for no longer than a session.
const STOPS_WITHOUT_A_BROKER: Duration = Duration::from_secs(12);

/// Row 1: all events in batches, a tenth of them one by one as well.
pub fn killed_at_random(entropy: &mut SmallRng) -> Outcome {
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
        thread::sleep(Duration::from_millis(entropy.random_range(0..1_500))); // any moment
        app.kill9();
        repeated += audit.delivered_beyond_commit() + IN_FLIGHT;
        app.restart();
    }
    load.stop();
    Outcome::of(audit.settle()).at_most(repeated)
}

/// Row 2: the answers of a few requests are on this side of the wire, and nobody has looked at them.
pub fn killed_before_the_answer_is_taken(_: &mut SmallRng) -> Outcome {
    let mut setup = Setup::from(TestApp::named("fault-2").env("FAILPOINTS", "answers-arrived=200*off->return"));
    let audit = setup.audit();
    let load = setup.app.load(1_000);
    let died = setup.app.instance().await_death();
    assert!(!died.success(), "it ended with {died}");
    let repeated = audit.delivered_beyond_commit() + IN_FLIGHT;
    setup.app.env("FAILPOINTS", None);
    setup.app.restart();
    load.stop();
    Outcome::of(audit.settle()).at_most(repeated)
}

/// Row 3: what was given up is stored, and nobody has heard of it.
pub fn killed_before_the_store_is_heard(_: &mut SmallRng) -> Outcome {
    let app = TestApp::named("fault-3").lanes(LANES).env("FAILPOINTS", "letters-committed=3*off->return");
    let mut app = app.start();
    let receiver = Receiver::start();
    let hook = receiver.hook("refusing");
    hook.set(Mode::Status(422));
    let endpoint = app.subscribed_endpoint(&hook, giving_up_at_once());
    let audit = app.audit().expect_all(&endpoint).watch_commits();
    let load = app.load(200);
    let died = app.instance().await_death();
    assert!(!died.success(), "it ended with {died}");
    app.env("FAILPOINTS", None);
    app.restart();
    load.stop();
    let findings = audit.settle();
    let rows = app.postgres.count("SELECT count(*) FROM dead_letter");
    assert_eq!(rows as usize, findings.dead_letters, "a letter that is written again stays one letter");
    Outcome::of(findings).at_most(0)
}

/// Row 5: frozen for longer than its session lasts; its partitions move on.
pub fn frozen_beyond_its_session(_: &mut SmallRng) -> Outcome {
    let mut setup = Setup::set("fault-5");
    let audit = setup.audit();
    let second = setup.app.second_instance();
    let owned = |rest: &Rest| rest.metric("postrider_partitions_assigned");
    eventually_holds("both own partitions", || owned(setup.app.rest()) == 2.0 && owned(&second.rest) == 2.0);
    let load = setup.app.load(500);
    setup.flow(500);
    setup.app.instance().freeze();
    let mut repeated = audit.delivered_beyond_commit() + IN_FLIGHT;
    eventually_holds("the other one has all partitions", || owned(&second.rest) == 4.0);
    setup.flow(500);
    // What it knows is old: awake, it has a request or an answer in its hands, and must not act on either.
    setup.app.instance().thaw();
    eventually_holds("both own partitions again", || owned(setup.app.rest()) == 2.0 && owned(&second.rest) == 2.0);
    repeated += audit.delivered_beyond_commit() + IN_FLIGHT;
    setup.flow(500);
    load.stop();
    Outcome::of(audit.settle()).at_most(repeated)
}

/// Row 6: frozen for less than a session; nobody takes its partitions, and what waited does not come as a flood.
pub fn frozen_for_a_moment(_: &mut SmallRng) -> Outcome {
    const RATE: u32 = 100;
    let mut setup = Setup::set("fault-6");
    let limit = json!({"events_per_second": RATE, "burst_events": RATE});
    let hook = setup.receiver.hook("limited");
    let limited = setup.app.subscribed_endpoint(&hook, json!({"mode": "stream", "rate_limit": limit}));
    let audit = setup.app.audit().expect_all(&setup.stream).expect_all(&limited).watch_commits();
    let rebalances = setup.app.rest().metric("postrider_rebalances_total");
    let load = setup.app.load(RATE);
    setup.flow(200);
    for _ in 0..2 {
        setup.app.instance().freeze();
        thread::sleep(Duration::from_secs(3)); // the fault
        setup.app.instance().thaw();
        setup.flow(200);
    }
    load.stop();
    let findings = audit.settle();
    assert_eq!(setup.app.rest().metric("postrider_rebalances_total"), rebalances, "nothing moved");
    let most = most_within(Duration::from_secs(1), &hook);
    // Requests that lay frozen in the sockets count when they are read.
    let allowed = 2 * RATE + 16;
    assert!(most <= allowed as usize, "{most} events within a second, at most {allowed}");
    Outcome::of(findings).at_most(0).note(format!("{most} events within a second, limit {RATE}/s and burst {RATE}"))
}

/// Row 10
pub fn actors_panic(_: &mut SmallRng) -> Outcome {
    let setup = Setup::from(TestApp::named("fault-10").env("FAILPOINTS", "endpoint-turn=1%20*panic->off"));
    let audit = setup.audit();
    let load = setup.app.load(1_000);
    let restarts = || setup.app.rest().metric("postrider_endpoint_restarts_total");
    eventually_holds("actors panicked", || restarts() >= 5.0);
    setup.flow(1_000);
    load.stop();
    let findings = audit.settle();
    let note = format!("{} actors rebuilt", restarts());
    // What was in a dead actor's hands comes again.
    Outcome::of(findings).at_most(restarts() as u64 * IN_FLIGHT).note(note)
}

/// Row 12
pub fn stopped_under_load(_: &mut SmallRng) -> Outcome {
    let mut setup = Setup::set("fault-12");
    let audit = setup.audit();
    let load = setup.app.load(1_000);
    setup.flow(1_000);
    let stopped = setup.app.sigterm();
    assert!(stopped.status.success(), "it ended with {}", stopped.status);
    assert!(stopped.took <= STOPS_WITHIN, "it took {:?}", stopped.took);
    load.stop();
    setup.app.restart();
    let note = format!("stopped in {:.1} s", stopped.took.as_secs_f64());
    Outcome::of(audit.settle()).at_most(IN_FLIGHT).note(note)
}

/// Row 13: asked to stop while the broker answers nothing, and later with the broker gone.
pub fn stopped_without_a_broker(_: &mut SmallRng) -> Outcome {
    let link = Link::to_kafka();
    let mut setup = Setup::from(TestApp::named("fault-13").set("KAFKA_BROKERS", link.address()));
    let audit = setup.audit();
    let load = setup.app.load(500);
    let (mut took, mut repeated) = (Duration::ZERO, 0);
    for fault in [Link::freeze, Link::go_away] {
        setup.flow(500);
        fault(&link);
        took = took.max(setup.app.sigterm().took);
        repeated += audit.delivered_beyond_commit() + IN_FLIGHT;
        link.come_back();
        setup.app.restart();
    }
    assert!(took <= STOPS_WITHOUT_A_BROKER, "it took {took:?}");
    load.stop();
    let note = format!("stopped in {:.1} s at most", took.as_secs_f64());
    Outcome::of(audit.settle()).at_most(repeated).note(note)
}

/// The most events that a hook got within any such time.
pub fn most_within(window: Duration, hook: &Hook) -> usize {
    let mut times: Vec<Instant> =
        hook.requests().iter().flat_map(|request| request.seqs.iter().map(|_| request.at)).collect();
    times.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (index, at) in times.iter().enumerate() {
        while at.duration_since(times[first]) > window {
            first += 1;
        }
        most = most.max(index - first + 1);
    }
    most
}
