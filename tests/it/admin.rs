//! The REST API over HTTP, against a real Postgres.

use postrider::store::settings::{EndpointRow, SettingsReader, SubscriptionRow};
use serde_json::{Value, json};

use crate::api::{Api, KEY, all, fields, secret_box};

#[actix_rt::test]
async fn without_the_key_there_is_nothing_but_health() {
    let api = Api::new().await;
    for headers in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Basic YTpi")],
        &[("authorization", "Bearer ")],
        &[("authorization", KEY)],
    ] {
        for path in ["/v1/customers", "/v1/actors", "/v1/nowhere", "/v1/endpoints/ep_1"] {
            let (status, problem) = api.send("GET", path, headers, String::new()).await;
            assert_eq!(status, 401, "{path}: {problem}");
        }
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(api.send("GET", path, &[], String::new()).await.0, 200, "{path}");
    }
    assert_eq!(api.call("GET", "/v1/customers", None).await.0, 200);
}

#[actix_rt::test]
async fn readiness_says_why_not() {
    let api = Api::new().await;
    api.health.reasons.lock().expect("reasons").push("settings are not loaded".to_owned());
    let (status, json) = api.send("GET", "/readyz", &[], String::new()).await;
    assert_eq!((status.as_u16(), &json["reasons"][0]), (503, &json!("settings are not loaded")));
    let (_, actors) = api.call("GET", "/v1/actors", None).await;
    assert_eq!((&actors["instance"], &actors["data"][0]["id"]), (&json!("one"), &json!("ep_1")));
}

