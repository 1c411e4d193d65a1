//! The REST API over a database of its own, and how the tests talk to it.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use awc::http::{StatusCode, header::HeaderMap};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use postrider::{
    admin::{
        self, AdminOptions, Server,
        actors::ActorReport,
        auth::ApiCallLimits,
        client_address::TrustedProxies,
        endpoint_body::EndpointRules,
        endpoint_test::Tester,
        health::Readiness,
        listener::{ListenerOptions, deadlines::Deadlines},
        memory::Memory,
        routing_snapshot::RoutingSnapshot,
        scans::Scans,
        state::AdminState,
        work::Work,
    },
    api::actor::ActorView,
    dead_letter::{
        letter::Letter,
        writer::{DeadLetterWriter, DeadLetterWriterOptions},
    },
    endpoint::{client::ClientLimits, names::NameLimits},
    flow::counters::{FlowCounters, FlowView},
    ingest::{
        consumer::Topics,
        decode::{Decoder, FieldSource, FieldSources},
    },
    model::{disposition::Reason, quotas::Quotas, settings::EndpointStateCounts},
    monitoring::{
        actor_view::ActorFilter,
        endpoint_snapshot::EndpointPart,
        overview::{Breakers, OverviewPart},
        peer_auth::PeerToken,
        peers::Peers,
        sampler::Sampler,
    },
    replay::positions::OffsetLookup,
    router::{index::SubscriptionChange, subscription::Subscription, table::RoutingTable},
    store::{
        Pool,
        secret_box::SecretBox,
        settings::{EndpointRow, SettingsReader, SubscriptionRow},
    },
};
use postrider_core::testing::TestSource;
use rdkafka::ClientConfig;
use serde_json::{Value, json};

use crate::{
    partition::{event, given_up},
    postgres::Database,
};

pub const KEY: &str = "a-key-of-the-operator";

/// Of every customer that has none of its own.
pub const QUOTAS: Quotas = Quotas {
    endpoints_max: 10_000,
    subscriptions_max: 100_000,
    subscription_entries_max: 1_000_000,
    backlog_rows_max: 1_000,
    backlog_bytes_max: 1_000_000,
    dead_letter_bytes_max: 1_000_000,
    replay_events_max: 1_000,
};

/// A whole API over a database of its own.
pub struct Api {
    pub database: Database,
    pub pool: Pool,
    server: Server,
    pub health: Arc<Health>,
    /// Nobody but the test itself puts anything into it.
    pub table: Arc<RoutingTable>,
}

#[derive(Default)]
pub struct Health {
    pub reasons: Mutex<Vec<String>>,
}

impl Readiness for Health {
    fn details(&self) -> Vec<String> {
        Vec::new()
    }

    fn reasons(&self) -> Vec<String> {
        self.reasons.lock().expect("reasons").clone()
    }
}

impl ActorReport for Health {
    fn actors(&self, filter: &ActorFilter) -> Vec<ActorView> {
        filter.page([ActorView {
            kind: "endpoint",
            id: "ep_1".to_owned(),
            instance: "one".to_owned(),
            state: "running".to_owned(),
            ..ActorView::default()
        }])
    }

    fn overview(&self) -> OverviewPart {
        Sampler::default().part("one", Breakers::default(), FlowView::default())
    }

    fn endpoints(&self, ids: &[String]) -> Vec<EndpointPart> {
        ids.iter().map(|id| EndpointPart { id: id.clone(), ..EndpointPart::default() }).collect()
    }

    fn want_probe(&self, _: &str) -> bool {
        true
    }

    fn endpoint_states(&self) -> EndpointStateCounts {
        EndpointStateCounts { enabled: 1, ..EndpointStateCounts::default() }
    }
}

/// A listener on the loopback, with deadlines that a test can wait for.
pub fn listener(name: &'static str) -> ListenerOptions {
    ListenerOptions {
        name,
        bind: "127.0.0.1:0".parse().expect("address"),
        threads: 1,
        connections_max: 256,
        address_connections_max: 128,
        trusted_proxies: TrustedProxies::default(),
        deadlines: Deadlines {
            head: Duration::from_secs(2),
            keep_alive: Duration::from_secs(2),
            body: Duration::from_secs(10),
            progress: Duration::from_secs(2),
        },
        tls: None,
    }
}

