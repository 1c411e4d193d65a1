//! ● Whatever a client sends, the API answers with what is wrong, and never with a 5xx.

use serde_json::{Value, json};

use crate::harness::{Mode, Receiver, TestApp, eventually_holds, rest::Reply};

#[test]
fn bad_input_is_told_by_field() {
    let app = TestApp::start("bad-input");
    let rest = app.rest();
    let customer = app.customer();
    let hook_url = "http://127.0.0.1:9009/hook";
    let endpoint = |settings: Value| {
        let mut body = json!({"customer_id": customer, "url": hook_url});
        body.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
        rest.post("/v1/endpoints", &body)
    };
    let check = |reply: Reply, fields: &[&str]| {
        assert!(matches!(reply.status, 400 | 422), "{} {}", reply.status, reply.text);
        reply.problem_with_fields(reply.status, fields);
    };
    check(rest.post("/v1/endpoints", &json!({"customer_id": customer})), &["url"]);
    check(rest.post("/v1/endpoints", &json!({"url": hook_url})), &["customer_id"]);
    check(rest.post("/v1/customers", &json!({"grants": {"topics": ["*"], "tenants": ["*"]}})), &["name"]);
    for url in ["ftp://example.com/", "not a url", "https://user:pw@example.com/", "https://example.com/#part", ""] {
        check(endpoint(json!({"url": url})), &["url"]);
    }
    check(endpoint(json!({"mode": "sometimes"})), &["mode"]);
    check(endpoint(json!({"in_flight_max": 0})), &["in_flight_max"]);
    check(endpoint(json!({"request_timeout_ms": -1})), &["request_timeout_ms"]);
    check(endpoint(json!({"colour": "red"})), &["colour"]);
    check(endpoint(json!({"mode": "batch", "batch": {"events_max": 0}})), &["batch.events_max"]);
    check(endpoint(json!({"in_flight_max": 0, "mode": 7, "url": "x"})), &["in_flight_max", "mode", "url"]);
    let header = |name: &str, value: &str| json!({"auth": {"type": "headers", "headers": {name: value}}});
    for (name, value) in
        [("Host", "x"), ("webhook-id", "x"), ("content-length", "1"), ("x y", "x"), ("x-ok", "a\r\nb: c")]
    {
        let reply = endpoint(header(name, value));
        assert!(matches!(reply.status, 400 | 422), "{name}: {} {}", reply.status, reply.text);
    }
}

#[test]
fn a_body_that_is_no_json_is_refused_and_so_is_one_that_is_too_long() {
    let app = TestApp::named("bad-body").set("ADMIN_REQUEST_BYTES_MAX", 10_000).start();
    for body in ["", "{", "[]", "7", "null", "\"\"", "{\"url\": }", "\u{0}"] {
        for path in ["/v1/endpoints", "/v1/customers", "/v1/subscriptions"] {
            let reply = app.rest().call("POST", path, Some(body.to_owned()));
            assert!(matches!(reply.status, 400 | 422), "{path} {body:?}: {} {}", reply.status, reply.text);
            reply.problem(reply.status);
        }
    }
    let deep = format!("{}{}", "[".repeat(4_000), "]".repeat(4_000));
    let reply = app.rest().call("POST", "/v1/endpoints", Some(deep));
    assert!(matches!(reply.status, 400 | 422), "{} {}", reply.status, reply.text);
    let long = json!({"name": "x".repeat(20_000), "grants": {"topics": [], "tenants": []}});
    app.rest().post("/v1/customers", &long).problem(413);
}

#[test]
fn what_does_not_exist_is_404() {
    let app = TestApp::start("not-found");
    let rest = app.rest();
    for path in ["/v1/endpoints/ep_nope", "/v1/customers/cus_nope", "/v1/subscriptions/sub_nope", "/v1/nothing", "/x"] {
        rest.get(path).problem(404);
        rest.delete(path).problem(404);
    }
    rest.get("/v1/endpoints/ep_nope/dead-letters").problem(404);
    rest.post("/v1/endpoints/ep_nope/pause", &json!({})).problem(404);
    rest.patch("/v1/endpoints/ep_nope", &json!({})).problem(404);
    let subscription = json!({"endpoint_id": "ep_nope", "topic": "t", "scope": {"level": "topic"}});
    let reply = rest.post("/v1/subscriptions", &subscription);
    assert!(matches!(reply.status, 404 | 422), "{} {}", reply.status, reply.text);
}

