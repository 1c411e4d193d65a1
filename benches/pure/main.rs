//! What the pure parts of an event's path cost: copying a record, decoding it, matching it, and counting it off.
//!
//! The index is measured at 1,000, 100,000 and 1,000,000 subscriptions: the bar is a ratio between them (1.5), not a
//! time. It also prints how many bytes an entry takes, all in, which the counting allocator below sees.

mod heads; // of the backlog

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::BTreeMap,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use postrider::{
    ingest::{
        decode::{Decoder, FieldSource, FieldSources},
        ledger::PartitionLedger,
        offsets::OffsetTracker,
    },
    model::{
        event::{EndpointKey, Event, Fields, Record},
        receipt::{Receipt, Settlement},
        record::RecordParts,
        scope::Scope,
        source::EventSource,
    },
    router::{
        index::{IndexWriter, Matches, SubscriptionChange, SubscriptionIndex},
        subscription::Subscription,
    },
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

/// Counts what is allocated at the moment.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is; the counter does not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const VALUE: &str = concat!(
    r#"{"id":"evt-0198","tenant":{"id":"tenant-01234","department":"100"},"amount":1250,"currency":"EUR","#,
    r#""lines":[{"sku":"A-1","quantity":2,"price":500},{"sku":"B-7","quantity":1,"price":250}],"#,
    r#""address":{"street":"1 High Street","city":"Springfield","country":"XX","phone":"+00 000 000000"},"#,
    r#""note":"Leave it with the neighbours if nobody opens; ring twice, the bell is quiet.","#,
    r#""tags":["priority","gift","returning-customer"],"created":"2026-01-02T03:04:05.678Z","#,
    r#""history":[{"at":1767323045678,"what":"created"},{"at":1767323045999,"what":"paid"}],"last":"last"}"#
);

fn record(offset: i64) -> Record {
    let parts = RecordParts { offset, timestamp_ms: 0, key: Some(b"customer-17"), value: Some(VALUE.as_bytes()) };
    let headers: [(&str, Option<&[u8]>); 4] = [
        ("tenant", Some(b"tenant-01234")),
        ("department", Some(b"100")),
        ("type", Some(b"order.created")),
        ("id", Some(b"0198-4711")),
    ];
    Record::copy_from(parts, headers.into_iter())
}

fn records(c: &mut Criterion) {
    c.bench_function("record/copy", |b| b.iter(|| black_box(record(black_box(7)))));
}

fn decoding(c: &mut Criterion) {
    let place = |text| FieldSource::parse(text).expect("a place");
    let record = record(7);
    let mut check = |name: &str, places: FieldSources| {
        let decoder = Decoder::new(&places);
        c.bench_function(&format!("decode/{name}"), |b| b.iter(|| decoder.decode(black_box(&record))));
    };
    check("header_tenant", FieldSources { tenant: place("header:tenant"), ..FieldSources::default() });
    let four = FieldSources {
        tenant: place("header:tenant"),
        department: place("header:department"),
        kind: place("header:type"),
        id: place("header:id"),
        time: FieldSource::Nowhere,
    };
    check("four_headers", four);
    check("json_first", FieldSources { tenant: place("json:/tenant/id"), ..FieldSources::default() });
    check("json_last", FieldSources { tenant: place("json:/last"), ..FieldSources::default() });
    let three = FieldSources {
        tenant: place("json:/tenant/id"),
        department: place("json:/tenant/department"),
        id: place("json:/id"),
        ..FieldSources::default()
    };
    check("json_three", three);
}

const CHUNK: i64 = 512;

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn counting_off(c: &mut Criterion) {
    let mut group = c.benchmark_group("settle_512");
    group.throughput(Throughput::Elements(CHUNK.unsigned_abs()));
    let mut next = 0;
    let mut tracker = OffsetTracker::new(None);
    group.bench_function("tracker", |b| {
        b.iter(|| {
            for offset in next..next + CHUNK {
                tracker.track(offset).expect("within the span");
            }
            for offset in next..next + CHUNK {
                tracker.settle(offset);
            }
            next += CHUNK;
            black_box(tracker.committable())
        })
    });

    let (sender, _abandoned) = tokio::sync::mpsc::unbounded_channel();
    let ledger = Arc::new(PartitionLedger::new("orders".into(), 0, 1, None, sender));
    let now = Instant::now();
    let mut next = 0;
    // Tracked as a chunk, then settled: all at once, or each for itself.
    for (name, at_once) in [("receipts_at_once", CHUNK as usize), ("receipts_one_by_one", 1)] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    let offsets: Vec<_> = (next..next + CHUNK).collect();
                    next += CHUNK;
                    let (receipts, events) = receipts(&ledger, &offsets, now);
                    (offsets, receipts, events)
                },
                |(offsets, mut receipts, events)| {
                    ledger.received(CHUNK.unsigned_abs(), 1);
                    ledger.track_chunk(&offsets, now).expect("within the span");
                    while !receipts.is_empty() {
                        Receipt::settle_all(receipts.drain(..at_once), Settlement::Delivered);
                    }
                    // Freed outside of the measurement.
                    (receipts, events)
                },
                BatchSize::LargeInput,
            )
        });
    }
    group.finish();
}

fn receipts(ledger: &Arc<PartitionLedger>, offsets: &[i64], now: Instant) -> (Vec<Receipt>, Vec<Arc<Event>>) {
    let mut receipts = Vec::new();
    let mut events = Vec::new();
    for offset in offsets {
        let source = Arc::clone(ledger) as Arc<dyn EventSource>;
        let event = Arc::new(Event::new(source, record(*offset), Fields::default(), now));
        receipts.push(event.open_receipt(EndpointKey(1)));
        events.push(event);
    }
    (receipts, events)
}