#[actix_rt::test]
async fn a_wrong_request_is_told_what_is_wrong() {
    let api = Api::new().await;
    let key = format!("Bearer {KEY}");
    let json_type = [("authorization", key.as_str()), ("content-type", "application/json")];
    let (status, problem) = api.send("POST", "/v1/customers", &json_type, "{\"name\": }".to_owned()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("malformed_json")));
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("line 1 column 10")), "{problem}");
    let (status, problem) = api.send("POST", "/v1/customers", &json_type, "x".repeat(10_001)).await;
    assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("body_too_large")));
    let deep = "[".repeat(5_000);
    assert_eq!(api.send("POST", "/v1/customers", &json_type, deep).await.0, 400);
    let form = [("authorization", key.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(api.send("POST", "/v1/customers", &form, "{}".to_owned()).await.0, 415);
    api.refused("POST", "/v1/customers", Some(json!([])), 422, "validation_failed").await;
    let problem =
        api.refused("POST", "/v1/customers", Some(json!({"name": 5, "x": 1})), 422, "validation_failed").await;
    assert_eq!(fields(&problem), ["grants", "name", "x"]);
    api.refused("PATCH", "/v1/customers", Some(json!({})), 405, "method_not_allowed").await;
    api.refused("GET", "/v1/nowhere", None, 404, "not_found").await;
    for name in ["cus_unknown", "unknown", "%00", "a%2Fb", "%FF", "'; DROP TABLE customer"] {
        let path = format!("/v1/customers/{}", name.replace(' ', "%20"));
        let status = api.call("GET", &path, None).await.0;
        assert_eq!(status, 404, "{name}");
    }
    for query in ["?limit=0", "?limit=251", "?limit=x", "?order=id;drop", "?limit=1&limit=2", "?cursor=a%00"] {
        let (status, problem) = api.call("GET", &format!("/v1/customers{query}"), None).await;
        assert_eq!(status, 400, "{query}: {problem}");
    }
    api.refused("GET", "/v1/customers?cursor=broken", None, 400, "invalid_cursor").await;
}

#[actix_rt::test]
async fn customers_are_created_changed_listed_and_deleted() {
    let api = Api::new().await;
    let body = json!({"name": "Acme", "uid": "acme", "grants": {"topics": ["orders"], "tenants": ["2"]}});
    let (status, made) = api.call("POST", "/v1/customers", Some(body.clone())).await;
    assert_eq!(status, 201);
    api.refused("POST", "/v1/customers", Some(body.clone()), 409, "uid_taken").await;
    let id = made["id"].as_str().expect("id");
    assert!(id.starts_with("cus_"));
    assert_eq!(api.call("GET", "/v1/customers/acme", None).await.1, made);

    // PUT again says and does the same.
    let (status, again) = api.call("PUT", "/v1/customers/acme", Some(body)).await;
    assert_eq!((status.as_u16(), &again), (200, &made));

    let (_, patched) = api.call("PATCH", &format!("/v1/customers/{id}"), Some(json!({"name": "Acme 2"}))).await;
    assert_eq!((&patched["name"], &patched["grants"]), (&json!("Acme 2"), &made["grants"]));
    let patch = json!({"uid": "other"});
    let problem = api.refused("PATCH", "/v1/customers/acme", Some(patch), 422, "validation_failed").await;
    assert_eq!(fields(&problem), ["uid"]);
    let to_unknown = json!({"name": "x", "grants": all()});
    api.refused("PUT", "/v1/customers/cus_unknown", Some(to_unknown), 404, "not_found").await;

    for uid in ["b", "c"] {
        api.customer(uid, all()).await;
    }
    let (_, first) = api.call("GET", "/v1/customers?limit=2", None).await;
    assert_eq!(first["data"].as_array().map(Vec::len), Some(2));
    let cursor = first["next_cursor"].as_str().expect("another page");
    let (_, last) = api.call("GET", &format!("/v1/customers?limit=2&cursor={cursor}"), None).await;
    assert_eq!((&last["data"][0]["uid"], &last["next_cursor"]), (&json!("c"), &Value::Null));

    assert_eq!(api.call("DELETE", "/v1/customers/acme", None).await.0, 204);
    api.refused("DELETE", "/v1/customers/acme", None, 404, "not_found").await;
    api.customer("acme", all()).await;
}

#[actix_rt::test]
async fn a_callers_key_is_unique_within_a_customer_only() {
    let api = Api::new().await;
    for customer in ["a", "b"] {
        api.customer(customer, all()).await;
        api.endpoint(customer, "hook").await;
    }
    api.refused("GET", "/v1/endpoints/hook", None, 409, "ambiguous_uid").await;
    let (_, of_b) = api.call("GET", "/v1/endpoints/hook?customer_id=b", None).await;
    let (_, listed) = api.call("GET", "/v1/endpoints?customer_id=b", None).await;
    assert_eq!(listed["data"], json!([of_b]));
    let nobodys = json!({"customer_id": "c", "url": "https://example.com/"});
    let problem = api.refused("POST", "/v1/endpoints", Some(nobodys), 422, "validation_failed").await;
    assert_eq!(fields(&problem), ["customer_id"]);
    assert_eq!(api.call("DELETE", "/v1/endpoints/hook?customer_id=a", None).await.0, 204);
    assert_eq!(api.call("GET", "/v1/endpoints/hook", None).await.1, of_b);
}

#[actix_rt::test]
async fn a_subscription_stays_within_its_customers_grants_for_life() {
    let api = Api::new().await;
    api.customer("acme", json!({"topics": ["orders"], "tenants": ["2", "7"]})).await;
    let endpoint = api.endpoint("acme", "hook").await;
    let body = |topic: &str, scope: Value| Some(json!({"endpoint_id": "hook", "topic": topic, "scope": scope}));
    let tenants = |tenants: &[i64]| json!({"level": "tenants", "tenants": tenants});

    api.refused("POST", "/v1/subscriptions", body("orders", json!({"level": "topic"})), 403, "outside_grants").await;
    api.refused("POST", "/v1/subscriptions", body("bills", tenants(&[2])), 403, "outside_grants").await;
    api.refused("PUT", "/v1/subscriptions/s", body("orders", tenants(&[1, 2])), 403, "outside_grants").await;
    let (status, made) = api.call("PUT", "/v1/subscriptions/s", body("orders", tenants(&[2, 7]))).await;
    assert_eq!((status.as_u16(), &made["endpoint_id"]), (201, &endpoint["id"]), "{made}");
    assert_eq!(made["scope"], json!({"level": "tenants", "tenants": ["2", "7"]}));
    let departments = json!({"scope": {"level": "departments", "departments": {"2": [100, "200"]}}});
    let (status, patched) = api.call("PATCH", "/v1/subscriptions/s", Some(departments)).await;
    assert_eq!(status, 200, "{patched}");
    let beyond = json!({"scope": {"level": "departments", "departments": {"3": ["1"]}}});
    api.refused("PATCH", "/v1/subscriptions/s", Some(beyond), 403, "outside_grants").await;
    for query in ["?topic=orders", "?endpoint_id=hook", "?endpoint_id=hook&topic=orders", ""] {
        let (_, listed) = api.call("GET", &format!("/v1/subscriptions{query}"), None).await;
        assert_eq!(listed["data"], json!([patched]), "{query}");
    }
    assert_eq!(api.call("GET", "/v1/subscriptions?topic=bills", None).await.1["data"], json!([]));

    // What is no longer granted no longer matches, and every instance hears of it.
    let version = api.settings().await.version;
    let narrowed = json!({"grants": {"topics": ["orders"], "tenants": ["7"]}});
    assert_eq!(api.call("PATCH", "/v1/customers/acme", Some(narrowed)).await.0, 200);
    let delta = SettingsReader::new(api.pool.clone(), secret_box()).load_since(version).await.expect("load");
    let id = made["id"].as_str().expect("id").to_owned();
    assert_eq!(delta.subscriptions, [SubscriptionRow::Absent { id }]);

    assert_eq!(api.call("DELETE", "/v1/subscriptions/s", None).await.0, 204);
    api.refused("GET", "/v1/subscriptions/s", None, 404, "not_found").await;
}

#[actix_rt::test]
async fn deleting_a_customer_takes_its_endpoints_and_subscriptions_with_it() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    api.endpoint("acme", "hook").await;
    let body = json!({"endpoint_id": "hook", "topic": "orders", "scope": {"level": "topic"}});
    assert_eq!(api.call("PUT", "/v1/subscriptions/s", Some(body)).await.0, 201);
    let version = api.settings().await.version;
    assert_eq!(api.call("DELETE", "/v1/customers/acme", None).await.0, 204);
    api.refused("GET", "/v1/endpoints/hook", None, 404, "not_found").await;
    api.refused("GET", "/v1/subscriptions/s", None, 404, "not_found").await;
    let delta = SettingsReader::new(api.pool.clone(), secret_box()).load_since(version).await.expect("load");
    assert!(matches!(delta.endpoints[..], [EndpointRow::Absent { .. }]));
    assert!(matches!(delta.subscriptions[..], [SubscriptionRow::Absent { .. }]));
}

