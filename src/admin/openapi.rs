//! ○ The API as an OpenAPI 3.1 document: which operations there are and who may call them comes from the table of routes,
//! so it cannot forget one; shapes are those of the types in `crates/api`, and a tester holds the running API to them.

mod answers; // the shapes of answers
mod bodies; // the shapes of what is sent
mod delivered; // what endpoints receive
mod documented; // what each operation is for
mod links; // operations that may follow an answer
mod parameters; // what stands in paths, queries and headers
mod reference; // the document as a page
mod schema; // the words for shapes

use serde_json::{Map, Value, json};

use self::{
    documented::{Documented, documented},
    parameters::parameters,
    schema::{count, of, plain, word},
};
use super::access::Needs;
use crate::api::{
    instance::{LiveProbe, ReadyProbe, UnreadyProbe},
    shape::answered,
};

pub use self::reference::page;

/// An operation as the table of routes has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRoute {
    pub method: String,
    /// Below `/v1`.
    pub path: &'static str,
    pub needs: Needs,
}

/// The document. Operations that nobody described are missing; a test sees to it that there are none.
#[must_use]
pub fn document(routes: &[ApiRoute]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let documented = documented();
    for route in routes {
        let Some(operation) = documented.iter().find(|one| one.method == route.method && one.path == route.path) else {
            continue;
        };
        let item = paths.entry(format!("/v1{}", route.path)).or_insert_with(|| json!({}));
        let takes_customers = routes.iter().any(|other| other.path == route.path && other.needs.admits_customers());
        item[route.method.to_lowercase()] = written(operation, &documented, route.needs, takes_customers);
    }
    paths.extend(open());
    let mut schemas = bodies::bodies(&documented);
    // A shape that is taken and given is written as it is taken.
    for (name, shape) in answers::answers(&documented) {
        schemas.entry(name).or_insert(shape);
    }
    schemas.extend(delivered::schemas().into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "Postrider", "version": env!("CARGO_PKG_VERSION"), "summary": "Events from Kafka to HTTP endpoints.",
            "description": DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": tags(),
        "paths": paths,
        "webhooks": delivered::webhooks(),
        "components": {
            "securitySchemes": {"key": {
                "type": "http", "scheme": "bearer",
                "description": "An API key's token (prk_…), or the key of the configuration.",
            }},
            "schemas": schemas,
            "parameters": parameters(),
            "headers": headers(),
            "responses": problems(),
        },
    })
}

/// Operations of the table of routes that the document lacks, and the other way round.
#[must_use]
pub fn differences(routes: &[ApiRoute]) -> Vec<String> {
    let documented = documented();
    let name = |method: &str, path: &str| format!("{method} {path}");
    let routed: Vec<String> = routes.iter().map(|route| name(&route.method, route.path)).collect();
    let described: Vec<String> = documented.iter().map(|one| name(one.method, one.path)).collect();
    let missing = routed.iter().filter(|one| !described.contains(one)).map(|one| format!("{one} is not documented"));
    let gone = described.iter().filter(|one| !routed.contains(one)).map(|one| format!("{one} is not there"));
    missing.chain(gone).collect()
}

/// Each once, in their order.
fn tags() -> Vec<Value> {
    let mut names: Vec<&str> = TAGS.iter().map(|(_, name)| *name).collect();
    names.sort_by_key(|name| TAGS.iter().position(|(_, other)| other == name));
    names.dedup();
    names.push(delivered::TAG);
    names.into_iter().map(|name| json!({"name": name})).collect()
}

fn written(operation: &Documented, all: &[Documented], needs: Needs, takes_customers: bool) -> Value {
    let tag = TAGS.iter().find(|(start, _)| operation.path.starts_with(start)).map_or("Other", |(_, name)| name);
    let mut written = json!({
        "operationId": operation.id, "summary": operation.summary, "tags": [tag],
        "description": explained(operation, needs), "x-needs": format!("{needs:?}").to_lowercase(),
        "parameters": used_parameters(operation), "responses": responses(operation, all, needs, takes_customers),
    });
    if let Some(body) = &operation.body {
        let media = if operation.method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let mut content = json!({"application/json": {"schema": of(&body.shape.name)}});
        content[media] = json!({"schema": of(&body.shape.name)});
        written["requestBody"] = json!({"required": body.required, "content": content});
    }
    written
}