const TOPICS: u32 = 500;
const TENANTS: u32 = 30_000;
const ENDPOINTS: u32 = 10_000;

/// One endpoint's subscription to one tenant of one topic: an entry of its own.
fn subscription(n: u32, topic: &str, tenant: &str, rng: &mut SmallRng) -> Subscription {
    Subscription {
        id: format!("sub_{n:026}"),
        endpoint: EndpointKey(rng.random_range(0..ENDPOINTS)),
        topic: topic.to_owned(),
        scope: Scope::Tenants { tenants: [tenant.to_owned()].into() },
    }
}

fn any_topic(rng: &mut SmallRng) -> String {
    format!("topic-{:03}", rng.random_range(0..TOPICS))
}

fn any_tenant(rng: &mut SmallRng) -> String {
    format!("tenant-{:05}", rng.random_range(0..TENANTS))
}

/// An index of so many entries, and what was subscribed to.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn built(count: u32) -> (IndexWriter, Vec<(String, String)>) {
    let mut rng = SmallRng::seed_from_u64(1);
    let places: Vec<_> = (0..count).map(|_| (any_topic(&mut rng), any_tenant(&mut rng))).collect();
    let mut writer = IndexWriter::default();
    let before = ALLOCATED.load(Ordering::Relaxed);
    let started = Instant::now();
    let changes = places.iter().zip(0..);
    writer.apply(changes.map(|((topic, tenant), n)| SubscriptionChange::Put(subscription(n, topic, tenant, &mut rng))));
    let took = started.elapsed();
    let bytes = ALLOCATED.load(Ordering::Relaxed) - before;
    println!("index of {count}: {} bytes an entry, built in {took:?}", bytes / count as usize);
    (writer, places)
}

/// The tenants of a chunk of one topic's events, as routers get them: the topic is looked up once, the events stand
/// one after the other in memory.
struct Chunk<'a> {
    topic: &'a str,
    tenants: Vec<String>,
}

const CHUNK_EVENTS: usize = 64;

/// 65,536 events that somebody subscribes to. `skew` 1 draws all places alike; 6 draws a tenth of the places four
/// times in five, as tenants do in practice.
fn chunks(places: &[(String, String)], skew: i32) -> Vec<Chunk<'_>> {
    let mut rng = SmallRng::seed_from_u64(2);
    let mut by_topic: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    places.iter().for_each(|(topic, tenant)| by_topic.entry(topic).or_default().push(tenant));
    let by_topic: Vec<_> = by_topic.into_iter().collect();
    let mut draw = |from: usize| (rng.random::<f64>().powi(skew) * from as f64) as usize;
    (0..1 << 10)
        .map(|_| {
            let (topic, tenants) = &by_topic[draw(by_topic.len())];
            Chunk { topic, tenants: (0..CHUNK_EVENTS).map(|_| tenants[draw(tenants.len())].to_owned()).collect() }
        })
        .collect()
}

fn matching(c: &mut Criterion) {
    let mut group = c.benchmark_group("match_64");
    group.throughput(Throughput::Elements(CHUNK_EVENTS as u64));
    for count in [1_000, 100_000, 1_000_000] {
        let (writer, places) = built(count);
        let index = writer.snapshot();
        for (name, skew) in [("skewed", 6), ("uniform", 1)] {
            let chunks = chunks(&places, skew);
            group.bench_function(BenchmarkId::new(name, count), |b| {
                let mut chunks = chunks.iter().cycle();
                let mut out = Matches::new();
                b.iter(|| {
                    let Chunk { topic, tenants } = chunks.next().expect("endless");
                    let topic = index.topic(topic).expect("subscribed");
                    let mut matched = 0;
                    for tenant in tenants {
                        topic.matches(Some(tenant), Some("100"), &mut out);
                        matched += out.len();
                    }
                    matched
                });
            });
        }
        group.bench_function(BenchmarkId::new("unknown_tenant", count), |b| {
            let topic = index.topic(&places[0].0).expect("subscribed");
            let mut out = Matches::new();
            b.iter(|| {
                for _ in 0..CHUNK_EVENTS {
                    topic.matches(Some(black_box("nobody")), Some("100"), &mut out);
                }
                out.len()
            });
        });
    }
    group.finish();
}

fn changing(c: &mut Criterion) {
    let (mut writer, _) = built(1_000_000);
    let mut rng = SmallRng::seed_from_u64(3);
    let mut held: SubscriptionIndex = writer.snapshot();
    let mut group = c.benchmark_group("change_of_1000000");
    for changes in [1, 100] {
        group.bench_function(BenchmarkId::from_parameter(changes), |b| {
            b.iter_batched(
                || {
                    let mut one = || {
                        let (n, topic, tenant) =
                            (rng.random_range(0..1_000_000), any_topic(&mut rng), any_tenant(&mut rng));
                        SubscriptionChange::Put(subscription(n, &topic, &tenant, &mut rng))
                    };
                    (0..changes).map(|_| one()).collect::<Vec<_>>()
                },
                // Readers hold the snapshot before, so every touched shard is copied.
                |changes| held = writer.apply(changes),
                BatchSize::SmallInput,
            )
        });
    }
    group.finish();
    drop(held);
}

criterion_group!(benches, records, decoding, counting_off, matching, changing, heads::heads);
criterion_main!(benches);
