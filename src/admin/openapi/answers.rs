//! ○ The shapes of what the API answers. Closed: a member that is not named here is not in an answer.

mod endpoints; // endpoints, what waits for them, and how they answered
mod letters; // dead letters and replays

use serde_json::{Map, Value, json};

use super::{
    health,
    schema::{about, count, described, flag, id, list, number, of, or_null, page, plain, time, word},
};
use crate::{admin::problem::CODES, model::quotas::Quota};

/// Each by its name.
pub(super) fn answers() -> Map<String, Value> {
    let mut all = Map::new();
    let rooms =
        [problems(), customers(), endpoints::answers(), subscriptions(), letters::answers(), keys(), health::answers()];
    for (name, schema) in rooms.into_iter().flatten() {
        all.insert(name.to_owned(), schema);
    }
    all
}

type Schemas = Vec<(&'static str, Value)>;

/// A list may have rows that this version cannot read.
fn listed(name: &str, prefix: &str) -> Value {
    let unreadable = described(
        &[
            ("id", id(prefix), "Its id."),
            ("unreadable", json!({"type": "boolean", "const": true}), "It was written by a newer version, or by hand."),
        ],
        &[],
    );
    page(json!({"anyOf": [of(name), unreadable]}))
}

fn version() -> (&'static str, Value, &'static str) {
    ("version", count(), "Grows with every write; its ETag is \"v\" and this number.")
}

fn created_at() -> (&'static str, Value, &'static str) {
    ("created_at", time(), "The time of its first write.")
}

fn updated_at() -> (&'static str, Value, &'static str) {
    ("updated_at", time(), "The time of its newest write.")
}

fn uid() -> (&'static str, Value, &'static str) {
    ("uid", or_null(plain()), "Your own key.")
}

fn problems() -> Schemas {
    let field = described(
        &[
            ("field", plain(), "The field's path: batch.events_max, or subscriptions[17].topic."),
            ("message", plain(), "The mistake, and what to write instead; goes on after the field's name."),
            ("index", count(), "Of a body with many items: which of them."),
        ],
        &["index"],
    );
    let over_quota = described(
        &[
            ("name", plain(), "The quota's name."),
            ("limit", count(), "The quota."),
            ("used", count(), "The part of it that is used."),
            ("asked", count(), "The amount that was asked for on top."),
        ],
        &[],
    );
    let mut problem = described(
        &[
            ("status", number(400, 599), "The answer's status."),
            ("title", plain(), "The status in words."),
            ("code", word(CODES), "Stable: programs may decide by it."),
            ("detail", plain(), "The cause, for people."),
            ("errors", list(of("FieldError")), "The fields that are wrong, up to a hundred of them."),
            ("quota", over_quota, "With the code quota_exceeded: the quota, and what was asked for."),
        ],
        &["errors", "quota"],
    );
    problem["examples"] = json!([{
        "status": 422, "title": "Unprocessable Entity", "code": "validation_failed",
        "detail": "1 field(s) are not valid: url", "errors": [{"field": "url", "message": "is missing"}],
    }]);
    vec![("FieldError", field), ("Problem", problem)]
}

fn customers() -> Schemas {
    let customer = described(
        &[
            ("id", id("cus_"), "Its id."),
            uid(),
            ("name", plain(), "The name that people know it by."),
            ("grants", of("Grants"), "Topics and tenants that its endpoints may subscribe to."),
            ("quotas", of("OwnQuotas"), "Quotas that differ from the configuration."),
            version(),
            created_at(),
            updated_at(),
        ],
        &[],
    );
    let name = described(&[uid(), ("name", plain(), "The name that people know it by.")], &[]);
    let quota = described(
        &[
            ("limit", count(), "The quota."),
            ("own", flag(), "Whether it is this customer's, and not the one of the configuration."),
            ("used", count(), "The part of it that is used."),
        ],
        &[],
    );
    let quotas = Quota::ALL.map(|name| (name.as_str(), quota.clone(), name.about()));
    let quotas = described(
        &[
            ("customer_id", id("cus_"), "The customer's id."),
            ("quotas", described(&quotas, &[]), "Each quota, and its use."),
        ],
        &[],
    );
    vec![
        ("CustomerQuotas", quotas),
        ("Customer", customer),
        ("CustomerPage", listed("Customer", "cus_")),
        ("CustomerName", about(name, "The customer of this id, as people call it; where that was asked for.")),
        ("CustomersWritten", bulk(&[("id", id("cus_"), "The customer's id.")], &[])),
    ]
}

/// The answer to many in one call; each has these members beside its key and the effect.
fn bulk(members: &[(&'static str, Value, &'static str)], optional: &[&str]) -> Value {
    let mut item = vec![
        ("uid", plain(), "Your own key."),
        ("effect", word(&["created", "updated", "unchanged"]), "The outcome of the write."),
    ];
    item.extend_from_slice(members);
    described(
        &[
            ("version", count(), "In effect on an instance once it has this version."),
            ("created", count(), "Items that are new."),
            ("updated", count(), "Items that were changed."),
            ("unchanged", count(), "Items that were so already."),
            ("data", list(described(&item, optional)), "Each item, in the order of the body."),
        ],
        &[],
    )
}

/// Reasons for which a subscription can never match.
fn warnings() -> Value {
    about(list(plain()), "Reasons that keep it from ever matching, such as a topic that is not read; for people.")
}

fn subscriptions() -> Schemas {
    let scope = "The part of the topic: all of it, some tenants, or some of their departments.";
    let subscription = described(
        &[
            ("id", id("sub_"), "Its id."),
            uid(),
            ("endpoint_id", id("ep_"), "The endpoint that gets the events."),
            ("topic", plain(), "The topic."),
            ("scope", of("Scope"), scope),
            version(),
            created_at(),
            updated_at(),
            ("warnings", warnings(), "Reasons that keep it from ever matching; for people."),
        ],
        &["warnings"],
    );
    let written = [
        ("id", id("sub_"), "The subscription's id."),
        ("endpoint_id", id("ep_"), "Its endpoint."),
        ("warnings", warnings(), "Reasons that keep it from ever matching; for people."),
    ];
    vec![
        ("Subscription", subscription),
        ("SubscriptionPage", listed("Subscription", "sub_")),
        ("SubscriptionsWritten", bulk(&written, &["warnings"])),
        ("Matched", matched()),
    ]
}

/// The endpoints that would get a sample.
fn matched() -> Value {
    let refused =
        described(&[("code", plain(), "The cause; stable."), ("detail", plain(), "The cause, for people.")], &[]);
    let event = described(
        &[
            ("topic", plain(), "Its topic."),
            ("tenant", or_null(plain()), "Its tenant."),
            ("department", or_null(plain()), "Its department."),
            ("type", or_null(plain()), "Its type."),
            ("id", or_null(plain()), "The producer's id of it."),
            ("refused", refused, "The reason for which no such record is delivered to anybody."),
        ],
        &["refused"],
    );
    let one = described(
        &[
            ("endpoint_id", plain(), "The endpoint."),
            uid(),
            ("customer_id", plain(), "Its customer."),
            ("url", plain(), "Its address."),
            ("state", state(), "Its state."),
            ("silent_until", health::silent_until(), "No request is sent before this time."),
            ("gets", flag(), "Whether it gets the event."),
            ("code", plain(), "The reason; stable."),
            ("detail", plain(), "The reason, for people."),
            ("subscription_ids", list(plain()), "Its subscriptions that match."),
        ],
        &[],
    );
    described(
        &[
            ("event", event, "The sample, as it is matched."),
            ("version", super::schema::whole(), "The version of the settings that it was matched against."),
            ("matched", count(), "Endpoints that would get it."),
            ("data", list(one), "The endpoints, each with the reason."),
            ("next_cursor", or_null(plain()), "Goes on with the next page; null at the end."),
        ],
        &[],
    )
}

/// An endpoint's state.
fn state() -> Value {
    word(&["enabled", "paused", "disabled"])
}

fn keys() -> Schemas {
    let role = || word(&["admin", "operator", "customer"]);
    let key = vec![
        ("id", id("key_"), "Its id."),
        ("name", plain(), "The name that people know it by."),
        ("role", role(), "The calls that it may make."),
        ("customer_id", or_null(plain()), "The customer whose key it is."),
        ("token_start", plain(), "The first characters of its token."),
        ("previous_expires_at", or_null(time()), "The token before the newest one holds until then."),
        ("expires_at", or_null(time()), "It is refused from then on; null for never."),
        ("last_used_at", or_null(time()), "Its newest use, to about ten minutes."),
        created_at(),
        updated_at(),
        ("created_by", plain(), "The id of the key that made it."),
    ];
    let with = |more: (&'static str, Value, &'static str)| [key.clone(), vec![more]].concat();
    let listed_key = with(("customer", of("CustomerName"), "Its customer, where that was asked for."));
    let with_token = with(("token", plain(), "The token, shown this once; stored is its hash."));
    let current = described(
        &[
            ("id", plain(), "The key's id."),
            ("name", or_null(plain()), "The key's name; null for the key of the configuration."),
            ("role", role(), "The calls that it may make."),
            ("customer_id", or_null(plain()), "The customer whose key it is."),
            ("expires_at", or_null(time()), "It is refused from then on; null for never."),
        ],
        &[],
    );
    vec![
        ("ApiKey", described(&key, &[])),
        ("NewApiKey", described(&with_token, &[])),
        ("ListedApiKey", described(&listed_key, &["customer"])),
        ("ApiKeyPage", page(of("ListedApiKey"))),
        ("CurrentKey", current),
    ]
}
