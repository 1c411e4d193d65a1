//! ○ Events, receipts and settings for tests, and a source that only counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    model::{
        event::{ByteSpan, EndpointKey, Event, Field, Fields, Record},
        parking::KeyNumber,
        receipt::{Abandoned, Done, Receipt, Settlement},
        scope::Scope,
        settings::{
            Auth, BatchFormat, Breaker as Thresholds, DeliverySettings, EndpointState, Format, Http2, InFlight, Mode,
            RateLimit, Retry, Schedule, Settings,
        },
        signature::SigningKey,
        source::{Ahead, Claim, EventSource, SkipAt, SourceBacklog, SourceKind, SourceName},
        url::EndpointUrl,
    },
    routing::{
        index::{IndexWriter, SubscriptionChange},
        subscribed::{HeldTopics, Subscribed},
        subscription::Subscription,
    },
};

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A partition's assignment that only counts.
#[derive(Debug)]
pub struct TestSource {
    name: SourceName,
    pub current: AtomicBool,
    /// Ours, although nothing more of it is sent.
    pub owned: AtomicBool,
    /// Number of its events that wait in the backlog.
    pub ahead: AtomicU64,
    /// The keys of that; `None` where one left without it.
    pub keys: SharedValue<BTreeSet<Option<KeyNumber>>>,
    /// Something that its endpoint missed has not come back.
    pub misses: AtomicBool,
    pub settled: SharedValue<BTreeMap<&'static str, usize>>,
    pub abandoned: SharedValue<Vec<Abandoned>>,
}

impl TestSource {
    pub fn new() -> Arc<Self> {
        Self::of(SourceKind::Live)
    }

    pub fn stored() -> Arc<Self> {
        Self::of(SourceKind::Backlog)
    }

    pub fn redrive() -> Arc<Self> {
        Self::of(SourceKind::Redrive)
    }

    fn of(kind: SourceKind) -> Arc<Self> {
        Self::named(SourceName { kind, topic: Arc::from("orders"), partition: 3 })
    }

    pub fn of_partition(topic: &str, partition: i32) -> Arc<Self> {
        Self::named(SourceName { kind: SourceKind::Live, topic: Arc::from(topic), partition })
    }

    /// Number of receipts that have settled in this way.
    pub fn count(&self, how: Settlement) -> usize {
        self.settled.lock().get(how.as_str()).copied().unwrap_or(0)
    }

    fn named(name: SourceName) -> Arc<Self> {
        Arc::new(TestSource {
            name,
            current: AtomicBool::new(true),
            owned: AtomicBool::new(false),
            ahead: AtomicU64::new(0),
            keys: SharedValue::default(),
            misses: AtomicBool::new(false),
            settled: SharedValue::default(),
            abandoned: SharedValue::default(),
        })
    }
}

/// For [`TestSource::ahead`].
pub const AHEAD_UNKNOWN: u64 = u64::MAX;

impl EventSource for TestSource {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn claim(&self) -> Claim {
        match (self.current.load(Ordering::Relaxed), self.owned.load(Ordering::Relaxed)) {
            (true, _) => Claim::Current,
            (false, true) => Claim::Owned,
            (false, false) => Claim::Lost,
        }
    }

    fn backlog(&self) -> &dyn SourceBacklog {
        self
    }

    fn settled(&self, how: Settlement, receipts: usize, _done: &[Done]) {
        *self.settled.lock().entry(how.as_str()).or_default() += receipts;
    }

    fn abandoned(&self, receipt: Abandoned) {
        self.abandoned.lock().push(receipt);
    }
}

impl SourceBacklog for TestSource {
    fn ahead(&self, _endpoint_id: &str, key: Option<KeyNumber>) -> Ahead {
        let events = Some(self.ahead.load(Ordering::Relaxed)).filter(|ahead| *ahead != AHEAD_UNKNOWN);
        let is_of_others = key.is_some_and(|key| {
            let keys = self.keys.lock();
            !keys.contains(&None) && !keys.contains(&Some(key))
        });
        let events = if is_of_others { events.map(|_| 0) } else { events };
        Ahead { events, has_missed: self.misses.load(Ordering::Relaxed) }
    }

    fn skips(&self, _endpoint_id: &Arc<str>, _offset: i64, at: SkipAt) -> bool {
        at == SkipAt::Arrival { suspended: true }
    }

    fn skipped(&self, _endpoint_id: &str) {}

