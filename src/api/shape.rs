//! ○ Types as JSON Schema: the shape in which the API gives one, and the shape in which it takes one.

use schemars::{
    JsonSchema,
    generate::{Contract, SchemaSettings},
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

/// The shape in which a `T` is taken: what is left out, or `null`, has its default.
#[must_use]
pub fn taken<T: JsonSchema>() -> Value {
    let mut shape = of_type::<T>(Contract::Deserialize);
    take_null(&mut shape);
    shape
}

/// The shape of a member, without the `null` that it may be instead.
#[must_use]
pub fn member<'a>(shape: &'a Value, name: &str) -> Option<&'a Value> {
    let member = shape.get("properties")?.get(name)?;
    let choices = member.get("anyOf").and_then(Value::as_array);
    Some(choices.and_then(|choices| choices.iter().find(|choice| !is_null(choice))).unwrap_or(member))
}

fn of_type<T: JsonSchema>(contract: Contract) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
        settings.contract = contract;
    });
    let mut shape = settings.into_generator().into_root_schema_for::<T>().to_value();
    plain(&mut shape);
    shape
}

/// Takes away what says something about Rust: titles that are names of types, and formats such as `uint32`.
fn plain(shape: &mut Value) {
    match shape {
        Value::Object(members) => {
            members.remove("title");
            if members.get("type").is_some_and(|kind| kind == "integer" || kind == "number" || kind.is_array()) {
                members.remove("format");
            }
            members.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn lift_limits(shape: &mut Value) {
    match shape {
        Value::Object(members) => {
            members.retain(|name, limit| !LIMITS.contains(&name.as_str()) || limit.is_object());
            members.values_mut().for_each(lift_limits);
        }
        Value::Array(items) => items.iter_mut().for_each(lift_limits),
        _ => {}
    }
}

const LIMITS: [&str; 8] =
    ["minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems"];

/// Lets every member be `null` that may be absent, which is the same.
fn take_null(shape: &mut Value) {
    let required = shape.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let Some(members) = shape.get_mut("properties").and_then(Value::as_object_mut) else {
        return shape.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten().for_each(take_null);
    };
    for (name, member) in members {
        take_null(member);
        if !may_be_null(member) && !is_required(name) {
            *member = or_null(member.take());
        }
    }
}

/// The description and the default stay where people look for them: outside.
fn or_null(mut shape: Value) -> Value {
    let mut outside = Map::new();
    if let Some(members) = shape.as_object_mut() {
        let names = ["description", "default"];
        outside.extend(names.into_iter().filter_map(|name| Some((name.to_owned(), members.remove(name)?))));
    }
    outside.insert("anyOf".to_owned(), json!([shape, {"type": "null"}]));
    Value::Object(outside)
}

fn may_be_null(shape: &Value) -> bool {
    let listed = |kinds: &Value| kinds.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"));
    let chosen = |choices: &Value| choices.as_array().is_some_and(|choices| choices.iter().any(is_null));
    shape.get("type").is_some_and(listed) || shape.get("anyOf").is_some_and(chosen)
}

fn is_null(shape: &Value) -> bool {
    shape.get("type").is_some_and(|kind| kind == "null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::endpoint::EndpointSettings;

    #[test]
    fn a_member_may_be_null_where_it_may_be_absent() {
        let shape = taken::<EndpointSettings>();
        assert!(may_be_null(&shape["properties"]["in_flight_max"]));
        let ordering = member(&shape, "ordering").expect("a member");
        assert!(!may_be_null(&ordering["properties"]["by"]) && may_be_null(&ordering["properties"]["on_failure"]));
    }

    #[test]
    fn every_member_has_a_description_and_nothing_of_rust_is_in_it() {
        fn look(shape: &Value, path: &str) {
            for (name, member) in shape["properties"].as_object().into_iter().flatten() {
                assert!(member["description"].is_string(), "{path}{name} has no description");
                look(member, &format!("{path}{name}."));
            }
            shape["anyOf"].as_array().into_iter().flatten().for_each(|choice| look(choice, path));
        }
        for shape in [taken::<EndpointSettings>(), given::<EndpointSettings>()] {
            look(&shape, "");
            let text = shape.to_string();
            assert!(!text.contains("uint") && !text.contains("[`"), "{text}");
        }
    }

    #[test]
    fn all_members_that_are_given_are_there() {
        let shape = given::<EndpointSettings>();
        let names = shape["properties"].as_object().expect("an object");
        assert_eq!(shape["required"].as_array().map(Vec::len), Some(names.len()));
    }
}
