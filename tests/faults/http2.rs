//! ● Receivers whose HTTP/2 misbehaves.

use rand::rngs::SmallRng;
use serde_json::json;

use crate::{
    harness::{
        Endpoint, TestApp, eventually_holds,
        http2::{Fault, Http2Server, Manner},
        tls::Authority,
    },
    row::Outcome,
    setup::LANES,
};

const EVENTS: usize = 300;
const IN_FLIGHT: u64 = 16;
/// Connections of a server that misbehave, before it behaves.
const FAULTY: usize = 3;

/// A server, and what it costs that it misbehaves.
struct Case {
    name: &'static str,
    manner: Manner,
    costs: Cost,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cost {
    /// Requests that it surely did not process go again, and are no attempts.
    Nothing,
    Attempts,
    /// HTTP/1.1 is spoken there.
    Http2,
}

const fn case(name: &'static str, fault: Fault, costs: Cost) -> Case {
    Case { name, manner: Manner { streams_max: 100, fault, faulty_connections: FAULTY }, costs }
}

const CASES: [Case; 8] = [
    case("goes-away", Fault::GoAwayAfter(20), Cost::Nothing),
    case("refuses", Fault::RefuseEach(20), Cost::Nothing),
    case("shrinks", Fault::ShrinkAfter(20), Cost::Nothing),
    case("resets", Fault::ResetEach(20), Cost::Attempts),
    case("closes", Fault::CloseInAnswer(20), Cost::Attempts),
    case("no-window", Fault::NoWindow, Cost::Attempts),
    case("garbage", Fault::GarbageAfter(20), Cost::Http2),
    Case {
        name: "no-streams",
        manner: Manner { streams_max: 0, fault: Fault::None, faulty_connections: FAULTY },
        costs: Cost::Http2,
    },
];

/// Row http2: each has a server of its own, as one that HTTP/1.1 is spoken with has no other fault for minutes.
pub fn misbehaves(_: &mut SmallRng) -> Outcome {
    let app = TestApp::named("fault-http2").lanes(LANES).set("DELIVERY_PARK_AFTER_MS", 2_000).start();
    let authority = Authority::new();
    let served = CASES.map(|case| {
        let server = Http2Server::start(&authority.issue("localhost"), case.manner);
        let endpoint = endpoint(&app, &server, case.name, &authority);
        (case, server, endpoint)
    });
    let audit = served.iter().fold(app.audit(), |audit, (.., endpoint)| audit.expect_all(endpoint)).watch_commits();
    app.produce(EVENTS as u32);
    for (.., endpoint) in &served {
        eventually_holds("each gets all", || endpoint.hook.accepted_count() == EVENTS);
    }
    let findings = audit.settle();
    let costs = served.iter().map(|(case, server, endpoint)| check(&app, case, server, endpoint));
    let note = costs.collect::<Vec<_>>().join(", ");
    // Answers that were on their way when the connection was closed.
    Outcome::of(findings).at_most(2 * IN_FLIGHT * FAULTY as u64).note(format!("failed attempts: {note}"))
}

fn endpoint(app: &TestApp, server: &Http2Server, name: &str, authority: &Authority) -> Endpoint {
    let settings = json!({
        "mode": "stream", "http2": "auto", "in_flight_max": IN_FLIGHT, "request_timeout_ms": 1_000,
        "retry": {"schedule_ms": [50]}, "breaker": {"consecutive_failures": 10_000, "requests_min": 100_000},
        "tls": {"ca": authority.certificate},
    });
    let hook = server.hook(name);
    let endpoint = app.subscribed_endpoint(&hook, settings);
    hook.verify_with(&[]);
    endpoint
}

/// The attempts that failed, in words.
#[track_caller]
fn check(app: &TestApp, case: &Case, server: &Http2Server, endpoint: &Endpoint) -> String {
    let stats = app.rest().get(&format!("/v1/endpoints/{}/stats", endpoint.id)).ok().json();
    let failed = stats["failed_attempts"]["since_start"].as_u64().expect("a number");
    let over_http1 = server.taken().iter().filter(|request| !request.is_http2).count();
    let (name, costs) = (case.name, case.costs);
    assert_eq!(over_http1 > 0, costs == Cost::Http2, "{name}: {over_http1} requests of HTTP/1.1");
    match costs {
        Cost::Nothing => assert_eq!(failed, 0, "{name} did not process what it left out"),
        Cost::Attempts => assert!(failed > 0, "{name} failed in some"),
        Cost::Http2 => {}
    }
    format!("{name} {failed}")
}