    fn parking(&self, _endpoint_id: &Arc<str>, key: Option<KeyNumber>) {
        self.keys.lock().insert(key);
        self.ahead.fetch_add(1, Ordering::Relaxed);
    }

    fn parked(&self, _endpoint_id: &str) {}
}

/// A receipt of an event with this offset.
pub fn receipt(source: &Arc<TestSource>, offset: i64, received_at: Instant) -> Receipt {
    receipt_of(source, offset, None, Fields::default(), received_at)
}

/// The same, of a record with a key.
pub fn keyed(source: &Arc<TestSource>, offset: i64, key: &str, received_at: Instant) -> Receipt {
    receipt_of(source, offset, Some(key), Fields::default(), received_at)
}

/// The same, of an event of a tenant.
pub fn of_tenant(source: &Arc<TestSource>, offset: i64, tenant: &str, received_at: Instant) -> Receipt {
    let fields = Fields { tenant: Field::Owned(tenant.into()), ..Fields::default() };
    receipt_of(source, offset, Some(tenant), fields, received_at)
}

/// Subscriptions under which the endpoint of these receipts gets the events of these tenants; `held` if there is another one
/// that cannot be read.
pub fn subscribed_to(tenants: &[&str], held: bool) -> Arc<Subscribed> {
    let scope = Scope::Tenants { tenants: tenants.iter().map(|tenant| (*tenant).to_owned()).collect() };
    let (id, topic) = ("sub_1".to_owned(), "orders".to_owned());
    let subscription = Subscription { id, endpoint: EndpointKey(1), topic, scope };
    let index = IndexWriter::default().apply([SubscriptionChange::Put(subscription)]);
    let topics: HeldTopics = Arc::new(held.then(|| Arc::from("orders")).into_iter().collect());
    Arc::new(Subscribed::new(Arc::new(index), [topics, HeldTopics::default()], EndpointKey(1)))
}

fn receipt_of(
    source: &Arc<TestSource>,
    offset: i64,
    key: Option<&str>,
    fields: Fields,
    received_at: Instant,
) -> Receipt {
    let value = b"{\"n\":1}";
    let bytes: Vec<u8> = key.unwrap_or_default().bytes().chain(*value).collect();
    let (key_len, value_len) = (key.map_or(0, str::len) as u32, value.len() as u32);
    let record = Record {
        offset,
        timestamp_ms: 1_767_225_600_000,
        key: key.map(|_| ByteSpan { start: 0, len: key_len }),
        value: Some(ByteSpan { start: key_len, len: value_len }),
        headers: ByteSpan { start: key_len + value_len, len: 0 },
        bytes: bytes.into(),
    };
    let source = Arc::clone(source) as Arc<dyn EventSource>;
    Arc::new(Event::new(source, record, fields, received_at)).open_receipt(EndpointKey(1))
}

/// A stream with quick retries, a breaker that opens after five failures, and no rate limit.
pub fn stream() -> Settings {
    let delivery = DeliverySettings {
        mode: Mode::Stream,
        format: Format::Envelope,
        batch_format: BatchFormat::JsonArray,
        ordering: None,
        in_flight: InFlight::Fixed,
        in_flight_max: 4,
        rate_limit: None,
        retry: Retry { attempts_max: Some(4), schedule: Schedule::Explicit(vec![ms(100)]) },
        breaker: Thresholds {
            consecutive_failures: 5,
            failure_ratio: 0.5,
            requests_min: 20,
            window: secs(10),
            open_base: secs(1),
            open_max: secs(60),
        },
        request_timeout: secs(15),
        http2: Http2::Off,
    };
    Settings {
        id: "ep_test".into(),
        customer_id: "cus_test".into(),
        version: 1,
        restarts: 0,
        suspended: false,
        state: EndpointState::Enabled,
        url: EndpointUrl::parse("https://example.com/hook").unwrap(),
        delivery,
        auth: Auth::None,
        tls: None,
        signing_keys: vec![SigningKey::new(&[7; 32])],
    }
}

pub fn batch(events_max: u32) -> Settings {
    let mut settings = stream();
    settings.delivery.mode = Mode::Batch { events_max, bytes_max: 1 << 20, wait: secs(1) };
    settings
}

pub fn limited(mut settings: Settings, events_per_second: u32, burst_events: u32) -> Settings {
    settings.delivery.rate_limit = Some(RateLimit { events_per_second, burst_events });
    settings
}

/// A value that several threads of a test look at, also after one of them has panicked.
#[derive(Debug, Default)]
pub struct SharedValue<T>(Mutex<T>);

impl<T> SharedValue<T> {
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
