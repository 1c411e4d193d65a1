//! Entity tags: a write that happens only if nobody else wrote, a read that is answered only if something changed.

use awc::http::header::HeaderMap;
use serde_json::{Value, json};

use crate::api::{Api, KEY, all};

async fn call(
    api: &Api,
    method: &str,
    path: &str,
    condition: (&str, &str),
    body: Option<Value>,
) -> (u16, String, Value) {
    let key = format!("Bearer {KEY}");
    let headers = [("authorization", key.as_str()), ("content-type", "application/json"), condition];
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let (status, headers, json) = api.send_for_headers(method, path, &headers, body).await;
    (status.as_u16(), tag(&headers), json)
}

fn tag(headers: &HeaderMap) -> String {
    headers.get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned()
}

const NONE: (&str, &str) = ("x-no-condition", "1");

#[actix_rt::test]
async fn whoever_read_an_old_version_does_not_write_over_a_new_one() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    api.endpoint("acme", "hook").await;
    let subscription = json!({"endpoint_id": "hook", "topic": "orders", "scope": {"level": "topic"}});
    assert_eq!(api.call("PUT", "/v1/subscriptions/s", Some(subscription)).await.0, 201);
    let changes = [
        ("/v1/customers/acme", json!({"name": "one"}), json!({"name": "two"})),
        ("/v1/endpoints/hook", json!({"description": "one"}), json!({"description": "two"})),
        (
            "/v1/subscriptions/s",
            json!({"scope": {"level": "tenants", "tenants": ["1"]}}),
            json!({"scope": {"level": "tenants", "tenants": ["2"]}}),
        ),
    ];
    for (path, one, two) in changes {
        let (status, old, shown) = call(&api, "GET", path, NONE, None).await;
        assert_eq!((status, old.clone()), (200, format!("\"v{}\"", shown["version"])), "{path}");
        let (status, new, _) = call(&api, "PATCH", path, ("if-match", &old), Some(one.clone())).await;
        assert_eq!(status, 200, "{path}");
        assert_ne!(new, old, "{path}");
        for (method, body) in [("PATCH", Some(two)), ("DELETE", None)] {
            let (status, _, problem) = call(&api, method, path, ("if-match", &old), body).await;
            assert_eq!((status, &problem["code"]), (412, &json!("precondition_failed")), "{method} {path}");
        }
        let (status, _, now) = call(&api, "GET", path, ("if-none-match", &old), None).await;
        assert_eq!((status, &now["version"]), (200, &json!(new[2..new.len() - 1].parse::<i64>().expect("a version"))));
        let (status, tag, body) = call(&api, "GET", path, ("if-none-match", &new), None).await;
        assert_eq!((status, tag.as_str(), body), (304, new.as_str(), Value::Null), "{path}");
        let (status, _, problem) = call(&api, "PATCH", path, ("if-match", "v1"), Some(one)).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_header")), "{path}");
    }
    for path in ["/v1/endpoints/hook/pause", "/v1/endpoints/hook/restart", "/v1/endpoints/hook/secrets/rotate"] {
        let (status, _, _) = call(&api, "POST", path, ("if-match", "\"v0\""), None).await;
        assert_eq!(status, 412, "{path}");
    }
}

#[actix_rt::test]
async fn if_none_match_star_creates_and_never_replaces() {
    let api = Api::new().await;
    let body = |name: &str| Some(json!({"name": name, "grants": all()}));
    let only_new = ("if-none-match", "*");
    let (status, tag, made) = call(&api, "PUT", "/v1/customers/acme", only_new, body("first")).await;
    assert_eq!((status, tag), (201, format!("\"v{}\"", made["version"])));
    let (status, _, problem) = call(&api, "PUT", "/v1/customers/acme", only_new, body("second")).await;
    assert_eq!((status, &problem["code"]), (412, &json!("precondition_failed")));
    assert_eq!(api.call("GET", "/v1/customers/acme", None).await.1["name"], "first");
    let (status, _, _) = call(&api, "PUT", "/v1/customers/other", ("if-match", "*"), body("third")).await;
    assert_eq!(status, 412, "nothing is there to match");
}
