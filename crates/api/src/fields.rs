//! ○ The fields of a resource one by one: for the forms of the page, and for the pages of the documentation.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::{
    api_key::ApiKeyBody,
    customer::CustomerBody,
    dead_letters::LetterFilter,
    endpoint::EndpointSettings,
    endpoint_auth::AuthBody,
    shape::{self, taken},
};

/// The fields of a shape that are values, each by its path (`batch.events_max`) with its own shape.
#[must_use]
pub fn leaves(shape: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    walk(shape, "", &mut found);
    found
}

fn walk(shape: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    for (name, outside) in shape["properties"].as_object().into_iter().flatten() {
        let (path, Some(member)) = (format!("{path}{name}"), shape::member(shape, name)) else { continue };
        if member["properties"].is_object() {
            walk(member, &format!("{path}."), found);
            continue;
        }
        let mut leaf = member.clone();
        for outer in ["title", "description", "default"] {
            if let Some(value) = outside.get(outer) {
                leaf[outer] = value.clone();
            }
        }
        found.push((path, leaf));
    }
}

/// The fields that the page's forms are made of, by resource and path: their names for people, defaults, limits and words.
#[must_use]
pub fn for_forms() -> Value {
    json!({
        "endpoint": form(&taken::<EndpointSettings>()),
        "customer": form(&taken::<CustomerBody>()),
        "api_key": form(&taken::<ApiKeyBody>()),
        "letters": form(&taken::<LetterFilter>()),
        "auth": kinds(&taken::<AuthBody>()),
    })
}

/// The kinds of a shape that is one of several, in their order: the word of each, its title, its description and its fields.
fn kinds(shape: &Value) -> Value {
    let kinds = shape["oneOf"].as_array().into_iter().flatten();
    kinds
        .map(|kind| json!([kind["properties"]["type"]["const"], kind["title"], kind["description"], form(kind)]))
        .collect()
}

/// The description of a resource's field, without its full stop: for the help of a command that takes the field.
///
/// # Panics
/// When there is no such field, or it has no description.
#[must_use]
pub fn about<T: JsonSchema>(name: &str) -> String {
    let shape = taken::<T>();
    let described = shape["properties"][name]["description"].as_str();
    let described = described.or_else(|| shape::member(&shape, name)?["description"].as_str());
    described.unwrap_or_else(|| panic!("invariant: `{name}` is described")).trim_end_matches('.').to_owned()
}

/// Its limit is `delivery.park_after_ms`, whatever that is.
const WAIT_MS_MAX: &str = "batch.wait_ms_max";

fn form(shape: &Value) -> Value {
    let field = |(path, leaf): (String, Value)| {
        // An operator may allow more or less.
        let most = if path == WAIT_MS_MAX { Value::Null } else { most(&leaf) };
        let words: Vec<Value> = words(&leaf).map(|(word, about)| json!([word, about])).collect();
        let field = json!({
            "title": leaf["title"], "about": leaf["description"], "kind": kind(&leaf), "default": leaf["default"],
            "min": least(&leaf), "max": most, "words": words,
        });
        (path, field)
    };
    Value::Object(leaves(shape).into_iter().map(field).collect::<Map<_, _>>())
}

/// The settings of an endpoint as the rows of a table in Markdown: name, default, range, meaning.
#[must_use]
pub fn endpoint_settings_rows() -> String {
    let row = |(path, leaf): (String, Value)| {
        let default = leaf.get("default").map(|default| format!("`{default}`")).unwrap_or_default();
        let words: Vec<String> = words(&leaf).map(|(word, _)| format!("`{word}`")).collect();
        let above = leaf["exclusiveMinimum"].as_f64().map(|above| json!(format!("above {above}")));
        let range = match (above.unwrap_or_else(|| least(&leaf)), most(&leaf)) {
            (least, _) if path == WAIT_MS_MAX => format!("{least}, `delivery.park_after_ms`"),
            (Value::String(least), most) => format!("{least}, {most}"),
            (Value::Null, _) | (_, Value::Null) => words.join(", "),
            (least, most) => format!("{least}, {most}"),
        };
        format!("| `{path}` | {default} | {range} | {} |\n", leaf["description"].as_str().unwrap_or_default())
    };
    leaves(&taken::<EndpointSettings>()).into_iter().map(row).collect()
}

fn kind(leaf: &Value) -> &Value {
    let several = leaf["type"].as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null"));
    several.unwrap_or(&leaf["type"])
}

/// The limits of a list of numbers are those of its items.
fn least(leaf: &Value) -> Value {
    leaf.get("minimum").or_else(|| leaf["items"].get("minimum")).cloned().unwrap_or_default()
}

fn most(leaf: &Value) -> Value {
    leaf.get("maximum").or_else(|| leaf["items"].get("maximum")).cloned().unwrap_or_default()
}

/// Words that it may be, each with its meaning.
fn words(leaf: &Value) -> impl Iterator<Item = (&str, &str)> {
    let listed = ["enum", "oneOf"].into_iter().filter_map(|words| leaf[words].as_array()).flatten();
    listed.filter_map(|word| {
        let text = word.get("const").unwrap_or(word).as_str()?;
        Some((text, word["description"].as_str().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_name_its_limits_and_its_default() {
        let forms = for_forms();
        let field = &forms["endpoint"]["batch.events_max"];
        assert_eq!((&field["min"], &field["max"], &field["default"]), (&json!(1), &json!(10_000), &json!(1_000)));
        assert_eq!(field["kind"], "integer");
        assert_eq!(forms["endpoint"]["mode"]["words"][0], json!(["stream", "A request for each event."]));
        assert_eq!(forms["endpoint"]["retry.schedule_ms"]["max"], json!(259_200_000));
        assert!(forms["customer"]["quotas.endpoints_max"]["title"].is_string());
    }

    #[test]
    fn every_kind_of_authentication_and_its_fields_have_names_for_people() {
        let kinds = kinds(&taken::<AuthBody>());
        let words: Vec<&Value> = kinds.as_array().expect("a list").iter().map(|kind| &kind[0]).collect();
        assert_eq!(words, ["none", "basic", "bearer", "headers", "oauth2", "mutual_tls"]);
        for kind in kinds.as_array().expect("a list") {
            assert!(kind[1].is_string() && kind[2].is_string(), "{kind}");
            for (name, field) in kind[3].as_object().expect("fields").iter().filter(|(name, _)| *name != "type") {
                assert!(field["title"].is_string(), "{} has no title", name);
            }
        }
        assert_eq!(kinds[4][3]["style"]["words"][0], json!(["basic", "In the `Authorization` header."]));
    }

    #[test]
    fn a_command_says_of_a_field_what_the_api_says() {
        assert_eq!(about::<CustomerBody>("name"), "The name that people know it by");
        assert_eq!(about::<EndpointSettings>("description"), "A note for people");
    }

    #[test]
    fn every_field_of_an_endpoint_has_a_name_for_people() {
        for (path, leaf) in leaves(&taken::<EndpointSettings>()) {
            assert!(leaf["title"].is_string(), "{path} has no title");
        }
    }
}
