//! The life of API keys, against a real Postgres.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Api, all};

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
