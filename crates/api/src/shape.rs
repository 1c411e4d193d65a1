//! ○ Types as JSON Schema: the shape in which the API gives one, and the shape in which it takes one.

use schemars::{
    JsonSchema, Schema,
    generate::{Contract, SchemaSettings},
    json_schema,
};
use serde_json::{Map, Value, json};

/// The pattern of a text: Postgres refuses NUL, people refuse the others.
pub const NO_CONTROL_CHARACTERS: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// The shape in which a `T` is given: every member is there. It has no limits, for what was taken once may be beyond those of
/// today.
#[must_use]
pub fn given<T: JsonSchema>() -> Value {
    let mut shape = of_type::<T>(Contract::Serialize);
    lift_limits(&mut shape);
    shape
}

/// The shape in which a `T` is answered: closed, every member is there that may not be left out.
#[must_use]
pub fn answered<T: JsonSchema>() -> Value {
    let mut shape = of_type::<T>(Contract::Serialize);
    close(&mut shape);
    shape
}

/// The shape in which a `T` is taken: what is left out, or `null`, has its default.
#[must_use]
pub fn taken<T: JsonSchema>() -> Value {
    let mut shape = of_type::<T>(Contract::Deserialize);
    take_null(&mut shape);
    shape
}

/// The shape of a change (RFC 7396) to what is taken in this shape: nothing has to be said.
#[must_use]
pub fn patch(mut shape: Value) -> Value {
    if let Some(shape) = shape.as_object_mut() {
        shape.remove("required");
        shape.insert("description".to_owned(), PATCH.into());
    }
    shape
}

const PATCH: &str = "What is not said stays as it is; null takes away, or back to the default (RFC 7396).";

/// The same shape, in which these members must be there as well.
#[must_use]
pub fn needing(mut shape: Value, names: &[&str]) -> Value {
    for name in names {
        if let Some(member) = shape["properties"].get_mut(name) {
            never_null(member);
        }
    }
    let before = shape["required"].take();
    let before = before.as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut required: Vec<&str> = before.chain(names.iter().copied()).collect();
    required.sort_unstable();
    required.dedup();
    shape["required"] = json!(required);
    shape
}

/// The shape of one of some words.
#[must_use]
pub fn words(words: &[&str]) -> Schema {
    json_schema!({"type": "string", "enum": words})
}

/// Makes a shape one of several forms, each of which has these members and none of the others.
pub fn one_of(forms: &'static [&'static [&'static str]]) -> impl Fn(&mut Schema) {
    move |shape: &mut Schema| {
        let form = |names: &&[&str]| {
            let others = forms.iter().flat_map(|form| form.iter()).filter(|name| !names.contains(*name));
            let others: Map<String, Value> = others.map(|name| ((*name).to_owned(), false.into())).collect();
            json!({"required": names, "properties": others})
        };
        shape.insert("oneOf".to_owned(), forms.iter().map(form).collect::<Vec<_>>().into());
    }
}

/// The shape of a member, without the `null` that it may be instead.
#[must_use]
pub fn member<'a>(shape: &'a Value, name: &str) -> Option<&'a Value> {
    let member = shape.get("properties")?.get(name)?;
    let choices = member.get("anyOf").and_then(Value::as_array);
    let mut others = choices.into_iter().flatten().filter(|choice| !is_null(choice));
    match (others.next(), others.next()) {
        (Some(one), None) => Some(one),
        _ => Some(member),
    }
}

pub(super) fn settings(contract: Contract) -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
        settings.contract = contract;
    })
}

fn of_type<T: JsonSchema>(contract: Contract) -> Value {
    let mut shape = settings(contract).into_generator().into_root_schema_for::<T>().to_value();
    if let Some(shape) = shape.as_object_mut() {
        shape.remove("title"); // the type's name
    }
    plain(&mut shape);
    shape
}

/// Takes away what says something about Rust: formats such as `uint32`. Says what a member is by which forms are told apart.
pub(super) fn plain(shape: &mut Value) {
    each(shape, &mut |members| {
        let of_form = members.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
        let is_tag =
            |member: &Value| member.get("const").is_some_and(Value::is_string) && member.get("description").is_none();
        for (_, tag) in of_form.filter(|(_, member)| is_tag(member)) {
            tag["description"] = "The form: it says which other members there are.".into();
        }
        if members.get("format").and_then(Value::as_str).is_some_and(|format| RUSTS.contains(&format)) {
            members.remove("format");
        }
    });
}

const RUSTS: [&str; 8] = ["uint8", "uint16", "uint32", "uint64", "uint", "int32", "int64", "double"];

fn lift_limits(shape: &mut Value) {
    each(shape, &mut |members| members.retain(|name, limit| !LIMITS.contains(&name.as_str()) || limit.is_object()));
}

const LIMITS: [&str; 8] =
    ["minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems"];

