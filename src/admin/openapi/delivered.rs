//! ○ The requests that endpoints receive: `webhooks` of the document.

use serde_json::{Value, json};

use super::schema::{about, count, list, of, or_null, plain, time};

/// Their tag.
pub(super) const TAG: &str = "Deliveries";

/// The envelope. Open: a later version may add members.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let mut envelope = json!({
        "type": "object",
        "properties": {
            "id": about(plain(), "As webhook-id: the same whenever the event is sent again."),
            "type": about(plain(), "The event's own; the topic's name where it has none."),
            "timestamp": about(time(), "The time of the event; of its record where it has none."),
            "tenant": about(or_null(plain()), "The tenant."),
            "department": about(or_null(plain()), "The tenant's department."),
            "event_id": about(or_null(plain()), "The producer's own id, as it was written."),
            "topic": about(plain(), "The record's topic."),
            "partition": about(count(), "The record's partition."),
            "offset": about(count(), "The record's offset."),
            "key": about(or_null(plain()), "Of the record; null where it has none."),
            "key_base64": about(plain(), "In place of key, where it is no UTF-8."),
            "data": about(json!({}), "The record's value, where it is JSON; null for a record without a value."),
            "data_base64": about(plain(), "In place of data, where the value is anything else."),
        },
    });
    envelope["required"] =
        json!(["id", "type", "timestamp", "tenant", "department", "event_id", "topic", "partition", "offset"]);
    envelope["examples"] = json!([{
        "id": "order%2E17", "type": "order.created", "timestamp": "2026-01-31T12:00:00.250Z", "tenant": "2",
        "department": "100", "event_id": "order.17", "topic": "orders", "partition": 3, "offset": 4711,
        "key": "customer-7", "data": {"order": 17},
    }]);
    let batch = about(list(of("Envelope")), "With batch_format json_array.");
    vec![("Envelope", envelope), ("EnvelopeBatch", batch)]
}

/// The operations, by their names.
pub(super) fn webhooks() -> Value {
    let header = |name: &str, about: &str| json!({"name": name, "in": "header", "required": true, "schema": plain(), "description": about});
    let headers = json!([
        header("webhook-id", "Of the event or the batch: duplicates have the same."),
        header("webhook-timestamp", "When it was sent, in seconds since 1970."),
        header("webhook-signature", "By Standard Webhooks: v1, and a base64 HMAC-SHA256 of id.timestamp.body."),
    ]);
    let answer = |about: &str| json!({"description": about});
    let answers = json!({
        "2XX": answer("Delivered."),
        "410": answer("Nothing more is wanted: the endpoint is disabled."),
        "4XX": answer("400, 413 and 422 refuse the event for good; others are tried again."),
        "5XX": answer("It is tried again."),
    });
    let post = |id: &str, summary: &str, description: &str, content: Value| {
        json!({"post": {
            "operationId": id, "summary": summary, "description": description, "tags": [TAG], "security": [],
            "parameters": headers, "requestBody": {"required": true, "content": content}, "responses": answers,
        }})
    };
    let bytes = about(plain(), "With format raw: the record's value.");
    let lines = about(plain(), "With batch_format ndjson: an envelope or a value on each line.");
    json!({
        "event": post(
            "receiveEvent",
            "An endpoint receives an event",
            "Of endpoints with mode stream. With format raw the body is the value alone.",
            json!({"application/json": {"schema": of("Envelope")}, "application/octet-stream": {"schema": bytes}}),
        ),
        "batch": post(
            "receiveBatch",
            "An endpoint receives a batch",
            "Of endpoints with mode batch. With format raw the items are values.",
            json!({"application/json": {"schema": of("EnvelopeBatch")}, "application/x-ndjson": {"schema": lines}}),
        ),
    })
}
