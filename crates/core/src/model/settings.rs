//! ○ Settings of an endpoint. Parsed at the door: a value that exists is valid.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{oauth::OAuth2, signature::SigningKey, tls_identity::TlsIdentity, url::EndpointUrl};

/// Everything an endpoint actor needs to know about its endpoint; immutable, replaced whole on a change.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `ep_…`
    pub id: Arc<str>,
    pub customer_id: Arc<str>,
    /// Grows with every write of the row.
    pub version: i64,
    /// Number of times that someone asked for the actor to be rebuilt.
    pub restarts: i64,
    pub state: EndpointState,
    /// Its backlog is over its quota: what comes from Kafka is not taken, only remembered by its position.
    pub suspended: bool,
    pub url: EndpointUrl,
    pub delivery: DeliverySettings,
    pub auth: Auth,
    /// `None`: TLS as it is for everyone.
    pub tls: Option<Arc<TlsIdentity>>,
    /// Each signs every request: several during a rotation. Never empty.
    pub signing_keys: Vec<SigningKey>,
}

impl Settings {
    /// True if equal in effect: endpoints need no update. A write makes a new version; what else may differ is a secret whose
    /// time was over, or a form that could not be read before.
    #[must_use]
    pub fn are_as(&self, other: &Settings) -> bool {
        let of = |settings: &Settings| {
            let tls = settings.tls.as_ref().map(|tls| *tls.fingerprint());
            (settings.version, settings.restarts, settings.state, settings.suspended, settings.signing_keys.len(), tls)
        };
        of(self) == of(other)
            && self.url == other.url
            && self.delivery == other.delivery
            && std::mem::discriminant(&self.auth) == std::mem::discriminant(&other.auth)
    }

    /// A substitute for an endpoint whose stored form cannot be understood or decrypted: it is paused, so that its
    /// events are owed and kept, and nothing is sent anywhere until the form can be read again.
    #[must_use]
    pub fn unreadable(id: &str, customer_id: &str, version: i64) -> Self {
        Settings {
            id: Arc::from(id),
            customer_id: Arc::from(customer_id),
            version,
            restarts: 0,
            state: EndpointState::Paused,
            suspended: false,
            // RFC 6761: `.invalid` never resolves.
            url: EndpointUrl::parse("https://unreadable.invalid/").expect("a literal URL"),
            delivery: DeliverySettings {
                mode: Mode::Stream,
                format: Format::Envelope,
                batch_format: BatchFormat::JsonArray,
                ordering: None,
                in_flight: InFlight::Fixed,
                in_flight_max: 1,
                rate_limit: None,
                retry: Retry { attempts_max: None, schedule: Schedule::Explicit(vec![Duration::from_secs(60)]) },
                breaker: Breaker {
                    consecutive_failures: 1,
                    failure_ratio: 1.0,
                    requests_min: 1,
                    window: Duration::from_secs(60),
                    open_base: Duration::from_secs(60),
                    open_max: Duration::from_secs(60),
                },
                request_timeout: Duration::from_secs(1),
                http2: Http2::Off,
            },
            auth: Auth::None,
            tls: None,
            signing_keys: Vec::new(),
        }
    }
}

/// The longest `delivery.park_after_ms`, and with it the longest wait of a batch.
pub const PARK_AFTER_MS_MAX: u64 = 60_000;

/// Settings of delivery: how events become requests, and what happens when one fails.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliverySettings {
    pub mode: Mode,
    pub format: Format,
    pub batch_format: BatchFormat,
    /// `None`: in any order, as fast as it goes.
    pub ordering: Option<Ordering>,
    /// Rule for the number of requests under way at once.
    pub in_flight: InFlight,
    /// Requests under way at once, at most.
    pub in_flight_max: u32,
    pub rate_limit: Option<RateLimit>,
    pub retry: Retry,
    pub breaker: Breaker,
    /// One deadline over connecting, request and answer.
    pub request_timeout: Duration,
    pub http2: Http2,
}