/// What the API is served with.
pub fn options() -> AdminOptions {
    AdminOptions {
        public: listener("admin"),
        internal: Some(listener("internal")),
        internal_paths_public: true,
        key: KEY.to_owned().into(),
        request_bytes_max: 10_000,
        bulk_bytes_max: 1 << 20,
        limits: ApiCallLimits {
            requests_per_second: None,
            burst_requests: NonZeroU32::MIN,
            wrong_keys_per_second: None,
        },
    }
}

/// With an older key behind the one that seals.
pub fn secret_box() -> SecretBox {
    let [new, old] = [[7; 32], OLD_KEY].map(|key| BASE64_STANDARD.encode(key));
    SecretBox::new(&format!("{new},{old}")).expect("keys")
}

pub const OLD_KEY: [u8; 32] = [8; 32];

impl Api {
    pub async fn new() -> Api {
        Api::limited(None, None).await
    }

    /// With so many requests of a key, and so many wrong keys of an address, each second.
    pub async fn limited(requests: Option<u32>, wrong_keys: Option<u32>) -> Api {
        let limits = ApiCallLimits {
            requests_per_second: requests.and_then(NonZeroU32::new),
            burst_requests: requests.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN),
            wrong_keys_per_second: wrong_keys.and_then(NonZeroU32::new),
        };
        Api::with(AdminOptions { limits, ..options() }).await
    }

    pub async fn with(options: AdminOptions) -> Api {
        let database = Database::new().await;
        let table = Arc::new(RoutingTable::new(Arc::new(FlowCounters::new(1))));
        let (pool, health) = (database.shared_pool(), Arc::new(Health::default()));
        let state = AdminState {
            pool: pool.clone(),
            work: Work::new(2),
            scans: Scans::default(),
            memory: Memory::new(8 << 20),
            secrets: secret_box(),
            rules: EndpointRules {
                park_after_ms: 5_000,
                backlog_age_max_ms: 72 * 3_600_000,
                egress: Arc::new(postrider::app::default_egress()),
            },
            quotas: QUOTAS,
            actors: health.clone(),
            peers: Arc::new(Peers::new("one", 0, PeerToken::new("key"))),
            readiness: health.clone(),
            tester: Tester::new(limits()),
            live: RoutingSnapshot {
                table: Arc::clone(&table),
                version: Arc::new(|| 1),
                decoder: Arc::new(|_| Decoder::new(&places())),
                event_bytes_max: 5_000,
            },
            positions: OffsetLookup::new(ClientConfig::new(), Topics::Names(vec!["orders".to_owned()])),
            metrics: Arc::new(|| "postrider_up 1\n".to_owned()),
        };
        let server = admin::start(&options, state).expect("listens");
        Api { database, pool, server, health, table }
    }

    /// Where the API is served.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where probes are answered.
    pub fn internal_address(&self) -> SocketAddr {
        self.server.internal_address()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(
            method,
            path,
            &[("authorization", &format!("Bearer {KEY}")), ("content-type", "application/json")],
            body,
        )
        .await
    }

    /// As [`Api::call`], with another key.
    pub async fn call_as(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
        self.send(method, path, &headers, body).await
    }

    /// A new key: its token, and what was answered.
    pub async fn api_key(&self, role: &str, customer: Option<&str>) -> (String, Value) {
        let body = json!({"name": format!("a key for {role}"), "role": role, "customer_id": customer});
        let (status, key) = self.call("POST", "/v1/api-keys", Some(body)).await;
        assert_eq!(status, 201, "{key}");
        (key["token"].as_str().expect("a token").to_owned(), key)
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> (StatusCode, Value) {
        let (status, _, json) = self.send_for_headers(method, path, headers, body).await;
        (status, json)
    }

    pub async fn send_for_headers(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> (StatusCode, HeaderMap, Value) {
        let method = awc::http::Method::from_bytes(method.as_bytes()).expect("method");
        let mut request = awc::Client::default().request(method, self.url(path));
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let mut response = request.send_body(body).await.expect("an answer");
        let bytes = response.body().await.expect("a body");
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if response.status().is_client_error() || response.status().is_server_error() {
            let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
            if path.starts_with("/v1") {
                assert_eq!(content_type, Some("application/problem+json"), "{method_path}", method_path = path);
                assert_eq!(json["status"], response.status().as_u16(), "{json}");
                assert!(json["code"].is_string() && json["detail"].is_string(), "{json}");
            }
        }
        (response.status(), response.headers().clone(), json)
    }

    /// Expects a status and a code.
    pub async fn refused(&self, method: &str, path: &str, body: Option<Value>, status: u16, code: &str) -> Value {
        let (answered, json) = self.call(method, path, body).await;
        assert_eq!((answered.as_u16(), json["code"].as_str()), (status, Some(code)), "{method} {path}: {json}");
        json
    }

    pub async fn customer(&self, uid: &str, grants: Value) -> Value {
        let (status, customer) =
            self.call("PUT", &format!("/v1/customers/{uid}"), Some(json!({"name": uid, "grants": grants}))).await;
        assert_eq!(status, 201, "{customer}");
        customer
    }

    pub async fn endpoint(&self, customer: &str, uid: &str) -> Value {
        let body = json!({"customer_id": customer, "url": "https://example.com/hook"});
        let (status, endpoint) = self.call("PUT", &format!("/v1/endpoints/{uid}"), Some(body)).await;
        assert_eq!(status, 201, "{endpoint}");
        endpoint
    }

    /// Dead letters of an endpoint with these values.
    pub async fn letters(&self, endpoint: &str, values: &[&[u8]]) {
        self.letters_of("cus_1", endpoint, values).await;
    }

    pub async fn letters_of(&self, customer: &str, endpoint: &str, values: &[&[u8]]) {
        let options =
            DeadLetterWriterOptions { batch_rows_max: 500, batch_wait: std::time::Duration::ZERO, queue_bytes_max: 1 };
        let writer = DeadLetterWriter::start(self.pool.clone(), options, &tokio::runtime::Handle::current());
        let partition = TestSource::of_partition("orders", 0);
        writer.submit(values.iter().enumerate().map(|(offset, value)| Letter {
            endpoint_id: endpoint.into(),
            customer_id: customer.into(),
            given_up: given_up(&event(&partition, offset as i64, value), Reason::Exhausted),
        }));
        writer.flushed().await;
    }

    /// What is stored is in effect, as a running instance would have it.
    pub async fn take_effect(&self) {
        let delta = self.settings().await;
        for row in delta.endpoints {
            match row {
                EndpointRow::Present(settings) => drop(self.table.put_endpoint(Arc::new(*settings))),
                EndpointRow::Absent { id } => self.table.remove_endpoint(&id),
            }
        }
        let changes = delta.subscriptions.into_iter().map(|row| match row {
            SubscriptionRow::Present { id, endpoint_id, topic, scope } => {
                let endpoint = self.table.endpoints().find(&endpoint_id).expect("loaded before").key;
                SubscriptionChange::Put(Subscription { id, endpoint, topic, scope })
            }
            SubscriptionRow::Absent { id }
            | SubscriptionRow::Unreadable { id, .. }
            | SubscriptionRow::Ungranted { id, .. } => SubscriptionChange::Remove { id },
        });
        self.table.stage_subscriptions(changes.collect::<Vec<_>>());
        self.table.publish_subscriptions();
    }

    pub async fn settings(&self) -> postrider::store::settings::SettingsDelta {
        SettingsReader::new(self.pool.clone(), secret_box()).load_since(-1).await.expect("load")
    }
}

fn limits() -> ClientLimits {
    let second = std::time::Duration::from_secs(1);
    ClientLimits {
        connect_timeout: 4 * second,
        keep_alive: second,
        connection_age_max: 60 * second,
        in_flight_max: 4,
        connections_max: 4,
        answer_bytes_max: 16_384,
        dns_servers: Vec::new(),
        names: NameLimits { fresh_max: second, stale_max: second, failure: second, names_max: 100 },
        dns_timeout: second,
        dns_lookups_max: 4,
        tls_clients_max: 4,
        egress: Arc::new(postrider::app::default_egress()),
    }
}

/// Tenants in the header `tenant`, departments in the value.
fn places() -> FieldSources {
    let place = |text| FieldSource::parse(text).expect("a place");
    FieldSources { tenant: place("header:tenant"), department: place("json:/department"), ..FieldSources::default() }
}

pub fn all() -> Value {
    json!({"topics": ["*"], "tenants": ["*"]})
}

pub fn fields(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().expect("errors").iter().filter_map(|error| error["field"].as_str()).collect()
}
