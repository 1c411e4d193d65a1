//! ● Produces the benchmark's events: as fast as the broker takes them, or evenly at a rate.

use std::{
    io::{self, Write},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use serde::{Deserialize, Serialize};

use crate::{addresses, payload, receiver::wall_ns};

#[derive(Serialize, Deserialize)]
pub struct Arguments {
    pub brokers: String,
    pub topic: String,
    pub partitions: i32,
    /// The events go round the tenants of the endpoints 0 to here.
    pub tenants: usize,
    pub events: u64,
    /// Events a second; as fast as possible without.
    pub rate: Option<f64>,
}

/// Produces `events` events, waits until the broker has them, and says so in one line.
pub fn run(arguments: &Arguments) -> io::Result<()> {
    // At a rate no event waits long for company; otherwise the more the better.
    let linger_ms = if arguments.rate.is_some() { "1" } else { "20" };
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &arguments.brokers)
        .set("queue.buffering.max.ms", linger_ms)
        .set("queue.buffering.max.messages", "200000")
        .set("batch.size", "1000000")
        .set("batch.num.messages", "10000")
        // Requests that wait for the broker grow instead of queueing there.
        .set("max.in.flight", "5")
        .set("acks", "1")
        .create()
        .map_err(io::Error::other)?;
    let tenants: Vec<String> = (0..arguments.tenants).map(addresses::tenant).collect();
    let started = Instant::now();
    let mut value = [0; payload::BYTES];
    for sequence in 0..arguments.events {
        if let Some(rate) = arguments.rate {
            let due = started + Duration::from_secs_f64(sequence as f64 / rate);
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                thread::sleep(wait);
            }
        }
        payload::write(&mut value, sequence, wall_ns());
        let tenant = &tenants[(sequence % arguments.tenants as u64) as usize];
        send(&producer, arguments, sequence, tenant, &value)?;
    }
    producer.flush(Duration::from_secs(60)).map_err(io::Error::other)?;
    println!("{}", arguments.events);
    io::stdout().flush()
}

fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    arguments: &Arguments,
    sequence: u64,
    tenant: &str,
    value: &[u8],
) -> io::Result<()> {
    let headers = OwnedHeaders::new_with_capacity(2)
        .insert(Header { key: "tenant", value: Some(tenant) })
        .insert(Header { key: "type", value: Some("order.created") });
    let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&arguments.topic)
        // A few to one partition, then to the next, as producers do with events that have no key.
        .partition((sequence / RUN_EVENTS % arguments.partitions as u64) as i32)
        .headers(headers)
        .payload(value);
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

const RUN_EVENTS: u64 = 16;
