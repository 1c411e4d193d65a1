//! ○ Requests made from the document: at each of its limits, one inside and one beyond. What it allows is taken, and what it does
//! not allow is refused by the name of its field.

use std::sync::Arc;

use serde_json::{Value, json};

use super::document;
use crate::{
    admin::{
        endpoint_body::{self, EndpointRules, check_secret},
        problem::Problem,
        routes::listed,
    },
    api::{
        api_key,
        body::{self, Said},
        check::Object,
        customer, dead_letters,
        endpoint_body::{Nothing, PurgeBody, RotationBody},
        replay, sample, subscription,
    },
};

/// Says whether a body is taken; else by which fields it is refused.
type Read = fn(&Object) -> Result<(), Problem>;

/// The reader of each body that has members.
const READERS: [(&str, Read); 15] = [
    ("CustomerBody", |object| Ok(customer::parse(object, &[]).map(drop)?)),
    ("CustomersBody", |object| each(object, "customers", |item| Ok(customer::parse(item, &["uid"]).map(drop)?))),
    ("EndpointBody", |object| endpoint_body::parse(object, &rules(), &[]).map(drop)),
    ("EndpointsBody", |object| {
        each(object, "endpoints", |item| endpoint_body::parse(item, &rules(), &["uid"]).map(drop))
    }),
    ("SubscriptionBody", |object| Ok(subscription::parse(object, &[]).map(drop)?)),
    ("SubscriptionsBody", |object| {
        each(object, "subscriptions", |item| Ok(subscription::parse(item, &["endpoint_id", "uid"]).map(drop)?))
    }),
    ("ApiKeyBody", |object| Ok(api_key::parse(object, 0).map(drop)?)),
    ("ApiKeyPatch", |object| Ok(api_key::parse_change(object, 0).map(drop)?)),
    ("TokenRotationBody", |object| Ok(body::read::<api_key::TokenRotationBody>(object).map(drop)?)),
    ("ReplayBody", |object| Ok(replay::parse(object, 4_000_000_000_000).map(drop)?)),
    ("Selection", |object| Ok(dead_letters::parse(object).map(drop)?)),
    ("MatchBody", |object| Ok(sample::parse(object, json!(object).to_string().as_bytes()).map(drop)?)),
    ("PurgeBody", |object| Ok(body::read::<PurgeBody>(object).map(drop)?)),
    ("RotationBody", |object| {
        let mut said = Said::of::<RotationBody>(object);
        check_secret(&mut said);
        Ok(said.into_body::<RotationBody>().map(drop)?)
    }),
    ("Nothing", |object| Ok(body::read::<Nothing>(object).map(drop)?)),
];

/// As a bulk call reads its items; how many there are is for `bulk` to say.
fn each(object: &Object, name: &str, read: impl Fn(&Object) -> Result<(), Problem>) -> Result<(), Problem> {
    let body = json!(object).to_string();
    let items = crate::admin::bulk::items(body.as_bytes(), name)?;
    crate::admin::bulk::read_all(&items, name, read).map(drop)
}

fn rules() -> EndpointRules {
    EndpointRules { park_after_ms: 5_000, backlog_age_max_ms: 1, egress: Arc::new(crate::app::default_egress()) }
}

/// Makes values of the shapes of a document.
struct Maker {
    document: Value,
}

