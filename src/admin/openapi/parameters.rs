//! ○ Parameters of paths, queries and headers: each once, by the name that operations have for it.

use serde_json::{Map, Value, json};

use super::schema::{number, plain, time, word};
use crate::model::disposition::Reason;

/// All of them.
pub(super) fn parameters() -> Value {
    let name = name();
    let tags =
        json!({"type": "string", "pattern": "^(\\*|(W/)?\"[^\"]*\"(, *(W/)?\"[^\"]*\")*)$", "examples": ["\"v12\""]});
    let mut all = Map::new();
    for (name, schema, about) in query_parameters() {
        let shown = ["actor-", "counts-", "keys-"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        let parameter = json!({"name": shown, "in": "query", "description": about, "schema": schema});
        all.insert(format!("query-{name}"), parameter);
    }
    for (part, about) in [("name", "An id, or your own key."), ("id", "An id.")] {
        let parameter = json!({"name": part, "in": "path", "required": true, "description": about, "schema": name});
        all.insert(part.to_owned(), parameter);
    }
    for (header, about) in [
        ("If-Match", "Only if the resource is at this version: the ETag of an answer."),
        ("If-None-Match", "Only if it is not at this version; * with PUT creates only."),
    ] {
        let parameter = json!({"name": header, "in": "header", "description": about, "schema": tags});
        all.insert(header.to_owned(), parameter);
    }
    Value::Object(all)
}

/// An id or a key of the caller's.
fn name() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 200})
}

/// Parameters of queries: by their names in the table of operations, for two may have one name.
fn query_parameters() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("limit", number(1, 250), "Rows of a page; 50 unless said otherwise."),
        ("cursor", plain(), "The next_cursor of the page before."),
        ("customer_id", name(), "Of this customer (an id or your own key) only."),
        ("endpoint_id", name(), "Of this endpoint (an id or your own key) only."),
        ("topic", json!({"type": "string", "maxLength": 249}), "Of this topic only."),
        ("reason", word(&Reason::ALL.map(Reason::as_str)), "Of this reason only."),
        ("data", word(&["true", "false"]), "With the records' keys, values and headers."),
        (
            "outcome",
            word(&["delivered", "rejected", "failed", "gone", "disconnected", "local_fault", "not_delivered"]),
            "Of this outcome only.",
        ),
        ("since", time(), "From this time on."),
        ("until", time(), "Before this time."),
        ("kind", json!({"type": "string", "maxLength": 100}), "Of this kind only: endpoint, ingest, router, …"),
        ("instance", json!({"type": "string", "maxLength": 200}), "At this instance only."),
        (
            "include",
            json!({"type": "string", "pattern": "^(health|customer)(,(health|customer))*$"}),
            "With each endpoint's health, with its customer's name, or both: health,customer.",
        ),
        ("keys-include", word(&["customer"]), "With the name of each key's customer."),
        (
            "counts-include",
            word(&["counts"]),
            "With how many there were, successes as well, by the minute or the hour.",
        ),
        ("per", word(&["minute", "hour"]), "What a point of the counts covers; minutes unless they are too many."),
        ("actor-state", json!({"type": "string", "maxLength": 100}), "In this state, or with this breaker, only."),
        ("q", json!({"type": "string", "maxLength": 200}), "With this in its id, uid, URL or description."),
        ("state", word(&["enabled", "paused", "disabled"]), "In this state only."),
        (
            "sort",
            json!({"type": "string", "pattern": "^-?(created|updated|uid|url)$"}),
            "With - before it the other way round.",
        ),
        ("tenant", json!({"type": "string", "maxLength": 256}), "Of this tenant only."),
        ("wait", json!({"type": "string", "pattern": "^([0-9]|[12][0-9]|30)s$"}), "For the first one."),
        ("event_id", json!({"type": "string", "maxLength": 1000}), "With this event among the first of the batch."),
    ]
}
