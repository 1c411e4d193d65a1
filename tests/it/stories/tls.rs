//! ● Endpoints that want to see a certificate get theirs, and those whose own is wrong get nothing.

use serde_json::{Value, json};

use crate::harness::{
    Receiver, TestApp, eventually_holds,
    tls::{Authority, Certified, TlsReceiver, der, self_signed},
};

fn mutual_tls(client: &Certified) -> Value {
    json!({"type": "mutual_tls", "certificate": client.certificate, "key": client.key})
}

/// An endpoint that is subscribed to the story's topic; its path.
#[track_caller]
fn subscribed(app: &TestApp, url: &str, settings: Value) -> String {
    let mut body = json!({
        "customer_id": app.customer(), "url": url, "mode": "stream", "retry": {"attempts_max": 1, "schedule_ms": [50]},
    });
    body.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
    let id = app.rest().post("/v1/endpoints", &body).ok().json()["id"].as_str().expect("an id").to_owned();
    let subscription = json!({"endpoint_id": id, "topic": app.topic, "scope": {"level": "topic"}});
    app.rest().post("/v1/subscriptions", &subscription).ok();
    format!("/v1/endpoints/{id}")
}

#[test]
fn each_endpoint_of_a_host_shows_its_own_certificate() {
    let app = TestApp::named("mutual").set("SERVICE_CORES", 1).start();
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = TlsReceiver::start(&authority.issue("localhost"), Some(&clients));
    let (a, b) = (clients.issue("a"), clients.issue("b"));
    let with = |path: &str, client: &Certified| {
        let settings = json!({"auth": mutual_tls(client), "tls": {"ca": authority.certificate}});
        subscribed(&app, &server.url(path), settings)
    };
    let (path_a, _) = (with("a", &a), with("b", &b));
    let nobody = subscribed(&app, &server.url("nobody"), json!({"tls": {"ca": authority.certificate}}));
    app.await_settings();
    app.produce(50);
    app.await_committed();
    let seen = server.seen();
    for (path, client) in [("/a", &a), ("/b", &b)] {
        let own = seen.iter().filter(|seen| seen.path == path);
        assert_eq!(own.clone().count(), 50, "{path}");
        let certificate = der(&client.certificate);
        assert!(own.clone().all(|seen| seen.certificate.as_deref() == Some(&*certificate)), "{path} showed another's");
    }
    assert!(seen.iter().all(|seen| seen.path != "/nobody"), "without a certificate nothing gets through");
    let letters = app.rest().get(&format!("{nobody}/dead-letters")).ok().json();
    assert_eq!(letters["data"][0]["last_class"], "tls", "{letters}");

    // A new certificate, and the old one is shown no more.
    let renewed = clients.issue("a");
    app.rest().patch(&path_a, &json!({"auth": mutual_tls(&renewed)})).ok();
    app.await_settings();
    let before = server.seen().len();
    app.produce(1);
    eventually_holds("the event arrives", || server.seen()[before..].iter().any(|seen| seen.path == "/a"));
    let certificate = der(&renewed.certificate);
    let later = server.seen().split_off(before);
    let mut own = later.iter().filter(|seen| seen.path == "/a");
    assert!(own.all(|seen| seen.certificate.as_deref() == Some(&*certificate)));

    let shown = app.rest().get(&path_a).ok();
    assert_eq!(shown.json()["auth"]["type"], "mutual_tls");
    assert!(!shown.text.contains("PRIVATE KEY"), "{}", shown.text);
    let plain = json!({"url": server.url("a").replace("https:", "http:"), "auth": mutual_tls(&renewed)});
    app.rest().patch(&path_a, &plain).problem_with_fields(422, &["url"]);
    let mixed = json!({"auth": {"type": "mutual_tls", "certificate": a.certificate, "key": b.key}});
    app.rest().patch(&path_a, &mixed).problem_with_fields(422, &["auth.key"]);
    app.rest().patch(&path_a, &json!({"tls": {"ca": "none"}})).problem_with_fields(422, &["tls.ca"]);
}

#[test]
fn a_server_whose_certificate_is_wrong_gets_nothing_not_even_in_the_clear() {
    let app = TestApp::named("untrusted").start();
    let authority = Authority::new();
    let trusting = json!({"tls": {"ca": authority.certificate}});
    let servers = [
        ("expired", authority.issue_expired("localhost"), trusting.clone()),
        ("of another host", authority.issue("elsewhere.example"), trusting.clone()),
        ("self-signed", self_signed("localhost"), trusting.clone()),
        ("of an unknown authority", Authority::new().issue("localhost"), trusting.clone()),
        ("of an authority that only others trust", authority.issue("localhost"), json!({})),
    ];
    let endpoints: Vec<_> = servers
        .iter()
        .map(|(name, own, settings)| {
            let server = TlsReceiver::start(own, None);
            let path = subscribed(&app, &server.url("hook"), settings.clone());
            (name, server, path)
        })
        .collect();
    let plain = Receiver::start();
    let hook = plain.hook("hook");
    let no_tls = subscribed(&app, &hook.url().replace("http:", "https:"), json!({}));
    let good = TlsReceiver::start(&authority.issue("localhost"), None);
    subscribed(&app, &good.url("hook"), trusting);
    app.await_settings();
    app.produce(3);
    app.await_committed();
    assert_eq!(good.seen().len(), 3, "an authority of the customer's own is trusted where it was named");
    for (name, server, path) in &endpoints {
        assert!(server.connections() > 0, "{name}: it was tried");
        assert!(server.seen().is_empty(), "{name}: {:?}", server.seen());
        expect_tls_failures(&app, path);
    }
    expect_tls_failures(&app, &no_tls);
    assert_eq!(hook.requests_count(), 0);
}

#[test]
fn a_self_signed_certificate_that_an_endpoint_names_is_trusted_and_no_other() {
    let app = TestApp::named("named").start();
    let own = Authority::new();
    let server = TlsReceiver::start(&own.as_server(), None);
    subscribed(&app, &server.url("named"), json!({"tls": {"ca": own.certificate}}));
    let path = subscribed(&app, &server.url("other"), json!({"tls": {"ca": Authority::new().certificate}}));
    app.await_settings();
    app.produce(3);
    app.await_committed();
    let seen: Vec<_> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(seen, ["/named", "/named", "/named"]);
    expect_tls_failures(&app, &path);
    let letters = app.rest().get(&format!("{path}/dead-letters")).ok().text;
    assert!(letters.contains("tls.ca"), "it says what to do: {letters}");
}

#[track_caller]
fn expect_tls_failures(app: &TestApp, path: &str) {
    let letters = app.rest().get(&format!("{path}/dead-letters")).ok().json();
    let letters = letters["data"].as_array().expect("letters");
    assert_eq!(letters.len(), 3, "{letters:?}");
    for letter in letters {
        assert_eq!((&letter["last_class"], &letter["last_status"]), (&json!("tls"), &json!(null)), "{letter}");
    }
}
