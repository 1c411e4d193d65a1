//! ● Endpoints that offer HTTP/2: their requests share connections, and nothing is lost when these end.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};

use crate::harness::{
    TestApp, eventually_holds,
    http2::{Fault, Http2Server, Manner, Taken},
    tls::Authority,
};

/// A server of this manner, and an endpoint there that is subscribed to the story's topic; its path.
#[track_caller]
fn serve(app: &TestApp, manner: Manner, settings: Value) -> (Http2Server, String) {
    let authority = Authority::new();
    let server = Http2Server::start(&authority.issue("localhost"), manner);
    let mut body = json!({
        "customer_id": app.customer(), "url": server.url("hook"), "http2": "auto", "in_flight_max": 32,
        "retry": {"schedule_ms": [50]}, "tls": {"ca": authority.certificate},
    });
    body.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
    let id = app.rest().post("/v1/endpoints", &body).ok().json()["id"].as_str().expect("an id").to_owned();
    let subscription = json!({"endpoint_id": id, "topic": app.topic, "scope": {"level": "topic"}});
    app.rest().post("/v1/subscriptions", &subscription).ok();
    app.await_settings();
    (server, format!("/v1/endpoints/{id}"))
}

/// Each event is taken, and none twice; and there is nothing left to be done.
#[track_caller]
fn await_each_once(app: &TestApp, server: &Http2Server, events: usize) {
    eventually_holds("everything arrives", || counts(&server.taken()).len() == events);
    app.await_committed();
    assert_eq!(server.taken().len(), events, "none arrives twice");
}

