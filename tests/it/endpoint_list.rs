//! Thousands of endpoints: found by a part of a name, by state, in any order, page by page.

use serde_json::{Value, json};

use crate::api::{Api, all};

async fn page(api: &Api, query: &str) -> Value {
    let (status, page) = api.call("GET", &format!("/v1/endpoints{query}"), None).await;
    assert_eq!(status, 200, "{query}: {page}");
    page
}

fn uids(page: &Value) -> Vec<String> {
    page["data"].as_array().expect("data").iter().map(|one| one["uid"].as_str().expect("uid").to_owned()).collect()
}

/// All pages one after the other.
async fn walk(api: &Api, query: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(api, &format!("?limit=3{query}{cursor}")).await;
        all.extend(uids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn api() -> Api {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    api.customer("other", all()).await;
    for (customer, uid, url) in [
        ("acme", "d-erp", "https://z.example/1"),
        ("acme", "a-dwh", "https://y.example/100%25"),
        ("other", "c_ledger", "https://x.example/"),
        ("acme", "b-Mixed", "https://w.example/"),
        ("acme", "cxledger", "https://w.example/"),
    ] {
        let body = json!({"customer_id": customer, "url": url, "description": format!("the {uid} of {customer}")});
        assert_eq!(api.call("PUT", &format!("/v1/endpoints/{uid}"), Some(body)).await.0, 201);
    }
    api
}

#[actix_rt::test]
async fn a_list_is_walked_in_any_order_without_missing_or_repeating_anything() {
    let api = api().await;
    let reversed = |mut all: Vec<&'static str>| {
        all.reverse();
        all
    };
    let created = vec!["d-erp", "a-dwh", "c_ledger", "b-Mixed", "cxledger"];
    assert_eq!(walk(&api, "").await, created);
    assert_eq!(walk(&api, "&sort=-created").await, reversed(created));
    let by_uid = vec!["a-dwh", "b-Mixed", "c_ledger", "cxledger", "d-erp"];
    assert_eq!(walk(&api, "&sort=uid").await, by_uid);
    assert_eq!(walk(&api, "&sort=-uid").await, reversed(by_uid));
    // Of two with one URL, the older one first.
    assert_eq!(walk(&api, "&sort=url").await, ["b-Mixed", "cxledger", "c_ledger", "a-dwh", "d-erp"]);
    assert_eq!(api.call("POST", "/v1/endpoints/a-dwh/pause", None).await.0, 200);
    assert_eq!(walk(&api, "&sort=-updated").await[0], "a-dwh");
}

#[actix_rt::test]
async fn what_changes_while_somebody_pages_from_the_newest_change_is_not_passed_over() {
    let api = api().await;
    let first = page(&api, "?limit=2&sort=-updated").await;
    assert_eq!(uids(&first), ["cxledger", "b-Mixed"]);
    // It stood on a page to come, and stands before the first one now.
    assert_eq!(api.call("POST", "/v1/endpoints/d-erp/pause", None).await.0, 200);
    let (mut all, mut cursor) = (uids(&first), first["next_cursor"].as_str().map(ToOwned::to_owned));
    while let Some(next) = cursor {
        let page = page(&api, &format!("?limit=2&sort=-updated&cursor={next}")).await;
        all.extend(uids(&page));
        cursor = page["next_cursor"].as_str().map(ToOwned::to_owned);
    }
    all.sort_unstable();
    assert_eq!(all, ["a-dwh", "b-Mixed", "c_ledger", "cxledger", "d-erp"], "each of them, and each once");
}

#[actix_rt::test]
async fn endpoints_are_found_by_a_part_of_a_name_by_state_and_by_customer() {
    let api = api().await;
    assert_eq!(uids(&page(&api, "?q=MIXED").await), ["b-Mixed"]);
    assert_eq!(uids(&page(&api, "?q=w.example").await), ["b-Mixed", "cxledger"]);
    assert_eq!(uids(&page(&api, "?q=of%20other").await), ["c_ledger"]);
    // An underscore is an underscore, a percent sign a percent sign.
    assert_eq!(uids(&page(&api, "?q=c_ledger").await), ["c_ledger"]);
    assert_eq!(uids(&page(&api, "?q=100%25").await), ["a-dwh"]);
    let (_, one) = api.call("GET", "/v1/endpoints/d-erp", None).await;
    assert_eq!(uids(&page(&api, &format!("?q={}", one["id"].as_str().expect("id"))).await), ["d-erp"]);

    assert_eq!(api.call("POST", "/v1/endpoints/d-erp/pause", None).await.0, 200);
    assert_eq!(uids(&page(&api, "?state=paused").await), ["d-erp"]);
    assert_eq!(uids(&page(&api, "?state=enabled&customer_id=acme&sort=uid").await), ["a-dwh", "b-Mixed", "cxledger"]);
    assert!(uids(&page(&api, "?customer_id=nobody").await).is_empty());
    for query in ["?sort=age", "?state=asleep", "?cursor=x", "?limit=251", "?order=url"] {
        assert_eq!(api.call("GET", &format!("/v1/endpoints{query}"), None).await.0, 400, "{query}");
    }
}

#[actix_rt::test]
async fn a_list_names_each_customer_where_that_is_asked_for_and_a_customers_key_hears_its_own_name_only() {
    let api = api().await;
    let listed = page(&api, "?include=customer&sort=uid").await;
    let names = |page: &Value| -> Vec<Value> {
        page["data"].as_array().expect("data").iter().map(|one| one["customer"]["uid"].clone()).collect()
    };
    assert_eq!(names(&listed), ["acme", "acme", "other", "acme", "acme"]);
    assert!(listed["data"][0]["customer"]["name"].is_string() && listed["data"][0]["health"].is_null(), "{listed}");
    assert_eq!(page(&api, "?include=health,customer&limit=1").await["data"][0]["customer"]["uid"], "acme");
    assert!(page(&api, "").await["data"][0]["customer"].is_null(), "only where it is asked for");

    let (token, _) = api.api_key("customer", Some("other")).await;
    let (_, own) = api.call_as(&token, "GET", "/v1/endpoints?include=customer", None).await;
    assert_eq!(names(&own), ["other"]);
    let (_, keys) = api.call("GET", "/v1/api-keys?include=customer", None).await;
    assert_eq!(names(&keys), ["other"]);
    api.refused("GET", "/v1/api-keys?include=health", None, 400, "invalid_query").await;
}
