//! ● Dead letters are sent again when a customer asks for it.

use std::collections::BTreeSet;

use serde_json::json;

use super::dead_letters::endpoint_with_dead_letters;
use crate::harness::{Mode, Receiver, TestApp, eventually_holds};

#[test]
fn a_redrive_sends_the_same_events_under_the_same_ids() {
    let app = TestApp::start("redrive");
    let receiver = Receiver::start();
    let endpoint = endpoint_with_dead_letters(&app, &receiver, 12);
    let first: BTreeSet<String> = endpoint.hook.requests().into_iter().map(|request| request.webhook_id).collect();
    let before = endpoint.hook.requests_count();
    endpoint.hook.set(Mode::Ok);
    let path = format!("/v1/endpoints/{}/dead-letters", endpoint.id);
    app.rest().post(&format!("{path}/redrive"), &json!({"all": true})).ok();
    eventually_holds("all of them arrive", || endpoint.hook.accepted_count() == 12);
    eventually_holds("the letters are gone", || app.dead_letters(&endpoint).is_empty());
    let again: BTreeSet<String> =
        endpoint.hook.requests().into_iter().skip(before as usize).map(|request| request.webhook_id).collect();
    assert_eq!(again, first);
    assert_eq!(endpoint.hook.duplicates(), 0);
    endpoint.hook.assert_no_complaints();
}

#[test]
fn a_redrive_that_fails_again_ends_as_a_dead_letter_again() {
    let app = TestApp::start("redrive-again");
    let receiver = Receiver::start();
    let endpoint = endpoint_with_dead_letters(&app, &receiver, 3);
    let before = endpoint.hook.requests_count();
    let path = format!("/v1/endpoints/{}/dead-letters", endpoint.id);
    let one = app.dead_letters(&endpoint)[0]["id"].clone();
    app.rest().post(&format!("{path}/redrive"), &json!({"ids": [one]})).ok();
    eventually_holds("it is tried again", || endpoint.hook.requests_count() > before);
    eventually_holds("it is dead again, once", || {
        let letters = app.dead_letters(&endpoint);
        letters.len() == 3 && letters.iter().all(|letter| letter["state"] == "dead")
    });
}
