//! ○ An endpoint's body, parsed and validated, and an endpoint as JSON.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    customer_body::uid,
    endpoint_auth,
    endpoint_tls::{self, NEEDS_TLS, lacks_tls},
    fields::{self, Fields, Object},
    problem::Problem,
};
use crate::{
    endpoint::egress::Egress,
    model::{
        id::Kind,
        settings::{BatchFormat, Format, OnFailure, OrderBy, Ordering, RateLimit},
    },
    store::{
        endpoints::Endpoint,
        secrets::{StoredAuth, signing_bytes},
        stored::{StoredBatch, StoredBreaker, StoredMode, StoredRetry, StoredSchedule, StoredSettings, state_word},
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
    pub settings: StoredSettings,
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
fn settings(fields: &mut Fields<'_>, rules: &Rules) -> StoredSettings {
    let default = StoredSettings::default();
    let description = fields.text("description", 1_000);
    let mode = fields.word("mode", &[("stream", StoredMode::Stream), ("batch", StoredMode::Batch)]);
    let batch = fields.nested("batch", |batch| Some(read_batch(batch, rules))).unwrap_or_else(|| StoredBatch {
        wait_ms_max: default.batch.wait_ms_max.min(rules.park_after_ms),
        ..default.batch.clone()
    });
    let format = fields.word("format", &[("envelope", Format::Envelope), ("raw", Format::Raw)]);
    let formats = [("json_array", BatchFormat::JsonArray), ("ndjson", BatchFormat::Ndjson)];
    let batch_format = fields.word("batch_format", &formats);
    let ordering = fields.nested("ordering", ordering);
    let in_flight_max = fields.number("in_flight_max", 1_u32..=256);
    let mode = mode.unwrap_or(default.mode);
    // A batch is sent whole, so all of it must fit into a burst.
    let burst_min = if mode == StoredMode::Batch { batch.events_max } else { 1 };
    let rate_limit = fields.nested("rate_limit", |limit| rate_limit(limit, burst_min));
    let retry = fields.nested("retry", retry).unwrap_or(default.retry);
    let breaker = fields.nested("breaker", |breaker| Some(read_breaker(breaker))).unwrap_or(default.breaker);
    let request_timeout_ms = fields.number("request_timeout_ms", 100_u64..=120_000);
    StoredSettings {
        description,
        mode,
        batch,
        format: format.unwrap_or(default.format),
        batch_format: batch_format.unwrap_or(default.batch_format),
        ordering,
        in_flight_max: in_flight_max.unwrap_or(default.in_flight_max),
        rate_limit,
        retry,
        breaker,
        request_timeout_ms: request_timeout_ms.unwrap_or(default.request_timeout_ms),
        auth: default.auth,
        tls: fields.nested("tls", |tls| Some(endpoint_tls::read(tls))).unwrap_or_default(),
    }
}

fn ordering(fields: &mut Fields<'_>) -> Option<Ordering> {
    fields.require("by");
    let by = fields.word("by", &[("key", OrderBy::Key), ("partition", OrderBy::Partition)]);
    let choices = [("block", OnFailure::Block), ("dead_letter", OnFailure::DeadLetter)];
    let on_failure = fields.word("on_failure", &choices).unwrap_or(OnFailure::Block);
    Some(Ordering { by: by?, on_failure })
}

fn read_batch(fields: &mut Fields<'_>, rules: &Rules) -> StoredBatch {
    let default = StoredBatch::default();
    let events_max = fields.number("events_max", 1_u32..=10_000);
    let wait_ms_max = fields.number("wait_ms_max", 1_u64..=rules.park_after_ms);
    let bytes_max = fields.number("bytes_max", 1_024_u64..=8_388_608);
    StoredBatch {
        events_max: events_max.unwrap_or(default.events_max),
        wait_ms_max: wait_ms_max.unwrap_or(default.wait_ms_max.min(rules.park_after_ms)),
        bytes_max: bytes_max.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(default.bytes_max),
    }
}

fn rate_limit(fields: &mut Fields<'_>, burst_min: u32) -> Option<RateLimit> {
    fields.require("events_per_second");
    let events_per_second = fields.number("events_per_second", 1_u32..=1_000_000);
    let burst_events = match fields.has("burst_events") {
        true => fields.number("burst_events", 1_u32..=1_000_000)?,
        false => burst_min.max(events_per_second?),
    };
    if burst_events < burst_min {
        fields.wrong("burst_events", format_args!("must be at least batch.events_max ({burst_min})"));
        return None;
    }
    Some(RateLimit { events_per_second: events_per_second?, burst_events })
}

fn retry(fields: &mut Fields<'_>) -> Option<StoredRetry> {
    let attempts_max = fields.number("attempts_max", 1_u32..=100);
    let waits = fields.list("schedule_ms", 1..=100, |wait| {
        let wait = wait.as_u64().filter(|wait| *wait <= WAIT_MS_MAX);
        wait.ok_or_else(|| format!("must be a whole number from 0 to {WAIT_MS_MAX}"))
    });
    let (base, max) = (fields.number("base_ms", 1_u64..=3_600_000), fields.number("max_ms", 1_u64..=WAIT_MS_MAX));
    if fields.has("schedule_ms") {
        if fields.has("base_ms") || fields.has("max_ms") {
            fields.wrong("schedule_ms", "stands instead of base_ms and max_ms, not beside them");
        }
        return Some(StoredRetry { attempts_max, schedule: StoredSchedule::Explicit { schedule_ms: waits? } });
    }
    let base_ms = base.unwrap_or(500);
    let max_ms = max.unwrap_or_else(|| base_ms.max(3_600_000));
    if max_ms < base_ms {
        fields.wrong("max_ms", format_args!("must be at least base_ms ({base_ms})"));
    }
    Some(StoredRetry { attempts_max, schedule: StoredSchedule::Exponential { base_ms, max_ms } })
}

fn read_breaker(fields: &mut Fields<'_>) -> StoredBreaker {
    let default = StoredBreaker::default();
    let consecutive_failures = fields.number("consecutive_failures", 1_u32..=10_000);
    let failure_ratio = fields.ratio("failure_ratio");
    if failure_ratio == Some(0.0) {
        fields.wrong("failure_ratio", "must be above 0: at 0 it would never let anything through");
    }
    let requests_min = fields.number("requests_min", 1_u32..=100_000);
    let window_ms = fields.number("window_ms", 1_000_u64..=3_600_000);
    let open_base_ms = fields.number("open_base_ms", 100_u64..=3_600_000).unwrap_or(default.open_base_ms);
    let open_max_ms = fields.number("open_max_ms", 100_u64..=86_400_000);
    let open_max_ms = open_max_ms.unwrap_or_else(|| default.open_max_ms.max(open_base_ms));
    if open_max_ms < open_base_ms {
        fields.wrong("open_max_ms", format_args!("must be at least open_base_ms ({open_base_ms})"));
    }
    StoredBreaker {
        consecutive_failures: consecutive_failures.unwrap_or(default.consecutive_failures),
        failure_ratio: failure_ratio.unwrap_or(default.failure_ratio),
        requests_min: requests_min.unwrap_or(default.requests_min),
        window_ms: window_ms.unwrap_or(default.window_ms),
        open_base_ms,
        open_max_ms,
    }
}

/// Three days: an event is not kept for longer.
const WAIT_MS_MAX: u64 = 259_200_000;

#[cfg(test)]
mod tests;
