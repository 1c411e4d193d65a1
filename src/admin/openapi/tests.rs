//! ○ The document is complete: operations, references, codes, descriptions and examples.

use std::collections::BTreeSet;

use super::*;
use crate::{admin::routes::listed, api::problem::CODES};

#[test]
fn what_is_documented_is_what_is_routed() {
    assert_eq!(differences(&listed()), Vec::<String>::new());
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document(&listed());
    let text = document.to_string();
    let references: BTreeSet<&str> =
        text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn a_shape_is_taken_and_given_only_where_that_is_meant() {
    let documented = documented();
    let taken = bodies::bodies(&documented);
    let both: Vec<String> = answers::answers(&documented)
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| taken.contains_key(name))
        .collect();
    assert_eq!(both, ["Grants", "OwnQuotas", "Scope"], "another type of the same name would not be in the document");
}

#[test]
fn operations_have_names_of_their_own() {
    let document = document(&listed());
    let mut names = BTreeSet::new();
    let items = ["paths", "webhooks"].map(|part| document[part].as_object().expect("operations").values());
    for item in items.into_iter().flatten() {
        for operation in item.as_object().expect("operations").values() {
            let name = operation["operationId"].as_str().expect("a name");
            assert!(names.insert(name), "{name} is given twice");
        }
    }
}

/// Members of a shape, and of the shapes in it, that nothing is said of.
fn undescribed(value: &Value, path: &str, found: &mut Vec<String>) {
    let members = value["properties"].as_object().into_iter().flatten();
    let silent = members.filter(|(_, member)| member.is_object() && !member["description"].is_string());
    found.extend(silent.map(|(name, _)| format!("{path}/{name}")));
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| undescribed(member, &format!("{path}/{name}"), found));
        }
        Value::Array(items) => items.iter().for_each(|item| undescribed(item, path, found)),
        _ => {}
    }
}

#[test]
fn every_property_has_a_description_and_every_body_an_example() {
    let document = document(&listed());
    let mut found = Vec::new();
    undescribed(&document, "", &mut found);
    assert!(found.is_empty(), "{} have none: {found:#?}", found.len());
    let parameters = document["components"]["parameters"].as_object().expect("parameters");
    assert!(parameters.values().all(|parameter| parameter["description"].is_string()));
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            let shape = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(pointer) = shape.as_str().map(|reference| reference.trim_start_matches('#')) else { continue };
            let shape = document.pointer(pointer).expect("a shape");
            assert!(shape["examples"][0].is_object(), "{pointer} has no example");
        }
    }
}

#[test]
fn every_answer_has_an_example_that_fits_its_shape() {
    let document = document(&listed());
    let mut answers = 0;
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            for (status, response) in operation["responses"].as_object().expect("responses") {
                let shape = &response["content"]["application/json"]["schema"];
                let (true, Some(_)) = (status.starts_with('2'), shape["$ref"].as_str()) else { continue };
                let example = &followed(&document, shape)["examples"][0];
                assert!(example.is_object(), "{shape} has no example");
                assert_eq!(misfit(&document, shape, example), None, "{shape}: {example}");
                answers += 1;
            }
        }
    }
    assert!(answers > 50, "{answers}");
}

fn followed<'a>(document: &'a Value, shape: &'a Value) -> &'a Value {
    let pointer = shape["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
    pointer.map_or(shape, |pointer| document.pointer(pointer).expect("a shape"))
}

/// The part of a value that its shape does not have, or that is not as the shape says.
fn misfit(document: &Value, shape: &Value, value: &Value) -> Option<String> {
    let shape = followed(document, shape);
    let forms = shape["anyOf"].as_array().or(shape["oneOf"].as_array());
    if let Some(forms) = forms.filter(|forms| forms.iter().all(|form| misfit(document, form, value).is_some())) {
        return Some(format!("{value} is none of {} forms", forms.len()));
    }
    let kinds = shape["type"].as_array().cloned().or(shape["type"].as_str().map(|kind| vec![kind.into()]));
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
    };
    let is_of = |kinds: &Vec<Value>| kinds.iter().any(|one| one == kind || (one == "number" && kind == "integer"));
    if kinds.as_ref().is_some_and(|kinds| !is_of(kinds)) {
        return Some(format!("{value} is no {kinds:?}"));
    }
    if shape["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return Some(format!("{value} is not in {}", shape["enum"]));
    }
    if let (Some(items), Some(list)) = (shape.get("items"), value.as_array()) {
        return list.iter().find_map(|item| misfit(document, items, item));
    }
    let (Some(members), Some(object)) = (shape["properties"].as_object(), value.as_object()) else { return None };
    let mut required = shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing = required.find(|name| !object.contains_key(*name)).map(|name| format!("{name} is missing"));
    let is_open = shape["additionalProperties"] != false;
    let of_members = || {
        object.iter().find_map(|(name, value)| match members.get(name) {
            Some(member) => misfit(document, member, value),
            None => (!is_open).then(|| format!("{name} is not in the shape")),
        })
    };
    missing.or_else(of_members)
}

#[test]
fn what_endpoints_receive_is_described_and_stands_on_the_page() {
    let document = document(&listed());
    let content = &document["webhooks"]["event"]["post"]["requestBody"]["content"];
    assert_eq!(content["application/json"]["schema"]["$ref"], "#/components/schemas/Envelope");
    let page = page(&document);
    assert!(page.contains("<h2>Deliveries</h2>") && page.contains("id=\"receiveEvent\""), "no section");
    assert!(page.contains("event_id") && page.contains("data_base64"));
}

/// The envelopes that the documentation shows are those that are sent: see `endpoint/request_sender/page_tests.rs`.
#[test]
fn an_envelope_has_the_members_that_are_described() {
    let page = include_str!("../../../docs/what-arrives.md");
    let schema = &document(&listed())["components"]["schemas"]["Envelope"];
    let described = schema["properties"].as_object().expect("members");
    let shown: Vec<Value> = page.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let envelopes: Vec<&Value> =
        shown.iter().filter(|value| value["webhook-id"].is_null() && value["id"].is_string()).collect();
    assert!(envelopes.len() >= 4, "{shown:?}");
    for envelope in envelopes {
        let members = envelope.as_object().expect("an object");
        assert!(members.keys().all(|name| described.contains_key(name)), "{envelope}");
        let required = schema["required"].as_array().expect("names").iter().filter_map(Value::as_str);
        for name in required {
            assert!(members.contains_key(name), "{name} is not in {envelope}");
        }
    }
}

#[test]
fn every_code_that_is_given_out_is_documented() {
    let given: BTreeSet<&str> = PROBLEMS.iter().flat_map(|(_, _, codes)| codes.iter().copied()).collect();
    let known: BTreeSet<&str> = CODES.iter().copied().collect();
    assert_eq!(given, known, "by status, and all together");
    // A status and a code stand side by side wherever a problem is made.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin");
    for file in std::fs::read_dir(folder).expect("the folder").flatten() {
        let Ok(text) = std::fs::read_to_string(file.path()) else { continue };
        for made in text.split("StatusCode::").skip(1) {
            let after = made.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '_');
            let code =
                after.trim_start_matches([',', ' ', '\n']).strip_prefix('"').and_then(|rest| rest.split('"').next());
            let Some(code) = code.filter(|_| after.starts_with(',')) else { continue };
            assert!(known.contains(code), "{code} of {:?} is not documented", file.path());
        }
    }
}
