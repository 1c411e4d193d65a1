//! ● What somebody may try, and what comes of it.

use std::{collections::BTreeSet, thread, time::Duration};

use serde_json::{Value, json};

use super::dead_letters::endpoint_with_dead_letters;
use crate::harness::{Mode, Receiver, Record, TestApp, eventually, eventually_holds};

#[test]
fn a_redrive_that_is_asked_for_a_thousand_times_at_once_sends_each_event_once() {
    const LETTERS: u32 = 20;
    const ASKING: usize = 20;
    const ASKED_BY_EACH: usize = 50;
    let app = TestApp::start("redrive-storm");
    let receiver = Receiver::start();
    let endpoint = endpoint_with_dead_letters(&app, &receiver, LETTERS);
    let first: BTreeSet<String> = endpoint.hook.requests().into_iter().map(|request| request.webhook_id).collect();
    // So slow that they are under way while they are asked for again and again.
    endpoint.hook.set(Mode::Slow(Duration::from_secs(1)));
    let ids: Vec<Value> = app.dead_letters(&endpoint).iter().map(|letter| letter["id"].clone()).collect();
    let path = format!("/v1/endpoints/{}/dead-letters/redrive", endpoint.id);
    let bodies = [json!({"all": true}), json!({"ids": ids})];
    let begun: u64 = thread::scope(|scope| {
        let ask = |asking: usize| {
            let (rest, path, body) = (app.rest().clone(), &path, &bodies[asking % 2]);
            scope.spawn(move || {
                let answers = (0..ASKED_BY_EACH).map(|_| rest.post(path, body).ok().json());
                answers.filter_map(|answer| answer["redriving"].as_u64()).sum::<u64>()
            })
        };
        let asked: Vec<_> = (0..ASKING).map(ask).collect();
        asked.into_iter().map(|asking| asking.join().expect("all are answered")).sum()
    });
    assert_eq!(begun, u64::from(LETTERS), "each letter was taken up once, whoever asked");
    eventually_holds("the letters are gone", || app.dead_letters(&endpoint).is_empty());
    let accepted = endpoint.hook.requests().into_iter().filter(|request| request.answer == Some(200));
    let accepted: Vec<String> = accepted.map(|request| request.webhook_id).collect();
    assert_eq!(accepted.len(), LETTERS as usize, "nothing was sent twice");
    assert_eq!(accepted.into_iter().collect::<BTreeSet<_>>(), first, "by the ids it had before");
    endpoint.hook.assert_no_complaints();
}

#[test]
fn keys_and_headers_of_a_megabyte_or_no_text_at_all_harm_nobody() {
    const LARGE: usize = 1_000_000;
    let app = TestApp::named("odd-records").partitions(1).start();
    let receiver = Receiver::start();
    let stream = app.subscribed_endpoint(&receiver.hook("stream"), json!({"mode": "stream"}));
    let by_key = json!({"mode": "stream", "ordering": {"by": "key", "on_failure": "dead_letter"}});
    let by_key = app.subscribed_endpoint(&receiver.hook("by-key"), by_key);
    let (large, text) = (vec![0xff; LARGE], "x".repeat(LARGE));
    let send = |record: Record<'_>| app.produce_one(&Record { tenant: Some("1"), kind: Some("test"), ..record });
    let header = |headers: &[(&str, &[u8])]| send(Record { raw_headers: headers, ..Record::default() });
    send(Record::default());
    send(Record { raw_key: Some(&large), ..Record::default() });
    send(Record { raw_key: Some(b"\xff\xfe\0\r\n"), ..Record::default() });
    header(&[("x", &large)]);
    header(&[("\u{feff}\r\nwebhook-id: forged", b"\0")]);
    header(&[("type", b"a\r\nx-evil: 1\r\n\r\n{")]);
    let unreadable = [header(&[("tenant", text.as_bytes())]), header(&[("type", &large)])];
    let nobodys = header(&[("tenant", b"\xff\xfe")]);
    header(&[("id", b"\xc3\x28")]);
    send(Record::default());
    let expects = move |sent: &crate::harness::produced::Sent| !unreadable.contains(&sent.seq);
    app.audit().expect(&stream, expects).expect(&by_key, expects).watch_commits().close();
    for endpoint in [&stream, &by_key] {
        for request in endpoint.hook.requests() {
            assert!(request.headers.iter().all(|(name, _)| !name.contains("evil")), "no header is forged");
            let tenant = if request.seqs == [nobodys] { Value::Null } else { json!("1") };
            assert_eq!(request.json()["tenant"], tenant);
        }
        endpoint.hook.assert_no_complaints();
    }
    let letters = eventually("the operator has the others", || {
        let letters = app.rest().get("/v1/dead-letters").ok().json()["data"].as_array().cloned().unwrap_or_default();
        (letters.len() == unreadable.len()).then_some(letters)
    });
    assert!(letters.iter().all(|letter| letter["reason"] == "undecodable"), "{letters:?}");
}

