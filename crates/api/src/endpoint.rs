//! ○ An endpoint's settings: as customers write and read them, and as they are stored.
//!
//! The document of the API, the checks of a body and `docs/endpoint-settings.md` come from the fields: their types, limits,
//! defaults and comments. A row was checked when it was written, so a default here only stands for a key that an older version
//! did not know.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{shape::NO_CONTROL_CHARACTERS, text::Pem};
use postrider_core::model::{
    oauth::ClientStyle,
    settings::{BatchFormat, Format, Http2, InFlight, Ordering, RateLimit},
};

/// Settings of an endpoint, without its address and its secrets; the column `endpoint.settings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct EndpointSettings {
    /// A note for people.
    #[schemars(title = "Description", length(min = 1, max = 1_000), regex(pattern = NO_CONTROL_CHARACTERS))]
    pub description: Option<String>,
    /// A request for each event, or for several.
    #[schemars(title = "Mode")]
    pub mode: DeliveryMode,
    /// Limits of a batch, in the mode `batch`.
    pub batch: BatchSettings,
    /// The event with its fields around it, or the record's value alone.
    #[schemars(title = "What is sent")]
    pub format: Format,
    /// The way in which the items of a batch are put together.
    #[schemars(title = "A batch is")]
    pub batch_format: BatchFormat,
    /// Events of one key, or of one partition, one after the other; `null` for any order.
    pub ordering: Option<Ordering>,
    /// The number of requests at once, always the same or floating.
    #[schemars(title = "Concurrency")]
    pub in_flight: InFlight,
    /// Requests at once, on each instance; with `auto` the most that there may be.
    #[schemars(title = "Requests at once", range(min = 1, max = 256))]
    pub in_flight_max: u32,
    /// Events a second at most; `null` for no limit.
    pub rate_limit: Option<RateLimit>,
    /// Pauses between the attempts of an event: by `schedule_ms`, or doubling from `base_ms` to `max_ms`.
    pub retry: RetrySettings,
    /// Failures after which the endpoint is left alone for a while. It looks at the endpoint, not at single events.
    pub breaker: BreakerSettings,
    /// Time for a request: for the connection, and for the complete answer.
    #[schemars(title = "A request may take", range(min = 100, max = 120_000))]
    pub request_timeout_ms: u64,
    /// The protocol: HTTP/2 where an https endpoint offers it, or always HTTP/1.1.
    #[schemars(title = "HTTP/2")]
    pub http2: Http2,
    /// The part of the authentication that may be shown.
    #[schemars(skip)]
    pub auth: AuthView,
    /// TLS towards this endpoint. Nothing in it is secret.
    pub tls: TlsSettings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum DeliveryMode {
    /// A request for each event.
    Stream,
    /// Many events in a request.
    Batch,
}

/// A batch goes when it has `events_max` events or `bytes_max` bytes, or when its oldest event has waited for `wait_ms_max`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Batch", deny_unknown_fields)]
pub struct BatchSettings {
    /// Events that fill a batch: it goes when it has so many.
    #[schemars(title = "Events in a batch, at most", range(min = 1, max = 10_000))]
    pub events_max: u32,
    /// The longest that the first event of a batch waits for others, at most `delivery.park_after_ms`.
    #[schemars(title = "A batch waits at most", range(min = 1, max = 5_000))]
    pub wait_ms_max: u64,
    /// Bytes that fill a batch; a single event may make a larger one.
    #[schemars(title = "Size of a batch, at most", range(min = 1_024, max = 8_388_608))]
    pub bytes_max: usize,
}

/// Pauses between attempts, in one of two forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrySettings {
    /// `None`: age alone ends it.
    #[serde(default, deserialize_with = "an_end")]
    pub attempts_max: Option<u32>,
    #[serde(flatten)]
    pub schedule: RetrySchedule,
}

/// Unlimited attempts, as they are stored: the version before knows no other.
pub const ATTEMPTS_WITHOUT_END: u32 = u32::MAX;

fn an_end<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    Ok(Option::<u32>::deserialize(from)?.filter(|attempts| *attempts != ATTEMPTS_WITHOUT_END))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RetrySchedule {
    Explicit { schedule_ms: Vec<u64> },
    Exponential { base_ms: u64, max_ms: u64 },
}

/// With `schedule_ms`, or with `base_ms` and `max_ms`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a shape and no value")]
struct RetryMembers {
    /// Attempts of one event; without it age alone ends them.
    #[schemars(title = "Attempts, at most", range(min = 1, max = 100))]
    attempts_max: Option<u32>,
    /// The first pause is up to so long; each one after it up to twice as long.
    #[schemars(title = "The first pause", range(min = 1, max = 3_600_000), default = "base_ms_default")]
    base_ms: u64,
    /// No pause is longer.
    #[schemars(title = "The longest pause", range(min = 1, max = 259_200_000), default = "max_ms_default")]
    max_ms: u64,
    /// The pauses one by one, in place of `base_ms` and `max_ms`; the last one repeats.
    #[schemars(title = "Pauses", length(min = 1, max = 100), inner(range(min = 0, max = 259_200_000)))]
    schedule_ms: Option<Vec<u64>>,
}

