//! ○ The words in which shapes are written down: JSON Schema, as OpenAPI 3.1 has it.

use serde_json::{Value, json};
/// An object with these members and no others, of which only `required` must be there.
pub(super) fn body(required: &[&str], members: Value) -> Value {
    json!({"type": "object", "properties": members, "required": required, "additionalProperties": false})
}

/// The same shape, or `null`.
pub(super) fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// An enum of strings.
pub(super) fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A text of our own.
pub(super) fn plain() -> Value {
    json!({"type": "string"})
}

/// RFC 3339, in UTC.
pub(super) fn time() -> Value {
    json!({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]})
}

/// A whole number within a range.
pub(super) fn number(from: u64, to: u64) -> Value {
    json!({"type": "integer", "minimum": from, "maximum": to})
}

/// A whole number that counts something.
pub(super) fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

pub(super) fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

/// A list of so many items.
pub(super) fn list_of(items: Value, from: usize, to: usize) -> Value {
    json!({"type": "array", "items": items, "minItems": from, "maxItems": to})
}

/// Another component.
pub(super) fn of(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The same, with its meaning.
pub(super) fn about(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}
