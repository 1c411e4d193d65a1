//! ● Events that cannot be delivered are kept, can be pulled, acknowledged and sent again.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use crate::harness::{Endpoint, Mode, Receiver, Record, TestApp, eventually, eventually_holds, kafka::event_id};

#[test]
fn an_event_that_is_refused_becomes_a_dead_letter_that_says_why() {
    let app = TestApp::start("refused");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Refuse(HashSet::from([5])));
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream"}));
    app.produce(10);
    app.audit().expect_all(&endpoint).watch_commits().close();
    let letters = app.dead_letters(&endpoint);
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    let place = app.produced.place(5);
    assert_eq!(letter["reason"], "rejected", "{letter}");
    assert_eq!(letter["last_status"], 400, "{letter}");
    assert_eq!(letter["last_excerpt"], "this event is refused", "{letter}");
    assert_eq!(letter["attempts"], 1, "{letter}");
    assert_eq!(letter["event_id"], event_id(&app.topic, 5), "{letter}");
    assert_eq!(
        (&letter["topic"], &letter["partition"], &letter["offset"]),
        (&json!(place.topic), &json!(place.partition), &json!(place.offset)),
        "{letter}"
    );
    assert_eq!((&letter["tenant"], &letter["department"]), (&json!("6"), &json!("1")), "{letter}");
}

#[test]
fn a_letter_shows_the_id_that_its_endpoint_saw_beside_the_producers_own() {
    let app = TestApp::start("both-ids");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(422));
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream"}));
    let without = app.produce_one(&Record { without_id: true, ..Record::default() });
    let with = app.produce_one(&Record::default());
    let letters =
        eventually("both are given up", || Some(app.dead_letters(&endpoint)).filter(|letters| letters.len() == 2));
    for (seq, own) in [(without, Value::Null), (with, json!(event_id(&app.topic, with)))] {
        let seen = hook.requests().into_iter().find(|request| request.seqs == [seq]).expect("it was sent");
        let letter = letters.iter().find(|letter| letter["webhook_id"] == seen.webhook_id);
        assert_eq!(letter.map(|letter| &letter["event_id"]), Some(&own), "{} {letters:?}", seen.webhook_id);
    }
}

#[test]
fn a_poisonous_event_is_found_in_its_batch_and_the_others_are_delivered() {
    let app = TestApp::start("poison");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Refuse(HashSet::from([17])));
    let settings = json!({"mode": "batch", "batch": {"events_max": 64, "wait_ms_max": 500}});
    let endpoint = app.subscribed_endpoint(&hook, settings);
    app.produce(64);
    app.audit().expect_all(&endpoint).watch_commits().close();
    assert_eq!(hook.accepted_count(), 63);
    let letters = app.dead_letters(&endpoint);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(
        (&letters[0]["reason"], &letters[0]["event_id"]),
        (&json!("rejected"), &json!(event_id(&app.topic, 17)))
    );
}

#[test]
fn a_failing_endpoints_events_are_given_up_when_their_attempts_are() {
    let app = TestApp::start("exhausted");
    let receiver = Receiver::start();
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(500));
    let retry = json!({"attempts_max": 3, "schedule_ms": [50, 50]});
    let endpoint = app.subscribed_endpoint(&hook, json!({"mode": "stream", "retry": retry}));
    app.produce(3);
    app.audit().expect_all(&endpoint).watch_commits().close();
    for letter in app.dead_letters(&endpoint) {
        assert_eq!((&letter["reason"], &letter["last_status"]), (&json!("exhausted"), &json!(500)), "{letter}");
        assert_eq!(letter["attempts"], 3, "{letter}");
    }
}

#[test]
fn records_that_nobody_could_read_become_the_operators_letters_and_the_partition_goes_on() {
    let app = TestApp::named("unreadable").partitions(1).set("EVENT_TENANT", "json:/tenant").start();
    let receiver = Receiver::start();
    let endpoint = app.subscribed_endpoint(&receiver.hook("hook"), json!({"mode": "stream"}));
    let good = |seq: u32| app.produce_one(&Record { value: Some(good_value(seq).as_bytes()), ..Record::default() });
    good(0);
    let garbage = b"\x00\xff this is no JSON";
    app.produce_one(&Record { value: Some(garbage), ..Record::default() });
    let huge = vec![b'x'; (1 << 20) + 1];
    app.produce_one(&Record { value: Some(&huge), ..Record::default() });
    good(3);

    app.audit().expect(&endpoint, |sent| matches!(sent.seq, 0 | 3)).close();
    let letters = eventually("both letters", || {
        let letters = app.rest().get("/v1/dead-letters").ok().json()["data"].as_array().cloned().unwrap_or_default();
        (letters.len() == 2).then_some(letters)
    });
    let reasons: BTreeSet<_> = letters.iter().filter_map(|letter| letter["reason"].as_str()).collect();
    assert_eq!(reasons, BTreeSet::from(["too_large", "undecodable"]));
    let raw = app.postgres.with(async |client| {
        let query = "SELECT reason, record_value FROM dead_letter ORDER BY reason";
        let rows = client.query(query, &[]).await.expect("letters");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(String, Vec<u8>)>>()
    });
    let expected = [("too_large".to_owned(), huge), ("undecodable".to_owned(), garbage.to_vec())];
    assert!(raw == expected, "the raw bytes are kept");
}

#[test]
fn dead_letters_are_listed_page_by_page_and_go_when_they_are_acknowledged() {
    let app = TestApp::start("pages");
    let receiver = Receiver::start();
    let endpoint = endpoint_with_dead_letters(&app, &receiver, 25);
    let path = format!("/v1/endpoints/{}/dead-letters", endpoint.id);
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = app.rest().get(&format!("{path}?limit=10{cursor}")).ok().json();
        let data = page["data"].as_array().expect("a list").clone();
        assert!(data.len() <= 10);
        pages += 1;
        seen.extend(data.iter().map(|letter| letter["id"].as_str().expect("an id").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 25, "no letter comes twice");
    assert!(pages >= 3, "{pages}");

    let ack = |ids: &[String]| app.rest().post(&format!("{path}/ack"), &json!({"ids": ids})).ok();
    ack(&seen[..20]);
    let left: Vec<Value> = app.dead_letters(&endpoint);
    let left: Vec<&str> = left.iter().filter_map(|letter| letter["id"].as_str()).collect();
    assert_eq!(left, seen[20..].iter().map(String::as_str).collect::<Vec<_>>(), "what is acknowledged is gone");
    ack(&seen);
    assert!(app.dead_letters(&endpoint).is_empty(), "acknowledging twice is harmless");
}

/// An endpoint that has failed on all of so many events, quickly.
pub fn endpoint_with_dead_letters(app: &TestApp, receiver: &Receiver, count: u32) -> Endpoint {
    let hook = receiver.hook("hook");
    hook.set(Mode::Status(500));
    let retry = json!({"attempts_max": 1, "schedule_ms": [50]});
    let settings = json!({
        "mode": "stream", "retry": retry, "breaker": {"consecutive_failures": 1000, "requests_min": 1000},
    });
    let endpoint = app.subscribed_endpoint(&hook, settings);
    app.produce(count);
    app.await_committed();
    eventually_holds("they are dead letters", || app.dead_letters(&endpoint).len() == count as usize);
    endpoint
}

fn good_value(seq: u32) -> String {
    format!("{{\"seq\":{seq},\"tenant\":\"acme\"}}")
}
