//! ● What Postrider is measured against: the same libraries in the plainest competent loop. One thread polls Kafka
//! and hands chunks on; an arbiter a core builds the same bodies, signs them and posts them over kept-alive
//! connections. No router, no actors, no offsets, no retries: what fails here ends the run.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    io,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_rt::Arbiter;
use postrider::{
    endpoint::request::Request,
    model::{
        event::Event,
        source::{EventSource, SourceKind, SourceName, Unattended},
    },
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use crate::{
    addresses,
    bare_post::{self, Poster},
    role,
};

#[derive(Clone, Serialize, Deserialize)]
pub struct Arguments {
    pub brokers: String,
    pub topics: Vec<String>,
    /// Of each topic.
    pub partitions: i32,
    pub endpoints: usize,
    pub tenants: usize,
    /// The receiver's.
    pub port: u16,
    /// Over HTTPS, trusting this authority; PEM.
    pub authority: Option<String>,
    /// Requests under way at once, all endpoints together.
    pub in_flight_max: usize,
    /// A POST for so many events; one for each without.
    pub batch_events: Option<usize>,
    pub raw: bool,
    pub cores: usize,
}

pub fn run(arguments: &Arguments) -> io::Result<()> {
    role::end_with_the_driver();
    let system = actix_rt::System::new();
    let arbiters: Vec<mpsc::Sender<Chunk>> = (0..arguments.cores)
        .map(|_| {
            let (chunks, incoming) = mpsc::channel(CHUNKS_WAITING_MAX);
            let arguments = arguments.clone();
            Arbiter::new().spawn_fn(move || start_workers(&arguments, incoming));
            chunks
        })
        .collect();
    let arguments = arguments.clone();
    std::thread::spawn(move || {
        let failed = Poll::new(&arguments, arbiters).and_then(|mut poll| poll.run());
        eprintln!("the bare loop stopped polling: {failed:?}");
        std::process::exit(1);
    });
    system.run()
}

fn start_workers(arguments: &Arguments, incoming: mpsc::Receiver<Chunk>) {
    let poster = Rc::new(Poster::new(arguments));
    let source = Rc::new(Source { waiting: RefCell::new(VecDeque::new()), incoming: Mutex::new(incoming) });
    for _ in 0..arguments.in_flight_max.div_ceil(arguments.cores) {
        let (poster, source) = (Rc::clone(&poster), Rc::clone(&source));
        let batches = arguments.batch_events.is_some();
        actix_rt::spawn(async move {
            if batches {
                while let Some(chunk) = source.next_chunk().await {
                    let request = poster.request(chunk.endpoint, &chunk.events);
                    poster.post(chunk.endpoint, request).await;
                    drop(chunk);
                }
            } else {
                while let Some((endpoint, request)) = source.next_request(&poster).await {
                    poster.post(endpoint, request).await;
                }
            }
        });
    }
}

/// Where an arbiter's workers take their work from.
struct Source {
    waiting: RefCell<VecDeque<(usize, Arc<Event>)>>,
    incoming: Mutex<mpsc::Receiver<Chunk>>,
}

impl Source {
    async fn next_chunk(&self) -> Option<Chunk> {
        self.incoming.lock().await.recv().await
    }

    async fn next_request(&self, poster: &Poster) -> Option<(usize, Request)> {
        loop {
            if let Some(request) = self.take(poster) {
                return Some(request);
            }
            let mut incoming = self.incoming.lock().await;
            if let Some(request) = self.take(poster) {
                return Some(request);
            }
            let chunk = incoming.recv().await?;
            self.waiting.borrow_mut().extend(chunk.endpoints.into_iter().zip(chunk.events));
        }
    }

    fn take(&self, poster: &Poster) -> Option<(usize, Request)> {
        let (endpoint, event) = self.waiting.borrow_mut().pop_front()?;
        Some((endpoint, poster.request(endpoint, &[event])))
    }
}

/// Events that cross threads together.
struct Chunk {
    /// Of a batch's events, which all go to one.
    endpoint: usize,
    /// Of the others' events, one by one.
    endpoints: Vec<usize>,
    events: Vec<Arc<Event>>,
    /// When the first of them came.
    since: Instant,
}

impl Chunk {
    fn empty() -> Self {
        Chunk { endpoint: 0, endpoints: Vec::new(), events: Vec::new(), since: Instant::now() }
    }
}

/// The poll thread.
struct Poll {
    consumer: BaseConsumer,
    sources: Vec<Arc<dyn EventSource>>,
    arbiters: Vec<mpsc::Sender<Chunk>>,
    endpoint_of_tenant: HashMap<Vec<u8>, usize>,
    /// One for each arbiter, or for each endpoint when batching.
    filling: Vec<Chunk>,
    chunk_events: usize,
    batches: bool,
    endpoints: usize,
    turn: usize,
}

impl Poll {
    fn new(arguments: &Arguments, arbiters: Vec<mpsc::Sender<Chunk>>) -> io::Result<Self> {
        let consumer = consumer(&arguments.brokers, &arguments.topics, arguments.partitions)?;
        let batches = arguments.batch_events.is_some();
        let lanes = if batches { arguments.endpoints } else { arbiters.len() };
        Ok(Poll {
            consumer,
            sources: (0..arguments.partitions)
                .map(|partition| {
                    let topic = Arc::from(arguments.topics[0].as_str());
                    Arc::new(Unattended(SourceName { kind: SourceKind::Live, topic, partition }))
                        as Arc<dyn EventSource>
                })
                .collect(),
            arbiters,
            endpoint_of_tenant: (0..arguments.tenants)
                .map(|tenant| (addresses::tenant(tenant).into_bytes(), tenant % arguments.endpoints))
                .collect(),
            filling: (0..lanes).map(|_| Chunk::empty()).collect(),
            chunk_events: arguments.batch_events.unwrap_or(CHUNK_EVENTS),
            batches,
            endpoints: arguments.endpoints,
            turn: 0,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut looked_at_age = Instant::now();
        loop {
            let idle = match self.take(Duration::ZERO)? {
                true => false,
                false => {
                    if !self.batches {
                        self.hand_on_all(None);
                    }
                    !self.take(POLL_TIMEOUT)?
                }
            };
            if self.batches && (idle || looked_at_age.elapsed() > POLL_TIMEOUT) {
                looked_at_age = Instant::now();
                self.hand_on_all(Some(looked_at_age));
            }
        }
    }

    fn take(&mut self, timeout: Duration) -> io::Result<bool> {
        let Some(message) = self.consumer.poll(timeout) else { return Ok(false) };
        let message = message.map_err(io::Error::other)?;
        let tenant = tenant(&message);
        let endpoint = match self.endpoints {
            1 => 0,
            _ => *tenant.and_then(|tenant| self.endpoint_of_tenant.get(tenant)).unwrap_or(&0),
        };
        let lane = match (self.batches, self.endpoints) {
            (true, _) => endpoint,
            (false, 1) => self.turn,
            (false, _) => endpoint % self.arbiters.len(),
        };
        let source = &self.sources[message.partition() as usize];
        let event = bare_post::event(source, &message, tenant.unwrap_or_default());
        let chunk = &mut self.filling[lane];
        if chunk.events.is_empty() {
            *chunk = Chunk { endpoint, ..Chunk::empty() };
        }
        chunk.events.push(event);
        if !self.batches {
            chunk.endpoints.push(endpoint);
        }
        if chunk.events.len() >= self.chunk_events {
            self.hand_on(lane);
        }
        Ok(true)
    }

    /// What is there; of batches only those old enough.
    fn hand_on_all(&mut self, now: Option<Instant>) {
        for lane in 0..self.filling.len() {
            let chunk = &self.filling[lane];
            let due = now.is_none_or(|now| now.duration_since(chunk.since) >= BATCH_WAIT);
            if !chunk.events.is_empty() && due {
                self.hand_on(lane);
            }
        }
    }

    /// Waits when the arbiter is behind: librdkafka's own limits then hold the rest in Kafka.
    fn hand_on(&mut self, lane: usize) {
        let chunk = std::mem::replace(&mut self.filling[lane], Chunk::empty());
        let arbiter = if self.batches && self.endpoints == 1 { self.turn } else { lane % self.arbiters.len() };
        self.turn = (self.turn + 1) % self.arbiters.len();
        if self.arbiters[arbiter].blocking_send(chunk).is_err() {
            eprintln!("an arbiter of the bare loop is gone");
            std::process::exit(1);
        }
    }
}

fn tenant<'a>(message: &'a BorrowedMessage<'_>) -> Option<&'a [u8]> {
    let headers = message.headers()?;
    headers.iter().find(|header| header.key == "tenant")?.value
}

fn consumer(brokers: &str, topics: &[String], partitions: i32) -> io::Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bare-loop")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .map_err(io::Error::other)?;
    let mut all = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::Beginning).map_err(io::Error::other)?;
        }
    }
    consumer.assign(&all).map_err(io::Error::other)?;
    Ok(consumer)
}

const CHUNK_EVENTS: usize = 256;
const CHUNKS_WAITING_MAX: usize = 16;
const BATCH_WAIT: Duration = Duration::from_secs(1);
const POLL_TIMEOUT: Duration = Duration::from_millis(20);
