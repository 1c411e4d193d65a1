//! Thousands of endpoints and subscriptions in one call.

use postrider::store::settings::{EndpointRow, SubscriptionRow};
use serde_json::{Value, json};

use crate::api::{Api, KEY, all, fields};

const CUSTOMERS: &str = "/v1/customers/bulk";
const ENDPOINTS: &str = "/v1/endpoints/bulk";
const SUBSCRIPTIONS: &str = "/v1/subscriptions/bulk";

fn counts(answer: &Value) -> [u64; 3] {
    ["created", "updated", "unchanged"].map(|name| answer[name].as_u64().expect("a count"))
}

fn endpoints(count: usize) -> Value {
    let endpoint =
        |n| json!({"customer_id": "acme", "uid": format!("hook-{n}"), "url": format!("https://h{n}.example/")});
    json!({ "endpoints": (0..count).map(endpoint).collect::<Vec<_>>() })
}

fn subscription(uid: &str, endpoint: &str, scope: Value) -> Value {
    json!({"uid": uid, "endpoint_id": endpoint, "topic": "orders", "scope": scope})
}

#[actix_rt::test]
async fn a_bulk_of_endpoints_is_one_change_and_repeating_it_is_none() {
    let api = Api::new().await;
    let customer = api.customer("acme", all()).await;
    let before = api.settings().await.version;
    let (status, made) = api.call("POST", ENDPOINTS, Some(endpoints(2_500))).await;
    assert_eq!((status.as_u16(), counts(&made)), (200, [2_500, 0, 0]), "{made:.500}");
    assert_eq!(made["version"], before + 1);

    // What came back is what is there, in the order of the request, and each signs with the secret of its answer.
    let settings = api.settings().await;
    assert_eq!((settings.version, settings.endpoints.len()), (before + 1, 2_500));
    let item = &made["data"][1_234];
    assert_eq!(item["uid"], "hook-1234");
    let (_, read) = api.call("GET", "/v1/endpoints/hook-1234", None).await;
    assert_eq!((&read["id"], &read["url"]), (&item["id"], &json!("https://h1234.example/")));
    assert_eq!((&read["customer_id"], &read["secret"]), (&customer["id"], &Value::Null));
    assert!(item["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{item}");
    let found = settings.endpoints.iter().find_map(|row| match row {
        EndpointRow::Present(settings) if item["id"] == *settings.id => Some(settings.signing_keys.len()),
        _ => None,
    });
    assert_eq!(found, Some(1));

    let (_, again) = api.call("POST", ENDPOINTS, Some(endpoints(2_500))).await;
    assert_eq!((counts(&again), &again["version"]), ([0, 0, 2_500], &made["version"]));
    assert_eq!((&again["data"][7]["id"], &again["data"][7]["secret"]), (&made["data"][7]["id"], &Value::Null));

    let mut other = endpoints(3);
    other["endpoints"][1]["url"] = "https://elsewhere.example/".into();
    let (_, changed) = api.call("POST", ENDPOINTS, Some(other)).await;
    assert_eq!((counts(&changed), changed["data"][1]["effect"].as_str()), ([0, 1, 2], Some("updated")));
    assert_eq!(api.call("GET", "/v1/endpoints/hook-1", None).await.1["url"], "https://elsewhere.example/");
}

#[actix_rt::test]
async fn a_bulk_of_subscriptions_is_in_effect_whole_and_only_what_differs_is_written() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    api.call("POST", ENDPOINTS, Some(endpoints(3))).await;
    let tenants = |n: usize| json!({"level": "tenants", "tenants": [n, n + 1]});
    let items = |count| {
        let item = |n| subscription(&format!("s{n}"), &format!("hook-{}", n % 3), tenants(n));
        json!({ "subscriptions": (0..count).map(item).collect::<Vec<_>>() })
    };
    let (status, made) = api.call("POST", SUBSCRIPTIONS, Some(items(3_000))).await;
    assert_eq!((status.as_u16(), counts(&made)), (200, [3_000, 0, 0]), "{made:.500}");
    let (_, again) = api.call("POST", SUBSCRIPTIONS, Some(items(3_000))).await;
    assert_eq!((counts(&again), &again["version"]), ([0, 0, 3_000], &made["version"]));
    assert_eq!(again["data"][2_999]["id"], made["data"][2_999]["id"]);

    let mut changed = items(3_001);
    changed["subscriptions"][5]["scope"] = json!({"level": "topic"});
    changed["subscriptions"][6]["topic"] = "bills".into();
    let (_, changed) = api.call("POST", SUBSCRIPTIONS, Some(changed)).await;
    assert_eq!(counts(&changed), [1, 2, 2_998]);
    let effects: Vec<&str> = [4, 5, 6, 3_000].map(|n| changed["data"][n]["effect"].as_str().expect("effect")).into();
    assert_eq!(effects, ["unchanged", "updated", "updated", "created"]);
    let present = |row: &SubscriptionRow| matches!(row, SubscriptionRow::Present { .. });
    assert_eq!(api.settings().await.subscriptions.iter().filter(|row| present(row)).count(), 3_001);
    // A subscription that was deleted is a new one.
    assert_eq!(api.call("DELETE", "/v1/subscriptions/s7", None).await.0, 204);
    let (_, back) = api
        .call("POST", SUBSCRIPTIONS, Some(json!({"subscriptions": [subscription("s7", "hook-1", tenants(7))]})))
        .await;
    assert_eq!(counts(&back), [1, 0, 0]);
}