fn explained(operation: &Documented, needs: Needs) -> String {
    let who = match needs {
        Needs::Administer => "For admin keys.",
        Needs::Watch => "For admin and operator keys.",
        Needs::Read => "For all keys; a customer's key sees what is its own.",
        Needs::Write => "For admin keys, and for a customer's key where it is its own.",
    };
    format!("{} {who}", operation.about).trim().to_owned()
}

fn used_parameters(operation: &Documented) -> Vec<Value> {
    let mut names: Vec<String> = Vec::new();
    for part in ["name", "id"] {
        if operation.path.contains(&format!("{{{part}}}")) {
            names.push(part.to_owned());
        }
    }
    names.extend(operation.query.iter().map(|name| format!("query-{name}")));
    if operation.conditional {
        let read = operation.method == "GET";
        names.extend((!read).then(|| "If-Match".to_owned()));
        names.extend((read || operation.method == "PUT").then(|| "If-None-Match".to_owned()));
    }
    names.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")})).collect()
}

fn responses(operation: &Documented, all: &[Documented], needs: Needs, takes_customers: bool) -> Value {
    let (mut responses, links) = (Map::new(), links::links(operation, all));
    for (status, shape) in &operation.answers {
        let mut response = json!({"description": meaning(*status)});
        if let Some(shape) = shape {
            response["content"] = json!({"application/json": {"schema": of(&shape.name)}});
        }
        if operation.conditional && *status != 204 {
            response["headers"] = json!({"ETag": {"$ref": "#/components/headers/ETag"}});
        }
        if !links.is_empty() {
            response["links"] = Value::Object(links.clone());
        }
        responses.insert(status.to_string(), response);
    }
    let named = operation.path.contains('{');
    // Whatever is needed may be a row that this version cannot read: 409.
    let mut statuses = vec![400, 401, 409, 429, 500, 503];
    statuses.extend((needs != Needs::Read).then_some(403));
    statuses.extend((named || !takes_customers).then_some(404));
    if operation.body.is_some() {
        statuses.extend([408, 413, 415, 422]);
    }
    if operation.conditional {
        statuses.push(if operation.method == "GET" { 304 } else { 412 });
    }
    statuses.extend(&operation.problems);
    for status in statuses {
        let name = if status == 304 { "NotModified".to_owned() } else { format!("Problem{status}") };
        responses.insert(status.to_string(), json!({"$ref": format!("#/components/responses/{name}")}));
    }
    Value::Object(responses)
}

fn meaning(status: u16) -> &'static str {
    match status {
        201 => "It was created.",
        202 => "It will be done.",
        204 => "It is gone.",
        _ => "As asked.",
    }
}

/// Problems by status: the codes they come with.
const PROBLEMS: &[(u16, &str, &[&str])] = &[
    (
        400,
        "The request makes no sense",
        &["invalid_query", "invalid_cursor", "invalid_header", "malformed_json", "unreadable_body"],
    ),
    (401, "The key is missing or wrong", &["missing_key", "wrong_key", "not_a_peer"]),
    (403, "The key, or the customer's grants, do not allow it", &["forbidden", "outside_grants"]),
    (404, "There is nothing, or nothing that this key may see", &["not_found"]),
    (405, "The path takes other methods; Allow names them", &["method_not_allowed"]),
    (408, "The body did not arrive in time", &["unreadable_body"]),
    (
        409,
        "It does not fit what is there",
        &[
            "uid_taken",
            "ambiguous_uid",
            "endpoint_is_disabled",
            "endpoint_unreadable",
            "secrets_unreadable",
            "too_many_secrets",
            "stored_unreadable",
            "too_many_replays",
            "quota_exceeded",
        ],
    ),
    (412, "Somebody else has written meanwhile", &["precondition_failed"]),
    (413, "The body is too large", &["body_too_large"]),
    (415, "The body is not JSON", &["unsupported_media_type"]),
    (422, "Fields are not valid; all of them are named", &["validation_failed", "refused_by_store"]),
    (429, "Too many calls; come back after Retry-After", &["too_many_requests", "too_many_tests"]),
    (500, "Our fault", &["internal"]),
    (503, "Try again after Retry-After", &["starting", "store_unavailable", "kafka_unavailable", "too_busy"]),
];

