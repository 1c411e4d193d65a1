//! Endpoints as they are written, and the secrets that they keep.

use actix_web::http::StatusCode;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use postrider::store::{
    resealing::{self, Resealed},
    secret_box::SecretBox,
    settings::EndpointRow,
};
use serde_json::{Value, json};

use crate::api::{Api, OLD_KEY, all, fields, secret_box};

/// Acme's endpoint, which sends a token with its events.
async fn put_with_bearer(api: &Api) -> (StatusCode, Value) {
    let bearer = json!({"type": "bearer", "token": "hush"});
    let body = json!({"customer_id": "acme", "url": "https://example.com/a", "auth": bearer});
    api.call("PUT", "/v1/endpoints/hook", Some(body)).await
}

#[actix_rt::test]
async fn a_url_that_leads_elsewhere_takes_no_secret_along() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    assert_eq!(put_with_bearer(&api).await.0, 201);
    for url in ["http://example.com/a", "https://example.com:8443/a", "https://example.org/a"] {
        let problem =
            api.refused("PATCH", "/v1/endpoints/hook", Some(json!({ "url": url })), 422, "validation_failed").await;
        assert_eq!(problem["errors"][0]["field"], "auth", "{url}: {problem}");
    }
    for patch in [
        json!({"url": "https://example.com:443/b?c"}),
        json!({"url": "https://example.org/a", "auth": {"type": "bearer", "token": "other"}}),
        json!({"url": "https://example.net/a", "auth": {"type": "none"}}),
        json!({"url": "https://example.com/a"}),
    ] {
        let (status, patched) = api.call("PATCH", "/v1/endpoints/hook", Some(patch.clone())).await;
        assert_eq!(status, 200, "{patch}: {patched}");
    }
}

#[actix_rt::test]
async fn credentials_that_are_taken_back_are_gone() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    for patch in [json!({"auth": null}), json!({"auth": null, "url": "https://example.org/a"})] {
        let (_, endpoint) = put_with_bearer(&api).await;
        let id = endpoint["id"].as_str().expect("an id");
        let (status, patched) = api.call("PATCH", "/v1/endpoints/hook", Some(patch)).await;
        assert_eq!(status, 200, "{patched}");
        assert_eq!(patched["auth"]["type"], "none");
        let kept = secret_box().open(id, &sealed(&api, id).await).expect("it opens");
        assert!(!String::from_utf8_lossy(&kept).contains("hush"));
    }
}

#[actix_rt::test]
async fn a_rotation_ends_no_secret_before_its_time() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    api.endpoint("acme", "hook").await;
    let rotate = "/v1/endpoints/hook/secrets/rotate";
    for _ in 0..2 {
        assert_eq!(api.call("POST", rotate, None).await.0, 200);
    }
    let problem = api.refused("POST", rotate, None, 409, "too_many_secrets").await;
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("overlap_ms")), "{problem}");
    let secret = json!({"secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"});
    api.refused("PATCH", "/v1/endpoints/hook", Some(secret), 409, "too_many_secrets").await;
    assert_eq!(api.call("POST", rotate, Some(json!({"overlap_ms": 0}))).await.0, 200);
    assert_eq!(api.call("POST", rotate, None).await.0, 200);
}

/// Seals an endpoint's (id) secrets as the older key had sealed them.
async fn seal_with_the_older_key(api: &Api, endpoint: &str) {
    let opened = secret_box().open(endpoint, &sealed(api, endpoint).await).expect("it opens");
    let old = SecretBox::new(&BASE64_STANDARD.encode(OLD_KEY)).expect("a key").seal(endpoint, &opened, [4; 24]);
    let write = "UPDATE endpoint SET secrets = $2 WHERE id = $1";
    api.database.connect().await.execute(write, &[&endpoint, &old]).await.expect("written");
}

async fn sealed(api: &Api, endpoint: &str) -> Vec<u8> {
    let read = "SELECT secrets FROM endpoint WHERE id = $1";
    api.database.connect().await.query_one(read, &[&endpoint]).await.expect("an endpoint").get(0)
}

async fn is_sealed_with_the_first_key(api: &Api, endpoint: &str) -> bool {
    sealed(api, endpoint).await[..2] == secret_box().seal(endpoint, b"", [0; 24])[..2]
}

#[actix_rt::test]
async fn the_secrets_of_an_endpoint_that_is_put_again_are_sealed_with_the_first_key() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let id = api.endpoint("acme", "hook").await["id"].as_str().expect("id").to_owned();
    seal_with_the_older_key(&api, &id).await;
    assert!(!is_sealed_with_the_first_key(&api, &id).await);
    let body = json!({"customer_id": "acme", "url": "https://example.com/hook"});
    assert_eq!(api.call("PUT", "/v1/endpoints/hook", Some(body)).await.0, 200);
    assert!(is_sealed_with_the_first_key(&api, &id).await);
}

#[actix_rt::test]
async fn secrets_that_an_older_key_sealed_are_sealed_again_and_stay_the_same() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let id = async |uid: &str| api.endpoint("acme", uid).await["id"].as_str().expect("id").to_owned();
    let (old, damaged, new) = (id("old").await, id("damaged").await, id("new").await);
    let loaded = async || format!("{:?}", api.settings().await.endpoints);
    let shown = async || api.call("GET", "/v1/endpoints/old", None).await.1;
    let before = (loaded().await, shown().await);
    let newest = sealed(&api, &new).await;
    seal_with_the_older_key(&api, &old).await;
    let done = resealing::reseal(&api.pool, &secret_box(), rand::random).await;
    assert_eq!(done, Ok(Resealed { endpoints: 1, left: 0 }));
    assert!(is_sealed_with_the_first_key(&api, &old).await);
    assert_eq!((loaded().await, shown().await), before, "nobody has to hear of it");
    assert_eq!(sealed(&api, &new).await, newest);

    // What opens with no key hides nothing behind it, and stays in the number.
    seal_with_the_older_key(&api, &new).await;
    let damage = format!("UPDATE endpoint SET secrets = set_byte(secrets, 1, 255) WHERE id = '{damaged}'");
    api.database.execute(&damage).await;
    let done = resealing::reseal(&api.pool, &secret_box(), rand::random).await;
    assert_eq!(done, Ok(Resealed { endpoints: 1, left: 1 }));
    assert!(is_sealed_with_the_first_key(&api, &new).await);
}

