//! ○ An endpoint, as it is written: its address, its secrets and its settings; and the bodies of its commands.

use std::sync::LazyLock;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    body::{Body, Said, body},
    check::Object,
    endpoint::{BatchSettings, BreakerSettings, DeliveryMode, EndpointSettings, base_ms_default, max_ms_default},
    endpoint_auth::{self, AuthBody},
    shape::{self, NO_CONTROL_CHARACTERS},
    text::{EndpointUid, IdOrUid, Moment, SigningSecret, Url},
};
use postrider_core::model::settings::{OnFailure, PARK_AFTER_MS_MAX};

/// An endpoint. What is left out has its default.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, example = example())]
pub struct EndpointBody {
    /// The customer (its id, or your own key) whose endpoint it is. A customer's key needs none.
    #[schemars(with = "Option<IdOrUid>")]
    pub customer_id: Option<String>,
    /// Your own key, within its customer: PUT by it creates or replaces, and it may stand wherever an id does.
    #[schemars(with = "Option<EndpointUid>")]
    pub uid: Option<String>,
    /// The address of its events: http or https, to a public address unless the operator allows more.
    #[schemars(with = "Url")]
    pub url: String,
    /// The way in which Postrider shows the endpoint who it is.
    pub auth: Option<AuthBody>,
    /// The secret that signs requests; one is made where it is left out.
    #[schemars(with = "Option<SigningSecret>")]
    pub secret: Option<String>,
    #[serde(flatten)]
    pub settings: EndpointSettings,
}

/// The limit of the operator's configuration on a batch's wait is checked by itself.
impl Body for EndpointBody {
    fn shape() -> &'static Value {
        static SHAPE: LazyLock<Value> = LazyLock::new(|| {
            let mut shape = shape::taken::<EndpointBody>();
            let wait_max = shape.pointer_mut(WAIT_MS_MAX).expect("invariant: a batch's wait has a limit");
            *wait_max = PARK_AFTER_MS_MAX.into();
            shape
        });
        &SHAPE
    }
}

/// The limit of the default configuration, in the shape.
const WAIT_MS_MAX: &str = "/properties/batch/anyOf/0/properties/wait_ms_max/anyOf/0/maximum";

/// Another signing secret for an endpoint.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, example = json!({"overlap_ms": 86_400_000}))]
pub struct RotationBody {
    /// The new secret; one is made where it is left out.
    #[schemars(with = "Option<SigningSecret>")]
    pub secret: Option<String>,
    /// The secret before goes on signing for so long.
    #[schemars(range(max = 604_800_000))]
    pub overlap_ms: u64,
}

body!(RotationBody);

impl RotationBody {
    #[must_use]
    pub fn overlap_ms(&self) -> i64 {
        i64::try_from(self.overlap_ms).unwrap_or(i64::MAX)
    }
}

impl Default for RotationBody {
    fn default() -> Self {
        RotationBody { secret: None, overlap_ms: 86_400_000 }
    }
}

/// A part of an endpoint's backlog; all of it where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, example = json!({"received_before": "2026-01-31T12:00:00Z"}))]
pub struct PurgeBody {
    /// The events of this topic alone.
    #[schemars(length(min = 1, max = 249), regex(pattern = NO_CONTROL_CHARACTERS))]
    pub topic: Option<String>,
    /// Events that were received before this time; now where it is left out.
    #[schemars(with = "Option<Moment>")]
    pub received_before: Option<Timestamp>,
}

body!(PurgeBody);

/// An empty object: Postrider decides about all of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, example = json!({}), extend("properties" = json!({})))]
pub struct Nothing {}

body!(Nothing);

fn example() -> Value {
    json!({
        "customer_id": "acme", "url": "https://acme.example/hook", "mode": "batch",
        "batch": {"events_max": 1_000, "wait_ms_max": 1_000}, "auth": {"type": "bearer", "token": "t0ken"},
    })
}

/// Fills in what depends on other settings, and notes settings that contradict each other.
pub fn complete(said: &mut Said, park_after_ms: u64) {
    endpoint_auth::complete(said);
    complete_retry(said);
    complete_breaker(said);
    complete_batch(said, park_after_ms);
    complete_rate_limit(said);
    complete_ordering(said);
}

fn complete_ordering(said: &mut Said) {
    let Some(ordering) = said.part("ordering") else { return };
    ordering.entry("on_failure").or_insert_with(|| json!(OnFailure::Block));
}

/// A batch may wait no longer than an event may wait in memory.
fn complete_batch(said: &mut Said, park_after_ms: u64) {
    let default = BatchSettings::default().wait_ms_max.min(park_after_ms);
    let Some(batch) = said.object.entry("batch").or_insert_with(|| json!({})).as_object_mut() else { return };
    let wait = batch.entry("wait_ms_max").or_insert_with(|| default.into());
    if wait.as_u64().is_some_and(|wait| wait > park_after_ms) {
        *wait = default.into();
        said.wrong("batch.wait_ms_max", format_args!("must be a whole number from 1 to {park_after_ms}"));
    }
}

/// A batch is sent whole, so all of it must fit into a burst.
fn complete_rate_limit(said: &mut Said) {
    let number = |part: &Object, name: &str| part.get(name).and_then(Value::as_u64);
    let is_batch = said.object.get("mode").is_some_and(|mode| *mode == json!(DeliveryMode::Batch));
    let in_batch = said.part("batch").and_then(|batch| number(batch, "events_max"));
    let burst_min = if is_batch { in_batch.unwrap_or(BatchSettings::default().events_max.into()) } else { 1 };
    let Some(limit) = said.part("rate_limit") else { return };
    let Some(per_second) = number(limit, "events_per_second") else { return };
    let burst = limit.entry("burst_events").or_insert_with(|| burst_min.max(per_second).into());
    if burst.as_u64().is_some_and(|burst| burst < burst_min) {
        said.wrong("rate_limit.burst_events", format_args!("must be at least batch.events_max ({burst_min})"));
    }
}

fn complete_retry(said: &mut Said) {
    let Some(retry) = said.part("retry") else { return };
    if retry.contains_key("schedule_ms") {
        if retry.contains_key("base_ms") || retry.contains_key("max_ms") {
            said.wrong("retry.schedule_ms", "replaces base_ms and max_ms and cannot be combined with them");
        }
        return;
    }
    let base_ms = retry.entry("base_ms").or_insert_with(|| base_ms_default().into()).as_u64().unwrap_or_default();
    let max_ms = retry.entry("max_ms").or_insert_with(|| max_ms_default().max(base_ms).into());
    if max_ms.as_u64().is_some_and(|max_ms| max_ms < base_ms) {
        said.wrong("retry.max_ms", format_args!("must be at least base_ms ({base_ms})"));
    }
}

fn complete_breaker(said: &mut Said) {
    let default = BreakerSettings::default();
    let Some(breaker) = said.part("breaker") else { return };
    let base_ms = breaker.get("open_base_ms").and_then(Value::as_u64).unwrap_or(default.open_base_ms);
    let max_ms = breaker.entry("open_max_ms").or_insert_with(|| default.open_max_ms.max(base_ms).into());
    if max_ms.as_u64().is_some_and(|max_ms| max_ms < base_ms) {
        said.wrong("breaker.open_max_ms", format_args!("must be at least open_base_ms ({base_ms})"));
    }
}
