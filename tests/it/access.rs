//! Who may do what with the REST API, against a real Postgres.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use actix_rt::task::spawn_blocking;
use postrider::admin::{access::Needs, client_address::TrustedProxies, routes::operations};
use serde_json::{Value, json};

use crate::{
    api::{Api, KEY, all, options},
    connections::{answer, connect_from, send},
};

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
async fn a_key_is_shown_once_works_until_it_is_revoked_and_is_stored_as_a_hash() {
    let api = Api::new().await;
    let (token, key) = api.api_key("admin", None).await;
    let id = key["id"].as_str().expect("an id");
    assert!(id.starts_with("key_") && token.starts_with("prk_") && token.len() == 56, "{key}");
    assert_eq!(key["created_by"], "configured");
    assert_eq!(api.call_as(&token, "GET", "/v1/customers", None).await.0, 200);
    let (_, current) = api.call_as(&token, "GET", "/v1/api-keys/current", None).await;
    assert_eq!(
        (&current["id"], &current["role"], &current["customer_id"]),
        (&key["id"], &json!("admin"), &Value::Null)
    );

    let path = format!("/v1/api-keys/{id}");
    let (_, patched) = api.call("PATCH", &path, Some(json!({"name": "of the deployment"}))).await;
    assert_eq!((&patched["name"], &patched["role"]), (&json!("of the deployment"), &json!("admin")));
    let seen = [
        api.call("GET", &path, None).await.1.to_string(),
        api.call("GET", "/v1/api-keys", None).await.1.to_string(),
        patched.to_string(),
        api.database.value("SELECT string_agg(api_key::text, '') FROM api_key").await.expect("rows"),
    ];
    for text in seen {
        assert!(!text.contains(&token[10..]), "{text}");
        assert!(text.contains(&token[..10]), "its holder can tell which one it is: {text}");
    }
    let used = "SELECT (last_used_at IS NOT NULL)::text FROM api_key";
    assert_eq!(api.database.value(used).await.as_deref(), Some("true"));

    assert_eq!(api.call("DELETE", &path, None).await.0, 204);
    api.refused("DELETE", &path, None, 404, "not_found").await;
    until_refused(&api, &token).await;
}

#[actix_rt::test]
async fn a_rotated_key_has_two_tokens_for_as_long_as_was_said() {
    let api = Api::new().await;
    let (first, key) = api.api_key("operator", None).await;
    let rotate = format!("/v1/api-keys/{}/rotate", key["id"].as_str().expect("an id"));
    let (status, rotated) = api.call("POST", &rotate, None).await;
    assert_eq!(status, 200, "{rotated}");
    let second = rotated["token"].as_str().expect("a token").to_owned();
    assert!(rotated["previous_expires_at"].is_string() && second != first);
    for token in [&first, &second] {
        assert_eq!(api.call_as(token, "GET", "/v1/customers", None).await.0, 200);
    }
    let (_, rotated) = api.call("POST", &rotate, Some(json!({"overlap_ms": 0}))).await;
    let third = rotated["token"].as_str().expect("a token");
    assert_eq!(api.call_as(third, "GET", "/v1/customers", None).await.0, 200);
    until_refused(&api, &second).await;
    until_refused(&api, &first).await;
    api.refused("POST", &rotate, Some(json!({"overlap_ms": -1})), 422, "validation_failed").await;
}

#[actix_rt::test]
async fn a_key_ends_when_it_was_to_end_or_when_its_customer_is_gone() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let (token, key) = api.api_key("customer", Some("acme")).await;
    let (ending, ending_key) = api.api_key("operator", None).await;
    let path = format!("/v1/api-keys/{}", ending_key["id"].as_str().expect("an id"));
    let past = api.call("PATCH", &path, Some(json!({"expires_at": "2001-01-01T00:00:00Z"}))).await;
    assert_eq!(past.0, 422, "{}", past.1);
    api.database.execute("UPDATE api_key SET expires_at = now() - interval '1 s' WHERE role = 'operator'").await;
    until_refused(&api, &ending).await;
    let (_, revived) = api.call("PATCH", &path, Some(json!({"expires_at": null}))).await;
    assert_eq!(revived["expires_at"], Value::Null);

    assert_eq!(api.call_as(&token, "GET", "/v1/customers/acme", None).await.1["id"], key["customer_id"]);
    assert_eq!(api.call("DELETE", "/v1/customers/acme", None).await.0, 204);
    until_refused(&api, &token).await;
}

/// Within the time that other instances may go on with what they know.
async fn until_refused(api: &Api, token: &str) {
    for _ in 0..50 {
        let (status, problem) = api.call_as(token, "GET", "/v1/customers", None).await;
        if status == 401 {
            assert_eq!(problem["code"], "wrong_key");
            return;
        }
        actix_rt::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the key still works after five seconds");
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

#[actix_rt::test]
async fn the_key_of_the_configuration_works_while_postgres_is_away_and_others_are_told_so() {
    let api = Api::new().await;
    let (token, _) = api.api_key("admin", None).await;
    api.pool.close();
    assert_eq!(api.call("GET", "/v1/actors", None).await.0, 200);
    let (status, current) = api.call("GET", "/v1/api-keys/current", None).await;
    assert_eq!((status.as_u16(), &current["id"]), (200, &json!("configured")));
    let (status, problem) = api.call_as(&token, "GET", "/v1/actors", None).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("store_unavailable")));
    assert_eq!(api.call_as("prk_not-a-token", "GET", "/v1/actors", None).await.0, 401);
}

