//! Who would get this event, and why not.

use serde_json::{Value, json};

use crate::api::{Api, all};

const MATCH: &str = "/v1/match";

/// Endpoints `whole`, `listed` (tenants 2 and 7), `parts` (tenant 2, department 100) and `other` (another topic).
async fn api() -> Api {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let scopes = [
        ("whole", "orders", json!({"level": "topic"})),
        ("listed", "orders", json!({"level": "tenants", "tenants": [2, 7]})),
        ("parts", "orders", json!({"level": "departments", "departments": {"2": [100]}})),
        ("other", "bills", json!({"level": "topic"})),
    ];
    for (uid, topic, scope) in scopes {
        api.endpoint("acme", uid).await;
        let body = json!({"endpoint_id": uid, "topic": topic, "scope": scope});
        assert_eq!(api.call("PUT", &format!("/v1/subscriptions/{uid}"), Some(body)).await.0, 201);
    }
    api.take_effect().await;
    api
}

async fn asked(api: &Api, body: Value) -> Value {
    let (status, answer) = api.call("POST", MATCH, Some(body)).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn uids(answer: &Value) -> Vec<&str> {
    answer["data"].as_array().expect("data").iter().filter_map(|one| one["uid"].as_str()).collect()
}

/// Whether the endpoint gets the event, and the code.
async fn why(api: &Api, endpoint: &str, mut event: Value) -> (bool, String) {
    event["endpoint_id"] = endpoint.into();
    let answer = asked(api, event).await;
    let one = &answer["data"][0];
    assert_eq!((one["uid"].as_str(), answer["data"].as_array().map(Vec::len)), (Some(endpoint), Some(1)), "{answer}");
    assert!(one["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{one}");
    (one["gets"].as_bool().expect("gets"), one["code"].as_str().expect("code").to_owned())
}

#[actix_rt::test]
async fn an_event_is_matched_as_the_routers_would() {
    let api = api().await;
    let answer = asked(&api, json!({"topic": "orders", "tenant": "2", "department": 100})).await;
    assert_eq!(uids(&answer), ["whole", "listed", "parts"]);
    let parts = &answer["data"][2];
    let (_, subscription) = api.call("GET", "/v1/subscriptions/parts", None).await;
    assert_eq!((&parts["code"], &parts["subscription_ids"]), (&json!("subscribed"), &json!([subscription["id"]])));
    assert_eq!(uids(&asked(&api, json!({"topic": "orders", "tenant": 7})).await), ["whole", "listed"]);
    assert_eq!(uids(&asked(&api, json!({"topic": "orders"})).await), ["whole"]);

    let (_, first) = api
        .call("POST", &format!("{MATCH}?limit=2"), Some(json!({"topic": "orders", "tenant": "2", "department": "100"})))
        .await;
    assert_eq!((uids(&first), &first["matched"]), (vec!["whole", "listed"], &json!(3)));
    let cursor = first["next_cursor"].as_str().expect("another page");
    let path = format!("{MATCH}?limit=2&cursor={cursor}");
    let (_, last) = api.call("POST", &path, Some(json!({"topic": "orders", "tenant": "2", "department": "100"}))).await;
    assert_eq!((uids(&last), &last["next_cursor"]), (vec!["parts"], &Value::Null));
}

#[actix_rt::test]
async fn a_whole_record_is_decoded_by_the_rules_of_its_topic() {
    let api = api().await;
    let record = json!({"headers": {"tenant": "2"}, "key": "k", "value": {"department": 100, "n": 1}});
    let answer = asked(&api, json!({"topic": "orders", "record": record})).await;
    assert_eq!(uids(&answer), ["whole", "listed", "parts"]);
    assert_eq!((&answer["event"]["tenant"], &answer["event"]["department"]), (&json!("2"), &json!("100")));
    // What cannot be decoded, or is too large, gets to nobody.
    for (record, code) in
        [(json!({"value_text": "no JSON"}), "undecodable"), (json!({"value_text": "x".repeat(5_001)}), "too_large")]
    {
        let answer = asked(&api, json!({"topic": "orders", "record": record})).await;
        assert_eq!((&answer["event"]["refused"]["code"], &answer["matched"]), (&json!(code), &json!(0)), "{answer}");
        assert_eq!(why(&api, "whole", json!({"topic": "orders", "record": record})).await, (false, code.to_owned()));
    }
}

#[actix_rt::test]
async fn for_one_endpoint_it_is_said_why_or_why_not() {
    let api = api().await;
    let event = |tenant: &str, department: &str| json!({"topic": "orders", "tenant": tenant, "department": department});
    let no = |code: &str| (false, code.to_owned());
    assert_eq!(why(&api, "parts", event("2", "100")).await, (true, "subscribed".to_owned()));
    assert_eq!(why(&api, "parts", event("2", "9")).await, no("department_not_listed"));
    assert_eq!(why(&api, "parts", json!({"topic": "orders", "tenant": "2"})).await, no("event_has_no_department"));
    assert_eq!(why(&api, "listed", event("3", "100")).await, no("tenant_not_listed"));
    assert_eq!(why(&api, "listed", json!({"topic": "orders"})).await, no("event_has_no_tenant"));
    assert_eq!(why(&api, "other", event("2", "100")).await, no("topic_not_subscribed"));
    assert_eq!(why(&api, "other", json!({"topic": "bills"})).await, no("topic_not_read"));

    for (action, code) in
        [("pause", "paused_waits_in_backlog"), ("disable", "endpoint_disabled"), ("enable", "subscribed")]
    {
        assert_eq!(api.call("POST", &format!("/v1/endpoints/listed/{action}"), None).await.0, 200);
        assert_eq!(why(&api, "listed", event("7", "1")).await, (true, code.to_owned()));
    }
    let body = json!({"endpoint_id": "other", "topic": "orders", "scope": {"level": "topic"}});
    assert_eq!(api.call("PUT", "/v1/subscriptions/more", Some(body)).await.0, 201);
    assert_eq!(why(&api, "other", event("2", "1")).await, no("change_not_in_effect_yet"));
    api.take_effect().await;
    assert_eq!(why(&api, "other", event("2", "1")).await, (true, "subscribed".to_owned()));

    let grants = json!({"grants": {"topics": ["orders"], "tenants": ["7"]}});
    assert_eq!(api.call("PATCH", "/v1/customers/acme", Some(grants)).await.0, 200);
    api.take_effect().await;
    assert_eq!(why(&api, "listed", event("2", "1")).await, no("outside_grants"));
    assert_eq!(why(&api, "listed", event("7", "1")).await, (true, "subscribed".to_owned()));
    assert_eq!(why(&api, "whole", event("7", "1")).await, no("outside_grants"));
}

#[actix_rt::test]
async fn a_wrong_question_is_told_what_is_wrong() {
    let api = Api::new().await;
    api.refused("POST", MATCH, Some(json!({})), 422, "validation_failed").await;
    api.refused("POST", MATCH, Some(json!({"topic": "orders", "endpoint_id": "nobody"})), 422, "validation_failed")
        .await;
    api.refused("POST", &format!("{MATCH}?cursor=x"), Some(json!({"topic": "orders"})), 400, "invalid_cursor").await;
    api.refused("GET", MATCH, None, 405, "method_not_allowed").await;
    let nobody = asked(&api, json!({"topic": "orders", "tenant": "2"})).await;
    assert_eq!((&nobody["matched"], &nobody["data"]), (&json!(0), &json!([])));
}
