//! ○ The shapes of what the API answers. Closed: a member that is not named here is not in an answer.

use serde_json::{Map, Value, json};

use super::{
    health::{self, silent_until},
    schema::{about, count, flag, id, list, number, object, of, or_null, page, plain, time, whole, with, word},
};
use crate::{
    admin::problem::CODES,
    api::{endpoint::EndpointSettings, shape},
    model::quotas::Quota,
};

/// Each by its name.
pub fn answers() -> Map<String, Value> {
    let mut all = Map::new();
    let rooms =
        [problems(), customers(), endpoints(), of_endpoints(), subscriptions(), letters(), rest(), health::answers()];
    for (name, schema) in rooms.into_iter().flatten() {
        all.insert(name.to_owned(), schema);
    }
    all
}

type Schemas = Vec<(&'static str, Value)>;

/// A list may have rows that this version cannot read.
fn listed(name: &str, prefix: &str) -> Value {
    let unreadable = object(json!({"id": id(prefix), "unreadable": {"type": "boolean", "const": true}}), &[]);
    page(json!({"anyOf": [of(name), unreadable]}))
}

fn problems() -> Schemas {
    let field = object(
        json!({
            "field": about(plain(), "batch.events_max, or subscriptions[17].topic"), "message": plain(),
            "index": about(count(), "Of a body with many items: which of them."),
        }),
        &["index"],
    );
    let over_quota = object(json!({"name": plain(), "limit": count(), "used": count(), "asked": count()}), &[]);
    let mut problem = object(
        json!({
            "status": number(400, 599), "title": plain(), "detail": plain(), "errors": list(of("FieldError")),
            "code": about(word(CODES), "Stable: programs may decide by it."),
            "quota": about(over_quota, "With the code quota_exceeded: the quota, and what was asked for on top of what is used."),
        }),
        &["errors", "quota"],
    );
    problem["examples"] = json!([{
        "status": 422, "title": "Unprocessable Entity", "code": "validation_failed",
        "detail": "1 field(s) are not valid: url", "errors": [{"field": "url", "message": "is missing"}],
    }]);
    vec![("FieldError", field), ("Problem", problem)]
}

fn customers() -> Schemas {
    let customer = object(
        json!({
            "id": id("cus_"), "uid": or_null(plain()), "name": plain(), "grants": of("Grants"), "quotas": of("OwnQuotas"),
            "version": count(), "created_at": time(), "updated_at": time(),
        }),
        &[],
    );
    let name = object(json!({"uid": or_null(plain()), "name": plain()}), &[]);
    let quota = object(json!({"limit": count(), "own": flag(), "used": count()}), &[]);
    let quota = about(quota, "`own`: it is this customer's, and not the one of the configuration.");
    let quotas: Map<String, Value> = Quota::ALL.iter().map(|name| (name.as_str().to_owned(), quota.clone())).collect();
    let quotas = json!({"customer_id": id("cus_"), "quotas": object(Value::Object(quotas), &[])});
    vec![
        ("CustomerQuotas", object(quotas, &[])),
        ("Customer", customer),
        ("CustomerPage", listed("Customer", "cus_")),
        ("CustomerName", about(name, "What people call the customer of this id; where that was asked for.")),
    ]
}

fn endpoints() -> Schemas {
    let members = json!({
        "id": id("ep_"), "uid": or_null(plain()), "customer_id": id("cus_"),
        "state": word(&["enabled", "paused", "disabled"]),
        "state_reason": about(plain(), "Who or what set the state last."),
        "suspended_at": or_null(about(time(), "Over its quota since then: what comes is skipped, and noted as a gap.")),
        "url": plain(), "auth": of("AuthView"), "version": count(), "created_at": time(), "updated_at": time(),
    });
    let settings = shape::given::<EndpointSettings>()["properties"].take();
    let members = with(members, settings);
    let mut one = members.clone();
    one["secrets_unreadable"] = about(
        json!({"type": "boolean", "const": true}),
        "The service has another key than the one that these were sealed with: what comes waits, until the right key is back \
         or auth and secret are PUT anew.",
    );
    let mut with_secret = members.clone();
    with_secret["secret"] = about(plain(), "The signing secret, shown this once.");
    let mut listed_members = members.clone();
    listed_members["health"] = of("Health");
    listed_members["customer"] = of("CustomerName");
    let kind = |word: &str| json!({"type": "string", "const": word});
    let auth = json!({"oneOf": [
        object(json!({"type": kind("none")}), &[]),
        object(json!({"type": kind("basic"), "username": plain()}), &[]),
        object(json!({"type": kind("bearer")}), &[]),
        object(json!({"type": kind("headers"), "names": list(plain())}), &[]),
        object(json!({
            "type": kind("oauth2"), "token_url": plain(), "client_id": plain(), "scope": or_null(plain()),
            "audience": or_null(plain()), "style": word(&["basic", "body"]),
        }), &[]),
        object(json!({"type": kind("mutual_tls"), "certificate_sha256": plain()}), &[]),
    ]});
    vec![
        ("AuthView", about(auth, "What may be shown of it: never a secret.")),
        ("Endpoint", object(one, &["secrets_unreadable"])),
        ("NewEndpoint", object(with_secret, &[])),
        ("ListedEndpoint", object(listed_members, &["health", "customer"])),
        ("EndpointPage", listed("ListedEndpoint", "ep_")),
    ]
}

fn of_endpoints() -> Schemas {
    let part = json!({
        "topic": plain(), "partition": count(), "events": count(), "bytes": count(),
        "oldest_received_at": or_null(time()),
    });
    let gap = json!({
        "topic": plain(), "partition": count(), "from_offset": whole(), "end_offset": or_null(whole()),
        "events": count(), "since": time(),
    });
    let backlog = json!({
        "endpoint_id": id("ep_"), "events": count(), "bytes": count(), "oldest_received_at": or_null(time()),
        "oldest_given_up_at": about(or_null(time()), "When the oldest event becomes a dead letter, if it still waits then."),
        "partitions": list(object(part, &[])), "suspended_at": or_null(time()), "gaps": list(object(gap, &[])),
    });
    let purged = json!({
        "endpoint_id": id("ep_"), "purged_events": count(), "purged_bytes": count(),
        "events": about(count(), "What is left."), "finished": flag(),
    });
    let member = json!({"webhook_id": plain(), "event_id": or_null(plain()), "topic": plain(), "partition": count(), "offset": whole()});
    let attempt = json!({
        "id": plain(), "endpoint_id": plain(), "ended_at": time(), "duration_ms": count(), "webhook_id": plain(),
        "events": count(), "first_events": list(object(member, &["webhook_id"])), "attempt": count(), "outcome": plain(),
        "status": or_null(count()), "class": plain(), "excerpt": plain(), "next": plain(), "next_at": or_null(time()),
        "stands_for": about(count(), "Successes are sampled: this one stands for so many."),
    });
    let tested = json!({
        "endpoint_id": id("ep_"), "state": word(&["enabled", "paused", "disabled"]), "webhook_id": plain(),
        "type": plain(), "outcome": plain(), "status": or_null(count()), "class": plain(), "duration_ms": count(),
        "excerpt": about(plain(), "How the answer begins."),
    });
    let effect = word(&["created", "updated", "unchanged"]);
    let bulk = |item: Value, optional: &[&str]| {
        let counts = json!({
            "version": about(count(), "In effect on an instance once it has this version."), "created": count(),
            "updated": count(), "unchanged": count(), "data": list(object(item, optional)),
        });
        object(counts, &[])
    };
    let customer = json!({"id": id("cus_"), "uid": plain(), "effect": effect});
    let endpoint = json!({"id": id("ep_"), "uid": plain(), "effect": effect, "secret": plain()});
    let subscription = json!({
        "id": id("sub_"), "uid": plain(), "endpoint_id": id("ep_"), "effect": effect, "warnings": warnings(),
    });
    vec![
        ("Backlog", object(backlog, &[])),
        ("Purged", object(purged, &[])),
        ("Tested", object(tested, &[])),
        ("Attempt", object(attempt, &[])),
        ("AttemptPage", attempts()),
        ("CustomersWritten", bulk(customer, &[])),
        ("EndpointsWritten", bulk(endpoint, &["secret"])),
        ("SubscriptionsWritten", bulk(subscription, &["warnings"])),
    ]
}

fn attempts() -> Value {
    let next = about(or_null(plain()), "Goes on with the next page; null at the end.");
    object(json!({"data": list(of("Attempt")), "next_cursor": next, "counts": of("Counts")}), &["counts"])
}

/// Reasons for which a subscription can never match.
fn warnings() -> Value {
    about(list(plain()), "What keeps it from ever matching, such as a topic that is not read; for people.")
}

fn subscriptions() -> Schemas {
    let subscription = json!({
        "id": id("sub_"), "uid": or_null(plain()), "endpoint_id": id("ep_"), "topic": plain(), "scope": of("Scope"),
        "version": count(), "created_at": time(), "updated_at": time(), "warnings": warnings(),
    });
    let event = json!({
        "topic": plain(), "tenant": or_null(plain()), "department": or_null(plain()), "type": or_null(plain()),
        "id": or_null(plain()), "refused": object(json!({"code": plain(), "detail": plain()}), &[]),
    });
    let one = json!({
        "endpoint_id": plain(), "uid": or_null(plain()), "customer_id": plain(), "url": plain(),
        "state": word(&["enabled", "paused", "disabled"]), "silent_until": silent_until(), "gets": flag(),
        "code": about(plain(), "Why; stable."), "detail": plain(), "subscription_ids": list(plain()),
    });
    let matched = json!({
        "event": object(event, &["refused"]), "version": whole(), "matched": count(), "data": list(object(one, &[])),
        "next_cursor": or_null(plain()),
    });
    vec![
        ("Subscription", object(subscription, &["warnings"])),
        ("SubscriptionPage", listed("Subscription", "sub_")),
        ("Matched", object(matched, &[])),
    ]
}

fn letters() -> Schemas {
    let head = json!({
        "id": id("dl_"), "endpoint_id": or_null(plain()), "customer_id": or_null(plain()), "topic": plain(),
        "partition": count(), "offset": whole(), "timestamp": or_null(time()), "occurred_at": or_null(time()),
        "webhook_id": about(or_null(plain()), "The event's id at its endpoint."),
        "event_id": about(or_null(plain()), "The producer's own id."), "type": or_null(plain()),
        "tenant": or_null(plain()), "department": or_null(plain()),
        "reason": word(&["rejected", "exhausted", "undecodable", "too_large", "internal"]), "attempts": count(),
        "last_status": or_null(count()), "last_class": or_null(plain()), "last_excerpt": or_null(plain()),
        "received_at": time(), "created_at": time(), "state": word(&["dead", "redriving"]),
        "redrive_requested_at": or_null(time()), "data_bytes": count(), "key": or_null(plain()), "key_base64": plain(),
        "data": about(json!({}), "The record's value, where it is JSON; null is a tombstone."), "data_base64": plain(),
        "headers": list(object(
            json!({"name": plain(), "value": or_null(plain()), "value_base64": plain()}), &["value", "value_base64"],
        )),
    });
    let data = ["key", "key_base64", "data", "data_base64", "headers"];
    let done = |member: &str| object(json!({member: count(), "more": about(flag(), "Ask again for the rest.")}), &[]);
    let mut redriving = json!({"redriving": count(), "more": about(flag(), "Ask again for the rest.")});
    redriving["requested_at"] = about(time(), "Pass it as since to read how it goes.");
    let redriving = object(redriving, &[]);
    vec![
        ("DeadLetter", object(head, &data)),
        ("DeadLetterPage", page_of_letters()),
        ("Acknowledged", done("acknowledged")),
        ("Redriving", redriving),
        ("RedriveProgress", redrive_progress()),
    ]
}

fn redrive_progress() -> Value {
    let progress = json!({
        "delivered": about(count(), "Their endpoint answered 2xx."),
        "waiting": about(count(), "On their way, or waiting for the endpoint to take events."),
        "dead_again": about(count(), "Given up again."),
        "cancelled": about(count(), "The endpoint no longer subscribes to them; they are dead letters as before."),
    });
    object(progress, &[])
}

fn page_of_letters() -> Value {
    let next = about(or_null(plain()), "Goes on with the next page of what is there now; null at the end.");
    let resume = "Comes back later: as cursor it goes on with whatever was not shown before, however late it was written. \
        A letter that may still have others before it is shown once more. null as long as there is nothing to go past.";
    object(
        json!({
            "data": list(of("DeadLetter")), "next_cursor": next, "resume_cursor": about(or_null(plain()), resume),
        }),
        &[],
    )
}

fn rest() -> Schemas {
    let share = json!({
        "partition": count(), "from_offset": whole(), "to_offset": whole(), "next_offset": whole(),
        "events_sent": count(), "delivered": count(), "backlogged": count(), "dead_lettered": count(),
        "gap_offsets": count(), "begins_at_log_start": flag(),
    });
    let replay = json!({
        "id": id("rep_"), "endpoint_id": plain(), "topic": plain(), "from_time": or_null(time()),
        "to_time": or_null(time()), "state": word(&["waiting", "running", "done", "cancelled"]), "created_at": time(),
        "cancelled_at": or_null(time()), "cancel_reason": or_null(plain()), "events_sent": count(),
        "gap_offsets": count(), "partitions": list(object(share, &[])),
    });
    let key = json!({
        "id": id("key_"), "name": plain(), "role": word(&["admin", "operator", "customer"]),
        "customer_id": or_null(plain()), "token_start": plain(), "previous_expires_at": or_null(time()),
        "expires_at": or_null(time()), "last_used_at": or_null(time()), "created_at": time(), "updated_at": time(),
        "created_by": plain(),
    });
    let mut listed_key = key.clone();
    listed_key["customer"] = of("CustomerName");
    let mut with_token = key.clone();
    with_token["token"] = about(plain(), "Shown this once; stored is its hash.");
    let current = json!({
        "id": plain(), "name": or_null(plain()), "role": word(&["admin", "operator", "customer"]),
        "customer_id": or_null(plain()), "expires_at": or_null(time()),
    });
    vec![
        ("Replay", object(replay, &[])),
        ("ReplayPage", page(of("Replay"))),
        ("ApiKey", object(key, &[])),
        ("NewApiKey", object(with_token, &[])),
        ("ListedApiKey", object(listed_key, &["customer"])),
        ("ApiKeyPage", page(of("ListedApiKey"))),
        ("CurrentKey", object(current, &[])),
    ]
}
