//! ● An endpoint that wants an access token gets one from the token server that its customer named.

use serde_json::{Value, json};

use crate::harness::{Hook, Mode, Receiver, TestApp, eventually, eventually_holds};

const SECRET: &str = "the-clients-secret";

fn gives(token: &str) -> Mode {
    Mode::Say(200, json!({"access_token": token, "token_type": "bearer", "expires_in": 3600}).to_string())
}

fn oauth2(token_server: &Hook) -> Value {
    json!({
        "type": "oauth2", "token_url": token_server.url(), "client_id": "ann", "client_secret": SECRET,
        "scope": "events", "style": "basic",
    })
}

#[test]
fn one_token_serves_all_requests_until_the_endpoint_refuses_it() {
    let app = TestApp::start("token");
    let receiver = Receiver::start();
    let (token_server, hook) = (receiver.hook("token"), receiver.hook("hook"));
    token_server.set(gives("first"));
    hook.set(Mode::Authorized("Bearer first".to_owned()));
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "auth": oauth2(&token_server)}));
    app.produce(100);
    app.audit().expect_all(&endpoint).close();
    assert!(hook.requests().iter().all(|request| request.answer == Some(200)), "no request went without a token");
    let asked = token_server.requests();
    assert_eq!(asked.len(), 1, "one token for all of them");
    assert_eq!(asked[0].header("authorization"), "Basic YW5uOnRoZS1jbGllbnRzLXNlY3JldA==");
    assert_eq!(asked[0].body, b"grant_type=client_credentials&scope=events");

    // Revoked before its time, with several requests under way.
    token_server.set(gives("second"));
    hook.set(Mode::Authorized("Bearer second".to_owned()));
    app.produce(100);
    let findings = app.audit().expect_all(&endpoint).close();
    assert_eq!((findings.dead_letters, findings.duplicates), (0, 0));
    assert_eq!(token_server.requests_count(), 2, "all of them waited for one new token");
    let retries = app.rest().metric_with("postrider_retries_total", "http_4xx");
    assert_eq!(retries, 0.0, "a refused token is nobody's failure as long as the next one is taken");
    assert_eq!(app.rest().metric_with("postrider_oauth_tokens_total", "ok"), 2.0);
}

#[test]
fn an_endpoint_without_a_token_fails_alone_and_says_why() {
    let app = TestApp::start("tokenless");
    let receiver = Receiver::start();
    let token_server = |name: &str, mode: Mode| {
        let hook = receiver.hook(name);
        hook.set(mode);
        hook
    };
    let refusal = json!({"error": "invalid_client", "error_description": SECRET}).to_string();
    let elsewhere = receiver.hook("elsewhere");
    let location = vec![("location", elsewhere.url().to_owned())];
    let cases = [
        (token_server("refusing", Mode::Say(401, refusal)), "the token server answered 401 (invalid_client)"),
        (token_server("redirecting", Mode::StatusWith(307, location)), "the token server answered 307"),
        (
            token_server("endless", Mode::Say(200, " ".repeat(1 << 20))),
            "the token server's answer holds no access_token",
        ),
        (token_server("hanging", Mode::Hang), "the token server did not answer in time"),
    ];
    let control = app.subscribed_endpoint(&receiver.hook("control"), json!({"mode": "stream"}));
    let endpoints: Vec<_> = cases
        .iter()
        .map(|(token_server, said)| {
            let retry = json!({"attempts_max": 2, "schedule_ms": [50]});
            let timeout_ms = if token_server.name() == "hanging" { 1_000 } else { 30_000 };
            let mut settings = json!({"auth": oauth2(token_server), "retry": retry, "request_timeout_ms": timeout_ms});
            settings["auth"]["style"] = "body".into();
            (app.subscribed_endpoint(&receiver.hook(&format!("of-{}", token_server.name())), settings), *said)
        })
        .collect();
    app.produce(3);
    eventually_holds("the others get their events", || control.hook.accepted_count() == 3);
    app.await_committed();
    for (endpoint, said) in &endpoints {
        assert_eq!(endpoint.hook.requests_count(), 0, "nothing goes without a token: {endpoint:?}");
        let letters = app.dead_letters(endpoint);
        assert_eq!(letters.len(), 3, "{letters:?}");
        for letter in letters {
            assert_eq!((&letter["last_class"], &letter["last_excerpt"]), (&json!("oauth"), &json!(said)), "{letter}");
        }
    }
    assert_eq!(elsewhere.requests_count(), 0, "a redirect would carry the secret to another host");
    let form = String::from_utf8(cases[0].0.requests()[0].body.clone()).expect("a form");
    assert!(form.ends_with(&format!("&client_id=ann&client_secret={SECRET}")), "{form}");
}