/// Events of one lane reach the endpoint in the order in which Kafka has them, never two of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ordering {
    /// One lane for each key, or for each partition; one event of a lane at a time.
    #[schemars(title = "Order")]
    pub by: OrderBy,
    /// The policy for a lane whose next event cannot be delivered; `block` where it is left out.
    #[schemars(title = "An event that fails", with = "Option<OnFailure>")]
    pub on_failure: OnFailure,
}

/// The key of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OrderBy {
    /// The record's key, within its partition. Records without a key are one lane of each partition.
    Key,
    /// The partition: all of its records are one lane.
    Partition,
}

/// The policy for a lane whose next event cannot be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OnFailure {
    /// It waits, however often the event fails or is refused, until the event is too old for the backlog.
    Block,
    /// The event becomes a dead letter when it is refused or its attempts are used up, and the lane goes on.
    DeadLetter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One event, one request.
    Stream,
    Batch {
        events_max: u32,
        bytes_max: usize,
        wait: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Format {
    /// The event with its id, type, time and tenant around it.
    Envelope,
    /// The record's value as it is.
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum BatchFormat {
    /// A JSON array.
    JsonArray,
    /// NDJSON: one object a line.
    Ndjson,
}

/// HTTP/2 towards an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Http2 {
    /// HTTP/2 where an https endpoint offers it: its requests share a connection.
    Auto,
    /// HTTP/1.1 always.
    Off,
}

/// Rule for the number of requests under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum InFlight {
    /// As many as `in_flight_max`.
    Fixed,
    /// Between 1 and `in_flight_max`: as many as the endpoint serves without making them wait, by its latency and its refusals.
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Events a second, retries included.
    #[schemars(title = "Rate limit, events a second", range(min = 1, max = 1_000_000))]
    pub events_per_second: u32,
    /// Events at once after a pause, at least a full batch; without it what goes in a second, or a batch. Instances share both.
    #[schemars(title = "Events at once after a pause", range(min = 1, max = 1_000_000), with = "Option<u32>")]
    pub burst_events: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Attempts in all; the last failure makes a dead letter (`exhausted`). `None`: only age does.
    pub attempts_max: Option<u32>,
    pub schedule: Schedule,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Full jitter: after the n-th failure a random wait between 0 and min(max, base × 2^(n − 1)).
    Exponential { base: Duration, max: Duration },
    /// The n-th failure waits the n-th of these (the last one from then on), ± 20 %.
    Explicit(Vec<Duration>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breaker {
    /// Opens after this many failures in a row.
    pub consecutive_failures: u32,
    /// Opens when at least this share (0–1) of the last `window` failed, with `requests_min` in it.
    pub failure_ratio: f64,
    pub requests_min: u32,
    pub window: Duration,
    /// The first open time; doubles with every failed probe up to `open_max`, with jitter.
    pub open_base: Duration,
    pub open_max: Duration,
}

/// An endpoint's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum EndpointState {
    /// Its events are sent.
    Enabled,
    /// By the customer or the operator: events wait, no attempts.
    Paused,
    /// After a 410, too long a failure, or by hand: events wait, no attempts.
    Disabled,
}

/// Numbers of endpoints by their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct EndpointStateCounts {
    /// Enabled ones.
    pub enabled: usize,
    /// Paused ones.
    pub paused: usize,
    /// Disabled ones.
    pub disabled: usize,
}

impl EndpointStateCounts {
    pub fn add(&mut self, state: EndpointState) {
        match state {
            EndpointState::Enabled => self.enabled += 1,
            EndpointState::Paused => self.paused += 1,
            EndpointState::Disabled => self.disabled += 1,
        }
    }

    #[must_use]
    pub fn total(self) -> usize {
        self.enabled + self.paused + self.disabled
    }
}

/// Authentication of our requests at the endpoint.
#[derive(Debug, Clone)]
pub enum Auth {
    None,
    Basic {
        username: String,
        password: SecretString,
    },
    Bearer {
        token: SecretString,
    },
    /// Names are proved not to be ours or the connection's.
    Headers(Vec<(String, SecretString)>),
    /// Client credentials: a token that another server gives us.
    OAuth2(Arc<OAuth2>),
    /// By the certificate in [`Settings::tls`].
    MutualTls,
}
