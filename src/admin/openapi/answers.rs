//! ○ The shapes of what the API answers. Closed: a member that is not named here is not in an answer.

mod endpoints; // endpoints, what waits for them, and how they answered
mod letters; // dead letters and replays

use serde_json::{Map, Value, json};

use super::{
    health,
    schema::{
        ObjectMember, about, count, described, flag, id, list, member, number, of, or_null, page, plain, time, word,
    },
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
            member("id", id(prefix), "Its id."),
            member(
                "unreadable",
                json!({"type": "boolean", "const": true}),
                "It was written by a newer version, or by hand.",
            ),
        ],
        &[],
    );
    page(json!({"anyOf": [of(name), unreadable]}))
}

fn version() -> ObjectMember {
    member("version", count(), "Grows with every write; its ETag is \"v\" and this number.")
}

fn created_at() -> ObjectMember {
    member("created_at", time(), "The time of its first write.")
}

fn updated_at() -> ObjectMember {
    member("updated_at", time(), "The time of its newest write.")
}

fn uid() -> ObjectMember {
    member("uid", or_null(plain()), "Your own key.")
}

fn problems() -> Schemas {
    let field = described(
        &[
            member("field", plain(), "The field's path: batch.events_max, or subscriptions[17].topic."),
            member("message", plain(), "The mistake, and what to write instead; goes on after the field's name."),
            member("index", count(), "Of a body with many items: which of them."),
        ],
        &["index"],
    );
    let over_quota = described(
        &[
            member("name", plain(), "The quota's name."),
            member("limit", count(), "The quota."),
            member("used", count(), "The part of it that is used."),
            member("asked", count(), "The amount that was asked for on top."),
        ],
        &[],
    );
    let mut problem = described(
        &[
            member("status", number(400, 599), "The answer's status."),
            member("title", plain(), "The status in words."),
            member("code", word(CODES), "Stable: programs may decide by it."),
            member("detail", plain(), "The cause, for people."),
            member("errors", list(of("FieldError")), "The fields that are wrong, up to a hundred of them."),
            member("quota", over_quota, "With the code quota_exceeded: the quota, and what was asked for."),
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
            member("id", id("cus_"), "Its id."),
            uid(),
            member("name", plain(), "The name that people know it by."),
            member("grants", of("Grants"), "Topics and tenants that its endpoints may subscribe to."),
            member("quotas", of("OwnQuotas"), "Quotas that differ from the configuration."),
            version(),
            created_at(),
            updated_at(),
        ],
        &[],
    );
    let name = described(&[uid(), member("name", plain(), "The name that people know it by.")], &[]);
    let quota = described(
        &[
            member("limit", count(), "The quota."),
            member("own", flag(), "Whether it is this customer's, and not the one of the configuration."),
            member("used", count(), "The part of it that is used."),
        ],
        &[],
    );
    let quotas = Quota::ALL.map(|name| member(name.as_str(), quota.clone(), name.about()));
    let quotas = described(
        &[
            member("customer_id", id("cus_"), "The customer's id."),
            member("quotas", described(&quotas, &[]), "Each quota, and its use."),
        ],
        &[],
    );
    vec![
        ("CustomerQuotas", quotas),
        ("Customer", customer),
        ("CustomerPage", listed("Customer", "cus_")),
        ("CustomerName", about(name, "The customer of this id, as people call it; where that was asked for.")),
        ("CustomersWritten", bulk(&[member("id", id("cus_"), "The customer's id.")], &[])),
    ]
}

/// The answer to many in one call; each has these members beside its key and the effect.
fn bulk(members: &[ObjectMember], optional: &[&str]) -> Value {
    let mut item = vec![
        member("uid", plain(), "Your own key."),
        member("effect", word(&["created", "updated", "unchanged"]), "The outcome of the write."),
    ];
    item.extend_from_slice(members);
    described(
        &[
            member("version", count(), "In effect on an instance once it has this version."),
            member("created", count(), "Items that are new."),
            member("updated", count(), "Items that were changed."),
            member("unchanged", count(), "Items that were so already."),
            member("data", list(described(&item, optional)), "Each item, in the order of the body."),
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
            member("id", id("sub_"), "Its id."),
            uid(),
            member("endpoint_id", id("ep_"), "The endpoint that gets the events."),
            member("topic", plain(), "The topic."),
            member("scope", of("Scope"), scope),
            version(),
            created_at(),
            updated_at(),
            member("warnings", warnings(), "Reasons that keep it from ever matching; for people."),
        ],
        &["warnings"],
    );
    let written = [
        member("id", id("sub_"), "The subscription's id."),
        member("endpoint_id", id("ep_"), "Its endpoint."),
        member("warnings", warnings(), "Reasons that keep it from ever matching; for people."),
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
    let refused = described(
        &[member("code", plain(), "The cause; stable."), member("detail", plain(), "The cause, for people.")],
        &[],
    );
    let event = described(
        &[
            member("topic", plain(), "Its topic."),
            member("tenant", or_null(plain()), "Its tenant."),
            member("department", or_null(plain()), "Its department."),
            member("type", or_null(plain()), "Its type."),
            member("id", or_null(plain()), "The producer's id of it."),
            member("refused", refused, "The reason for which no such record is delivered to anybody."),
        ],
        &["refused"],
    );
    let one = described(
        &[
            member("endpoint_id", plain(), "The endpoint."),
            uid(),
            member("customer_id", plain(), "Its customer."),
            member("url", plain(), "Its address."),
            member("state", state(), "Its state."),
            member("silent_until", health::silent_until(), "No request is sent before this time."),
            member("gets", flag(), "Whether it gets the event."),
            member("code", plain(), "The reason; stable."),
            member("detail", plain(), "The reason, for people."),
            member("subscription_ids", list(plain()), "Its subscriptions that match."),
        ],
        &[],
    );
    described(
        &[
            member("event", event, "The sample, as it is matched."),
            member("version", super::schema::whole(), "The version of the settings that it was matched against."),
            member("matched", count(), "Endpoints that would get it."),
            member("data", list(one), "The endpoints, each with the reason."),
            member("next_cursor", or_null(plain()), "Goes on with the next page; null at the end."),
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
        member("id", id("key_"), "Its id."),
        member("name", plain(), "The name that people know it by."),
        member("role", role(), "The calls that it may make."),
        member("customer_id", or_null(plain()), "The customer whose key it is."),
        member("token_start", plain(), "The first characters of its token."),
        member("previous_expires_at", or_null(time()), "The token before the newest one holds until then."),
        member("expires_at", or_null(time()), "It is refused from then on; null for never."),
        member("last_used_at", or_null(time()), "Its newest use, to about ten minutes."),
        created_at(),
        updated_at(),
        member("created_by", plain(), "The id of the key that made it."),
    ];
    let with = |more: ObjectMember| [key.clone(), vec![more]].concat();
    let listed_key = with(member("customer", of("CustomerName"), "Its customer, where that was asked for."));
    let with_token = with(member("token", plain(), "The token, shown this once; stored is its hash."));
    let current = described(
        &[
            member("id", plain(), "The key's id."),
            member("name", or_null(plain()), "The key's name; null for the key of the configuration."),
            member("role", role(), "The calls that it may make."),
            member("customer_id", or_null(plain()), "The customer whose key it is."),
            member("expires_at", or_null(time()), "It is refused from then on; null for never."),
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