#[actix_rt::test]
async fn concurrent_writes_of_one_key_make_one_row() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let body = json!({"customer_id": "acme", "url": "https://example.com/hook"});
    let puts = (0..8).map(|_| api.call("PUT", "/v1/endpoints/hook", Some(body.clone())));
    let answers = futures_util::future::join_all(puts).await;
    let created = answers.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!((created, answers.len()), (1, 8));
    assert!(answers.iter().all(|(_, endpoint)| endpoint["id"] == answers[0].1["id"]), "{answers:?}");
}

#[actix_rt::test]
async fn dead_letters_are_pulled_read_acknowledged_and_redriven() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let endpoint = api.endpoint("acme", "hook").await;
    let id = endpoint["id"].as_str().expect("id");
    let values: [&[u8]; 4] = [br#"{"n": 1.0}"#, b"not json", br#"{"n": 3}"#, br#"{"n": 4}"#];
    api.letters(id, &values).await;

    let list = "/v1/endpoints/hook/dead-letters";
    let (_, page) = api.call("GET", &format!("{list}?limit=3&data=true"), None).await;
    let letters = page["data"].as_array().expect("data");
    assert_eq!(letters.len(), 3);
    assert_eq!((&letters[0]["data"], &letters[1]["data_base64"]), (&json!({"n": 1.0}), &json!("bm90IGpzb24=")));
    assert_eq!(
        (&letters[0]["reason"], &letters[0]["attempts"], &letters[0]["last_status"], &letters[0]["last_class"]),
        (&json!("exhausted"), &json!(12), &json!(500), &json!("http_5xx"))
    );
    assert_eq!(letters[0]["headers"], json!([{"name": "tenant", "value": "2"}]));
    let cursor = page["next_cursor"].as_str().expect("more");
    let (_, rest) = api.call("GET", &format!("{list}?cursor={cursor}"), None).await;
    assert_eq!((rest["data"].as_array().map(Vec::len), &rest["next_cursor"]), (Some(1), &Value::Null));
    assert_eq!(rest["data"][0].get("data"), None, "a list has data only when asked");

    let first = letters[0]["id"].as_str().expect("id");
    let (status, letter) = api.call("GET", &format!("/v1/dead-letters/{first}"), None).await;
    assert_eq!((status.as_u16(), &letter["data"]), (200, &json!({"n": 1.0})));
    api.refused("GET", "/v1/dead-letters/dl_x", None, 404, "not_found").await;
    assert_eq!(api.call("GET", &format!("{list}?reason=rejected"), None).await.1["data"], json!([]));
    api.refused("GET", &format!("{list}?reason=bored"), None, 400, "invalid_query").await;

    for body in [json!({}), json!({"ids": [first], "all": true}), json!({"ids": ["x"]}), json!({"ids": []})] {
        api.refused("POST", &format!("{list}/ack"), Some(body), 422, "validation_failed").await;
    }
    let (_, done) = api.call("POST", &format!("{list}/ack"), Some(json!({"ids": [first]}))).await;
    assert_eq!(done, json!({"acknowledged": 1, "more": false}));
    let (_, done) = api.call("POST", &format!("{list}/ack"), Some(json!({"ids": [first]}))).await;
    assert_eq!(done, json!({"acknowledged": 0, "more": false}));
    let (status, done) = api.call("POST", &format!("{list}/redrive"), Some(json!({"all": true}))).await;
    assert_eq!((status.as_u16(), &done["redriving"], &done["more"]), (202, &json!(3), &json!(false)));
    let since = done["requested_at"].as_str().expect("a time").to_owned();
    let (_, done) = api.call("POST", &format!("{list}/redrive"), Some(json!({"all": true}))).await;
    assert_eq!((&done["redriving"], &done["more"]), (&json!(0), &json!(false)), "repeating a redrive changes nothing");
    let (_, going) = api.call("GET", &format!("{list}/redrive?since={since}"), None).await;
    assert_eq!(going, json!({"delivered": 0, "waiting": 3, "dead_again": 0, "cancelled": 0}));
    let (_, later) = api.call("GET", &format!("{list}/redrive?since=2100-01-01T00:00:00Z"), None).await;
    assert_eq!(
        later,
        json!({"delivered": 0, "waiting": 0, "dead_again": 0, "cancelled": 0}),
        "of those that were asked for since"
    );
    api.refused("GET", &format!("{list}/redrive?since=now"), None, 400, "invalid_query").await;
    assert_eq!(api.call("POST", &format!("{list}/ack"), Some(json!({"all": true}))).await.1["acknowledged"], 3);
    assert_eq!(api.database.count("dead_letter_key").await, 0);
}