#[test]
fn a_token_that_an_endpoint_repeats_is_kept_nowhere() {
    const TOKEN: &str = "t0k3n/t0k3n+t0k3n==";
    let mut app = TestApp::start("token-echo");
    let receiver = Receiver::start();
    let (token_server, hook) = (receiver.hook("token"), receiver.hook("hook"));
    token_server.set(gives(TOKEN));
    let escaped = TOKEN.replace('/', "\\/");
    let echo = format!("{}you said Bearer {TOKEN}, or \"{escaped}\", {SECRET}", "x".repeat(500));
    let cut = format!("{echo}{}{TOKEN}", "y".repeat(1_024 - 8 - echo.len()));
    hook.set(Mode::Say(400, cut));
    let settings = json!({
        "mode": "stream", "auth": oauth2(&token_server), "retry": {"attempts_max": 2, "schedule_ms": [50]},
    });
    let endpoint = app.subscribed_endpoint(&hook, settings);
    app.produce(1);
    let letter = eventually("it is given up", || app.dead_letters(&endpoint).pop());
    let attempts = eventually("its attempt is written down", || {
        let page = app.rest().get(&format!("/v1/endpoints/{}/attempts", endpoint.id)).ok().json();
        page["data"].as_array().filter(|data| !data.is_empty()).cloned()
    });
    let health = app.rest().get("/v1/actors?kind=endpoint").ok().json();
    let tested = app.rest().post(&format!("/v1/endpoints/{}/test", endpoint.id), &json!({})).ok().json();
    for shown in [&letter, &json!(attempts), &health, &tested] {
        let text = shown.to_string();
        assert!(text.contains("you said Bearer (hidden), or"), "{text}");
        assert!(!text.contains("t0k3n") && !text.contains(SECRET), "{text}");
    }
    let log = app.instance().log();
    assert!(log.contains("attempt failed at endpoint") && !log.contains("t0k3n"), "{log}");
}

#[test]
fn a_token_url_is_looked_at_like_an_endpoints_and_its_secret_is_never_shown() {
    let app = TestApp::start("token-url");
    let receiver = Receiver::start();
    let token_server = receiver.hook("token");
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({"auth": oauth2(&token_server)}));
    let path = format!("/v1/endpoints/{}", endpoint.id);
    let shown = app.rest().get(&path).ok();
    assert_eq!(shown.json()["auth"]["client_id"], "ann");
    assert!(!shown.text.contains(SECRET), "{}", shown.text);
    for url in
        ["http://169.254.169.254/token", "http://10.0.0.1/token", "ftp://example.com/", "http://a:b@example.com/"]
    {
        let mut auth = oauth2(&token_server);
        auth["token_url"] = url.into();
        app.rest().patch(&path, &json!({"auth": auth})).problem_with_fields(422, &["auth.token_url"]);
    }
    let nothing = json!({"auth": {"type": "oauth2", "style": "cookie"}});
    let fields = ["auth.token_url", "auth.client_id", "auth.client_secret", "auth.style"];
    app.rest().patch(&path, &nothing).problem_with_fields(422, &fields);
}

#[test]
fn a_customer_does_not_learn_whether_the_name_of_a_token_server_exists() {
    let app = TestApp::start("token-name");
    let receiver = Receiver::start();
    let mut auth = oauth2(&receiver.hook("token"));
    auth["token_url"] = "http://nowhere.invalid/token".into();
    let endpoint = app.endpoint(&receiver.hook("hook"), json!({"auth": auth}));
    let key = json!({"name": "theirs", "role": "customer", "customer_id": app.customer()});
    let token = app.rest().post("/v1/api-keys", &key).ok().json()["token"].as_str().expect("a token").to_owned();
    let path = format!("/v1/endpoints/{}/test", endpoint.id);
    let told = app.rest().with_key(Some(&token)).post(&path, &json!({})).ok().json().to_string();
    assert!(told.contains("unreachable") && !told.contains("resolve") && !told.contains("token server"), "{told}");
    let told = app.rest().post(&path, &json!({})).ok().json().to_string();
    assert!(told.contains("resolve") && told.contains("the token server: "), "operators are told: {told}");
}