impl Maker {
    fn resolved<'a>(&'a self, shape: &'a Value) -> &'a Value {
        let pointer = shape["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.map_or(shape, |pointer| self.document.pointer(pointer).expect("a component"))
    }

    /// The shapes that a value may have, `null` aside.
    fn forms<'a>(&'a self, shape: &'a Value) -> Vec<&'a Value> {
        let shape = self.resolved(shape);
        let is_words = shape["oneOf"][0].get("const").is_some();
        let several = ["anyOf", "oneOf"].into_iter().find_map(|forms| shape[forms].as_array());
        match several.filter(|_| !is_words && shape.get("properties").is_none()) {
            Some(forms) => {
                forms.iter().flat_map(|form| self.forms(form)).filter(|form| form["type"] != "null").collect()
            }
            None => vec![shape],
        }
    }

    /// A value of this shape.
    fn valid(&self, shape: &Value) -> Value {
        let shape = self.forms(shape)[0];
        if let Some(example) = shape["examples"].get(0) {
            return example.clone();
        }
        if shape["properties"].is_object() {
            let mut names: Vec<&str> = texts(&shape["required"]);
            if names.is_empty() && shape["minProperties"] == 1 {
                names.extend(
                    shape["properties"].as_object().and_then(|members| members.keys().next()).map(String::as_str),
                );
            }
            let member = |name: &str| (name.to_owned(), self.valid(&shape["properties"][name]));
            return Value::Object(names.into_iter().map(member).collect());
        }
        self.inside(shape).into_iter().next().unwrap_or(Value::Null)
    }

    /// Values at the limits, and one inside.
    fn inside(&self, shape: &Value) -> Vec<Value> {
        let null = may_be_null(self.resolved(shape)).then_some(Value::Null);
        self.forms(shape).into_iter().flat_map(|form| self.inside_form(form)).chain(null).collect()
    }

    fn inside_form(&self, shape: &Value) -> Vec<Value> {
        let kind = kind(shape);
        match kind {
            _ if !words(shape).is_empty() => words(shape),
            "object" if shape["properties"].is_object() => {
                let members = shape["properties"].as_object().into_iter().flatten();
                let varied = members.flat_map(|(name, member)| {
                    self.inside(member).into_iter().map(move |value| with(self.valid(shape), name, value))
                });
                varied.chain([self.valid(shape)]).collect()
            }
            "object" => {
                let entry = self.valid(&shape["additionalProperties"]);
                let of = |count: u64| Value::Object((0..count).map(|n| (format!("n{n}"), entry.clone())).collect());
                let several =
                    [shape["minProperties"].as_u64().unwrap_or(0), shape["maxProperties"].as_u64().unwrap_or(2)];
                let entries = self.inside(&shape["additionalProperties"]).into_iter().map(|entry| json!({"n": entry}));
                several.into_iter().map(of).chain(entries).collect()
            }
            "array" => {
                let (min, max) = (shape["minItems"].as_u64().unwrap_or(0), shape["maxItems"].as_u64().unwrap_or(2));
                let item = self.valid(&shape["items"]);
                let of = |count: u64| Value::from(vec![item.clone(); usize::try_from(count).expect("few")]);
                let one = self.inside(&shape["items"]).into_iter().map(|item| json!([item]));
                [min, max].into_iter().map(of).chain(one).collect()
            }
            "integer" => {
                let (min, max) = (shape["minimum"].as_u64().unwrap_or(0), shape["maximum"].as_u64().unwrap_or(9));
                [min, (min + 1).min(max), max - u64::from(max > min), max].map(Value::from).to_vec()
            }
            "number" if shape["exclusiveMinimum"].is_number() => vec![json!(0.000_1), json!(0.5), json!(1)],
            "number" => vec![json!(1.5), json!(7)],
            "boolean" => vec![json!(true), json!(false)],
            "string" => texts_inside(shape),
            _ => vec![json!({"any": ["thing", 1]}), json!(7)],
        }
    }

    /// Values beyond the limits, each with the path of what is wrong in it.
    fn beyond(&self, shape: &Value, path: &str) -> Vec<(String, Value)> {
        let forms = self.forms(shape);
        let kinds: Vec<&str> = forms.iter().map(|form| kind(form)).collect();
        let mut found: Vec<(String, Value)> = forms.iter().flat_map(|form| self.beyond_form(form, path)).collect();
        // Of another type than all forms.
        for other in [json!("neither"), json!(true), json!(1.5), json!([]), json!({})] {
            let of = |kind: &&str| match &other {
                Value::String(_) => *kind == "string",
                Value::Bool(_) => *kind == "boolean",
                Value::Number(_) => *kind == "number",
                Value::Array(_) => *kind == "array",
                _ => *kind == "object",
            };
            if !kinds.iter().any(of) && !kinds.contains(&"any") {
                found.push((path.to_owned(), other));
            }
        }
        found
    }

    fn beyond_form(&self, shape: &Value, path: &str) -> Vec<(String, Value)> {
        let here = |values: Vec<Value>| values.into_iter().map(|value| (path.to_owned(), value)).collect::<Vec<_>>();
        let dot = if path.is_empty() { "" } else { "." };
        match kind(shape) {
            _ if !words(shape).is_empty() => here(vec![json!("neither")]),
            "object" if shape["properties"].is_object() => {
                let mut found = vec![(format!("{path}{dot}not_there"), with(self.valid(shape), "not_there", json!(1)))];
                for name in texts(&shape["required"]) {
                    let mut without = self.valid(shape);
                    without.as_object_mut().expect("an object").remove(name);
                    found.push((format!("{path}{dot}{name}"), without));
                }
                for (name, member) in shape["properties"].as_object().into_iter().flatten() {
                    for (path, value) in self.beyond(member, &format!("{path}{dot}{name}")) {
                        found.push((path, with(self.valid(shape), name, value)));
                    }
                }
                found
            }
            "object" => {
                let entry = self.valid(&shape["additionalProperties"]);
                let of = |count: u64| Value::Object((0..count).map(|n| (format!("n{n}"), entry.clone())).collect());
                let fewer = shape["minProperties"].as_u64().filter(|min| *min > 0).map(|min| of(min - 1));
                let more = shape["maxProperties"].as_u64().map(|max| of(max + 1));
                let mut found = here(fewer.into_iter().chain(more).collect());
                let entries = self.beyond(&shape["additionalProperties"], &format!("{path}.n"));
                found.extend(entries.into_iter().map(|(path, entry)| (path, json!({"n": entry}))));
                if let Some(max) = shape["propertyNames"]["maxLength"].as_u64() {
                    let name = "x".repeat(usize::try_from(max + 1).expect("short"));
                    found.push((format!("{path}.{}", &name[..name.len().min(100)]), json!({name.as_str(): entry})));
                }
                found
            }
            "array" => {
                let item = self.valid(&shape["items"]);
                let of = |count: u64| Value::from(vec![item.clone(); usize::try_from(count).expect("few")]);
                let fewer = shape["minItems"].as_u64().filter(|min| *min > 0).map(|min| of(min - 1));
                let more = shape["maxItems"].as_u64().map(|max| of(max + 1));
                let mut found = here(fewer.into_iter().chain(more).collect());
                let items = self.beyond(&shape["items"], &format!("{path}[0]"));
                found.extend(items.into_iter().map(|(path, item)| (path, json!([item]))));
                found
            }
            "integer" => {
                let below = shape["minimum"].as_i64().map(|min| json!(min - 1));
                let above = shape["maximum"].as_u64().map(|max| json!(max + 1));
                here(below.into_iter().chain(above).collect())
            }
            "number" if shape["exclusiveMinimum"].is_number() => here(vec![json!(0), json!(1.000_1)]),
            "string" => here(texts_beyond(shape)),
            _ => Vec::new(),
        }
    }
}

fn kind(shape: &Value) -> &str {
    let several = shape["type"].as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null"));
    match several.unwrap_or(&shape["type"]).as_str() {
        None if shape["properties"].is_object() => "object",
        None if words(shape).is_empty() => "any",
        None => "string",
        Some(kind) => kind,
    }
}

fn may_be_null(shape: &Value) -> bool {
    let forms = shape["anyOf"].as_array();
    let of_forms = forms.is_some_and(|forms| forms.iter().any(|form| form["type"] == "null"));
    of_forms || shape["type"].as_array().is_some_and(|kinds| kinds.contains(&json!("null")))
}

fn words(shape: &Value) -> Vec<Value> {
    let listed = ["enum", "oneOf"].into_iter().filter_map(|words| shape[words].as_array()).flatten();
    let word = |word: &Value| match word.get("const") {
        Some(word) => Some(word.clone()),
        None => word.is_string().then(|| word.clone()),
    };
    listed.filter_map(word).chain(shape.get("const").cloned()).collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

/// Texts with these limits. Of a text with a format of its own some that are of it.
fn texts_inside(shape: &Value) -> Vec<Value> {
    if let Some(examples) = shape["examples"].as_array() {
        return examples.clone();
    }
    let long = |text: &str| text.repeat(usize::try_from(shape["maxLength"].as_u64().unwrap_or(9)).expect("short"));
    let texts = match shape["format"].as_str() {
        Some("topic" | "granted-topic") => vec!["orders".to_owned(), "...".to_owned(), "x".repeat(249)],
        Some("uri") => {
            let start = "https://acme.example/";
            vec![start.to_owned(), long("x").replacen(&"x".repeat(start.len()), start, 1)]
        }
        Some("base64") => vec![String::new(), "YQ==".to_owned()],
        Some("pem") => return Vec::new(), // only a certificate is one
        None
        | Some("name" | "header-text" | "token" | "username" | "password" | "uid-cus_" | "uid-ep_" | "uid-sub_") => {
            vec!["x".repeat(usize::from(shape["minLength"].as_u64() > Some(0))), "xx".to_owned(), long("x")]
        }
        Some(format) => panic!("no example of {format}"),
    };
    texts.into_iter().map(Value::from).collect()
}

fn texts_beyond(shape: &Value) -> Vec<Value> {
    let long = shape["maxLength"].as_u64().map(|max| "x".repeat(usize::try_from(max + 1).expect("short")));
    let empty = shape["minLength"].as_u64().filter(|min| *min > 0).map(|_| String::new());
    let wrong: &[&str] = match shape["format"].as_str() {
        Some("topic") => &["", "*", "a b", "..", "__offsets"],
        Some("granted-topic") => &["", "a b", "..", "__offsets"],
        Some("date-time") => &["yesterday", "2026-01-31"],
        Some("uri") => &["ftp://acme.example/"],
        Some("base64") => &["%"],
        Some("uid-cus_" | "uid-ep_" | "uid-sub_") => &["a/b", "."],
        Some("username") => &["a:b", "a\u{7}"],
        Some("header-text") => &["ä", " x", "x\r\ny"],
        Some("token") => &["x y", "ä"],
        Some("pem") => &["no certificate"],
        Some(_) => &["a\u{7}"],
        None if shape["pattern"].as_str().is_some_and(|pattern| pattern.starts_with("^whsec_")) => &["whsec_", "x"],
        None if shape.get("pattern").is_some() => &["a\u{7}"],
        None => &[],
    };
    long.into_iter().chain(empty).chain(wrong.iter().map(ToString::to_string)).map(Value::from).collect()
}

/// The body with what its members need beside them, and without what they exclude.
fn fitting(name: &str, mut body: Value) -> Value {
    for list in ["customers", "endpoints", "subscriptions"] {
        if let Some(items) = body.get_mut(list).and_then(Value::as_array_mut) {
            items.iter_mut().for_each(|item| *item = fitting("EndpointBody", item.take()));
        }
    }
    let Some(object) = body.as_object_mut() else { return body };
    // A customer's key names its customer.
    if name == "ApiKeyBody" && object.get("customer_id").is_none_or(Value::is_null) {
        object.insert("role".to_owned(), "admin".into());
    }
    let is_said = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
    let excluded: &[&str] = match name {
        "ReplayBody" if is_said("partitions") => &["from_time", "to_time"],
        "Selection" if is_said("ids") || is_said("filter") => &["all"],
        "ApiKeyBody" if object.get("role") != Some(&json!("customer")) => &["customer_id"],
        "MatchBody" if is_said("record") => &["tenant", "department"],
        // A burst has room for a whole batch.
        "EndpointBody" if is_said("rate_limit") => &["mode"],
        _ => &[],
    };
    excluded.iter().for_each(|member| drop(object.remove(*member)));
    for (part, most, least, value) in
        [("retry", "max_ms", "base_ms", 1), ("breaker", "open_max_ms", "open_base_ms", 100)]
    {
        let part = object.get_mut(part).and_then(Value::as_object_mut);
        if let Some(part) = part.filter(|part| part.contains_key(most)) {
            part.insert(least.to_owned(), value.into());
        }
    }
    body
}

fn read(name: &str, body: &Value) -> Result<(), Vec<String>> {
    let (_, read) = READERS.iter().find(|(of, _)| *of == name).expect("a reader");
    let object = body.as_object().expect("an object");
    read(object).map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
}

/// Beginning of a body, for people.
fn shown(body: &Value) -> String {
    body.to_string().chars().take(300).collect()
}

#[test]
fn what_the_document_allows_is_taken_up_to_its_limits() {
    let maker = Maker { document: document(&[]) };
    for (name, _) in READERS {
        let shape = &maker.document["components"]["schemas"][name];
        let mut bodies = maker.inside(shape);
        // A customer's certificate is more than a text.
        bodies.retain(|body| !body.to_string().contains("mutual_tls"));
        for body in bodies {
            let body = fitting(name, body);
            assert_eq!(read(name, &body), Ok(()), "{name} {}", shown(&body));
        }
    }
}

#[test]
fn what_is_beyond_the_document_is_refused_by_its_field() {
    let maker = Maker { document: document(&[]) };
    let mut count = 0;
    for (name, _) in READERS {
        let shape = &maker.document["components"]["schemas"][name];
        let bodies = maker.beyond_form(shape, "");
        assert!(bodies.len() > 2 || name == "Nothing", "{name}: {bodies:?}");
        for (path, body) in bodies {
            let body = fitting(name, body);
            let fields = read(name, &body).expect_err(&format!("{name} {path} {}", shown(&body)));
            // A form that lacks its members is refused as a whole.
            let is_form = matches!(path.as_str(), "partitions" | "ids" | "filter" | "all");
            assert!(is_form || fields.contains(&path), "{name} {path} {fields:?} {}", shown(&body));
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn every_body_of_the_document_is_read_by_somebody() {
    let document = document(&listed());
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            let shape = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
            let Some(name) = shape.as_str().and_then(|name| name.rsplit('/').next()) else { continue };
            // A change to a resource is merged into it, and read as a whole.
            let of_resource = ["CustomerPatch", "EndpointPatch", "SubscriptionPatch"].contains(&name);
            assert!(of_resource || READERS.iter().any(|(of, _)| *of == name), "{name}");
        }
    }
}