#[test]
fn without_the_key_there_is_nothing_to_see_but_health() {
    let app = TestApp::start("unauthorized");
    for key in [None, Some(""), Some("not-the-key"), Some("the-key-of-the-storie")] {
        let rest = app.rest().with_key(key);
        for path in ["/v1/endpoints", "/v1/customers", "/v1/actors", "/v1/endpoints/ep_1/dead-letters", "/v1/nothing"] {
            rest.get(path).problem(401);
        }
        rest.post("/v1/customers", &json!({"name": "x"})).problem(401);
        assert_eq!(rest.get("/livez").status, 200);
        assert_eq!(rest.get("/readyz").status, 200);
    }
}

#[test]
fn a_broken_cursor_or_limit_is_refused() {
    let app = TestApp::start("cursor");
    let receiver = Receiver::start();
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({}));
    let letters = format!("/v1/endpoints/{}/dead-letters", endpoint.id);
    for path in ["/v1/endpoints", "/v1/customers", "/v1/subscriptions", letters.as_str()] {
        app.rest().get(&format!("{path}?limit=1")).ok();
        for query in ["cursor=%00", "cursor=not-a-cursor", "limit=0", "limit=-1", "limit=many", "limit=1000000000"] {
            let reply = app.rest().get(&format!("{path}?{query}"));
            assert!(matches!(reply.status, 400 | 422), "{path}?{query}: {} {}", reply.status, reply.text);
            reply.problem(reply.status);
        }
    }
}

#[test]
fn secrets_are_shown_once_and_never_again() {
    let mut app = TestApp::start("secrets");
    let receiver = Receiver::start();
    let auth = json!({"auth": {"type": "bearer", "token": "a-very-secret-token"}});
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(500));
    let endpoint = app.subscribed_endpoint(&hook, auth);
    app.produce(1);
    eventually_holds("an attempt fails, and is logged", || hook.requests_count() > 0);
    let path = format!("/v1/endpoints/{}", endpoint.id);
    let mut seen = String::new();
    for path in [path.as_str(), "/v1/endpoints", "/v1/actors", "/metrics"] {
        seen.push_str(&app.rest().get(path).ok().text);
    }
    seen.push_str(&app.rest().patch(&path, &json!({"description": "changed"})).ok().text);
    seen.push_str(&app.instance().log());
    for secret in ["a-very-secret-token", &endpoint.secret, endpoint.secret.trim_start_matches("whsec_")] {
        assert!(!seen.contains(secret), "{seen}");
    }
    let in_clear = app.postgres.with(async |client| {
        let row = client.query_one("SELECT endpoint::text FROM endpoint", &[]).await.expect("the row");
        row.get::<_, String>(0)
    });
    // Bytes are shown in hexadecimal.
    let hex: String = "a-very-secret-token".bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!in_clear.contains("a-very-secret-token") && !in_clear.contains(&hex), "encrypted at rest");
}

#[test]
fn a_repeated_write_by_the_callers_own_key_changes_nothing() {
    let app = TestApp::start("upsert");
    let body = json!({"name": "acme", "grants": {"topics": ["*"], "tenants": ["1"]}});
    let first = app.rest().put("/v1/customers/acme", &body).ok().json();
    let second = app.rest().put("/v1/customers/acme", &body).ok().json();
    assert_eq!(first["id"], second["id"]);
    let all = app.rest().get("/v1/customers").ok().json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1), "{all}");
}

#[test]
fn a_subscription_stays_within_its_customers_grants() {
    let app = TestApp::start("grants");
    let receiver = Receiver::start();
    let grants = json!({"topics": [app.topic], "tenants": ["1", "2"]});
    let customer = app.rest().post("/v1/customers", &json!({"name": "narrow", "grants": grants})).ok().json();
    let hook = receiver.hook("hook");
    let endpoint = app.endpoint(&hook, json!({"customer_id": customer["id"]}));
    let subscribe = |topic: &str, scope: Value| {
        app.rest().post("/v1/subscriptions", &json!({"endpoint_id": endpoint.id, "topic": topic, "scope": scope}))
    };
    for (topic, scope) in [
        (app.topic.as_str(), json!({"level": "topic"})),
        (app.topic.as_str(), json!({"level": "tenants", "tenants": ["1", "3"]})),
        (app.topic.as_str(), json!({"level": "departments", "departments": {"3": ["1"]}})),
        ("another", json!({"level": "tenants", "tenants": ["1"]})),
    ] {
        let reply = subscribe(topic, scope);
        assert!(matches!(reply.status, 403 | 422), "{} {}", reply.status, reply.text);
    }
    subscribe(&app.topic, json!({"level": "tenants", "tenants": ["1", "2"]})).ok();
    app.await_settings();
    let narrower = json!({"grants": {"topics": [app.topic], "tenants": ["2"]}});
    let id = customer["id"].as_str().expect("an id");
    app.rest().patch(&format!("/v1/customers/{id}"), &narrower).ok();
    app.await_settings();
    app.produce(40);
    let findings = app.audit().expect(&endpoint, |sent| sent.tenant.as_deref() == Some("2")).close();
    assert_eq!((findings.expected, hook.accepted_count()), (4, 4), "access taken away is gone");
}