/// Lets every member be `null` that may be absent, which is the same; but for members of which a form of the object consists,
/// and for those of an object that may not be empty.
pub(super) fn take_null(shape: &mut Value) {
    each(shape, &mut |shape| {
        let forms = shape.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let required = forms.filter_map(|form| form.get("required")).chain(shape.get("required"));
        let required: Vec<Value> = required.filter_map(Value::as_array).flatten().cloned().collect();
        let is_empty_refused = shape.contains_key("minProperties");
        let Some(members) = shape.get_mut("properties").and_then(Value::as_object_mut) else { return };
        for (name, member) in members.iter_mut().filter(|(_, member)| member.is_object()) {
            let is_marked = member.as_object_mut().is_some_and(|member| member.remove(NOT_NULL).is_some());
            if is_marked || is_empty_refused || required.iter().any(|one| one == name) {
                never_null(member);
            } else if !may_be_null(member) {
                *member = or_null(member.take());
            }
        }
    });
}

/// The mark of a member that may be left out and may not be `null`.
const NOT_NULL: &str = "x-not-null";

/// Closes every object: a member that is not named is not given. One that may be absent is not `null`, unless it is marked.
pub(super) fn close(shape: &mut Value) {
    each(shape, &mut |shape| {
        let required = shape.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(members) = shape.get_mut("properties").and_then(Value::as_object_mut) else { return };
        for (name, member) in members.iter_mut().filter(|(_, member)| member.is_object()) {
            let is_marked = member.as_object_mut().is_some_and(|member| member.remove(OR_NULL).is_some());
            if !is_marked && !required.iter().any(|one| one == name) {
                never_null(member);
            }
        }
        shape.entry("additionalProperties").or_insert(false.into());
    });
}

/// The mark of a member that may be absent and may be `null`.
const OR_NULL: &str = "x-or-null";

/// Takes `null` from the forms of a member.
fn never_null(member: &mut Value) {
    if let Some(kinds) = member.get("type").and_then(Value::as_array) {
        let kinds: Vec<Value> = kinds.iter().filter(|kind| *kind != "null").cloned().collect();
        member["type"] = if let [kind] = kinds.as_slice() { kind.clone() } else { kinds.into() };
    }
    let Some(forms) = member.get("anyOf").and_then(Value::as_array) else { return };
    let forms: Vec<Value> = forms.iter().filter(|form| !is_null(form)).cloned().collect();
    if let ([Value::Object(form)], Some(member)) = (forms.as_slice(), member.as_object_mut()) {
        member.remove("anyOf");
        member.extend(form.clone());
    } else {
        member["anyOf"] = forms.into();
    }
}

/// Every object in it, from within.
fn each(shape: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match shape {
        Value::Object(members) => {
            members.values_mut().for_each(|member| each(member, change));
            change(members);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, change)),
        _ => {}
    }
}

/// The description, the title and the default stay where people look for them: outside.
fn or_null(mut shape: Value) -> Value {
    let mut outside = Map::new();
    if let Some(members) = shape.as_object_mut() {
        let names = ["title", "description", "default"];
        outside.extend(names.into_iter().filter_map(|name| Some((name.to_owned(), members.remove(name)?))));
    }
    outside.insert("anyOf".to_owned(), json!([shape, {"type": "null"}]));
    Value::Object(outside)
}

/// True if `null` is as good as nothing.
#[must_use]
pub fn may_be_null(shape: &Value) -> bool {
    let listed = |kinds: &Value| kinds.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"));
    let chosen = |choices: &Value| choices.as_array().is_some_and(|choices| choices.iter().any(is_null));
    shape.get("type").is_some_and(listed) || shape.get("anyOf").is_some_and(chosen) || accepts_all(shape)
}

/// A shape without a type is any value.
fn accepts_all(shape: &Value) -> bool {
    shape.as_object().is_some_and(|shape| {
        !["type", "anyOf", "oneOf", "enum", "const", "$ref", "properties"].iter().any(|word| shape.contains_key(*word))
    })
}

/// True if it is the shape of `null` alone.
#[must_use]
pub fn is_null(shape: &Value) -> bool {
    shape.get("type").is_some_and(|kind| kind == "null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::EndpointSettings;

    #[test]
    fn a_member_may_be_null_where_it_may_be_absent() {
        let shape = taken::<EndpointSettings>();
        assert!(may_be_null(&shape["properties"]["in_flight_max"]));
        let ordering = member(&shape, "ordering").expect("a member");
        assert!(!may_be_null(&ordering["properties"]["by"]) && may_be_null(&ordering["properties"]["on_failure"]));
    }

    #[test]
    fn what_must_be_there_may_not_be_null() {
        let shape = needing(taken::<EndpointSettings>(), &["in_flight_max"]);
        assert!(!may_be_null(&shape["properties"]["in_flight_max"]));
        assert_eq!(shape["required"], json!(["in_flight_max"]));
        assert!(shape["properties"]["in_flight_max"]["description"].is_string());
    }

    #[test]
    fn all_members_that_are_given_are_there_and_nothing_of_rust_is_in_it() {
        let shape = given::<EndpointSettings>();
        let names = shape["properties"].as_object().expect("an object");
        assert_eq!(shape["required"].as_array().map(Vec::len), Some(names.len()));
        for shape in [shape, taken::<EndpointSettings>()] {
            let text = shape.to_string();
            assert!(!text.contains("uint") && !text.contains("[`"), "{text}");
        }
    }
}
