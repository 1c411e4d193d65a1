//! How much a customer may have, and that nobody gets around it.

use postrider::{
    model::{quotas::Quota, scope::Scope},
    store::{
        endpoints,
        maintenance::{self, Retention},
        quotas::{self, EndpointLimits, Stored},
        replays::{self, NewReplay, NewShare, ReplayCreation},
    },
};
use serde_json::{Value, json};

use crate::api::{Api, QUOTAS, all, fields};

/// A customer `acme` with these quotas of its own.
async fn limited(own: Value) -> Api {
    let api = Api::new().await;
    let body = json!({"name": "Acme", "grants": all(), "quotas": own});
    let (status, customer) = api.call("PUT", "/v1/customers/acme", Some(body)).await;
    assert_eq!((status.as_u16(), &customer["quotas"]), (201, &own), "{customer}");
    api
}

fn endpoint() -> Option<Value> {
    Some(json!({"customer_id": "acme", "url": "https://example.com/hook"}))
}

fn subscription(scope: Value) -> Option<Value> {
    Some(json!({"endpoint_id": "hook", "topic": "orders", "scope": scope}))
}

fn departments(count: usize) -> Value {
    json!({"level": "departments", "departments": {"2": (0..count).collect::<Vec<_>>()}})
}

async fn used(api: &Api, quota: &str) -> Value {
    let (status, quotas) = api.call("GET", "/v1/customers/acme/quotas", None).await;
    assert_eq!(status, 200, "{quotas}");
    quotas["quotas"][quota].clone()
}

#[actix_rt::test]
async fn an_endpoint_beyond_the_quota_is_refused_by_name_with_the_numbers() {
    let api = limited(json!({"endpoints_max": 2})).await;
    for uid in ["a", "b"] {
        api.endpoint("acme", uid).await;
    }
    let problem = api.refused("PUT", "/v1/endpoints/c", endpoint(), 409, "quota_exceeded").await;
    assert_eq!(problem["quota"], json!({"name": "endpoints_max", "limit": 2, "used": 2, "asked": 1}));
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("2 of at most 2 endpoints")), "{problem}");
    api.refused("POST", "/v1/endpoints", endpoint(), 409, "quota_exceeded").await;
    let bulk = |uids: &[&str]| {
        let item = |uid: &&str| json!({"customer_id": "acme", "uid": uid, "url": "https://example.com/other"});
        Some(json!({"endpoints": uids.iter().map(item).collect::<Vec<_>>()}))
    };
    api.refused("POST", "/v1/endpoints/bulk", bulk(&["a", "c"]), 409, "quota_exceeded").await;
    assert_eq!(used(&api, "endpoints_max").await, json!({"limit": 2, "own": true, "used": 2}));

    // What is there may be changed, and makes room when it goes.
    assert_eq!(api.call("POST", "/v1/endpoints/bulk", bulk(&["a", "b"])).await.0, 200);
    assert_eq!(api.call("DELETE", "/v1/endpoints/b", None).await.0, 204);
    assert_eq!(api.call("PUT", "/v1/endpoints/c", endpoint()).await.0, 201);
    // Somebody else has a quota of its own.
    api.customer("globex", all()).await;
    api.endpoint("globex", "a").await;
}

#[actix_rt::test]
async fn calls_at_once_do_not_pass_a_quota_together() {
    let api = limited(json!({"endpoints_max": 3, "subscription_entries_max": 10})).await;
    api.endpoint("acme", "hook").await;
    let puts = (0..12).map(|n| {
        let api = &api;
        async move { api.call("PUT", &format!("/v1/endpoints/e{n}"), endpoint()).await.0.as_u16() }
    });
    let mut statuses = futures_util::future::join_all(puts).await;
    statuses.sort_unstable();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 2, "{statuses:?}");
    assert!(statuses[2..].iter().all(|status| *status == 409), "{statuses:?}");
    let puts = (0..6).map(|n| {
        let (api, path) = (&api, format!("/v1/subscriptions/s{n}"));
        async move { api.call("PUT", &path, subscription(departments(4))).await.0.as_u16() }
    });
    let statuses = futures_util::future::join_all(puts).await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 2, "{statuses:?}");
    assert_eq!(used(&api, "subscription_entries_max").await["used"], 8);
}