impl JsonSchema for RetrySettings {
    fn schema_name() -> Cow<'static, str> {
        "Retry".into()
    }

    /// Taken: any of the members. Given: those of one form.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let members = RetryMembers::json_schema(generator);
        if generator.contract().is_deserialize() {
            return members;
        }
        let form = |names: &[&str]| {
            let mut form = members.clone();
            if let Some(members) = form.get_mut("properties").and_then(Value::as_object_mut) {
                members.retain(|name, _| names.contains(&name.as_str()));
            }
            form.insert("required".to_owned(), json!(names));
            form
        };
        let forms = [form(&["attempts_max", "schedule_ms"]), form(&["attempts_max", "base_ms", "max_ms"])];
        json_schema!({"oneOf": forms})
    }
}

/// Limits of the circuit breaker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Breaker", deny_unknown_fields)]
pub struct BreakerSettings {
    /// Failures in a row that open the breaker.
    #[schemars(title = "Opens after failures in a row", range(min = 1, max = 10_000))]
    pub consecutive_failures: u32,
    /// Share of failed requests within the window that opens it as well.
    #[schemars(title = "or when this share fails", range(max = 1), extend("exclusiveMinimum" = 0))]
    pub failure_ratio: f64,
    /// Requests within the window, before their share counts.
    #[schemars(title = "of at least, requests", range(min = 1, max = 100_000))]
    pub requests_min: u32,
    /// The window of the share.
    #[schemars(title = "Window", range(min = 1_000, max = 3_600_000))]
    pub window_ms: u64,
    /// The breaker is open for so long, give or take a fifth, and twice as long each time it opens again.
    #[schemars(title = "Stays open at first", range(min = 100, max = 3_600_000))]
    pub open_base_ms: u64,
    /// It is open no longer than this.
    #[schemars(title = "and at most", range(min = 100, max = 86_400_000))]
    pub open_max_ms: u64,
}

/// The part of an authentication that may be shown: never a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AuthView {
    /// Nothing but the signature.
    #[default]
    None,
    /// HTTP basic authentication.
    Basic {
        /// The name.
        username: String,
    },
    /// A token in the header `Authorization`.
    Bearer,
    /// Headers of the customer's own.
    Headers {
        /// Names of the headers.
        names: Vec<String>,
    },
    /// A token that a server gives for the client's credentials.
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// The address of the token server.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The scope that is asked for.
        scope: Option<String>,
        /// The audience that is asked for.
        audience: Option<String>,
        /// The place of id and secret in the request for a token.
        style: ClientStyle,
    },
    /// A client certificate.
    MutualTls {
        /// The SHA-256 of the certificate, in hexadecimal.
        certificate_sha256: String,
    },
}

/// TLS towards an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline, deny_unknown_fields)]
pub struct TlsSettings {
    /// Authorities of the customer's own, or the very certificate that the receiver shows; PEM.
    #[schemars(title = "Certificate authorities", with = "Option<Pem>")]
    pub ca: Option<String>,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        EndpointSettings {
            description: None,
            mode: DeliveryMode::Stream,
            batch: BatchSettings::default(),
            format: Format::Envelope,
            batch_format: BatchFormat::JsonArray,
            ordering: None,
            in_flight: InFlight::Fixed,
            in_flight_max: 8,
            rate_limit: None,
            retry: RetrySettings::default(),
            breaker: BreakerSettings::default(),
            request_timeout_ms: 15_000,
            http2: Http2::Off,
            auth: AuthView::None,
            tls: TlsSettings::default(),
        }
    }
}

impl Default for BatchSettings {
    fn default() -> Self {
        BatchSettings { events_max: 1_000, wait_ms_max: 1_000, bytes_max: 1_048_576 }
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings {
            attempts_max: None,
            schedule: RetrySchedule::Exponential { base_ms: base_ms_default(), max_ms: max_ms_default() },
        }
    }
}

#[must_use]
pub fn base_ms_default() -> u64 {
    500
}

#[must_use]
pub fn max_ms_default() -> u64 {
    3_600_000
}

impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings {
            consecutive_failures: 10,
            failure_ratio: 0.5,
            requests_min: 20,
            window_ms: 30_000,
            open_base_ms: 1_000,
            open_max_ms: 300_000,
        }
    }
}