#[test]
fn a_stored_row_that_cannot_be_read_hides_no_other() {
    let app = TestApp::start("unreadable");
    let receiver = Receiver::start();
    let [first, broken, last] = ["first", "broken", "last"].map(|name| app.endpoint(&receiver.hook(name), json!({})));
    for endpoint in [&first, &broken] {
        app.subscribe(endpoint, json!({"level": "topic"}));
    }
    app.postgres.execute(&format!(
        "UPDATE endpoint SET settings = '7' WHERE id = '{0}'; UPDATE subscription SET scope = '7' WHERE endpoint_id = '{0}'",
        broken.id
    ));
    let list = |path: &str| app.rest().get(path).ok().json()["data"].as_array().expect("a list").clone();
    let endpoints = list("/v1/endpoints");
    let ids: Vec<_> = endpoints.iter().map(|endpoint| endpoint["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, [&first.id, &broken.id, &last.id]);
    assert_eq!(endpoints[1], json!({"id": broken.id, "unreadable": true}));
    assert_eq!(endpoints[2]["url"], last.hook.url(), "{}", endpoints[2]);
    let subscriptions = list("/v1/subscriptions");
    let unreadable: Vec<_> = subscriptions.iter().map(|subscription| subscription["unreadable"] == true).collect();
    assert_eq!(unreadable, [false, true], "{subscriptions:?}");

    // Whoever asks for it alone is told what can be done; and that can be done.
    let path = format!("/v1/endpoints/{}", broken.id);
    assert_eq!(app.rest().get(&path).problem(409)["code"], "stored_unreadable");
    assert_eq!(app.rest().post(&format!("{path}/pause"), &json!({})).problem(409)["code"], "stored_unreadable");
    let subscription = subscriptions[1]["id"].as_str().expect("an id");
    for path in [format!("/v1/subscriptions/{subscription}"), path] {
        app.rest().delete(&path).ok();
        assert_eq!(app.rest().get(&path).problem(404)["code"], "not_found");
    }
    app.postgres.execute(&format!("UPDATE customer SET grants = '7' WHERE id = '{}'", app.customer()));
    let customer = format!("/v1/customers/{}", app.customer());
    assert_eq!(app.rest().get(&customer).problem(409)["code"], "stored_unreadable");
    app.rest().delete(&customer).ok();
    assert_eq!(list("/v1/endpoints"), Vec::<Value>::new(), "what belongs to it goes with it");
}

#[test]
fn an_endpoint_whose_secrets_do_not_open_says_so_keeps_its_events_and_is_mended_by_new_ones() {
    let mut app = TestApp::start("other-key");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream"}));
    app.sigterm();
    app.set("SECRETS_KEY", "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItMTI=");
    app.restart();
    let path = format!("/v1/endpoints/{}", endpoint.id);
    let shown = app.rest().get(&path).ok().json();
    assert_eq!((&shown["state"], &shown["secrets_unreadable"]), (&json!("enabled"), &json!(true)));
    assert_eq!(app.rest().get(&format!("{path}/stats")).ok().json()["status"], "unreadable");
    assert_eq!(app.rest().post(&format!("{path}/test"), &json!({})).problem(409)["code"], "secrets_unreadable");
    app.produce(5);
    app.await_committed();
    assert_eq!(hook.requests_count(), 0, "they wait");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    hook.verify_with(&[secret]);
    let body = json!({"customer_id": app.customer(), "url": hook.url(), "auth": {"type": "none"}, "secret": secret});
    app.rest().put(&path, &body).ok();
    assert_eq!(app.rest().get(&path).ok().json()["secrets_unreadable"], Value::Null);
    eventually_holds("what waited is sent", || hook.accepted_count() == 5);
}