#[actix_rt::test]
async fn subscriptions_and_all_that_they_name_are_limited() {
    let api = limited(json!({"subscriptions_max": 2, "subscription_entries_max": 10})).await;
    api.endpoint("acme", "hook").await;
    assert_eq!(api.call("PUT", "/v1/subscriptions/a", subscription(departments(6))).await.0, 201);
    let problem = api.refused("PUT", "/v1/subscriptions/b", subscription(departments(5)), 409, "quota_exceeded").await;
    assert_eq!(problem["quota"], json!({"name": "subscription_entries_max", "limit": 10, "used": 6, "asked": 5}));
    let tenants = json!({"level": "tenants", "tenants": ["1", "2", "3"]});
    assert_eq!(api.call("PUT", "/v1/subscriptions/b", subscription(tenants)).await.0, 201);
    // One that grows, one by one and in bulk.
    api.refused("PUT", "/v1/subscriptions/a", subscription(departments(8)), 409, "quota_exceeded").await;
    let patch = Some(json!({"scope": departments(8)}));
    api.refused("PATCH", "/v1/subscriptions/a", patch, 409, "quota_exceeded").await;
    let bulk = |items: &[(&str, usize)]| {
        let item = |(uid, count): &(&str, usize)| json!({"uid": uid, "endpoint_id": "hook", "topic": "orders", "scope": departments(*count)});
        Some(json!({"subscriptions": items.iter().map(item).collect::<Vec<_>>()}))
    };
    let path = "/v1/subscriptions/bulk";
    api.refused("POST", path, bulk(&[("a", 8), ("b", 3)]), 409, "quota_exceeded").await;
    let problem = api.refused("POST", path, bulk(&[("a", 1), ("c", 1)]), 409, "quota_exceeded").await;
    assert_eq!(problem["quota"]["name"], "subscriptions_max");
    // What another one gives up may be taken in the same call.
    assert_eq!(api.call("POST", path, bulk(&[("a", 8), ("b", 2)])).await.0, 200);
    assert_eq!(used(&api, "subscription_entries_max").await["used"], 10);
    assert_eq!(api.call("DELETE", "/v1/subscriptions/a", None).await.0, 204);
    assert_eq!(used(&api, "subscription_entries_max").await["used"], 2);
    assert_eq!(used(&api, "subscriptions_max").await["used"], 1);
}

#[actix_rt::test]
async fn what_is_there_when_a_quota_is_lowered_stays_and_nothing_is_added() {
    let api = limited(json!({"subscription_entries_max": 100})).await;
    api.endpoint("acme", "hook").await;
    assert_eq!(api.call("PUT", "/v1/subscriptions/a", subscription(departments(50))).await.0, 201);
    let patch = json!({"quotas": {"subscription_entries_max": 10}});
    assert_eq!(api.call("PATCH", "/v1/customers/acme", Some(patch)).await.0, 200);
    assert_eq!(used(&api, "subscription_entries_max").await, json!({"limit": 10, "own": true, "used": 50}));
    assert_eq!(api.call("PUT", "/v1/subscriptions/a", subscription(departments(50))).await.0, 200);
    api.refused("PUT", "/v1/subscriptions/a", subscription(departments(51)), 409, "quota_exceeded").await;
    assert_eq!(api.call("PUT", "/v1/subscriptions/a", subscription(departments(20))).await.0, 200);
    api.refused("PUT", "/v1/subscriptions/b", subscription(departments(1)), 409, "quota_exceeded").await;
}

