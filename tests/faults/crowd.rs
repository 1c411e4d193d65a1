//! ● Many endpoints at once, and settings that change all the time.

use std::{
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::{
    harness::{Audit, Endpoint, Mode, Receiver, TestApp, eventually_holds, link::Link, within},
    process::most_within,
    row::Outcome,
    setup::{LANES, latency, stream_settings},
};

/// So many endpoints; the n-th gets the n-th tenant's events.
fn crowd(app: &TestApp, receiver: &Receiver, count: u32, settings: &Value) -> Vec<Endpoint> {
    let endpoints = (1..=count).map(|tenant| {
        let endpoint = app.endpoint(&receiver.hook(&tenant.to_string()), settings.clone());
        app.subscribe(&endpoint, json!({"level": "tenants", "tenants": [tenant.to_string()]}));
        endpoint
    });
    let endpoints = endpoints.collect();
    app.await_settings();
    endpoints
}

fn audit_of(app: &TestApp, endpoints: &[Endpoint]) -> Audit {
    let each = |audit: Audit, (index, endpoint): (usize, &Endpoint)| {
        let tenant = (index + 1).to_string();
        audit.expect(endpoint, move |sent| sent.tenant.as_deref() == Some(&tenant))
    };
    endpoints.iter().enumerate().fold(app.audit(), each).watch_commits()
}

/// Row 44
pub fn tenth_dead_tenth_slow(_: &mut SmallRng) -> Outcome {
    const ENDPOINTS: u32 = 1_000;
    const PARK_AFTER: Duration = Duration::from_secs(2);
    let app = TestApp::named("fault-44").lanes(LANES).tenants(ENDPOINTS);
    let app = app.set("DELIVERY_PARK_AFTER_MS", PARK_AFTER.as_millis()).start();
    let receiver = Receiver::start();
    let settings = json!({"mode": "stream", "in_flight_max": 4, "request_timeout_ms": 10_000});
    let endpoints = crowd(&app, &receiver, ENDPOINTS, &settings);
    let kind = |index: usize| index % 10;
    for (index, endpoint) in endpoints.iter().enumerate() {
        endpoint.hook.keep_no_requests();
        match kind(index) {
            0 => endpoint.hook.set(Mode::Hang),
            1 => endpoint.hook.set(Mode::Slow(Duration::from_secs(1))),
            _ => {}
        }
    }
    let audit = audit_of(&app, &endpoints);
    let load = app.load(500);
    eventually_holds("events are sent", || app.produced.count() > 10_000);
    load.stop();
    // All of it while the dead are dead: nobody waits for them but their own events.
    let patience = PARK_AFTER + Duration::from_secs(15);
    within(patience, "everything is committed", || (app.kafka.lag() == 0).then_some(()));
    let healthy: Vec<&Endpoint> =
        endpoints.iter().enumerate().filter(|(index, _)| kind(*index) > 1).map(|(_, endpoint)| endpoint).collect();
    let (half, most) = (latency(&app, &healthy, 0.5), latency(&app, &healthy, 0.99));
    let findings = audit.settle();
    Outcome::of(findings).at_most(0).note(format!("healthy endpoints: p50 {half:.1?}, p99 {most:.1?}"))
}

/// Row 45: no packet gets to any receiver; that is nobody's fault but ours.
pub fn way_out_is_cut(_: &mut SmallRng) -> Outcome {
    const CUSTOMERS: u8 = 5;
    let app = TestApp::named("fault-45").lanes(LANES).set("HTTP_CONNECT_TIMEOUT_MS", 300).start();
    let receiver = Receiver::start();
    let customers = (1..=CUSTOMERS).map(|customer| {
        let name = format!("customer{customer}");
        let hook = receiver.hook(&name);
        hook.keep_no_requests();
        let link = Link::at(Ipv4Addr::new(127, 2, customer, 1), &receiver.address());
        let url = format!("http://{}/{name}", link.address());
        let settings = json!({"customer_id": app.new_customer(), "url": url, "mode": "stream"});
        (app.subscribed_endpoint(&hook, settings), link)
    });
    let customers: Vec<(Endpoint, Link)> = customers.collect();
    let audit = customers.iter().fold(app.audit(), |audit, (endpoint, _)| audit.expect_all(endpoint)).watch_commits();
    let load = app.load(200);
    let flow = |events: usize| {
        let before: Vec<usize> = customers.iter().map(|(endpoint, _)| endpoint.hook.accepted_count()).collect();
        eventually_holds("events flow", || {
            customers
                .iter()
                .zip(&before)
                .all(|((endpoint, _), before)| endpoint.hook.accepted_count() > before + events)
        });
    };
    let mut kept = 0;
    for _ in 0..2 {
        flow(200);
        thread::scope(|scope| {
            customers.iter().for_each(|(_, link)| drop(scope.spawn(|| link.vanish())));
        });
        eventually_holds("the trouble is known as ours", || app.rest().metric("postrider_local_outage") == 1.0);
        thread::sleep(Duration::from_secs(8)); // longer than an event waits in memory
        kept = kept.max(app.postgres.dead_letters().len() + app.postgres.backlog().len());
        customers.iter().for_each(|(_, link)| link.come_back());
    }
    flow(200);
    load.stop();
    let findings = audit.settle();
    assert!(findings.dead_letters == 0, "{} events were given up by our own fault", findings.dead_letters);
    let states = customers
        .iter()
        .map(|(endpoint, _)| app.rest().get(&format!("/v1/endpoints/{}", endpoint.id)).ok().json()["state"].clone());
    assert!(states.into_iter().all(|state| state == "enabled"), "nobody is disabled for it");
    // Answers that were on their way when the wire was cut.
    let in_flight = 2 * 8 * u64::from(CUSTOMERS);
    Outcome::of(findings).at_most(in_flight).note(format!("{kept} deliveries stored meanwhile"))
}

/// Row 46: all of them were down, and come back in the same moment with their queues full.
pub fn mass_recovery(_: &mut SmallRng) -> Outcome {
    const ENDPOINTS: u32 = 50;
    const RATE: u32 = 20;
    let app = TestApp::named("fault-46").lanes(LANES).tenants(ENDPOINTS).set("DELIVERY_PARK_AFTER_MS", 60_000).start();
    let receiver = Receiver::start();
    let settings = json!({
        "mode": "stream", "rate_limit": {"events_per_second": RATE, "burst_events": RATE},
        "retry": {"attempts_max": 100, "schedule_ms": [200]},
        "breaker": {"open_base_ms": 500, "open_max_ms": 1_000},
    });
    let endpoints = crowd(&app, &receiver, ENDPOINTS, &settings);
    endpoints.iter().for_each(|endpoint| endpoint.hook.set(Mode::Status(503)));
    let audit = audit_of(&app, &endpoints);
    let load = app.load(10 * ENDPOINTS);
    eventually_holds("queues fill up", || app.produced.count() > 80 * ENDPOINTS as usize);
    endpoints.iter().for_each(|endpoint| endpoint.hook.set(Mode::Ok));
    let at = app.produced.count();
    eventually_holds("more comes", || app.produced.count() > at + 20 * ENDPOINTS as usize);
    load.stop();
    let findings = audit.settle();
    let most = endpoints.iter().map(|endpoint| most_within(Duration::from_secs(1), &endpoint.hook)).max();
    let (most, allowed) = (most.unwrap_or(0), 2 * RATE as usize + 2);
    assert!(most <= allowed, "{most} events within a second, at most {allowed}");
    let open = app.rest().metric("postrider_breaker_endpoints");
    assert!(open == 0.0, "{open} endpoints are given up again");
    Outcome::of(findings)
        .at_most(0)
        .note(format!("{most} events within a second at most, limit {RATE}/s and burst {RATE}"))
}

/// Row 48: fewer handles than connections that everybody would like to have.
pub fn few_handles(_: &mut SmallRng) -> Outcome {
    const HANDLES: u32 = 160;
    const ENDPOINTS: u32 = 100;
    let app = TestApp::named("fault-48").lanes(LANES).tenants(ENDPOINTS).set("SERVICE_CORES", 2).handles_max(HANDLES);
    let app = app.start();
    let receiver = Receiver::start();
    let endpoints = crowd(&app, &receiver, ENDPOINTS, &stream_settings());
    for endpoint in &endpoints {
        endpoint.hook.keep_no_requests();
        endpoint.hook.set(Mode::Slow(Duration::from_millis(200)));
    }
    let audit = audit_of(&app, &endpoints);
    app.produce(3_000);
    // Whoever asks how it is takes one connection more, all the time.
    let (mut slowest, mut most) = (Duration::ZERO, 0.0_f64);
    eventually_holds("most is delivered", || {
        for path in ["/livez", "/metrics", "/v1/endpoints?limit=1"] {
            let asked_at = Instant::now();
            let reply = app.rest().try_get(path);
            assert!(reply.is_some_and(|reply| reply.status == 200), "{path} is answered");
            slowest = slowest.max(asked_at.elapsed());
        }
        most = most.max(app.rest().metric("postrider_open_files"));
        endpoints.iter().map(|endpoint| endpoint.hook.accepted_count()).sum::<usize>() > 2_000
    });
    let findings = audit.settle();
    let metric = |name: &str| app.rest().metric(name);
    let allowed = metric("postrider_endpoint_connections_max");
    assert!(metric("postrider_endpoint_connections") <= allowed, "more connections than {allowed}");
    assert_eq!(metric("postrider_breaker_endpoints"), 0.0, "nobody is blamed");
    Outcome::of(findings).at_most(0).note(format!(
        "{most} of {HANDLES} handles at most, {allowed} of them for endpoints; slowest answer of the API {slowest:.1?}, \
         {} connections closed for others, {} local faults",
        metric("postrider_endpoint_connections_closed_for_room_total"),
        metric("postrider_local_faults_total"),
    ))
}

/// Row 50: endpoints come and go as fast as the API takes them, all with one URL; and one goes with a full queue.
pub fn settings_change_all_the_time(_: &mut SmallRng) -> Outcome {
    const IN_EFFECT: Duration = Duration::from_secs(5);
    let app = TestApp::named("fault-50").lanes(LANES).set("DELIVERY_PARK_AFTER_MS", 30_000).start();
    let receiver = Receiver::start();
    let control = app.subscribed_endpoint(&receiver.hook("control"), stream_settings());
    control.hook.keep_no_requests();
    let doomed = receiver.hook("doomed");
    doomed.set(Mode::Hang);
    let doomed = app.subscribed_endpoint(&doomed, json!({"mode": "stream", "request_timeout_ms": 60_000}));
    let audit = app.audit().expect_all(&control).expect_until_deleted(&doomed).watch_commits();

    let load = app.load(300);
    let hook = receiver.hook("same");
    let until = Instant::now() + Duration::from_secs(8);
    let mut deleted_at = Vec::new();
    while Instant::now() < until {
        let generation = deleted_at.len();
        let auth = json!({"type": "headers", "headers": {"x-generation": generation.to_string()}});
        let endpoint = app.endpoint(&hook, json!({"mode": "stream", "auth": auth}));
        app.subscribe(&endpoint, json!({"level": "topic"}));
        if generation % 10 == 0 {
            app.await_settings(); // now and then one lives long enough to get something
            let had = hook.requests_count();
            eventually_holds("it gets events", || hook.requests_count() > had);
        }
        app.rest().delete(&format!("/v1/endpoints/{}", endpoint.id)).ok();
        deleted_at.push(Instant::now());
    }
    app.rest().delete(&format!("/v1/endpoints/{}", doomed.id)).ok();
    app.await_settings();
    thread::sleep(IN_EFFECT);
    let sent = hook.requests_count();
    let before = control.hook.accepted_count();
    eventually_holds("events flow", || control.hook.accepted_count() > before + 300);
    assert_eq!(hook.requests_count(), sent, "whoever is deleted sends nothing");
    load.stop();
    for request in hook.requests() {
        let generation: usize = request.header("x-generation").parse().expect("a number");
        let late = request.at.saturating_duration_since(deleted_at[generation]);
        assert!(late <= IN_EFFECT, "a request of an endpoint that was deleted {late:?} before");
    }
    let findings = audit.settle();
    let note = format!("{} changes, {sent} requests to endpoints that came and went", 3 * deleted_at.len());
    Outcome::of(findings).at_most(0).note(note)
}
