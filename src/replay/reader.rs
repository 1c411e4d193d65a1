//! ● The second consumer: reads the ranges of all replays of this instance, on a thread of its own.
//!
//! It is assigned by hand, joins no group's rebalances, and commits nothing. Each partition is read by one reader, into
//! a queue of its own, whoever replays it.

mod log_lookup; // where its log begins and ends
mod reading; // one partition
mod turn; // what one turn of it gives out

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use rdkafka::{config::ClientConfig, consumer::BaseConsumer, error::KafkaError};

use self::reading::Reading;
use super::{replay_partition::ReplayPart, runner::ReplayShared};
use crate::{
    backlog::{drainer::Surroundings, pace::TokenBucket},
    clock,
    flow::drain_rate::{DrainRate, DrainRateOptions},
    ingest::consumer::FETCH_BYTES_MAX,
    ingest::decode::Decoder,
};

/// `[replay]` of the configuration, as far as reading goes.
#[derive(Clone)]
pub struct ReaderOptions {
    /// Configuration of the service's own consumer.
    pub client: ClientConfig,
    pub rate: DrainRateOptions,
    pub records_per_second_max: u32,
    /// On their way to one endpoint.
    pub endpoint_events_max: usize,
    /// On their way, all endpoints together.
    pub memory_bytes_max: usize,
    /// A larger record was no event the first time either.
    pub event_bytes_max: usize,
    /// Decoders by topic.
    pub decoder: Arc<dyn Fn(&str) -> Decoder + Send + Sync>,
}

/// Starts the thread. It ends once [`ReplayShared::be_quiet`] was called.
///
/// # Errors
/// When the thread cannot be started.
pub fn start(
    options: ReaderOptions,
    shared: Arc<ReplayShared>,
    surroundings: Arc<dyn Surroundings>,
) -> std::io::Result<JoinHandle<()>> {
    let run = move || {
        while !shared.is_quiet() {
            let reader = Reader::new(options.clone(), Arc::clone(&shared), Arc::clone(&surroundings));
            // What was in its hands is abandoned, and taken up again.
            if catch_unwind(AssertUnwindSafe(|| reader.run())).is_err() {
                tracing::error!("the reader of replays panicked; it is restarted");
                std::thread::park_timeout(AFTER_FAILURE);
            }
        }
    };
    std::thread::Builder::new().name("replay".into()).spawn(run)
}

/// Limits that all readings of the thread share.
struct Bounds {
    events: TokenBucket,
    rate: DrainRate,
    records: TokenBucket,
    options: ReaderOptions,
}

struct Reader {
    bounds: Bounds,
    shared: Arc<ReplayShared>,
    surroundings: Arc<dyn Surroundings>,
    seen: Arc<Vec<Arc<ReplayPart>>>,
    readings: Vec<Reading>,
    consumer: Option<Arc<BaseConsumer>>,
}

impl Reader {
    fn new(options: ReaderOptions, shared: Arc<ReplayShared>, surroundings: Arc<dyn Surroundings>) -> Self {
        let now = clock::now();
        let events = TokenBucket::new(options.rate.per_second_min, now);
        let rate = DrainRate::new(options.rate, now);
        let records = TokenBucket::new(options.records_per_second_max, now);
        let bounds = Bounds { events, rate, records, options };
        Reader { bounds, shared, surroundings, seen: Arc::default(), readings: Vec::new(), consumer: None }
    }

    fn run(mut self) {
        while !self.shared.is_quiet() {
            let parts = self.shared.parts();
            if !Arc::ptr_eq(&parts, &self.seen) {
                self.adopt(&parts);
                self.seen = parts;
            }
            if self.readings.is_empty() {
                self.consumer = None;
                std::thread::park_timeout(IDLE);
            } else if let Err(error) = self.turn() {
                tracing::warn!(%error, "the reader of replays cannot read from Kafka; it is tried again");
                std::thread::park_timeout(AFTER_FAILURE);
            }
        }
    }

    /// One reading for each partition that has parts.
    fn adopt(&mut self, parts: &[Arc<ReplayPart>]) {
        let mut before = std::mem::take(&mut self.readings);
        let mut had: Vec<Vec<Arc<ReplayPart>>> = Vec::new();
        for part in parts {
            let is_of = |reading: &Reading| reading.is_of(part.topic(), part.partition());
            if let Some(reading) = self.readings.iter_mut().find(|reading| is_of(reading)) {
                reading.parts.push(Arc::clone(part));
                continue;
            }
            let mut reading = match before.iter().position(is_of) {
                Some(place) => before.swap_remove(place),
                None => Reading::new(
                    Arc::clone(part.topic()),
                    part.partition(),
                    (self.bounds.options.decoder)(part.topic()),
                ),
            };
            had.push(std::mem::replace(&mut reading.parts, vec![Arc::clone(part)]));
            self.readings.push(reading);
        }
        for (reading, had) in self.readings.iter_mut().zip(had) {
            let is_new = |part: &Arc<ReplayPart>| !had.iter().any(|one| Arc::ptr_eq(one, part));
            if reading.parts.iter().any(is_new) {
                reading.forget_lookup();
            }
        }
        if let Some(consumer) = &self.consumer {
            before.into_iter().for_each(|over| over.end(consumer));
        }
    }

    fn turn(&mut self) -> Result<(), KafkaError> {
        let consumer = match &self.consumer {
            Some(consumer) => Arc::clone(consumer),
            None => {
                let consumer = Arc::new(client(&self.bounds.options).create()?);
                Arc::clone(self.consumer.insert(consumer))
            }
        };
        let (now, bounds) = (clock::now(), &mut self.bounds);
        bounds.rate.observe(self.surroundings.load(), now);
        bounds.events.set(bounds.rate.readable_per_second(), now);
        let mut any = false;
        // Whoever is first may use up what is left of the rate: everyone is first in turn.
        self.readings.rotate_left(1);
        for reading in &mut self.readings {
            any |= reading.turn(&consumer, &mut self.bounds, &*self.surroundings, &self.shared.metrics);
        }
        // What is not about one partition is served here; without work, it is waited for.
        let wait = if any { Duration::ZERO } else { PAUSE };
        match consumer.poll(wait) {
            Some(Err(KafkaError::MessageConsumptionFatal(error))) => {
                self.consumer = None;
                self.readings.iter_mut().for_each(Reading::forget_consumer);
                Err(KafkaError::MessageConsumptionFatal(error))
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "Kafka reports errors to the reader of replays; its client retries");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn client(options: &ReaderOptions) -> ClientConfig {
    let mut client = options.client.clone();
    if client.get("fetch.max.bytes") == Some(FETCH_BYTES_MAX) {
        client.remove("fetch.max.bytes"); // then an answer is as small as the queue below
    }
    client
        .set("client.id", "postrider-replay")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true") // the end is a position: there may be no record at it
        .set("auto.offset.reset", "error") // what Kafka no longer has is counted
        .set("statistics.interval.ms", "0")
        // Fetched ahead, for each partition.
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "1024")
        .set("max.partition.fetch.bytes", "524288");
    client
}

const IDLE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(5);
const AFTER_FAILURE: Duration = Duration::from_secs(1);