/// The lines that say who wrote what.
fn audit_lines(app: &mut TestApp) -> Vec<String> {
    let log = app.instance().log();
    log.lines().filter(|line| line.contains("API write")).map(str::to_owned).collect()
}

#[test]
fn each_write_leaves_a_line_that_says_who_wrote_what_and_holds_no_secret() {
    const TOKEN: &str = "hush-hush-hush";
    let mut app = TestApp::start("audit-lines");
    let receiver = Receiver::start();
    let auth = json!({"auth": {"type": "bearer", "token": TOKEN}});
    let endpoint = app.endpoint(&receiver.hook("hook"), auth.clone());
    let customer = app.customer().to_owned();
    let subscription = app.subscribe(&endpoint, json!({"level": "topic"}));
    let path = format!("/v1/endpoints/{}", endpoint.id);
    let key = json!({"name": "theirs", "role": "customer", "customer_id": customer});
    let key = app.rest().post("/v1/api-keys", &key).ok().json();
    let (token, key_id) = (key["token"].as_str().expect("a token"), key["id"].as_str().expect("an id"));
    let theirs = app.rest().with_key(Some(token));
    let patched =
        json!({"description": "by the customer", "auth": {"type": "basic", "username": "a", "password": TOKEN}});
    theirs.patch(&path, &patched).ok();
    let rotated = theirs.post(&format!("{path}/secrets/rotate"), &json!({})).ok().json();
    // What is refused or only read was not written.
    theirs.patch(&path, &json!({"auth": {"type": "bearer", "token": TOKEN, "password": TOKEN}})).problem(422);
    theirs.get(&path).ok();
    theirs.delete(&format!("/v1/subscriptions/{subscription}")).ok();
    app.rest().delete(&format!("/v1/api-keys/{key_id}")).ok();

    let lines = eventually("the last line is written", || {
        let lines = audit_lines(&mut app);
        lines.last().is_some_and(|line| line.contains("DELETE /v1/api-keys/{id}")).then_some(lines)
    });
    let expected = [
        ("configured", "POST /v1/customers", customer.as_str()),
        ("configured", "POST /v1/endpoints", &endpoint.id),
        ("configured", "POST /v1/subscriptions", &subscription),
        ("configured", "POST /v1/api-keys", key_id),
        (key_id, "PATCH /v1/endpoints/{name}", &endpoint.id),
        (key_id, "POST /v1/endpoints/{name}/secrets/rotate", &endpoint.id),
        (key_id, "DELETE /v1/subscriptions/{name}", &subscription),
        ("configured", "DELETE /v1/api-keys/{id}", key_id),
    ];
    assert_eq!(lines.len(), expected.len(), "a line for each, and no other: {lines:#?}");
    for (line, (who, operation, what)) in lines.iter().zip(expected) {
        assert!([who, operation, what].iter().all(|word| line.contains(word)), "{who} {operation} {what}: {line}");
    }
    thread::sleep(Duration::from_millis(100)); // whatever else may be said of it
    let log = app.instance().log();
    let admin = app.settings()["POSTRIDER_ADMIN_KEY"].clone();
    let new_secret = rotated["secret"].as_str().expect("a secret");
    for secret in [TOKEN, token, &admin, &endpoint.secret, new_secret] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
