//! ● The bare loop's requests: bodies, ids and signatures by Postrider's own functions, posted with awc.

use std::{sync::Arc, time::Duration};

use awc::{
    Client, Connector, FrozenClientRequest,
    http::header::{HeaderMap, HeaderName, HeaderValue},
};
use bytes::Bytes;
use postrider::{
    endpoint::request::{self, Request},
    model::{
        event::{ByteSpan, Event, Field, Fields, Record},
        settings::{
            Auth, BatchFormat, Breaker, DeliverySettings, EndpointState, Format, Http2, InFlight, Mode, Retry,
            Schedule, Settings,
        },
        signature::SigningKey,
        source::EventSource,
        url::EndpointUrl,
    },
};
use rdkafka::{Message, message::BorrowedMessage};
use rustls::{ClientConfig, crypto::ring::default_provider};

use crate::{addresses, authority, bare::Arguments, receiver::wall_ns};

/// A message, copied out of librdkafka's buffer. Where its fields stand the bare loop simply knows.
pub fn event(source: &Arc<dyn EventSource>, message: &BorrowedMessage<'_>, tenant: &[u8]) -> Arc<Event> {
    let value = message.payload().unwrap_or_default();
    let mut bytes = Vec::with_capacity(tenant.len() + KIND.len() + value.len());
    bytes.extend_from_slice(tenant);
    bytes.extend_from_slice(KIND);
    bytes.extend_from_slice(value);
    let span = |start: usize, len: usize| ByteSpan { start: start as u32, len: len as u32 };
    let record = Record {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: None,
        value: Some(span(tenant.len() + KIND.len(), value.len())),
        headers: span(bytes.len(), 0),
        bytes: bytes.into_boxed_slice(),
    };
    let fields = Fields {
        tenant: Field::Literal(span(0, tenant.len())),
        kind: Field::Literal(span(tenant.len(), KIND.len())),
        ..Fields::default()
    };
    Arc::new(Event::new(Arc::clone(source), record, fields, std::time::Instant::now()))
}

/// Posts to all endpoints, each of which has a request prepared.
pub struct Poster {
    endpoints: Vec<(FrozenClientRequest, Settings)>,
}

impl Poster {
    pub fn new(arguments: &Arguments) -> Self {
        let connector = match &arguments.authority {
            Some(certificate) => Connector::new().rustls_0_23(Arc::new(tls(certificate))),
            None => Connector::new(),
        };
        let scheme = if arguments.authority.is_some() { "https" } else { "http" };
        let client = Client::builder()
            .connector(connector.limit(0))
            .timeout(TIMEOUT)
            .disable_redirects()
            .no_default_headers()
            .finish();
        let endpoint = |number| {
            let url = addresses::url(scheme, number, arguments.port);
            let frozen = client
                .post(&url)
                .insert_header(("content-type", "application/json"))
                .insert_header(("user-agent", "bare-loop"))
                .freeze()
                .expect("a fixed request");
            (frozen, settings(arguments, number, &url))
        };
        Poster { endpoints: (0..arguments.endpoints).map(endpoint).collect() }
    }

    pub fn request(&self, endpoint: usize, events: &[Arc<Event>]) -> Request {
        request::build(events.iter(), &self.endpoints[endpoint].1, (wall_ns() / 1_000_000) as i64)
    }

    /// What fails ends the run: the bare loop promises nothing.
    pub async fn post(&self, endpoint: usize, request: Request) {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(HeaderName::from_static("webhook-id"), header(request.webhook_id));
        headers.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from(request.webhook_timestamp));
        headers.insert(HeaderName::from_static("webhook-signature"), header(request.webhook_signature));
        let sent = self.endpoints[endpoint].0.extra_headers(headers).send_body(request.body).await;
        let failure = match sent {
            Ok(mut answer) if answer.status().is_success() => match answer.body().limit(ANSWER_BYTES_MAX).await {
                Ok(_) => return,
                Err(error) => error.to_string(),
            },
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        eprintln!("the bare loop's request failed: {failure}");
        std::process::exit(1);
    }
}

fn tls(authority: &str) -> ClientConfig {
    let roots = authority::roots(authority).expect("the driver made it");
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn header(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("ids and signatures are plain ASCII")
}

fn settings(arguments: &Arguments, number: usize, url: &str) -> Settings {
    let mode = match arguments.batch_events {
        Some(events_max) => Mode::Batch { events_max: events_max as u32, bytes_max: 1 << 20, wait: TIMEOUT },
        None => Mode::Stream,
    };
    Settings {
        id: format!("ep_{number:026}").into(),
        customer_id: "cus_0".into(),
        version: 1,
        restarts: 0,
        suspended: false,
        state: EndpointState::Enabled,
        url: EndpointUrl::parse(url).expect("addresses make URLs"),
        delivery: DeliverySettings {
            mode,
            format: if arguments.raw { Format::Raw } else { Format::Envelope },
            batch_format: BatchFormat::JsonArray,
            ordering: None,
            in_flight: InFlight::Fixed,
            in_flight_max: 1,
            rate_limit: None,
            retry: Retry { attempts_max: Some(1), schedule: Schedule::Explicit(Vec::new()) },
            breaker: Breaker {
                consecutive_failures: 1,
                failure_ratio: 1.0,
                requests_min: 1,
                window: TIMEOUT,
                open_base: TIMEOUT,
                open_max: TIMEOUT,
            },
            request_timeout: TIMEOUT,
            http2: Http2::Off,
        },
        auth: Auth::None,
        tls: None,
        signing_keys: vec![SigningKey::new(&[7; 32])],
    }
}

const KIND: &[u8] = b"order.created";
const TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 16_384;