#[actix_rt::test]
async fn quotas_of_its_own_are_kept_unless_something_is_said_of_them() {
    let api = limited(json!({"endpoints_max": 2, "backlog_rows_max": 7})).await;
    let quotas = |customer: Value| customer["quotas"].clone();
    let put = json!({"name": "Acme 2", "grants": all()});
    let (_, kept) = api.call("PUT", "/v1/customers/acme", Some(put.clone())).await;
    assert_eq!(quotas(kept), json!({"endpoints_max": 2, "backlog_rows_max": 7}));
    let bulk = json!({"customers": [{"uid": "acme", "name": "Acme 3", "grants": all()}]});
    assert_eq!(api.call("POST", "/v1/customers/bulk", Some(bulk)).await.0, 200);
    let patch = json!({"quotas": {"backlog_rows_max": null}});
    let (_, patched) = api.call("PATCH", "/v1/customers/acme", Some(patch)).await;
    assert_eq!((&patched["name"], quotas(patched.clone())), (&json!("Acme 3"), json!({"endpoints_max": 2})));
    assert_eq!(
        used(&api, "backlog_rows_max").await,
        json!({"limit": QUOTAS.backlog_rows_max, "own": false, "used": 0})
    );
    let bulk = json!({"customers": [{"uid": "acme", "name": "Acme 3", "grants": all(), "quotas": {}}]});
    let (_, written) = api.call("POST", "/v1/customers/bulk", Some(bulk)).await;
    assert_eq!(written["updated"], 1);
    assert_eq!(quotas(api.call("GET", "/v1/customers/acme", None).await.1), json!({}));
    let wrong = json!({"name": "Acme", "grants": all(), "quotas": {"endpoints_max": -1, "cores_max": 1}});
    let problem = api.refused("PUT", "/v1/customers/acme", Some(wrong), 422, "validation_failed").await;
    assert_eq!(fields(&problem), ["quotas.cores_max", "quotas.endpoints_max"]);
}

#[actix_rt::test]
async fn a_customer_sees_its_quotas_and_cannot_raise_them() {
    let api = limited(json!({"endpoints_max": 1})).await;
    api.customer("globex", all()).await;
    let (token, _) = api.api_key("customer", Some("acme")).await;
    let (status, own) = api.call_as(&token, "GET", "/v1/customers/acme/quotas", None).await;
    assert_eq!((status.as_u16(), &own["quotas"]["endpoints_max"]["limit"]), (200, &json!(1)));
    assert_eq!(api.call_as(&token, "GET", "/v1/customers/globex/quotas", None).await.0, 404);
    let more = json!({"quotas": {"endpoints_max": 100}});
    assert_eq!(api.call_as(&token, "PATCH", "/v1/customers/acme", Some(more)).await.0, 403);
    let mine = json!({"url": "https://example.com/hook"});
    assert_eq!(api.call_as(&token, "POST", "/v1/endpoints", Some(mine.clone())).await.0, 201);
    let (status, problem) = api.call_as(&token, "POST", "/v1/endpoints", Some(mine)).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("quota_exceeded")));
}

#[actix_rt::test]
async fn the_database_counts_what_a_scope_names_as_the_service_does() {
    let api = Api::new().await;
    let scopes = [
        json!({"level": "topic"}),
        json!({"level": "tenants", "tenants": ["1", "2"]}),
        json!({"level": "departments", "departments": {"1": ["a", "b"], "2": ["c"]}}),
    ];
    for scope in scopes {
        let counted = api.database.value(&format!("SELECT scope_entries('{scope}')::text")).await;
        let known: Scope = serde_json::from_value(scope.clone()).expect("a scope");
        assert_eq!(counted, Some(known.entries().to_string()), "{scope}");
    }
    for unknown in [json!({"level": "world"}), json!([]), json!({"level": "tenants", "tenants": 5}), json!(null)] {
        let counted = api.database.value(&format!("SELECT scope_entries('{unknown}')::text")).await;
        assert_eq!(counted.as_deref(), Some("1"), "{unknown}");
    }
}

