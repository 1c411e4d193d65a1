//! ○ The shapes of what is sent to the API.

use serde_json::{Map, Value, json};

use super::schema::{about, body, example, id, list, list_of, name, number, of, or_null, text, time, uid, with, word};
use crate::{
    admin::bulk::ITEMS_MAX,
    api::{endpoint::EndpointSettings, shape},
    model::quotas::{QUOTA_MAX, Quota},
};

/// Each by its name.
pub fn bodies() -> Map<String, Value> {
    let mut all = Map::new();
    for (name, schema) in customers()
        .into_iter()
        .chain(endpoints())
        .chain(settings())
        .chain(credentials())
        .chain(subscriptions())
        .chain(rest())
        .chain(keys())
    {
        all.insert(name.to_owned(), schema);
    }
    all
}

type Schemas = Vec<(&'static str, Value)>;

fn customers() -> Schemas {
    let granted = list_of(about(text(256), "A name, or \"*\" alone for everything."), 0, 50_000);
    let grants = json!({"topics": granted, "tenants": granted});
    let write = |required: &[&str]| {
        let quotas = about(or_null(of("OwnQuotas")), "Left out: as they are, or as configured for a new customer.");
        body(
            required,
            json!({"uid": or_null(uid("cus_")), "name": text(200), "grants": of("Grants"), "quotas": quotas}),
        )
    };
    let acme = json!({"name": "Acme", "grants": {"topics": ["orders"], "tenants": ["2", "7"]}});
    let mut item = acme.clone();
    item["uid"] = "acme".into();
    let items = list_of(write(&["uid", "name", "grants"]), 1, ITEMS_MAX);
    let many = example(body(&["customers"], json!({"customers": items})), json!({"customers": [item]}));
    let limit = or_null(number(0, QUOTA_MAX.unsigned_abs()));
    let quotas: Map<String, Value> = Quota::ALL.iter().map(|name| (name.as_str().to_owned(), limit.clone())).collect();
    let quotas =
        about(body(&[], Value::Object(quotas)), "What differs from the configuration; what is left out does not.");
    vec![
        ("OwnQuotas", quotas),
        ("CustomersBody", many),
        ("Grants", body(&["topics", "tenants"], grants)),
        ("CustomerBody", example(write(&["name", "grants"]), acme)),
        ("CustomerPatch", example(write(&[]), json!({"grants": {"topics": ["*"], "tenants": ["2"]}}))),
    ]
}

fn endpoints() -> Schemas {
    let acme = json!({
        "customer_id": "acme", "url": "https://acme.example/hook", "mode": "batch",
        "batch": {"events_max": 1000, "wait_ms_max": 1000}, "auth": {"type": "bearer", "token": "…"},
    });
    let item = json!({"endpoints": [{"customer_id": "acme", "uid": "acme-erp", "url": "https://acme.example/hook"}]});
    vec![
        ("EndpointBody", example(body(&["url"], endpoint_members()), acme)),
        (
            "EndpointPatch",
            about(
                example(body(&[], endpoint_members()), json!({"in_flight_max": 3, "rate_limit": null})),
                "What is not said stays as it is; null takes away (RFC 7396).",
            ),
        ),
        (
            "EndpointsBody",
            example(
                body(
                    &["endpoints"],
                    json!({"endpoints": list_of(body(&["uid", "url"], endpoint_members()), 1, ITEMS_MAX)}),
                ),
                item,
            ),
        ),
        (
            "RotationBody",
            example(
                body(
                    &[],
                    json!({"secret": or_null(of("SigningSecret")), "overlap_ms": or_null(number(0, 604_800_000))}),
                ),
                json!({"overlap_ms": 86_400_000}),
            ),
        ),
        ("Nothing", body(&[], json!({}))),
        (
            "PurgeBody",
            example(
                body(&[], json!({"topic": or_null(text(249)), "received_before": or_null(time())})),
                json!({"received_before": "2026-01-31T12:00:00Z"}),
            ),
        ),
    ]
}

fn endpoint_members() -> Value {
    let members = json!({
        "customer_id": or_null(about(name(), "Whose it is: an id or your own key. A customer's key needs none.")),
        "uid": or_null(uid("ep_")),
        "url": about(json!({"type": "string", "format": "uri", "maxLength": 2000}),
            "http or https, to a public address unless the operator allows more."),
        "auth": or_null(of("Auth")),
        "secret": or_null(of("SigningSecret")),
    });
    let mut settings = shape::taken::<EndpointSettings>()["properties"].take();
    for (member, component) in SETTINGS_COMPONENTS {
        let description = settings[member]["description"].take();
        settings[member] = or_null(of(component));
        if description.is_string() {
            settings[member]["description"] = description;
        }
    }
    with(members, settings)
}

/// Members of an endpoint's settings that are components of their own.
const SETTINGS_COMPONENTS: [(&str, &str); 5] = [
    ("batch", "Batch"),
    ("ordering", "Ordering"),
    ("rate_limit", "RateLimit"),
    ("retry", "Retry"),
    ("breaker", "Breaker"),
];

fn auth() -> Value {
    let secret = |chars: usize| json!({"type": "string", "minLength": 1, "maxLength": chars, "writeOnly": true});
    let kind = |word: &str| json!({"type": "string", "const": word});
    json!({"oneOf": [
        body(&["type"], json!({"type": kind("none")})),
        body(
            &["type", "username", "password"],
            json!({"type": kind("basic"), "username": text(16_384), "password": text(16_384)})
        ),
        body(&["type", "token"], json!({"type": kind("bearer"), "token": secret(16_384)})),
        body(
            &["type", "headers"],
            json!({"type": kind("headers"), "headers": {
                "type": "object", "minProperties": 1, "maxProperties": 16, "additionalProperties": secret(16_384),
                "propertyNames": {"pattern": "^[A-Za-z0-9-]{1,64}$"},
            }})
        ),
        body(
            &["type", "token_url", "client_id", "client_secret"],
            json!({
                "type": kind("oauth2"), "token_url": {"type": "string", "format": "uri"}, "client_id": text(256),
                "client_secret": secret(1_024), "scope": or_null(text(1_024)), "audience": or_null(text(1_024)),
                "style": or_null(word(&["basic", "body"])),
            })
        ),
        body(
            &["type", "certificate", "key"],
            json!({"type": kind("mutual_tls"), "certificate": secret(65_536), "key": secret(65_536)})
        ),
    ]})
}

fn settings() -> Schemas {
    let shape = shape::taken::<EndpointSettings>();
    let component = |(member, name)| {
        let mut component = shape::member(&shape, member)?.clone();
        component["type"] = "object".into(); // that it may be null is said where it is used
        Some((name, component))
    };
    SETTINGS_COMPONENTS.into_iter().filter_map(component).collect()
}

fn credentials() -> Schemas {
    vec![
        ("Auth", about(auth(), "How the endpoint wants us to say who we are. Never shown again.")),
        (
            "SigningSecret",
            json!({
                "type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$", "writeOnly": true,
                "description": "whsec_ and 24 to 64 bytes in base64 (Standard Webhooks).",
                "examples": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
            }),
        ),
    ]
}

fn subscriptions() -> Schemas {
    let names = || list_of(of("Name"), 1, 10_000);
    let level = |word: &str| json!({"type": "string", "const": word});
    let scopes = json!([
        body(&["level"], json!({"level": level("topic")})),
        body(&["level", "tenants"], json!({"level": level("tenants"), "tenants": names()})),
        body(
            &["level", "departments"],
            json!({"level": level("departments"), "departments": {
                "type": "object", "minProperties": 1, "maxProperties": 10_000, "additionalProperties": names(),
                "propertyNames": {"minLength": 1, "maxLength": 256},
            }})
        ),
    ]);
    let members = || {
        json!({
            "endpoint_id": or_null(name()), "uid": or_null(uid("sub_")), "topic": of("Topic"), "scope": of("Scope"),
        })
    };
    let acme = json!({
        "endpoint_id": "acme-erp", "topic": "orders",
        "scope": {"level": "departments", "departments": {"2": ["100", "200"]}},
    });
    let mut item = acme.clone();
    item["uid"] = "acme-2".into();
    let items = list_of(body(&["endpoint_id", "uid", "topic", "scope"], members()), 1, ITEMS_MAX);
    vec![
        ("Topic", json!({"type": "string", "pattern": "^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,249}$"})),
        (
            "Name",
            about(json!({"anyOf": [text(256), {"type": "integer"}]}), "A tenant or a department; numbers are names."),
        ),
        ("Scope", json!({"oneOf": scopes})),
        ("SubscriptionBody", example(body(&["topic", "scope"], members()), acme)),
        ("SubscriptionPatch", example(body(&[], members()), json!({"scope": {"level": "tenants", "tenants": ["2"]}}))),
        (
            "SubscriptionsBody",
            example(body(&["subscriptions"], json!({"subscriptions": items})), json!({"subscriptions": [item]})),
        ),
    ]
}

fn rest() -> Schemas {
    let ids = list_of(id("dl_"), 1, 1_000);
    let all = json!({"type": "boolean", "const": true});
    let mut filter = body(
        &[],
        json!({
            "reason": word(&["rejected", "exhausted", "undecodable", "too_large", "internal"]), "topic": text(249),
            "tenant": text(256), "since": time(), "until": time(),
        }),
    );
    filter["minProperties"] = json!(1);
    let selection = json!({"oneOf": [
        body(&["ids"], json!({"ids": ids})), body(&["filter"], json!({"filter": filter})), body(&["all"], json!({"all": all})),
    ]});
    let base = || json!({"endpoint_id": name(), "customer_id": or_null(name()), "topic": of("Topic")});
    let offset = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    let part = body(
        &["partition", "from_offset", "to_offset"],
        json!({"partition": number(0, 2_147_483_647), "from_offset": offset, "to_offset": offset}),
    );
    let replay = json!({"oneOf": [
        body(&["endpoint_id", "topic", "from_time", "to_time"], with(base(), json!({"from_time": time(), "to_time": time()}))),
        body(&["endpoint_id", "topic", "partitions"], with(base(), json!({"partitions": list_of(part, 1, 10_000)}))),
    ]});
    let replayed = json!({
        "endpoint_id": "acme-erp", "topic": "orders",
        "from_time": "2026-01-31T12:00:00Z", "to_time": "2026-01-31T18:00:00Z",
    });
    vec![
        (
            "Selection",
            example(
                about(selection, "Some dead letters, those of a filter, or all there are now."),
                json!({"all": true}),
            ),
        ),
        ("ReplayBody", example(replay, replayed)),
        ("MatchBody", example(matching(), json!({"topic": "orders", "tenant": "2", "department": "100"}))),
    ]
}

fn keys() -> Schemas {
    let key = json!({
        "name": text(200), "role": word(&["admin", "operator", "customer"]), "customer_id": or_null(name()),
        "expires_at": or_null(time()),
    });
    let key_patch = json!({"name": text(200), "expires_at": or_null(time())});
    let made = json!({"name": "Acme, production", "role": "customer", "customer_id": "acme"});
    vec![
        ("ApiKeyBody", example(body(&["name", "role"], key), made)),
        ("ApiKeyPatch", example(body(&[], key_patch), json!({"expires_at": "2030-01-01T00:00:00Z"}))),
        (
            "TokenRotationBody",
            example(
                body(&[], json!({"overlap_ms": or_null(number(0, 604_800_000))})),
                json!({"overlap_ms": 3_600_000}),
            ),
        ),
    ]
}

fn matching() -> Value {
    let base64 = || json!({"type": "string", "contentEncoding": "base64"});
    let header = json!({"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]});
    let listed = body(&["name"], json!({"name": {"type": "string"}, "value": header, "value_base64": base64()}));
    let headers = json!({"anyOf": [
        {"type": "object", "additionalProperties": header, "maxProperties": 1_000}, list(listed), {"type": "null"},
    ]});
    let record = json!({
        "key": {"type": "string"}, "key_base64": base64(), "value": {"description": "Any JSON, as it was written."},
        "value_text": {"type": "string"}, "value_base64": base64(), "headers": headers,
    });
    body(
        &["topic"],
        json!({
            "topic": of("Topic"), "tenant": or_null(of("Name")), "department": or_null(of("Name")),
            "endpoint_id": or_null(name()), "customer_id": or_null(name()), "record": or_null(body(&[], record)),
        }),
    )
}
