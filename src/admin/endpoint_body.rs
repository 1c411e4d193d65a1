//! ○ An endpoint's body, parsed and validated, and an endpoint as JSON.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::{
    customer_body::uid,
    endpoint_auth,
    endpoint_tls::{self, NEEDS_TLS, lacks_tls},
    fields::{self, Fields, Object},
    problem::Problem,
};
use crate::{
    api::{
        endpoint::{BatchSettings, BreakerSettings, DeliveryMode, EndpointSettings, base_ms_default, max_ms_default},
        shape,
    },
    endpoint::egress::Egress,
    model::{
        id::Kind,
        settings::{OnFailure, PARK_AFTER_MS_MAX},
    },
    store::{
        endpoints::Endpoint,
        secrets::{StoredAuth, signing_bytes},
        stored::state_word,
    },
};

/// Limits from the operator's configuration.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A batch may wait no longer than an event may wait in memory.
    pub park_after_ms: u64,
    /// The age at which a waiting event is given up.
    pub backlog_age_max_ms: i64,
    pub egress: Arc<Egress>,
}

/// The request's body, parsed. `None` is a field that was not said.
#[derive(Clone, PartialEq)]
pub struct EndpointBody {
    pub customer: Option<String>,
    pub uid: Option<String>,
    pub url: String,
    pub settings: EndpointSettings,
    pub auth: Option<StoredAuth>,
    pub secret: Option<String>,
}

/// # Errors
/// Every wrong field.
pub fn parse(object: &Object, rules: &Rules) -> Result<EndpointBody, Problem> {
    fields::parse(object, |fields| {
        let customer = fields.text("customer_id", 128);
        let uid = uid(fields, Kind::Endpoint);
        let url = endpoint_auth::url(fields, "url", &rules.egress);
        let auth = fields.nested("auth", |auth| endpoint_auth::read(auth, &rules.egress));
        let secret = secret(fields);
        let mut settings = settings(fields, rules);
        if let Some(auth) = &auth {
            settings.auth = endpoint_auth::view(auth);
        }
        if url.as_ref().is_some_and(|url| lacks_tls(url, &settings.auth)) {
            fields.wrong("url", NEEDS_TLS);
        }
        Some(EndpointBody { customer, uid, url: url?, settings, auth, secret })
    })
}

/// The endpoint as JSON, without secrets.
#[must_use]
pub fn view(endpoint: &Endpoint) -> Value {
    let mut view = serde_json::to_value(&endpoint.settings).expect("invariant: settings are plain values");
    let beside = json!({
        "id": endpoint.id,
        "uid": endpoint.uid,
        "customer_id": endpoint.customer_id,
        "state": state_word(endpoint.state),
        "state_reason": endpoint.state_reason,
        "suspended_at": endpoint.suspended_at,
        "url": endpoint.url,
        "version": endpoint.stamps.version,
        "created_at": endpoint.stamps.created_at,
        "updated_at": endpoint.stamps.updated_at,
    });
    if let (Some(view), Value::Object(beside)) = (view.as_object_mut(), beside) {
        view.extend(beside);
    }
    view
}

/// The body that would write the endpoint as it is, but for its secrets: PATCH merges into it.
#[must_use]
pub fn as_body(endpoint: &Endpoint) -> Value {
    let mut body = serde_json::to_value(&endpoint.settings).expect("invariant: settings are plain values");
    if let Some(body) = body.as_object_mut() {
        body.remove("auth");
        body.insert("customer_id".to_owned(), endpoint.customer_id.clone().into());
        body.insert("uid".to_owned(), endpoint.uid.clone().into());
        body.insert("url".to_owned(), endpoint.url.clone().into());
    }
    body
}

/// Merges a PATCH into the body (RFC 7396). One form of a retry replaces the other.
pub fn merge(body: &mut Value, patch: &Object) {
    if let (Some(retry), Some(new)) = (body.pointer_mut("/retry").and_then(Value::as_object_mut), patch.get("retry")) {
        if new.get("schedule_ms").is_some() {
            retry.remove("base_ms");
            retry.remove("max_ms");
        } else if new.get("base_ms").is_some() || new.get("max_ms").is_some() {
            retry.remove("schedule_ms");
        }
    }
    merge_objects(body, patch);
}

pub fn merge_objects(body: &mut Value, patch: &Object) {
    let Some(object) = body.as_object_mut() else { return };
    for (name, value) in patch {
        match (object.get_mut(name), value) {
            (_, Value::Null) => drop(object.remove(name)),
            // The kinds of an authentication have nothing in common.
            (Some(old @ Value::Object(_)), Value::Object(new)) if name != "auth" => merge_objects(old, new),
            _ => drop(object.insert(name.clone(), value.clone())),
        }
    }
}

fn secret(fields: &mut Fields<'_>) -> Option<String> {
    let secret = fields.value("secret")?.as_str().unwrap_or_default().to_owned();
    match signing_bytes(&secret) {
        Ok(_) => Some(secret),
        Err(error) => {
            fields.wrong("secret", error);
            None
        }
    }
}

