//! Who may do what with the REST API, against a real Postgres.

use postrider::admin::{access::Needs, routes::operations};
use serde_json::{Value, json};

use crate::api::{Api, KEY, all};

/// Two customers with an endpoint, a subscription and a dead letter each; a key of the first.
struct Two {
    api: Api,
    token: String,
    mine: Things,
    theirs: Things,
}

struct Things {
    customer: String,
    endpoint: String,
    subscription: String,
    letter: String,
}

impl Two {
    async fn new() -> Two {
        let api = Api::new().await;
        let mine = things(&api, "acme").await;
        let theirs = things(&api, "globex").await;
        let (token, _) = api.api_key("customer", Some("acme")).await;
        Two { api, token, mine, theirs }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let (status, json) = self.api.call_as(&self.token, method, path, body).await;
        (status.as_u16(), json)
    }

    #[track_caller]
    fn same(one: &(u16, Value), other: &(u16, Value), what: &str) {
        assert_eq!(one, other, "{what} tells a foreign id from one that does not exist");
    }
}

async fn things(api: &Api, uid: &str) -> Things {
    let id = |json: &Value| json["id"].as_str().expect("an id").to_owned();
    let customer = id(&api.customer(uid, all()).await);
    let endpoint = id(&api.endpoint(uid, "hook").await);
    let body = json!({"endpoint_id": endpoint, "topic": "orders", "scope": {"level": "topic"}});
    let (_, subscription) = api.call("PUT", "/v1/subscriptions/s", Some(body)).await;
    api.letters_of(&customer, &endpoint, &[b"1"]).await;
    let (_, letters) = api.call("GET", &format!("/v1/endpoints/{endpoint}/dead-letters"), None).await;
    let letter = id(&letters["data"][0]);
    Things { customer, endpoint, subscription: id(&subscription), letter }
}

#[actix_rt::test]
async fn each_role_may_do_what_the_table_of_routes_says_and_nothing_else() {
    let Two { api, token, .. } = Two::new().await;
    let (operator, _) = api.api_key("operator", None).await;
    let shown = |path: &str| operations().iter().any(|other| other.path == path && other.needs.admits_customers());
    for operation in operations() {
        let path = format!("/v1{}", operation.path.replace("{name}", "unknown").replace("{id}", "unknown"));
        // A body that no operation takes, so that nothing happens.
        let body = (operation.method != "GET").then(|| json!({"no such field": 1}));
        let answer = |token: String| {
            let (api, method, path, body) = (&api, operation.method.to_string(), path.clone(), body.clone());
            async move {
                let (status, json) = api.call_as(&token, &method, &path, body).await;
                (status.as_u16(), json["code"].as_str().unwrap_or_default().to_owned(), json["detail"].clone())
            }
        };
        let what = format!("{} {path}", operation.method);
        let admin = answer(KEY.to_owned()).await;
        assert!(![401, 403, 405].contains(&admin.0) && admin.0 < 500, "{what}: {admin:?}");
        let operator = answer(operator.clone()).await;
        let reads = matches!(operation.needs, Needs::Watch | Needs::Read);
        assert_eq!(operator.0 == 403, !reads, "{what}: {operator:?}");
        let customer = answer(token.clone()).await;
        match (operation.needs.admits_customers(), shown(operation.path)) {
            (true, _) => assert!(![401, 403, 405].contains(&customer.0), "{what}: {customer:?}"),
            (false, true) => assert_eq!((customer.0, customer.1.as_str()), (403, "forbidden"), "{what}"),
            (false, false) => assert_eq!(
                (customer.0, customer.2),
                (404, json!("there is no such path")),
                "{what} does not exist for customers"
            ),
        }
        assert_eq!(answer(String::new()).await.0, 401, "{what} needs a key");
    }
}

