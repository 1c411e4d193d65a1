//! ○ The words in which shapes are written down: JSON Schema, as OpenAPI 3.1 has it.

use serde_json::{Map, Value, json};

/// A member of an object, as the document describes it.
#[derive(Clone)]
pub(super) struct ObjectMember {
    pub name: &'static str,
    pub shape: Value,
    pub about: &'static str,
}

pub(super) fn member(name: &'static str, shape: Value, about: &'static str) -> ObjectMember {
    debug_assert!(!name.contains(|c: char| c == ' ' || c.is_uppercase()), "{name:?} is no name: {about:?}");
    ObjectMember { name, shape, about }
}

/// An object with these members and no others; all but `optional` are always there.
pub(super) fn described(members: &[ObjectMember], optional: &[&str]) -> Value {
    let members = members.iter().map(|member| (member.name.to_owned(), about(member.shape.clone(), member.about)));
    object(Value::Object(members.collect::<Map<_, _>>()), optional)
}

/// An object with these members and no others; all but `optional` are always there.
pub(super) fn object(members: Value, optional: &[&str]) -> Value {
    let required: Vec<&String> = members.as_object().into_iter().flat_map(|members| members.keys()).collect();
    let required: Vec<&String> = required.into_iter().filter(|name| !optional.contains(&name.as_str())).collect();
    json!({"type": "object", "properties": members, "required": required, "additionalProperties": false})
}

/// An object with these members and no others, of which only `required` must be there.
pub(super) fn body(required: &[&str], members: Value) -> Value {
    json!({"type": "object", "properties": members, "required": required, "additionalProperties": false})
}

/// The same shape, or `null`.
pub(super) fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// One of some words.
pub(super) fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A text of our own.
pub(super) fn plain() -> Value {
    json!({"type": "string"})
}

pub(super) fn flag() -> Value {
    json!({"type": "boolean"})
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

/// A whole number, negative ones included.
pub(super) fn whole() -> Value {
    json!({"type": "integer"})
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

/// An id of ours, of the kind that begins so.
pub(super) fn id(prefix: &str) -> Value {
    json!({
        "type": "string", "pattern": format!("^{prefix}[0-9a-hjkmnp-tv-z]{{26}}$"),
        "examples": [format!("{prefix}01jd8kz3m5x0c2v9q4t7w1y6ab")],
    })
}

/// The same, with its meaning.
pub(super) fn about(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

/// Members and some more.
pub(super) fn with(mut members: Value, more: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (members.as_object_mut(), more) {
        members.extend(more);
    }
    members
}

/// A page of a list.
pub(super) fn page(items: Value) -> Value {
    page_with(items, &[], &[])
}

/// A page of a list, and more about it.
pub(super) fn page_with(items: Value, more: &[ObjectMember], optional: &[&str]) -> Value {
    let page = [
        member("data", list(items), "The rows of this page."),
        member("next_cursor", or_null(plain()), "Goes on with the next page; null at the end."),
    ];
    described(&[page.to_vec(), more.to_vec()].concat(), optional)
}