#[actix_rt::test]
async fn an_endpoints_dead_letters_are_its_own() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let (mine, others) = (api.endpoint("acme", "mine").await, api.endpoint("acme", "others").await);
    api.letters(mine["id"].as_str().expect("id"), &[b"1"]).await;
    api.letters("", &[b"undecodable"]).await;
    let (_, operators) = api.call("GET", "/v1/dead-letters", None).await;
    assert_eq!(
        (operators["data"].as_array().map(Vec::len), &operators["data"][0]["endpoint_id"]),
        (Some(1), &Value::Null)
    );
    let (_, page) = api.call("GET", "/v1/endpoints/mine/dead-letters", None).await;
    let letter = page["data"][0]["id"].clone();
    for path in ["/v1/endpoints/others/dead-letters/ack", "/v1/dead-letters/ack"] {
        let (_, done) = api.call("POST", path, Some(json!({"ids": [letter]}))).await;
        assert_eq!(done["acknowledged"], 0, "{path}");
    }
    assert_eq!(api.call("POST", "/v1/dead-letters/ack", Some(json!({"all": true}))).await.1["acknowledged"], 1);
    assert_eq!(api.call("POST", "/v1/endpoints/mine/disable", None).await.0, 200);
    let redrive = "/v1/endpoints/mine/dead-letters/redrive";
    api.refused("POST", redrive, Some(json!({"all": true})), 409, "endpoint_is_disabled").await;
    assert_eq!(others["state"], "enabled");
}

#[actix_rt::test]
async fn postgres_away_is_503_and_come_back_later() {
    let api = Api::new().await;
    api.pool.close();
    let (status, problem) = api.call("GET", "/v1/customers", None).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("store_unavailable")));
    let request =
        awc::Client::default().get(api.url("/v1/customers")).bearer_auth(KEY).send().await.expect("an answer");
    assert!(request.headers().contains_key("retry-after"));
    assert_eq!(api.send("GET", "/livez", &[], String::new()).await.0, 200);
}