#[actix_rt::test]
async fn dead_letters_count_until_they_are_gone() {
    let api = limited(json!({})).await;
    let customer = api.call("GET", "/v1/customers/acme", None).await.1["id"].as_str().expect("an id").to_owned();
    let endpoint = api.endpoint("acme", "hook").await["id"].as_str().expect("an id").to_owned();
    let bytes = async || used(&api, "dead_letter_bytes_max").await["used"].as_u64().expect("a number");
    api.letters_of(&customer, &endpoint, &[&[b'x'; 1_000], &[b'x'; 500]]).await;
    let before = bytes().await;
    assert!((1_500..1_700).contains(&before), "{before}");
    let beyond = async || quotas::dead_letters_beyond(&api.pool, &QUOTAS).await.expect("a look");
    assert_eq!(beyond().await, []);
    let patch = json!({"quotas": {"dead_letter_bytes_max": 1_000}});
    api.call("PATCH", "/v1/customers/acme", Some(patch)).await;
    let found = beyond().await;
    assert_eq!(
        (found.len(), found[0].used[&Quota::DeadLetterBytesMax] as u64, &found[0].endpoints[0].endpoint_id),
        (1, before, &endpoint)
    );

    for _ in 0..20 {
        api.database
            .execute(
                "INSERT INTO dead_letter_size SELECT customer_id, endpoint_id, day, 1, 1 FROM dead_letter_size LIMIT 1",
            )
            .await;
    }
    beyond().await;
    assert_eq!((bytes().await, api.database.count("dead_letter_size").await), (before + 20, 1), "folded");

    let (_, letters) = api.call("GET", &format!("/v1/endpoints/{endpoint}/dead-letters"), None).await;
    let ack = json!({"ids": [letters["data"][0]["id"]]});
    api.call("POST", &format!("/v1/endpoints/{endpoint}/dead-letters/ack"), Some(ack)).await;
    assert!(bytes().await < before, "one is gone");
    let retention = Retention { dead_letter_days: 1, attempt_days: 1, count_days: 1 };
    let in_a_week = postrider::clock::wall_ms() + 7 * 86_400_000;
    maintenance::once(&api.pool, in_a_week, retention).await.expect("maintenance");
    assert_eq!(bytes().await, 0, "their days are gone");
}

#[actix_rt::test]
async fn dead_letters_of_a_deleted_endpoint_count_for_nobody() {
    let api = limited(json!({"dead_letter_bytes_max": 1_000})).await;
    let customer = api.call("GET", "/v1/customers/acme", None).await.1["id"].as_str().expect("an id").to_owned();
    for (uid, letter) in [("full", [b'x'; 2_000].as_slice()), ("hook", b"{}")] {
        let endpoint = api.endpoint("acme", uid).await["id"].as_str().expect("an id").to_owned();
        api.letters_of(&customer, &endpoint, &[letter]).await;
    }
    let beyond = async || quotas::dead_letters_beyond(&api.pool, &QUOTAS).await.expect("a look");
    assert_eq!(beyond().await[0].endpoints.len(), 2);
    assert_eq!(api.call("DELETE", "/v1/endpoints/full", None).await.0, 204);
    assert_eq!(beyond().await, [], "the other one takes events");
    let bytes = used(&api, "dead_letter_bytes_max").await["used"].as_u64().expect("a number");
    assert!((1..100).contains(&bytes), "{bytes}");
}

#[actix_rt::test]
async fn rows_of_suspended_endpoints_count_and_only_others_are_to_be_suspended() {
    let api = limited(json!({"backlog_rows_max": 100})).await;
    let mut ids = Vec::new();
    for (name, rows) in [("large", 90), ("small", 11), ("empty", 0)] {
        let id = api.endpoint("acme", name).await["id"].as_str().expect("an id").to_owned();
        api.database
            .execute(&format!("INSERT INTO backlog_head VALUES ('orders', 0, '{id}', {rows}, {rows}, 0)"))
            .await;
        ids.push(id);
    }
    let each = EndpointLimits { rows_max: 5_000, bytes_max: 5_000 };
    let look = async || quotas::backlogs(&api.pool, &QUOTAS, each).await.expect("a look");
    let beyond = async || look().await.beyond;
    let names = |found: &[quotas::CustomerBeyond]| -> Vec<String> {
        found.iter().flat_map(|customer| &customer.endpoints).map(|held| held.endpoint_id.clone()).collect()
    };
    let found = beyond().await;
    assert_eq!((found[0].used[&Quota::BacklogRowsMax], found[0].sharers), (101, 3));
    let mut both = ids[..2].to_vec();
    both.sort();
    assert_eq!(names(&found), both);
    let suspend = async |ids: &[&str]| endpoints::suspend(&api.pool, ids).await.expect("suspended");
    assert_eq!(suspend(&[&ids[0], "ep_nosuch"]).await, ids[..1]);
    assert_eq!(suspend(&[&ids[0]]).await, Vec::<String>::new(), "it is so already");
    assert_eq!(names(&beyond().await), ids[1..2], "the rows of the other one are there still");
    suspend(&[&ids[1]]).await;
    assert_eq!(beyond().await, [], "nobody is left to be suspended");
    assert_eq!(look().await.room, Stored { rows: 1_000, bytes: 5_000 }, "what an endpoint without a backlog may hold");
}