#[actix_rt::test]
async fn one_mistake_in_a_bulk_writes_nothing_and_every_mistake_is_named_by_its_place() {
    let api = Api::new().await;
    api.customer("acme", json!({"topics": ["orders"], "tenants": ["1", "2"]})).await;
    api.customer("other", all()).await;
    let two = [("acme", "hook"), ("acme", "twice"), ("other", "twice")];
    let two: Vec<Value> =
        two.iter().map(|(c, u)| json!({"customer_id": c, "uid": u, "url": "https://a.example/"})).collect();
    assert_eq!(api.call("POST", ENDPOINTS, Some(json!({"endpoints": two}))).await.0, 200);
    let before = api.settings().await.version;

    let topic = json!({"level": "topic"});
    let tenants = |names: &[&str]| json!({"level": "tenants", "tenants": names});
    let body = json!({"subscriptions": [
        subscription("good", "hook", tenants(&["1"])),
        {"endpoint_id": "hook", "topic": "orders", "scope": tenants(&["1"])},
        subscription("a", "hook", json!({"level": "planet"})),
        7,
    ]});
    let problem = api.refused("POST", SUBSCRIPTIONS, Some(body), 422, "validation_failed").await;
    assert_eq!(fields(&problem), ["subscriptions[1].uid", "subscriptions[2].scope.level", "subscriptions[3]"]);
    assert_eq!(problem["errors"][1]["index"], 2);

    let body = json!({"subscriptions": [
        subscription("a", "nowhere", tenants(&["1"])),
        subscription("a", "twice", tenants(&["1"])),
        subscription("good", "hook", tenants(&["1"])),
        subscription("good", "hook", tenants(&["2"])),
        subscription("b", "hook", topic.clone()),
    ]});
    let problem = api.refused("POST", SUBSCRIPTIONS, Some(body), 422, "validation_failed").await;
    let places = ["[0].endpoint_id", "[1].endpoint_id", "[3].uid", "[4].scope.level"];
    assert_eq!(fields(&problem), places.map(|place| format!("subscriptions{place}")));

    let body = json!({"subscriptions": [subscription("b", "hook", tenants(&["1", "9"]))]});
    let problem = api.refused("POST", SUBSCRIPTIONS, Some(body), 403, "outside_grants").await;
    assert_eq!(fields(&problem), ["subscriptions[0].scope"]);

    let body = json!({"endpoints": [
        {"customer_id": "acme", "uid": "new", "url": "https://a.example/"},
        {"customer_id": "nobody", "uid": "new", "url": "https://a.example/"},
        {"customer_id": "acme", "uid": "new", "url": "https://a.example/"},
    ]});
    let problem = api.refused("POST", ENDPOINTS, Some(body), 422, "validation_failed").await;
    assert_eq!(fields(&problem), ["endpoints[1].customer_id", "endpoints[2].uid"]);
    let body = json!({"endpoints": [{"uid": "ep_x", "url": "ftp://a/"}]});
    let problem = api.refused("POST", ENDPOINTS, Some(body), 422, "validation_failed").await;
    let places = ["uid", "url", "customer_id"].map(|field| format!("endpoints[0].{field}"));
    assert_eq!(fields(&problem), places);
    assert_eq!(api.settings().await.version, before);
    api.refused("GET", "/v1/subscriptions/good", None, 404, "not_found").await;
}

