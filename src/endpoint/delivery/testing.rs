//! ○ A world for the machine in tests: it makes events, keeps the books and states the time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::*;
use crate::model::{
    event::{EndpointKey, Event, Fields, Record, Span},
    outcome::{AttemptNote, Outcome},
    parking::KeyNumber,
    receipt::{Abandoned, Done, Origin, Settlement},
    settings::{Auth, BatchFormat, Breaker as Thresholds, DeliverySettings, Format, Mode, RateLimit, Retry, Schedule},
    signature::SigningKey,
    url::EndpointUrl,
};

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A partition's assignment that only counts.
#[derive(Debug)]
pub struct TestOrigin {
    pub current: AtomicBool,
    /// Ours, although nothing more of it is sent.
    pub owned: AtomicBool,
    /// Number of its events that wait in the backlog.
    pub ahead: AtomicU64,
    /// The keys of that; `None` where one left without it.
    pub keys: Mutex<BTreeSet<Option<KeyNumber>>>,
    /// Something that its endpoint missed has not come back.
    pub misses: AtomicBool,
    /// Its events have rows in the backlog.
    pub stored: bool,
    pub settled: Mutex<BTreeMap<&'static str, usize>>,
    pub abandoned: Mutex<Vec<Abandoned>>,
}

impl TestOrigin {
    pub fn new() -> Arc<Self> {
        Self::of(false)
    }

    pub fn stored() -> Arc<Self> {
        Self::of(true)
    }

    fn of(stored: bool) -> Arc<Self> {
        let current = AtomicBool::new(true);
        Arc::new(TestOrigin {
            current,
            owned: AtomicBool::new(false),
            ahead: AtomicU64::new(0),
            keys: Mutex::default(),
            misses: AtomicBool::new(false),
            stored,
            settled: Mutex::default(),
            abandoned: Mutex::default(),
        })
    }
}

/// For [`TestOrigin::ahead`].
pub const AHEAD_UNKNOWN: u64 = u64::MAX;

impl Origin for TestOrigin {
    fn topic(&self) -> &str {
        "orders"
    }

    fn partition(&self) -> i32 {
        3
    }

    fn is_current(&self) -> bool {
        self.current.load(Ordering::Relaxed)
    }

    fn is_owned(&self) -> bool {
        self.is_current() || self.owned.load(Ordering::Relaxed)
    }

    fn is_stored(&self) -> bool {
        self.stored
    }

    fn parked_ahead(&self, _endpoint_id: &str) -> Option<u64> {
        Some(self.ahead.load(Ordering::Relaxed)).filter(|ahead| *ahead != AHEAD_UNKNOWN)
    }

    fn parked_ahead_of_key(&self, endpoint_id: &str, key: KeyNumber) -> Option<u64> {
        let ahead = self.parked_ahead(endpoint_id)?;
        let keys = self.keys.lock();
        Some(if keys.contains(&None) || keys.contains(&Some(key)) { ahead } else { 0 })
    }

    fn skips(&self, _endpoint_id: &Arc<str>, _offset: i64, suspended: bool) -> bool {
        suspended
    }

    fn misses(&self, _endpoint_id: &str) -> bool {
        self.misses.load(Ordering::Relaxed)
    }

    fn parking(&self, _endpoint_id: &Arc<str>, key: Option<KeyNumber>) {
        self.keys.lock().insert(key);
        self.ahead.fetch_add(1, Ordering::Relaxed);
    }

    fn receipts_settled(&self, how: Settlement, receipts: usize) {
        *self.settled.lock().entry(how.word()).or_default() += receipts;
    }

    fn events_done(&self, _done: &[Done], _how: Settlement) {}

    fn abandoned(&self, receipt: Abandoned) {
        self.abandoned.lock().push(receipt);
    }
}

/// A receipt of an event with this offset.
pub fn receipt(origin: &Arc<TestOrigin>, offset: i64, received_at: Instant) -> Receipt {
    receipt_of(origin, offset, None, received_at)
}

/// The same, of a record with a key.
pub fn keyed(origin: &Arc<TestOrigin>, offset: i64, key: &str, received_at: Instant) -> Receipt {
    receipt_of(origin, offset, Some(key), received_at)
}

fn receipt_of(origin: &Arc<TestOrigin>, offset: i64, key: Option<&str>, received_at: Instant) -> Receipt {
    let value = b"{\"n\":1}";
    let bytes: Vec<u8> = key.unwrap_or_default().bytes().chain(*value).collect();
    let (key_len, value_len) = (key.map_or(0, str::len) as u32, value.len() as u32);
    let record = Record {
        offset,
        timestamp_ms: 1_767_225_600_000,
        key: key.map(|_| Span { start: 0, len: key_len }),
        value: Some(Span { start: key_len, len: value_len }),
        headers: Span { start: key_len + value_len, len: 0 },
        bytes: bytes.into(),
    };
    let origin = Arc::clone(origin) as Arc<dyn Origin>;
    let event = Arc::new(Event::new(origin, record, Fields::default(), received_at));
    let mut opened = None;
    event.open_receipts(&[EndpointKey(1)], |_, receipt| opened = Some(receipt));
    opened.expect("one endpoint, one receipt")
}