#[actix_rt::test]
async fn a_customers_key_lists_its_own_things_only() {
    let two = Two::new().await;
    let ids = |page: (u16, Value)| -> Vec<String> {
        assert_eq!(page.0, 200, "{}", page.1);
        let data = page.1["data"].as_array().cloned().unwrap_or_default();
        data.iter().map(|row| row["id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    for own in ["", "?customer_id=acme", &format!("?customer_id={}", two.mine.customer)] {
        assert_eq!(ids(two.call("GET", &format!("/v1/endpoints{own}"), None).await), [&*two.mine.endpoint]);
        assert_eq!(ids(two.call("GET", &format!("/v1/subscriptions{own}"), None).await), [&*two.mine.subscription]);
    }
    assert_eq!(ids(two.call("GET", "/v1/customers", None).await), [&*two.mine.customer]);
    let letters = format!("/v1/endpoints/{}/dead-letters", two.mine.endpoint);
    assert_eq!(ids(two.call("GET", &letters, None).await), [&*two.mine.letter]);
    for customer in ["globex", &two.theirs.customer, "nobody"] {
        for list in ["endpoints", "subscriptions", "replays"] {
            let page = two.call("GET", &format!("/v1/{list}?customer_id={customer}"), None).await;
            assert_eq!(ids(page), Vec::<String>::new(), "{list} of {customer}");
        }
    }
    for endpoint in [&two.theirs.endpoint, "nothing"] {
        for list in ["subscriptions", "replays"] {
            let page = two.call("GET", &format!("/v1/{list}?endpoint_id={endpoint}"), None).await;
            assert_eq!(ids(page), Vec::<String>::new(), "{list} of {endpoint}");
        }
    }
    // Both have an endpoint `hook`: for the key there is only its own.
    let (status, hook) = two.call("GET", "/v1/endpoints/hook", None).await;
    assert_eq!((status, &hook["id"]), (200, &json!(two.mine.endpoint)));
    let (status, own) = two.call("GET", "/v1/subscriptions/s", None).await;
    assert_eq!((status, &own["id"]), (200, &json!(two.mine.subscription)));
}

#[actix_rt::test]
async fn what_is_foreign_is_as_if_it_were_not_there() {
    let two = Two::new().await;
    let unknown = |kind: &str| format!("{kind}_{}", "0".repeat(26));
    let kinds = [
        ("customers", &two.theirs.customer, unknown("cus")),
        ("endpoints", &two.theirs.endpoint, unknown("ep")),
        ("subscriptions", &two.theirs.subscription, unknown("sub")),
        ("dead-letters", &two.theirs.letter, unknown("dl")),
    ];
    for (list, foreign, missing) in &kinds {
        let read = two.call("GET", &format!("/v1/{list}/{foreign}"), None).await;
        assert_eq!(read.0, 404, "{list}");
        Two::same(&read, &two.call("GET", &format!("/v1/{list}/{missing}"), None).await, list);
    }
    for (list, foreign, missing) in &kinds[1..3] {
        let body = match *list {
            "endpoints" => json!({"url": "https://example.com/taken"}),
            _ => json!({"endpoint_id": two.mine.endpoint, "topic": "orders", "scope": {"level": "topic"}}),
        };
        for (method, body) in [("PUT", Some(body)), ("PATCH", Some(json!({}))), ("DELETE", None)] {
            let answer = two.call(method, &format!("/v1/{list}/{foreign}"), body.clone()).await;
            assert_eq!(answer.0, 404, "{method} {list}: {}", answer.1);
            Two::same(&answer, &two.call(method, &format!("/v1/{list}/{missing}"), body).await, list);
        }
    }
    // Whatever else there is below an endpoint, with a body that some of it takes and the rest refuses before it looks.
    let below = operations().into_iter().filter(|operation| operation.path.starts_with("/endpoints/{name}/"));
    for operation in below.filter(|operation| operation.needs.admits_customers()) {
        let method = operation.method.as_str();
        let path = |id: &str| format!("/v1{}", operation.path.replace("{name}", id));
        for body in [None, Some(json!({})), Some(json!({"all": true}))] {
            let answer = two.call(method, &path(&two.theirs.endpoint), body.clone()).await;
            assert!((400..500).contains(&answer.0), "{method} {}: {} {}", operation.path, answer.0, answer.1);
            Two::same(&answer, &two.call(method, &path(&unknown("ep")), body).await, operation.path);
        }
    }
    // Foreign ids in bodies.
    let bodies = |endpoint: &str| {
        [
            ("subscriptions", json!({"endpoint_id": endpoint, "topic": "orders", "scope": {"level": "topic"}})),
            (
                "replays",
                json!({"endpoint_id": endpoint, "topic": "orders", "from_time": "2026-01-01T00:00:00Z",
                       "to_time": "2026-01-01T01:00:00Z"}),
            ),
        ]
    };
    for ((path, foreign), (_, missing)) in bodies(&two.theirs.endpoint).into_iter().zip(bodies(&unknown("ep"))) {
        let answer = two.call("POST", &format!("/v1/{path}"), Some(foreign)).await;
        assert_eq!(answer.0, 422, "{path}: {}", answer.1);
        Two::same(&answer, &two.call("POST", &format!("/v1/{path}"), Some(missing)).await, path);
    }
    let taken = |customer: &str| Some(json!({"url": "https://example.com/x", "customer_id": customer}));
    let answer = two.call("POST", "/v1/endpoints", taken(&two.theirs.customer)).await;
    assert_eq!(answer.0, 422);
    Two::same(&answer, &two.call("POST", "/v1/endpoints", taken(&unknown("cus"))).await, "customer_id");
    let bulk = |name: &str, item: Value| Some(json!({name: [item]}));
    let subscription =
        |endpoint: &str| json!({"endpoint_id": endpoint, "uid": "b", "topic": "orders", "scope": {"level": "topic"}});
    let endpoint = |customer: &str| json!({"customer_id": customer, "uid": "b", "url": "https://example.com/b"});
    let bulks = [
        ("subscriptions", subscription(&two.theirs.endpoint), subscription(&unknown("ep"))),
        ("endpoints", endpoint(&two.theirs.customer), endpoint(&unknown("cus"))),
        ("endpoints", endpoint("globex"), endpoint("nobody")),
    ];
    for (name, foreign, missing) in bulks {
        let path = format!("/v1/{name}/bulk");
        let answer = two.call("POST", &path, bulk(name, foreign)).await;
        assert_eq!(answer.0, 422, "{}", answer.1);
        Two::same(&answer, &two.call("POST", &path, bulk(name, missing)).await, name);
    }
    two.api.take_effect().await;
    let event = |endpoint: &str| Some(json!({"topic": "orders", "tenant": "2", "endpoint_id": endpoint}));
    let answer = two.call("POST", "/v1/match", event(&two.theirs.endpoint)).await;
    assert_eq!(answer.0, 422);
    Two::same(&answer, &two.call("POST", "/v1/match", event(&unknown("ep"))).await, "match");
    let (_, matched) = two.call("POST", "/v1/match", Some(json!({"topic": "orders", "tenant": "2"}))).await;
    assert_eq!((&matched["matched"], &matched["data"][0]["endpoint_id"]), (&json!(1), &json!(two.mine.endpoint)));
    // A letter of theirs is not acknowledged by the way of an endpoint of mine.
    let ack = format!("/v1/endpoints/{}/dead-letters/ack", two.mine.endpoint);
    let (_, done) = two.call("POST", &ack, Some(json!({"ids": [two.theirs.letter]}))).await;
    assert_eq!(done["acknowledged"], 0);
    let (status, _) = two.api.call("GET", &format!("/v1/dead-letters/{}", two.theirs.letter), None).await;
    assert_eq!(status, 200, "it is still there");
}

#[actix_rt::test]
async fn a_customers_key_manages_its_own_within_its_grants() {
    let two = Two::new().await;
    let (status, made) = two.call("POST", "/v1/endpoints", Some(json!({"url": "https://example.com/new"}))).await;
    assert_eq!((status, &made["customer_id"]), (201, &json!(two.mine.customer)), "{made}");
    let id = made["id"].as_str().expect("an id");
    for command in ["pause", "resume", "disable", "enable", "secrets/rotate"] {
        assert_eq!(two.call("POST", &format!("/v1/endpoints/{id}/{command}"), None).await.0, 200, "{command}");
    }
    assert_eq!(two.call("GET", &format!("/v1/endpoints/{id}/backlog"), None).await.0, 200);
    let many = json!({"endpoints": [{"uid": "many", "url": "https://example.com/many"}]});
    assert_eq!(two.call("POST", "/v1/endpoints/bulk", Some(many)).await.1["created"], 1);
    let (_, many) = two.call("GET", "/v1/endpoints/many", None).await;
    assert_eq!(many["customer_id"], json!(two.mine.customer));
    let body = json!({"endpoint_id": id, "topic": "orders", "scope": {"level": "tenants", "tenants": ["7"]}});
    let (status, subscription) = two.call("POST", "/v1/subscriptions", Some(body)).await;
    assert_eq!(status, 201, "{subscription}");

    let grants = json!({"grants": {"topics": ["orders"], "tenants": ["1"]}});
    assert_eq!(
        two.call("PATCH", "/v1/customers/acme", Some(grants.clone())).await.0,
        403,
        "its grants are not its own"
    );
    assert_eq!(two.api.call("PATCH", "/v1/customers/acme", Some(grants)).await.0, 200);
    let body = json!({"endpoint_id": id, "topic": "orders", "scope": {"level": "tenants", "tenants": ["1", "2"]}});
    let (status, problem) = two.call("POST", "/v1/subscriptions", Some(body)).await;
    assert_eq!((status, &problem["code"]), (403, &json!("outside_grants")));
    let replay = json!({"endpoint_id": id, "topic": "bills", "from_time": "2026-01-01T00:00:00Z",
                        "to_time": "2026-01-01T01:00:00Z"});
    let (status, problem) = two.call("POST", "/v1/replays", Some(replay)).await;
    assert_eq!((status, &problem["code"]), (403, &json!("outside_grants")));

    // What is no longer granted is not pulled either: the letter's tenant is 2.
    let letters = format!("/v1/endpoints/{}/dead-letters", two.mine.endpoint);
    for query in ["", "?data=true"] {
        assert_eq!(two.call("GET", &format!("{letters}{query}"), None).await.1["data"], json!([]), "{query}");
    }
    assert_eq!(two.call("GET", &format!("/v1/dead-letters/{}", two.mine.letter), None).await.0, 404);
    // Nor is it sent again or removed, whatever names it.
    for body in [json!({"all": true}), json!({"ids": [two.mine.letter]}), json!({"filter": {"topic": "orders"}})] {
        let (_, done) = two.call("POST", &format!("{letters}/redrive"), Some(body.clone())).await;
        assert_eq!(done["redriving"], 0, "{body}");
        let (_, done) = two.call("POST", &format!("{letters}/ack"), Some(body.clone())).await;
        assert_eq!(done["acknowledged"], 0, "{body}");
    }
    let (_, done) = two.api.call("POST", &format!("{letters}/redrive"), Some(json!({"all": true}))).await;
    assert_eq!(done["redriving"], 1, "an admin's key sees it");
    assert_eq!(two.call("GET", &format!("{letters}/redrive"), None).await.1["waiting"], 0, "not even as a number");
    assert_eq!(two.call("DELETE", &format!("/v1/endpoints/{id}"), None).await.0, 204);
}