#[actix_rt::test]
async fn a_bulk_has_its_own_limits() {
    let api = Api::new().await;
    let key = format!("Bearer {KEY}");
    let json_type = [("authorization", key.as_str()), ("content-type", "application/json")];
    let (status, problem) = api.send("POST", SUBSCRIPTIONS, &json_type, " ".repeat((1 << 20) + 1)).await;
    assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("body_too_large")));
    let many = json!({"subscriptions": vec![0; 10_001]});
    let problem = api.refused("POST", SUBSCRIPTIONS, Some(many), 422, "validation_failed").await;
    assert_eq!(fields(&problem), ["subscriptions"]);
    let (status, problem) = api.send("POST", ENDPOINTS, &json_type, "{\"endpoints\":[".to_owned()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("malformed_json")));
    let text = [("authorization", key.as_str()), ("content-type", "text/plain")];
    assert_eq!(api.send("POST", ENDPOINTS, &text, "{}".to_owned()).await.0, 415);
    api.refused("GET", ENDPOINTS, None, 405, "method_not_allowed").await;
    api.refused("POST", &format!("{ENDPOINTS}?x=1"), Some(json!({})), 400, "invalid_query").await;
}

#[actix_rt::test]
async fn a_bulk_of_customers_is_one_change_and_grants_that_differ_reach_their_subscriptions() {
    let api = Api::new().await;
    let customers = |count: usize, topic: &str| {
        let customer = |n| json!({"uid": format!("c{n}"), "name": format!("C {n}"), "grants": {"topics": [topic], "tenants": ["*"]}});
        json!({ "customers": (0..count).map(customer).collect::<Vec<_>>() })
    };
    let before = api.settings().await.version;
    let (status, made) = api.call("POST", CUSTOMERS, Some(customers(2_500, "orders"))).await;
    assert_eq!((status.as_u16(), counts(&made), &made["version"]), (200, [2_500, 0, 0], &json!(before + 1)));
    let (_, read) = api.call("GET", "/v1/customers/c1234", None).await;
    assert_eq!((&read["id"], &read["name"]), (&made["data"][1_234]["id"], &json!("C 1234")));
    let (_, again) = api.call("POST", CUSTOMERS, Some(customers(2_500, "orders"))).await;
    assert_eq!((counts(&again), &again["version"]), ([0, 0, 2_500], &made["version"]));

    api.endpoint("c7", "hook").await;
    let (status, _) =
        api.call("PUT", "/v1/subscriptions/all", Some(subscription("all", "hook", json!({"level": "topic"})))).await;
    assert_eq!(status, 201);
    let mut mixed = customers(8, "bills");
    mixed["customers"]
        .as_array_mut()
        .expect("a list")
        .push(json!({"uid": "new", "name": "New", "grants": {"topics": [], "tenants": []}}));
    let (_, changed) = api.call("POST", CUSTOMERS, Some(mixed)).await;
    assert_eq!(counts(&changed), [1, 8, 0]);
    let present =
        |rows: &[SubscriptionRow]| rows.iter().filter(|row| matches!(row, SubscriptionRow::Present { .. })).count();
    assert_eq!(present(&api.settings().await.subscriptions), 0, "what is no longer granted no longer matches");

    let twice = json!({"customers": [
        {"uid": "a", "name": "A", "grants": {"topics": [], "tenants": []}},
        {"uid": "a", "name": "", "grants": {"topics": [], "tenants": []}},
        {"name": "B", "grants": {"topics": [], "tenants": []}},
    ]});
    let (status, problem) = api.call("POST", CUSTOMERS, Some(twice)).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(fields(&problem), ["customers[1].name", "customers[2].uid"]);
    assert_eq!(api.database.count("customer WHERE uid = 'a'").await, 0);
}