#[actix_rt::test]
async fn a_tiny_quota_of_one_customer_does_not_make_everybody_look_all_the_time() {
    let api = limited(json!({"backlog_rows_max": 3, "backlog_bytes_max": 10})).await;
    let each = EndpointLimits { rows_max: 5_000, bytes_max: 5_000_000 };
    let look = async || quotas::backlogs(&api.pool, &QUOTAS, each).await.expect("a look");
    let others = Stored { rows: QUOTAS.backlog_rows_max.min(5_000), bytes: QUOTAS.backlog_bytes_max.min(5_000_000) };
    assert_eq!(look().await.room, others, "nothing of it waits");
    let id = api.endpoint("acme", "large").await["id"].as_str().expect("an id").to_owned();
    let store = async |rows: i64| {
        let sql = "INSERT INTO backlog_head VALUES ('orders', $N, '$ID', 2, 0, 0)";
        api.database.execute(&sql.replace("$N", &rows.to_string()).replace("$ID", &id)).await;
    };
    store(0).await;
    assert_eq!(look().await.room, others, "one row of room is left, for it alone");
    store(1).await;
    assert_eq!(look().await.beyond.len(), 1, "a look finds it all the same");
}

#[actix_rt::test]
async fn replays_have_no_more_to_read_together_than_their_customer_may() {
    let api = limited(json!({"replay_events_max": 100})).await;
    let endpoints = [api.endpoint("acme", "a").await, api.endpoint("acme", "b").await];
    let replay = |n: usize, events: i64| NewReplay {
        of_gap: false,
        id: format!("rep_{n}"),
        endpoint_id: endpoints[n % 2]["id"].as_str().expect("an id").to_owned(),
        topic: "orders".to_owned(),
        times: None,
        shares: vec![NewShare { partition: 0, from: 5, end: 5 + events, at_log_start: false }],
    };
    // Both at once, each of its own endpoint: one of them does not fit.
    let asked = [replay(0, 60), replay(1, 60)];
    let fits = |allowance: &quotas::CustomerAllowance| allowance.used[&Quota::ReplayEventsMax] + 60 <= 100;
    let done =
        futures_util::future::join_all(asked.iter().map(|replay| replays::create(&api.pool, replay, 10, fits))).await;
    let created = done.iter().filter(|done| **done == Ok(ReplayCreation::Created)).count();
    assert_eq!(created, 1, "{done:?}");
    assert!(done.iter().any(
        |done| matches!(done, Ok(ReplayCreation::Beyond { allowance, .. }) if allowance.used[&Quota::ReplayEventsMax] == 60)
    ));
    assert_eq!(used(&api, "replay_events_max").await["used"], 60);
}

#[actix_rt::test]
async fn a_subscription_to_a_topic_that_nobody_reads_says_so() {
    let api = limited(json!({})).await;
    api.endpoint("acme", "hook").await;
    let body = |topic: &str| json!({"uid": "s", "endpoint_id": "hook", "topic": topic, "scope": {"level": "topic"}});
    let (status, made) = api.call("PUT", "/v1/subscriptions/s", Some(body("nobody-reads-me"))).await;
    assert_eq!(status, 201);
    let warned =
        |json: &Value| json["warnings"][0].as_str().is_some_and(|text| text.contains("`nobody-reads-me` is not read"));
    assert!(warned(&made), "{made}");
    let (_, read) = api.call("GET", "/v1/subscriptions/s", None).await;
    assert!(warned(&read), "{read}");
    let bulk = json!({"subscriptions": [body("nobody-reads-me")]});
    let (_, bulk) = api.call("POST", "/v1/subscriptions/bulk", Some(bulk)).await;
    assert!(warned(&bulk["data"][0]), "{bulk}");
    let (_, well) = api.call("PUT", "/v1/subscriptions/s", Some(body("orders"))).await;
    assert_eq!(well["warnings"], Value::Null, "{well}");
}