#[actix_rt::test]
async fn a_key_that_calls_too_often_waits_and_no_other_key_does() {
    let api = Api::limited(Some(3), None).await;
    let (busy, _) = api.api_key("operator", None).await;
    let (other, _) = api.api_key("operator", None).await;
    let bearer = format!("Bearer {busy}");
    let mut refused = None;
    // The burst is 3; a test that is held up for seconds gets more.
    for _ in 0..1_000 {
        let answer = api.send_for_headers("GET", "/v1/actors", &[("authorization", &bearer)], String::new()).await;
        if answer.0 != 200 {
            refused = Some(answer);
            break;
        }
    }
    let (status, headers, problem) = refused.expect("it is held back in the end");
    assert_eq!((status.as_u16(), &problem["code"]), (429, &json!("too_many_requests")));
    let wait = headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    assert_eq!(wait, Some(1));
    assert_eq!(api.call_as(&other, "GET", "/v1/actors", None).await.0, 200);
    for _ in 0..20 {
        assert_eq!(api.call("GET", "/v1/actors", None).await.0, 200, "the key of the configuration is not held back");
        assert_eq!(api.send("GET", "/livez", &[], String::new()).await.0, 200);
    }
}

#[actix_rt::test]
async fn wrong_keys_of_an_address_are_refused_unseen_while_right_ones_pass() {
    let api = Api::limited(None, Some(1)).await;
    let (right, _) = api.api_key("operator", None).await;
    assert_eq!(api.call_as(&right, "GET", "/v1/actors", None).await.0, 200);
    let mut statuses = Vec::new();
    for number in 0..200 {
        let wrong = format!("prk_{number:052}");
        let (status, problem) = api.call_as(&wrong, "GET", "/v1/actors", None).await;
        statuses.push((status.as_u16(), problem["code"].as_str().unwrap_or_default().to_owned()));
        if status == 429 {
            break;
        }
    }
    assert_eq!(statuses[0], (401, "wrong_key".to_owned()));
    assert_eq!(statuses.last(), Some(&(429, "too_many_requests".to_owned())));
    assert_eq!(api.call_as(&right, "GET", "/v1/actors", None).await.0, 200, "a key that is known passes");
    assert_eq!(api.call("GET", "/v1/actors", None).await.0, 200, "and so does that of the configuration");
}

/// The status of a call from another address of the loopback, with this key.
fn status_from(source: &str, address: SocketAddr, token: &str, headers: &str) -> u16 {
    let mut stream = connect_from(source, address);
    let head = format!(
        "GET /v1/api-keys/current HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{headers}connection: close\r\n\r\n"
    );
    send(&mut stream, &head);
    answer(&mut stream)[9..12].parse().expect("a status")
}

#[actix_rt::test]
async fn guesses_of_the_configured_key_are_held_back_and_keys_that_were_issued_are_not() {
    let api = Api::limited(None, Some(1)).await;
    let (never_used, _) = api.api_key("operator", None).await;
    let address = api.address();
    // Elsewhere, because the API's connections to Postgres live on this thread. Each round is from an address of its own; a
    // machine that pauses for a second lets a block end.
    let rounds = spawn_blocking(move || {
        let round = |round: u32| {
            let from = format!("127.0.7.{round}");
            let guess = |number: u32| status_from(&from, address, &format!("a-guess-{number}"), "");
            assert!((0..100).any(|number| guess(number) == 429), "it is held back in the end");
            (status_from(&from, address, KEY, ""), status_from(&from, address, &never_used, ""))
        };
        (0..10).map(round).collect::<Vec<_>>()
    });
    let (right, issued): (Vec<u16>, Vec<u16>) = rounds.await.expect("rounds").into_iter().unzip();
    let told = right.iter().filter(|status| **status == 200).count();
    assert!(told <= 2, "the right one among the guesses is refused as well: {right:?}");
    assert_eq!(issued, [200; 10], "a key that was issued passes beside them");
    assert_eq!(api.call("GET", "/v1/actors", None).await.0, 200, "and from elsewhere so does the configured one");
}

#[actix_rt::test]
async fn behind_a_trusted_proxy_the_clients_address_is_what_the_proxy_says() {
    let mut options = options();
    options.public.trusted_proxies = TrustedProxies::parse(&["127.0.0.8"]).expect("networks");
    options.limits.wrong_keys_per_second = NonZeroU32::new(1);
    let api = Api::with(options).await;
    let guess = |source: &str, client: &str| {
        status_from(
            source,
            api.address(),
            "a-guess-of-the-key",
            &format!("x-forwarded-for: 198.51.100.99, {client}\r\n"),
        )
    };
    assert!((0..100).any(|_| guess("127.0.0.8", "203.0.113.1") == 429));
    assert_eq!(guess("127.0.0.8", "203.0.113.2"), 401, "another client of the same proxy");
    // What is no trusted proxy cannot speak for others.
    assert!((0..100).any(|number| guess("127.0.0.7", &format!("203.0.113.{number}")) == 429));
}
