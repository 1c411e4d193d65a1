//! ● Makes the demo's topics, and produces sample events at a steady rate on a thread of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use rand::{SeedableRng, rngs::SmallRng};
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};

use super::{
    fixtures::{DemoEndpoint, INVOICES, TOPICS},
    script::{Sample, sample},
    tally::{DemoTally, UNCOUNTED},
};
use crate::{
    clock,
    command::topics::{self, KAFKA_TIMEOUT, PARTITIONS, SteadyRate},
    config::KafkaSection,
};

/// Interval at which the producing thread looks at the clock.
const TICK: Duration = Duration::from_millis(5);

/// Creates the topics that are missing.
pub(super) async fn create_topics(kafka: &KafkaSection) -> Result<(), String> {
    topics::create(kafka, &TOPICS, PARTITIONS).await.map(drop)
}

/// The producing thread.
pub(super) struct ProducerThread {
    phase: Arc<AtomicU8>,
    failed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A few events at a time, to see whether everyone listens.
const CALLING: u8 = 0;
/// At the wanted rate.
const COUNTING: u8 = 1;
const STOPPED: u8 = 2;

/// Events a second while it is only seen whether everyone listens.
const CALLING_RATE: u32 = 100;

impl ProducerThread {
    pub(super) fn start(
        kafka: &KafkaSection,
        rate: u32,
        run: String,
        parts: Arc<Vec<DemoEndpoint>>,
        tally: Arc<Mutex<DemoTally>>,
    ) -> Result<Self, String> {
        let producer: ThreadedProducer<DefaultProducerContext> = topics::client(kafka)
            .set("linger.ms", "1")
            .set("compression.type", "none")
            .set("enable.idempotence", "true")
            .create()
            .map_err(|error| format!("Kafka's client refused its configuration: {error}"))?;
        let (phase, failed) = (Arc::new(AtomicU8::new(CALLING)), Arc::new(AtomicBool::new(false)));
        let mut work = Work {
            producer,
            run,
            parts,
            tally,
            entropy: SmallRng::seed_from_u64(rand::random()),
            failed: Arc::clone(&failed),
        };
        let seen = Arc::clone(&phase);
        let thread = thread::Builder::new()
            .name("sample-events".to_owned())
            .spawn(move || work.produce(&seen, rate))
            .map_err(|error| format!("cannot start the producing thread: {error}"))?;
        Ok(ProducerThread { phase, failed, thread: Some(thread) })
    }

    /// Everyone listens: from now on events count.
    pub(super) fn begin_counting(&self) {
        self.phase.store(COUNTING, Ordering::Release);
    }

    /// True if Kafka refused events for good.
    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Produces no more, and waits until Kafka has what was produced.
    pub(super) fn stop(mut self) {
        self.phase.store(STOPPED, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    producer: ThreadedProducer<DefaultProducerContext>,
    run: String,
    parts: Arc<Vec<DemoEndpoint>>,
    tally: Arc<Mutex<DemoTally>>,
    entropy: SmallRng,
    failed: Arc<AtomicBool>,
}

impl Work {
    fn produce(&mut self, phase: &AtomicU8, rate: u32) {
        let (mut calls, mut number) = (UNCOUNTED, 0);
        let mut pace = SteadyRate::new(CALLING_RATE, clock::now());
        let mut counting = false;
        loop {
            match phase.load(Ordering::Acquire) {
                STOPPED => break,
                COUNTING if !counting => {
                    counting = true;
                    pace = SteadyRate::new(rate, clock::now());
                }
                _ => {}
            }
            let next = if counting { &mut number } else { &mut calls };
            for _ in 0..pace.due(clock::now()) {
                self.produce_one(*next);
                *next += 1;
            }
            thread::sleep(TICK);
        }
        if self.producer.flush(KAFKA_TIMEOUT).is_err() {
            self.failed.store(true, Ordering::Release);
        }
    }

    fn produce_one(&mut self, number: u64) {
        let mut tally = self.tally.lock();
        let at_us = tally.micros(clock::now());
        let sample = sample(&self.run, number, at_us, &mut self.entropy);
        tally.expect(&self.parts, number, sample.topic, &sample.tenant, &sample.department);
        drop(tally);
        let body = sample.body.to_string();
        let mut record = BaseRecord::to(sample.topic).key(&sample.tenant).payload(&body);
        if sample.topic != INVOICES {
            record = record.headers(headers(&sample));
        }
        while let Err((error, returned)) = self.producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                self.failed.store(true, Ordering::Release);
                return;
            }
            record = returned;
            thread::sleep(TICK);
        }
    }
}

fn headers(sample: &Sample) -> OwnedHeaders {
    OwnedHeaders::new()
        .insert(Header { key: "tenant", value: Some(&sample.tenant) })
        .insert(Header { key: "department", value: Some(&sample.department) })
        .insert(Header { key: "type", value: Some(sample.kind) })
}
