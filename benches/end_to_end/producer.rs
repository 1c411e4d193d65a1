//! ● Produces the benchmark's events: as fast as the broker takes them, or evenly at a rate.

use std::{
    io::{self, BufRead, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use serde::{Deserialize, Serialize};

use crate::{addresses, payload, receiver::wall_ns, spread::Spread};

#[derive(Serialize, Deserialize)]
pub struct Arguments {
    pub brokers: String,
    /// The events go round their partitions, a few to one of them, then as many to the next.
    pub topics: Vec<String>,
    /// Of each topic.
    pub partitions: i32,
    pub run_events: u64,
    /// The events are of so many tenants, from this one on.
    pub tenants: usize,
    pub first_tenant: usize,
    /// By chance, as Zipf's law has it with this exponent (0: all alike); in turn without.
    pub zipf: Option<f64>,
    /// At most; fewer when told to stop.
    pub events: u64,
    pub first_sequence: u64,
    /// Events a second; as fast as possible without.
    pub rate: Option<f64>,
}

impl Arguments {
    /// From the first tenant on, as fast as possible.
    pub fn new(brokers: &str, topic: &str, partitions: i32, tenants: usize, events: u64) -> Self {
        Arguments {
            brokers: brokers.to_owned(),
            topics: vec![topic.to_owned()],
            partitions,
            run_events: RUN_EVENTS,
            tenants,
            first_tenant: 0,
            zipf: None,
            events,
            first_sequence: 0,
            rate: None,
        }
    }
}

/// What a producer is told; it answers with how many events it has produced.
#[derive(Serialize, Deserialize)]
pub enum Order {
    /// Events a second from now on, whatever is still owed.
    Rate(f64),
    Count,
    /// It answers when the broker has them all, and ends.
    Stop,
}

/// What one thread is told and the other does.
struct Progress {
    produced: AtomicU64,
    /// Orders of another rate so far, and the newest.
    rate: Mutex<(u64, Option<f64>)>,
    stopped: AtomicBool,
}

/// Produces `events` events, waits until the broker has them, and says so in one line.
pub fn run(arguments: &Arguments) -> io::Result<()> {
    let producer = client(arguments)?;
    let progress = Arc::new(Progress {
        produced: AtomicU64::new(0),
        rate: Mutex::new((0, arguments.rate)),
        stopped: AtomicBool::new(false),
    });
    thread::spawn({
        let progress = Arc::clone(&progress);
        move || listen(&progress)
    });
    let tenants: Vec<String> =
        (0..arguments.tenants).map(|tenant| addresses::tenant(arguments.first_tenant + tenant)).collect();
    let mut spread = Spread::new(arguments.tenants, arguments.zipf);
    let mut schedule = Schedule { orders: 0, rate: arguments.rate, from: 0, since: Instant::now() };
    let mut value = [0; payload::BYTES];
    let mut produced = 0;
    while produced < arguments.events && !progress.stopped.load(Ordering::Relaxed) {
        let (orders, rate) = *progress.rate.lock();
        if orders != schedule.orders {
            schedule = Schedule { orders, rate, from: produced, since: Instant::now() };
        }
        if let Some(wait) = schedule.wait(produced, Instant::now()) {
            thread::sleep(wait.min(LISTEN_EVERY));
            if wait > LISTEN_EVERY {
                continue;
            }
        }
        let sequence = arguments.first_sequence + produced;
        payload::write(&mut value, sequence, wall_ns());
        send(&producer, arguments, sequence, &tenants[spread.next_tenant()], &value)?;
        produced += 1;
        progress.produced.store(produced, Ordering::Relaxed);
    }
    producer.flush(FLUSH_MAX).map_err(io::Error::other)?;
    println!("{produced}");
    io::stdout().flush()
}

/// When events are due since the rate was last changed.
struct Schedule {
    orders: u64,
    rate: Option<f64>,
    from: u64,
    since: Instant,
}

impl Schedule {
    fn wait(&self, produced: u64, now: Instant) -> Option<Duration> {
        let due = self.since + Duration::from_secs_f64((produced - self.from) as f64 / self.rate?);
        let wait = due.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }
}

fn listen(progress: &Progress) {
    for line in io::stdin().lock().lines() {
        let Ok(order) = line.map_err(io::Error::other).and_then(|l| serde_json::from_str(&l).map_err(Into::into))
        else {
            break;
        };
        match order {
            Order::Rate(rate) => {
                let mut newest = progress.rate.lock();
                *newest = (newest.0 + 1, Some(rate));
            }
            Order::Count => {}
            Order::Stop => {
                progress.stopped.store(true, Ordering::Relaxed);
                continue; // answered at the end
            }
        }
        println!("{}", progress.produced.load(Ordering::Relaxed));
        let _ = io::stdout().flush();
    }
    // The driver is gone.
    std::process::exit(0);
}

/// Ends the process when the broker did not take an event: it would be missed as one that was lost on its way.
struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            eprintln!("an event could not be produced: {error}");
            std::process::exit(1);
        }
    }
}

fn client(arguments: &Arguments) -> io::Result<ThreadedProducer<Deliveries>> {
    // At a rate no event waits long for company; otherwise the more the better.
    let linger_ms = if arguments.rate.is_some() { "1" } else { "20" };
    ClientConfig::new()
        .set("bootstrap.servers", &arguments.brokers)
        .set("queue.buffering.max.ms", linger_ms)
        .set("queue.buffering.max.messages", "200000")
        .set("batch.size", "1000000")
        .set("batch.num.messages", "10000")
        // Requests that wait for the broker grow instead of queueing there.
        .set("max.in.flight", "5")
        .set("acks", "1")
        // A broker with thousands of new logs knows them late.
        .set("topic.metadata.propagation.max.ms", "300000")
        .create_with_context(Deliveries)
        .map_err(io::Error::other)
}

fn send(
    producer: &ThreadedProducer<Deliveries>,
    arguments: &Arguments,
    sequence: u64,
    tenant: &str,
    value: &[u8],
) -> io::Result<()> {
    let headers = OwnedHeaders::new_with_capacity(2)
        .insert(Header { key: "tenant", value: Some(tenant) })
        .insert(Header { key: "type", value: Some("order.created") });
    let (run, partitions) = (sequence / arguments.run_events, arguments.partitions as u64);
    let topic = &arguments.topics[(run / partitions % arguments.topics.len() as u64) as usize];
    let mut record: BaseRecord<'_, (), [u8]> =
        BaseRecord::to(topic).partition((run % partitions) as i32).headers(headers).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                record = again;
                thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(io::Error::other(error)),
        }
    }
}

/// More than a broker with thousands of new logs needs.
const FLUSH_MAX: Duration = Duration::from_secs(180);
/// As producers do with events that have no key.
const RUN_EVENTS: u64 = 16;
/// A change of the rate is heeded after this long at most.
const LISTEN_EVERY: Duration = Duration::from_millis(100);