fn problems() -> Value {
    let mut responses = Map::new();
    for (status, meaning, codes) in PROBLEMS {
        let schema = json!({"allOf": [of("Problem"), {"properties": {
            "status": {"const": status, "description": "The answer's status."},
            "code": schema::about(word(codes), "Stable: programs may decide by it."),
        }}]});
        let mut response = json!({
            "description": format!("{meaning}: {}.", codes.join(", ")),
            "content": {"application/problem+json": {"schema": schema}},
        });
        if [429, 503].contains(status) {
            response["headers"] = json!({"Retry-After": {"$ref": "#/components/headers/RetryAfter"}});
        }
        responses.insert(format!("Problem{status}"), response);
    }
    let etag = json!({"ETag": {"$ref": "#/components/headers/ETag"}});
    responses.insert("NotModified".to_owned(), json!({"description": "You have this version.", "headers": etag}));
    Value::Object(responses)
}

fn headers() -> Value {
    json!({
        "ETag": {"description": "The version, for If-Match and If-None-Match.", "schema": {"type": "string"}, "example": "\"v12\""},
        "RetryAfter": {"description": "Seconds.", "schema": count(), "example": 5},
    })
}

/// Paths that need no key.
fn open() -> Vec<(String, Value)> {
    let json_of = |schema: Value| json!({"application/json": {"schema": schema}});
    let operation = |id: &str, summary: &str, responses: Value| json!({"get": {"operationId": id, "summary": summary, "tags": ["Health"], "security": [], "responses": responses}});
    let text = |media: &str| json!({"200": {"description": "As asked.", "content": {media: {"schema": plain()}}}});
    let ready = json!({
        "200": {"description": "It does its work.", "content": json_of(answered::<ReadyProbe>())},
        "503": {"description": "Not now.", "content": json_of(answered::<UnreadyProbe>())},
    });
    let live = json!({"200": {"description": "It lives.", "content": json_of(answered::<LiveProbe>())}});
    let document = json!({"200": {"description": "This document.", "content": json_of(json!({"type": "object"}))}});
    vec![
        ("/livez".to_owned(), operation("live", "Say that the process answers", live)),
        ("/readyz".to_owned(), operation("ready", "Say whether this instance does its work", ready)),
        ("/metrics".to_owned(), operation("metrics", "Metrics for Prometheus", text("text/plain"))),
        ("/openapi.json".to_owned(), operation("openapi", "This document", document)),
        ("/reference".to_owned(), operation("reference", "This document as a page", text("text/html"))),
    ]
}

/// Tags of paths, by their beginning.
const TAGS: &[(&str, &str)] = &[
    ("/customers", "Customers"),
    ("/endpoints/{name}/dead-letters", "Dead letters"),
    ("/endpoints", "Endpoints"),
    ("/subscriptions", "Subscriptions"),
    ("/match", "Subscriptions"),
    ("/dead-letters", "Dead letters"),
    ("/replays", "Replays"),
    ("/api-keys", "API keys"),
    ("/overview", "Actors"),
    ("/actors", "Actors"),
    ("", "Health"),
];

const DESCRIPTION: &str = "Customers have endpoints, endpoints have subscriptions to topics, tenants or departments of \
    tenants. What could not be delivered waits as dead letters.\n\nIds are prefixed and sort by time; your own keys (uid) \
    stand wherever an id does, and PUT by them may be repeated without harm. Lists come in pages: pass next_cursor as cursor \
    until it is null. Errors are RFC 9457 problems with a stable code. Wrong fields are all named at once, up to a hundred.\n\nSingle \
    resources carry an ETag: with If-Match a write happens only if nobody else wrote, else 412.";

#[cfg(test)]
mod limits_tests; // the document and the checks are the same

#[cfg(test)]
mod tests;