#[actix_rt::test]
async fn an_endpoint_shows_its_signing_secret_once_and_no_other_secret_ever() {
    let api = Api::new().await;
    let customer = api.customer("acme", all()).await;
    let body = json!({
        "customer_id": customer["id"], "uid": "hook", "url": "https://example.com/hook?x=1",
        "auth": {"type": "basic", "username": "user", "password": "hunter2-secret"},
    });
    let (status, made) = api.call("POST", "/v1/endpoints", Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["secret"].as_str().expect("the signing secret").to_owned();
    assert!(secret.starts_with("whsec_"));
    assert_eq!(made["auth"], json!({"type": "basic", "username": "user"}));
    let id = made["id"].as_str().expect("id");

    let seen = [
        api.call("GET", &format!("/v1/endpoints/{id}"), None).await.1.to_string(),
        api.call("GET", "/v1/endpoints", None).await.1.to_string(),
        api.call("PATCH", "/v1/endpoints/hook", Some(json!({"in_flight_max": 3}))).await.1.to_string(),
        api.call("POST", "/v1/endpoints/hook/pause", None).await.1.to_string(),
        api.database.value("SELECT string_agg(endpoint::text, '') FROM endpoint").await.expect("rows"),
        format!("{:?}", api.settings().await.endpoints),
    ];
    for text in seen {
        assert!(!text.contains("hunter2-secret") && !text.contains(&secret[6..]), "{text}");
    }

    let (status, rotated) = api.call("POST", "/v1/endpoints/hook/secrets/rotate", None).await;
    assert_eq!(status, 200);
    assert_ne!(rotated["secret"].as_str(), Some(secret.as_str()));
    let loaded = api.settings().await;
    let [EndpointRow::Present(settings)] = &loaded.endpoints[..] else { panic!("{:?}", loaded.endpoints) };
    assert_eq!(settings.signing_keys.len(), 2, "the old secret goes on signing for a while");
    let (_, rotated) = api.call("POST", "/v1/endpoints/hook/secrets/rotate", Some(json!({"overlap_ms": 0}))).await;
    assert!(rotated["secret"].is_string());
    let loaded = api.settings().await;
    let [EndpointRow::Present(settings)] = &loaded.endpoints[..] else { panic!("{:?}", loaded.endpoints) };
    assert_eq!(settings.signing_keys.len(), 1);
}

#[actix_rt::test]
async fn putting_an_endpoint_again_changes_nothing_and_wakes_nobody() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let body = json!({
        "customer_id": "acme", "url": "https://example.com/hook", "mode": "batch",
        "batch": {"events_max": 100}, "auth": {"type": "bearer", "token": "hush"},
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    });
    let (status, made) = api.call("PUT", "/v1/endpoints/hook", Some(body.clone())).await;
    assert_eq!(status, 201, "{made}");
    let version = api.settings().await.version;
    let (status, again) = api.call("PUT", "/v1/endpoints/hook", Some(body.clone())).await;
    assert_eq!((status.as_u16(), &again["version"]), (200, &made["version"]));
    assert_eq!(api.settings().await.version, version);
    let mut other = body;
    other["auth"]["token"] = json!("other");
    let (_, changed) = api.call("PUT", "/v1/endpoints/hook", Some(other)).await;
    assert_ne!(changed["version"], made["version"]);
}

#[actix_rt::test]
async fn an_endpoint_is_patched_by_field_and_its_state_by_command() {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    let made = api.endpoint("acme", "hook").await;
    let patch = json!({"rate_limit": {"events_per_second": 5}, "retry": {"schedule_ms": [100, 200]}});
    let (status, patched) = api.call("PATCH", "/v1/endpoints/hook", Some(patch)).await;
    assert_eq!(status, 200, "{patched}");
    assert_eq!(patched["rate_limit"], json!({"events_per_second": 5, "burst_events": 5}));
    assert_eq!(patched["retry"], json!({"attempts_max": null, "schedule_ms": [100, 200]}));
    assert_eq!(patched["url"], made["url"]);
    let (_, patched) = api.call("PATCH", "/v1/endpoints/hook", Some(json!({"rate_limit": null}))).await;
    assert_eq!(patched["rate_limit"], Value::Null);
    let wrong = json!({"url": "javascript:alert(1)", "in_flight_max": 0, "customer_id": "cus_other"});
    let problem = api.refused("PATCH", "/v1/endpoints/hook", Some(wrong), 422, "validation_failed").await;
    assert_eq!(fields(&problem), ["in_flight_max", "url"]);

    for (command, state) in [("pause", "paused"), ("resume", "enabled"), ("disable", "disabled")] {
        let (status, endpoint) = api.call("POST", &format!("/v1/endpoints/hook/{command}"), None).await;
        assert_eq!((status.as_u16(), &endpoint["state"]), (200, &json!(state)));
    }
    api.refused("POST", "/v1/endpoints/hook/resume", None, 409, "endpoint_is_disabled").await;
    assert_eq!(api.call("POST", "/v1/endpoints/hook/enable", None).await.1["state"], "enabled");
    api.refused("POST", "/v1/endpoints/unknown/enable", None, 404, "not_found").await;
}