/// A wrong field leaves its default here; its mistake is noted.
fn settings(fields: &mut Fields<'_>, rules: &Rules) -> EndpointSettings {
    let mut said = fields.shaped(&SHAPE);
    let tls = fields.nested("tls", |tls| Some(endpoint_tls::read(tls))).unwrap_or_default();
    complete_retry(fields, &mut said);
    complete_breaker(fields, &mut said);
    complete_batch(fields, &mut said, rules);
    complete_rate_limit(fields, &mut said);
    complete_ordering(&mut said);
    let settings = serde_json::from_value(Value::Object(said)).expect("invariant: it is held to its shape");
    EndpointSettings { tls, ..settings }
}

/// A member that is an object, if it was said.
fn part<'a>(said: &'a mut Object, name: &str) -> Option<&'a mut Object> {
    said.get_mut(name).and_then(Value::as_object_mut)
}

fn complete_ordering(said: &mut Object) {
    let Some(ordering) = part(said, "ordering") else { return };
    match ordering.contains_key("by") {
        true => drop(ordering.entry("on_failure").or_insert_with(|| json!(OnFailure::Block))),
        false => drop(said.remove("ordering")), // that is noted
    }
}

/// A batch may wait no longer than an event may wait in memory.
fn complete_batch(fields: &mut Fields<'_>, said: &mut Object, rules: &Rules) {
    let default = BatchSettings::default().wait_ms_max.min(rules.park_after_ms);
    let Some(batch) = said.entry("batch").or_insert_with(|| json!({})).as_object_mut() else { return };
    let wait = batch.entry("wait_ms_max").or_insert_with(|| default.into());
    if wait.as_u64().is_some_and(|wait| wait > rules.park_after_ms) {
        *wait = default.into();
        let max = rules.park_after_ms;
        fields.wrong("batch.wait_ms_max", format_args!("must be a whole number from 1 to {max}"));
    }
}

/// A batch is sent whole, so all of it must fit into a burst.
fn complete_rate_limit(fields: &mut Fields<'_>, said: &mut Object) {
    let number = |part: &Object, name: &str| part.get(name).and_then(Value::as_u64);
    let is_batch = said.get("mode").is_some_and(|mode| *mode == json!(DeliveryMode::Batch));
    let in_batch = part(said, "batch").and_then(|batch| number(batch, "events_max"));
    let burst_min = if is_batch { in_batch.unwrap_or(BatchSettings::default().events_max.into()) } else { 1 };
    let Some(limit) = part(said, "rate_limit") else { return };
    let Some(per_second) = number(limit, "events_per_second") else { return drop(said.remove("rate_limit")) };
    let burst = limit.entry("burst_events").or_insert_with(|| burst_min.max(per_second).into());
    if burst.as_u64().is_some_and(|burst| burst < burst_min) {
        fields.wrong("rate_limit.burst_events", format_args!("must be at least batch.events_max ({burst_min})"));
    }
}

fn complete_retry(fields: &mut Fields<'_>, said: &mut Object) {
    let Some(retry) = part(said, "retry") else { return };
    if retry.contains_key("schedule_ms") {
        if retry.contains_key("base_ms") || retry.contains_key("max_ms") {
            fields.wrong("retry.schedule_ms", "stands instead of base_ms and max_ms, not beside them");
        }
        return;
    }
    let base_ms = retry.entry("base_ms").or_insert_with(|| base_ms_default().into()).as_u64().unwrap_or_default();
    let max_ms = retry.entry("max_ms").or_insert_with(|| max_ms_default().max(base_ms).into());
    if max_ms.as_u64().is_some_and(|max_ms| max_ms < base_ms) {
        fields.wrong("retry.max_ms", format_args!("must be at least base_ms ({base_ms})"));
    }
}

fn complete_breaker(fields: &mut Fields<'_>, said: &mut Object) {
    let default = BreakerSettings::default();
    let Some(breaker) = part(said, "breaker") else { return };
    let base_ms = breaker.get("open_base_ms").and_then(Value::as_u64).unwrap_or(default.open_base_ms);
    let max_ms = breaker.entry("open_max_ms").or_insert_with(|| default.open_max_ms.max(base_ms).into());
    if max_ms.as_u64().is_some_and(|max_ms| max_ms < base_ms) {
        fields.wrong("breaker.open_max_ms", format_args!("must be at least open_base_ms ({base_ms})"));
    }
}

/// The shape of the settings, as the document has it. TLS is read apart: PEM is more than a text.
static SHAPE: LazyLock<Value> = LazyLock::new(|| {
    let mut shape = shape::taken::<EndpointSettings>();
    shape["properties"].as_object_mut().map(|members| members.remove("tls"));
    let wait_max = shape.pointer_mut(WAIT_MS_MAX).expect("invariant: a batch's wait has a limit");
    *wait_max = PARK_AFTER_MS_MAX.into(); // the operator's limit is checked by itself
    shape
});

/// The limit of the default configuration, in the shape.
const WAIT_MS_MAX: &str = "/properties/batch/anyOf/0/properties/wait_ms_max/anyOf/0/maximum";

#[cfg(test)]
mod tests;
