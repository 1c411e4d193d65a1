//! Whatever is wrong with a request, it is told what, by a 4xx with a stable code. Which operations there are and what they
//! take is read from the API's own document, so that none is left out.

use postrider::admin::openapi_routes;
use serde_json::{Value, json};

use crate::api::{Api, KEY, all};

/// An operation, with names in its path that lead somewhere.
struct Operation {
    method: String,
    path: String,
    /// Its parameters of the query.
    query: Vec<String>,
    /// The members of its body.
    body: Option<Vec<String>>,
}

impl Operation {
    fn is_bulk(&self) -> bool {
        self.path.ends_with("/bulk")
    }
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(openapi_routes::written()).expect("the document");
    let resolved = |value: &Value| -> Value {
        let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value).clone()
    };
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths").iter().filter(|(path, _)| path.starts_with("/v1"))
    {
        for (method, operation) in item.as_object().expect("operations") {
            let parameters = operation["parameters"].as_array().expect("parameters").iter().map(resolved);
            let of_query = parameters.filter(|parameter| parameter["in"] == "query");
            let schema = operation.pointer("/requestBody/content/application~1json/schema").map(resolved);
            let members = |schema: Value| {
                let forms = schema["oneOf"].as_array().filter(|_| schema["properties"].is_null()).cloned();
                let forms = forms.unwrap_or_else(|| vec![schema]);
                let names = |form: &Value| form["properties"].as_object().expect("members").keys().cloned().collect();
                forms.iter().flat_map(|form| -> Vec<String> { names(form) }).collect::<Vec<String>>()
            };
            all.push(Operation {
                method: method.to_uppercase(),
                path: named(path),
                query: of_query.map(|parameter| parameter["name"].as_str().expect("a name").to_owned()).collect(),
                body: schema.map(members),
            });
        }
    }
    assert!(all.len() > 40, "{}", all.len());
    all
}

/// The path of something that is there.
fn named(path: &str) -> String {
    let name = if path.starts_with("/v1/customers") {
        "acme"
    } else if path.starts_with("/v1/endpoints") {
        "hook"
    } else {
        "s"
    };
    path.replace("{name}", name).replace("{id}", &format!("key_{}", "0".repeat(26)))
}

async fn api() -> Api {
    let api = Api::new().await;
    api.customer("acme", all()).await;
    api.endpoint("acme", "hook").await;
    let body = json!({"endpoint_id": "hook", "topic": "orders", "scope": {"level": "topic"}});
    assert_eq!(api.call("PUT", "/v1/subscriptions/s", Some(body)).await.0, 201);
    api
}

async fn refused(api: &Api, one: &Operation, query: &str, sent: (&str, String), expected: (u16, &str)) -> Value {
    let bearer = format!("Bearer {KEY}");
    let (content_type, body) = sent;
    let what = format!("{} {}{query} {body:.60}", one.method, one.path);
    let headers = [("authorization", bearer.as_str()), ("content-type", content_type)];
    let (status, problem) = api.send(&one.method, &format!("{}{query}", one.path), &headers, body).await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (expected.0, Some(expected.1)), "{what}: {problem}");
    problem
}

const JSON: &str = "application/json";

#[actix_rt::test]
async fn a_body_that_is_wrong_is_told_what_is_wrong_with_it() {
    let api = api().await;
    for one in operations().iter() {
        let Some(members) = &one.body else { continue };
        for text in ["{", "{\"a\": }", "nil", "\u{0}"] {
            refused(&api, one, "", (JSON, text.to_owned()), (400, "malformed_json")).await;
        }
        for text in ["[]", "7", "null", "\"text\""] {
            refused(&api, one, "", (JSON, text.to_owned()), (422, "validation_failed")).await;
        }
        refused(&api, one, "", ("application/x-www-form-urlencoded", "{}".to_owned()), (415, "unsupported_media_type"))
            .await;
        if !one.is_bulk() {
            refused(&api, one, "", (JSON, "x".repeat(10_001)), (413, "body_too_large")).await;
        }
        let unknown = json!({"no such field": 1}).to_string();
        let problem = refused(&api, one, "", (JSON, unknown), (422, "validation_failed")).await;
        assert!(names(&problem, "no such field"), "{} {}: {problem}", one.method, one.path);
        // No field takes an object with a member of this name.
        for member in members {
            let wrong = json!({member: {"no such member": [1.5]}}).to_string();
            let problem = refused(&api, one, "", (JSON, wrong), (422, "validation_failed")).await;
            assert!(names(&problem, member), "{} {} {member}: {problem}", one.method, one.path);
        }
    }
}

/// Whether a mistake of this field, or of something in it, is named.
fn names(problem: &Value, field: &str) -> bool {
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors.filter_map(|error| error["field"].as_str()).any(|named| named.starts_with(field))
}

#[actix_rt::test]
async fn a_query_that_is_wrong_is_refused_and_so_is_a_broken_cursor() {
    let api = api().await;
    for one in operations().iter().filter(|one| one.method == "GET" && !one.query.is_empty()) {
        let none = || (JSON, String::new());
        for query in ["?order=id;drop", "?limit=1&limit=1"] {
            refused(&api, one, query, none(), (400, "invalid_query")).await;
        }
        for name in &one.query {
            let long = format!("?{name}={}", "x".repeat(1_001));
            for query in [long, format!("?{name}=a%00b")] {
                refused(&api, one, &query, none(), (400, "invalid_query")).await;
            }
        }
        if one.query.iter().any(|name| name == "limit") {
            for limit in ["0", "-1", "251", "1000000000", "18446744073709551616", "many", ""] {
                refused(&api, one, &format!("?limit={limit}"), none(), (400, "invalid_query")).await;
            }
            for cursor in ["broken", "%25", "AAAA", "MDAwMA", "ZXBfJzsgRFJPUCBUQUJMRQ"] {
                refused(&api, one, &format!("?cursor={cursor}"), none(), (400, "invalid_cursor")).await;
            }
        }
    }
}

#[actix_rt::test]
async fn without_a_key_every_operation_is_401() {
    let api = api().await;
    for one in operations().iter() {
        let (status, problem) = api.send(&one.method, &one.path, &[("content-type", JSON)], "{}".to_owned()).await;
        assert_eq!((status.as_u16(), &problem["code"]), (401, &json!("missing_key")), "{} {}", one.method, one.path);
    }
}