/// A stream with quick retries, a breaker that opens after five failures, and no rate limit.
pub fn stream() -> Settings {
    let delivery = DeliverySettings {
        mode: Mode::Stream,
        format: Format::Envelope,
        batch_format: BatchFormat::JsonArray,
        ordering: None,
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
    };
    Settings {
        id: "ep_test".into(),
        customer_id: "cus_test".into(),
        version: 1,
        restarts: 0,
        suspended: false,
        state: State::Enabled,
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

/// One endpoint's machine with all it asked for.
pub struct World {
    pub delivery: Delivery,
    pub origin: Arc<TestOrigin>,
    pub backlog: Option<Arc<TestOrigin>>,
    pub now: Instant,
    next_offset: i64,
    /// Attempts under way, oldest first, with the offsets of their members.
    pub sent: Vec<(AttemptId, Vec<i64>)>,
    pub delivered: Vec<i64>,
    pub parked: Vec<Parked>,
    pub unparked: Vec<i64>,
    pub given_up: Vec<GivenUp>,
    pub changes: Vec<StateChange>,
}

pub const PARK_AFTER: Duration = secs(5);

impl World {
    pub fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let limits = Limits { park_after: PARK_AFTER, endpoint_bytes_max: 1 << 20, wait_target: ms(500) };
        World {
            delivery: Delivery::new(Arc::new(settings), limits, 1, now),
            origin: TestOrigin::new(),
            backlog: None,
            now,
            next_offset: 0,
            sent: Vec::new(),
            delivered: Vec::new(),
            parked: Vec::new(),
            unparked: Vec::new(),
            given_up: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Events that are received now; returns the first one's offset.
    pub fn events(&mut self, count: usize) -> i64 {
        let first = self.next_offset;
        let receipts = (first..).take(count).map(|offset| receipt(&self.origin, offset, self.now)).collect();
        self.next_offset += count as i64;
        self.delivery.handle_events(receipts, self.now);
        self.poll();
        first
    }

    /// Events that come from the backlog, with so many attempts behind them; returns the first one's offset.
    pub fn stored(&mut self, count: usize, attempts: u32) -> i64 {
        let first = self.next_offset;
        let origin = self.backlog.get_or_insert_with(TestOrigin::stored);
        let receipts = (first..).take(count).map(|offset| receipt(origin, offset, self.now).with_attempts(attempts));
        let receipts = receipts.collect();
        self.next_offset += count as i64;
        self.delivery.handle_stored(receipts, self.now);
        self.poll();
        first
    }

    /// Answers the oldest attempt under way; returns the offsets of its members.
    #[track_caller]
    pub fn answer(&mut self, outcome: Outcome) -> Vec<i64> {
        assert!(!self.sent.is_empty(), "an attempt is under way");
        self.answer_nth(0, outcome)
    }

    pub fn answer_nth(&mut self, nth: usize, outcome: Outcome) -> Vec<i64> {
        let (attempt, members) = self.sent.remove(nth);
        self.delivery.handle_outcome(attempt, outcome, AttemptNote::default(), self.now);
        self.poll();
        members
    }

    /// Moves the time, calling the machine whenever it asked for it.
    pub fn wait(&mut self, by: Duration) {
        let end = self.now + by;
        let mut wakes = 0;
        while let Some(at) = self.delivery.poll_timeout().filter(|at| *at <= end) {
            wakes += 1;
            assert!(wakes < 100_000, "the machine does not ask for the same time again and again");
            self.now = self.now.max(at);
            self.delivery.handle_timeout(self.now);
            self.poll();
        }
        self.now = end;
    }

    pub fn settings(&mut self, settings: Settings) {
        self.delivery.handle_settings(Arc::new(settings), self.now);
        self.poll();
    }

    /// The offsets of the members under way, attempt by attempt.
    pub fn under_way(&self) -> Vec<Vec<i64>> {
        self.sent.iter().map(|(_, members)| members.clone()).collect()
    }

    pub fn parked_offsets(&self) -> Vec<i64> {
        self.parked.iter().map(|parked| parked.receipt.event().offset()).collect()
    }

    pub fn given_up_offsets(&self) -> Vec<(i64, Reason)> {
        self.given_up.iter().map(|given_up| (given_up.receipt.event().offset(), given_up.reason)).collect()
    }

    pub fn poll(&mut self) {
        while let Some(effect) = self.delivery.poll_effect() {
            match effect {
                Effect::Send(attempt) => {
                    let batch = self.delivery.batch(attempt).expect("what is sent has members");
                    self.sent.push((attempt, batch.events().map(|event| event.offset()).collect()));
                }
                Effect::Settle { receipts, how } => {
                    self.delivered.extend(receipts.iter().map(|receipt| receipt.event().offset()));
                    Receipt::settle_all(receipts, how);
                }
                Effect::Park(parked) => self.parked.extend(parked),
                Effect::Unpark(events) => self.unparked.extend(events.iter().map(|event| event.offset())),
                Effect::DeadLetter(given_up) => self.given_up.extend(given_up),
                Effect::StateChanged(change) => self.changes.push(change),
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What a test leaves behind is no fault of the machine's.
        self.origin.current.store(false, Ordering::Relaxed);
        self.backlog.iter().for_each(|backlog| backlog.current.store(false, Ordering::Relaxed));
    }
}

pub const FAILED: Outcome = Outcome::Failed { retry_after: None };

pub const fn failed_for(wait: Duration) -> Outcome {
    Outcome::Failed { retry_after: Some(wait) }
}
