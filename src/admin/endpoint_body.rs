//! ○ An endpoint's body, held to the operator's rules, and an endpoint as it is answered.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::{
    endpoint_auth,
    endpoint_tls::{self, NEEDS_TLS},
    problem::Problem,
};
use crate::{
    api::{
        body::Said,
        check::Object,
        endpoint::EndpointSettings,
        endpoint_body::{EndpointBody, complete},
        endpoint_view::EndpointMembers,
    },
    endpoint::egress::Egress,
    store::{
        endpoints::Endpoint,
        secrets::{StoredAuth, signing_bytes},
    },
};

/// Limits from the operator's configuration.
#[derive(Debug, Clone)]
pub struct EndpointRules {
    /// A batch may wait no longer than an event may wait in memory.
    pub park_after_ms: u64,
    /// The age at which a waiting event is given up.
    pub backlog_age_max_ms: i64,
    pub egress: Arc<Egress>,
}

/// An endpoint as it is asked for. `None` is a field that was not said.
#[derive(Clone, PartialEq)]
pub struct CheckedEndpoint {
    pub customer: Option<String>,
    pub uid: Option<String>,
    pub url: String,
    pub settings: EndpointSettings,
    pub auth: Option<StoredAuth>,
    pub secret: Option<String>,
}

/// Reads an endpoint's body. `needed`: members that must be there as well.
///
/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, rules: &EndpointRules, needed: &[&str]) -> Result<CheckedEndpoint, Problem> {
    let mut said = Said::of::<EndpointBody>(object);
    needed.iter().for_each(|name| said.require(name));
    complete(&mut said, rules.park_after_ms);
    endpoint_auth::check_url(&mut said, "/url", "url", &rules.egress);
    endpoint_auth::check_url(&mut said, "/auth/token_url", "auth.token_url", &rules.egress);
    endpoint_tls::check(&mut said);
    check_secret(&mut said);
    let wants_tls = said.at("/auth/type").is_some_and(|kind| kind == "mutual_tls");
    if wants_tls && said.text("url").is_some_and(|url| !url.starts_with("https://")) {
        said.wrong("url", NEEDS_TLS);
    }
    let body: EndpointBody = said.into_body()?;
    let auth = body.auth.map(endpoint_auth::stored);
    let mut settings = body.settings;
    settings.auth = auth.as_ref().map(endpoint_auth::view).unwrap_or_default();
    Ok(CheckedEndpoint {
        customer: body.customer_id,
        uid: body.uid,
        url: body.url,
        settings,
        auth,
        secret: body.secret,
    })
}

/// Notes a signing secret that is none.
pub fn check_secret(said: &mut Said) {
    if let Some(Err(error)) = said.text("secret").map(signing_bytes) {
        said.wrong("secret", error);
    }
}

/// The endpoint as it is answered, without secrets.
#[must_use]
pub fn view(endpoint: &Endpoint) -> EndpointMembers {
    let Endpoint { id, uid, customer_id, state, state_reason, suspended_at, url, settings, stamps, .. } =
        endpoint.clone();
    EndpointMembers { id, uid, customer_id, state, state_reason, suspended_at, url, settings, stamps }
}

/// The body that would write the endpoint as it is, but for its secrets: PATCH merges into it.
#[must_use]
pub fn as_body(endpoint: &Endpoint) -> Object {
    let mut body = object_of(&endpoint.settings);
    body.remove("auth");
    body.insert("customer_id".to_owned(), endpoint.customer_id.clone().into());
    body.insert("uid".to_owned(), endpoint.uid.clone().into());
    body.insert("url".to_owned(), endpoint.url.clone().into());
    body
}

/// The members of a body.
pub fn object_of(body: &impl Serialize) -> Object {
    match serde_json::to_value(body) {
        Ok(Value::Object(object)) => object,
        other => unreachable!("invariant: a body is an object of plain values: {other:?}"),
    }
}

/// Merges a PATCH into the body (RFC 7396). One form of a retry replaces the other.
pub fn merge(body: &mut Object, patch: &Object) {
    if let (Some(retry), Some(new)) = (body.get_mut("retry").and_then(Value::as_object_mut), patch.get("retry")) {
        if new.get("schedule_ms").is_some() {
            retry.remove("base_ms");
            retry.remove("max_ms");
        } else if new.get("base_ms").is_some() || new.get("max_ms").is_some() {
            retry.remove("schedule_ms");
        }
    }
    merge_objects(body, patch);
}

/// Merges a PATCH into an object (RFC 7396).
pub fn merge_objects(object: &mut Object, patch: &Object) {
    for (name, value) in patch {
        match (object.get_mut(name), value) {
            (_, Value::Null) => drop(object.remove(name)),
            // The kinds of an authentication have nothing in common.
            (Some(Value::Object(old)), Value::Object(new)) if name != "auth" => merge_objects(old, new),
            _ => drop(object.insert(name.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