/// Number of times that each event was taken.
fn counts(taken: &[Taken]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for request in taken {
        let event: Value = serde_json::from_slice(&request.body).expect("an envelope");
        *counts.entry(event["id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    counts
}

#[track_caller]
fn failed_attempts(app: &TestApp, path: &str) -> Value {
    app.rest().get(&format!("{path}/stats")).ok().json()["failed_attempts"]["since_start"].clone()
}

#[test]
fn requests_share_a_few_connections_within_the_servers_limit_of_streams() {
    let app = TestApp::named("http2").set("SERVICE_CORES", 1).start();
    let (server, path) = serve(&app, Manner { streams_max: 5, ..Manner::default() }, json!({}));
    app.produce(500);
    await_each_once(&app, &server, 500);
    assert!(server.taken().iter().all(|request| request.is_http2));
    assert!(server.connections() <= 4, "{} connections", server.connections());
    assert_eq!(server.beyond_limit(), 0, "never more streams than the server allows");
    assert_eq!(server.most_streams(), 5, "and as many");
    assert_eq!(failed_attempts(&app, &path), 0);
    assert!(app.rest().metric("postrider_endpoint_http2_connections") >= 1.0);
}

#[test]
fn one_connection_is_enough_where_the_server_takes_as_many_streams_as_there_are_requests() {
    let app = TestApp::named("http2-one").set("SERVICE_CORES", 1).start();
    let (server, _) = serve(&app, Manner { fault: Fault::Hints, ..Manner::default() }, json!({}));
    app.produce(500);
    await_each_once(&app, &server, 500);
    assert_eq!(server.most_connections(), 1, "those that come while it is opened wait for it");
}

#[test]
fn a_server_that_goes_away_loses_nothing_and_is_not_blamed() {
    let app = TestApp::named("goaway").set("SERVICE_CORES", 1).start();
    let (server, path) = serve(&app, Manner { fault: Fault::GoAwayAfter(40), ..Manner::default() }, json!({}));
    app.produce(500);
    await_each_once(&app, &server, 500);
    assert!(server.connections() >= 10, "each served 39: {}", server.connections());
    assert!(server.taken().iter().all(|request| request.is_http2));
    assert_eq!(failed_attempts(&app, &path), 0, "what it did not process goes again at once");
}

#[test]
fn refused_streams_go_again_at_once() {
    let app = TestApp::named("refused").set("SERVICE_CORES", 1).start();
    let (server, path) = serve(&app, Manner { fault: Fault::RefuseEach(50), ..Manner::default() }, json!({}));
    app.produce(500);
    await_each_once(&app, &server, 500);
    assert_eq!(failed_attempts(&app, &path), 0);
}

#[test]
fn a_server_whose_http2_misbehaves_is_served_by_http1_for_a_while() {
    let app = TestApp::named("noframes").set("SERVICE_CORES", 1).start();
    let (server, _) = serve(&app, Manner { fault: Fault::NoFrames, ..Manner::default() }, json!({}));
    app.produce(100);
    await_each_once(&app, &server, 100);
    assert!(server.taken().iter().all(|request| !request.is_http2));
    assert_eq!(app.rest().metric("postrider_endpoint_http2_fallbacks_total"), 1.0);
}

#[test]
fn an_endpoint_that_wants_no_http2_gets_none() {
    let app = TestApp::start("http2-off");
    let (server, path) = serve(&app, Manner::default(), json!({"http2": "off"}));
    app.produce(20);
    await_each_once(&app, &server, 20);
    assert!(server.taken().iter().all(|request| !request.is_http2));
    app.rest().patch(&path, &json!({"http2": "auto"})).ok();
    app.await_settings();
    app.produce(20);
    app.await_committed();
    assert_eq!(server.taken().iter().filter(|request| request.is_http2).count(), 20, "from then on it does");
}

#[test]
fn a_server_that_is_too_busy_for_a_ping_keeps_its_requests() {
    let app = TestApp::named("busy").set("SERVICE_CORES", 1).set("DELIVERY_PARK_AFTER_MS", 20_000).start();
    let fault = Fault::Busy(Duration::from_secs(6));
    let manner = Manner { streams_max: 5, fault, faulty_connections: 1 };
    let (server, path) = serve(&app, manner, json!({"in_flight_max": 8}));
    app.produce(100);
    await_each_once(&app, &server, 100);
    assert_eq!(failed_attempts(&app, &path), 0, "slower than a PING's answer may be, and within the time of a request");
    assert!(server.connections() >= 2, "and what it does not take goes elsewhere");
}

#[test]
fn a_connection_that_dies_silently_swallows_no_requests() {
    let app = TestApp::named("silent").set("SERVICE_CORES", 1).set("DELIVERY_PARK_AFTER_MS", 20_000).start();
    let manner = Manner { fault: Fault::SilentAfter(50), faulty_connections: 1, ..Manner::default() };
    let (server, _) = serve(&app, manner, json!({"request_timeout_ms": 6_000}));
    app.produce(200);
    eventually_holds("everything arrives on another connection", || counts(&server.taken()).len() == 200);
    app.await_committed();
    assert!(server.taken().iter().all(|request| request.is_http2));
}

#[test]
fn a_limit_of_streams_that_shrinks_is_respected_from_then_on() {
    let app = TestApp::named("shrinks").set("SERVICE_CORES", 1).start();
    let (server, path) = serve(&app, Manner { fault: Fault::ShrinkAfter(30), ..Manner::default() }, json!({}));
    app.produce(200);
    await_each_once(&app, &server, 200);
    assert!(server.most_connections() <= 4, "{} connections at once", server.most_connections());
    assert_eq!(failed_attempts(&app, &path), 0);
}

#[test]
fn an_answer_without_end_is_read_up_to_the_limit_and_costs_the_others_nothing() {
    let app = TestApp::named("endless").set("SERVICE_CORES", 1).start();
    let (server, path) =
        serve(&app, Manner { fault: Fault::EndlessBody, ..Manner::default() }, json!({"in_flight_max": 8}));
    app.produce(100);
    await_each_once(&app, &server, 100);
    assert_eq!(server.connections(), 1, "its stream is reset, the connection stays");
    assert_eq!(failed_attempts(&app, &path), 0);
}
