//! ● A story's topics on the real broker, and what is produced into them.

mod offsets;
pub mod second_broker;

use std::{
    collections::HashSet,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};

use super::{block_on, produced::Produced, service};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The broker, as one story uses it.
pub struct Kafka {
    pub group: String,
    producer: ThreadedProducer<Landing>,
    produced: Arc<Produced>,
    admin: AdminClient<DefaultClientContext>,
    /// Of the story's group, without being a member: it only asks.
    observer: BaseConsumer,
    topics: Mutex<Vec<String>>,
}

/// A record to be produced. What is left open is absent from it.
#[derive(Debug, Clone, Default)]
pub struct Record<'a> {
    pub tenant: Option<&'a str>,
    pub department: Option<&'a str>,
    pub kind: Option<&'a str>,
    pub traceparent: Option<&'a str>,
    pub key: Option<&'a str>,
    /// Instead of a key that is a text.
    pub raw_key: Option<&'a [u8]>,
    /// Behind the others.
    pub raw_headers: &'a [(&'a str, &'a [u8])],
    /// Stands for the key `lane-N`.
    pub lane: Option<u32>,
    pub partition: Option<i32>,
    pub timestamp_ms: Option<i64>,
    /// Instead of `{"seq":…}`.
    pub value: Option<&'a [u8]>,
    /// Adds to `{"seq":…}` up to about this size.
    pub size_bytes: usize,
    /// Leaves out the header `id`.
    pub without_id: bool,
}

/// Tells the books where each record landed.
struct Landing(Arc<Produced>);

impl ClientContext for Landing {}

impl ProducerContext for Landing {
    type DeliveryOpaque = Box<u32>;

    fn delivery(&self, result: &DeliveryResult<'_>, seq: Box<u32>) {
        let landed = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.landed(*seq, landed);
    }
}

impl Kafka {
    pub fn new(group: &str, produced: Arc<Produced>) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers()).set("log_level", "3");
        let admin = config.create().expect("an admin client");
        let observer = config.clone().set("group.id", group).create().expect("an observer");
        let producer = config
            .clone()
            .set("enable.idempotence", "true")
            .set("linger.ms", "2")
            .set("sticky.partitioning.linger.ms", "0") // spread evenly
            .set("topic.metadata.refresh.interval.ms", "500")
            .set("message.max.bytes", "16777216")
            .set("message.timeout.ms", "30000")
            .create_with_context(Landing(Arc::clone(&produced)))
            .expect("a producer");
        Kafka { group: group.to_owned(), producer, produced, admin, observer, topics: Mutex::default() }
    }

    pub fn create_topic(&self, name: &str, partitions: i32) {
        // Some records are years old: the broker must not delete them in the middle of a story.
        self.create_topic_with(name, partitions, &[("retention.ms", "-1")]);
    }

    /// `config` such as `("cleanup.policy", "compact")`.
    pub fn create_topic_with(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = config.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let results = block_on(self.admin.create_topics(&[topic], &AdminOptions::new())).expect("the broker answers");
        results[0].as_ref().expect("a new topic");
        self.topics.lock().unwrap().push(name.to_owned());
    }

    /// A topic with a partition for each of these brokers, and no copies.
    pub fn create_topic_on(&self, name: &str, brokers: &[i32]) {
        let replicas: Vec<&[i32]> = brokers.chunks(1).collect();
        let topic = NewTopic::new(name, replicas.len() as i32, TopicReplication::Variable(&replicas));
        let results = block_on(self.admin.create_topics(&[topic], &AdminOptions::new())).expect("the broker answers");
        results[0].as_ref().expect("a new topic");
        self.topics.lock().unwrap().push(name.to_owned());
    }

    /// Whether a broker answers for this partition.
    pub fn has_leader(&self, topic: &str, partition: i32) -> bool {
        let metadata = self.observer.fetch_metadata(Some(topic), TIMEOUT).expect("metadata");
        let partitions = metadata.topics()[0].partitions();
        partitions.iter().any(|known| known.id() == partition && known.leader() >= 0)
    }

    /// A partition begins here from now on.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, partition, Offset::Offset(before)).expect("a place");
        let deleted = block_on(self.admin.delete_records(&place, &AdminOptions::new())).expect("an answer");
        deleted.elements().iter().for_each(|element| element.error().expect("they are deleted"));
    }

    /// Deletes a topic, with all that the group has committed of it.
    pub fn delete_topic(&self, name: &str) {
        let deleted = block_on(self.admin.delete_topics(&[name], &AdminOptions::new())).expect("a broker");
        deleted[0].as_ref().expect("the topic was there");
    }

    /// Makes a topic of this name again; false while the one before is not yet gone.
    pub fn make_again(&self, name: &str, partitions: i32) -> bool {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        block_on(self.admin.create_topics(&[topic], &AdminOptions::new())).expect("the broker answers")[0].is_ok()
    }

    /// Grows a topic.
    pub fn create_partitions(&self, topic: &str, count: usize) {
        let more = NewPartitions::new(topic, count);
        let results = block_on(self.admin.create_partitions(&[more], &AdminOptions::new())).expect("an answer");
        results[0].as_ref().expect("new partitions");
    }

    /// Hands an event to Kafka and returns its number; [`Kafka::flush`] waits until it is there.
    pub fn send(&self, topic: &str, record: &Record<'_>) -> u32 {
        let seq = self.produced.add(topic, record.tenant, record.department, record.lane);
        let id = (!record.without_id).then(|| event_id(topic, seq));
        let payload = payload(seq, record.size_bytes);
        let mut headers = OwnedHeaders::new();
        let fields = [
            ("id", id.as_deref()),
            ("tenant", record.tenant),
            ("department", record.department),
            ("type", record.kind),
            ("traceparent", record.traceparent),
        ];
        for (key, value) in fields {
            if value.is_some() {
                headers = headers.insert(Header { key, value });
            }
        }
        for (key, value) in record.raw_headers {
            headers = headers.insert(Header { key, value: Some(*value) });
        }
        let mut next = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, Box::new(seq))
            .payload(record.value.unwrap_or(payload.as_bytes()))
            .headers(headers);
        let lane = record.lane.map(|lane| format!("lane-{lane}"));
        if let Some(key) = record.raw_key.or(record.key.or(lane.as_deref()).map(str::as_bytes)) {
            next = next.key(key);
        }
        if let Some(partition) = record.partition {
            next = next.partition(partition);
        }
        if let Some(timestamp) = record.timestamp_ms {
            next = next.timestamp(timestamp);
        }
        // The producer's own queue is its limit: when it is full, wait for room.
        while let Err((error, same)) = self.producer.send::<[u8], [u8]>(next) {
            let full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            assert!(full, "event {seq} cannot be produced: {error}");
            std::thread::sleep(Duration::from_millis(5));
            next = same;
        }
        seq
    }

    /// Waits until Kafka has everything that was sent.
    #[track_caller]
    pub fn flush(&self) {
        self.producer.flush(TIMEOUT).expect("Kafka takes what was sent");
        self.produced.await_landed();
    }

    /// Waits until the producer has heard of a new partition.
    #[track_caller]
    pub fn await_partition(&self, topic: &str, partition: i32) {
        super::eventually_holds("the producer knows the partition", || {
            let metadata = self.producer.client().fetch_metadata(Some(topic), TIMEOUT).expect("metadata");
            metadata.topics()[0].partitions().iter().any(|known| known.id() == partition)
        });
    }

    /// Everybody may do this with a topic from now on, and nothing that was not allowed: the first call takes all else away.
    #[track_caller]
    pub fn allow(&self, topic: &str, operations: &[&str]) {
        let packages = Command::new("dev/fetch").output().expect("where Kafka is");
        let jars = format!("{}/kafka/*", String::from_utf8_lossy(&packages.stdout).trim());
        let operations = operations.iter().flat_map(|operation| ["--operation", operation]);
        let said = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-cp", &jars, "org.apache.kafka.tools.AclCommand"])
            .args(["--bootstrap-server", &brokers(), "--add", "--allow-principal", "User:*", "--topic", topic])
            .args(operations)
            .output()
            .expect("java");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }

    /// Produces records that are no events of the story: a transaction, committed or aborted.
    pub fn transaction(&self, topic: &str, records: u32, committed: bool) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers()).set("transactional.id", format!("{}-{topic}", self.group));
        let producer: BaseProducer = config.create().expect("a producer");
        producer.init_transactions(TIMEOUT).expect("it may begin");
        producer.begin_transaction().expect("it begins");
        for record in 0..records {
            let (key, payload) = (format!("transaction-{record}"), "{}");
            producer.send(BaseRecord::to(topic).key(&key).payload(payload)).expect("it is taken");
        }
        producer.flush(TIMEOUT).expect("Kafka takes what was sent");
        match committed {
            true => producer.commit_transaction(TIMEOUT).expect("it commits"),
            false => producer.abort_transaction(TIMEOUT).expect("it aborts"),
        }
    }

    /// As [`Kafka::transaction`], without an end: whoever gets the producer commits it.
    pub fn open_transaction(&self, topic: &str, records: u32) -> BaseProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers()).set("transactional.id", format!("{}-open-{topic}", self.group));
        let producer: BaseProducer = config.create().expect("a producer");
        producer.init_transactions(TIMEOUT).expect("it may begin");
        producer.begin_transaction().expect("it begins");
        for _ in 0..records {
            producer.send(BaseRecord::<[u8], str>::to(topic).payload("{}")).expect("it is taken");
        }
        producer.flush(TIMEOUT).expect("Kafka takes what was sent");
        producer
    }

    /// Events that reach the broker as one batch, compressed to next to nothing.
    pub fn compressed_batch(&self, topic: &str, events: u32, size_bytes: usize) {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers())
            .set("compression.codec", "zstd")
            .set("message.max.bytes", "200000000")
            .set("batch.size", "200000000")
            .set("queue.buffering.max.kbytes", "400000")
            .set("linger.ms", "5000");
        let producer: ThreadedProducer<Landing> =
            config.create_with_context(Landing(Arc::clone(&self.produced))).expect("a producer");
        for _ in 0..events {
            let seq = self.produced.add(topic, None, None, None);
            let (id, payload) = (event_id(topic, seq), payload(seq, size_bytes));
            let headers = OwnedHeaders::new().insert(Header { key: "id", value: Some(&id) });
            let record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, Box::new(seq));
            let record = record.partition(0).payload(payload.as_bytes()).headers(headers);
            producer.send(record).map_err(|(error, _)| error).expect("it is taken");
        }
        producer.flush(TIMEOUT).expect("Kafka takes what was sent");
        self.produced.await_landed();
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let topics = self.topics.lock().unwrap().clone();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        if !topics.is_empty() {
            let _ = block_on(self.admin.delete_topics(&topics, &AdminOptions::new()));
        }
    }
}

/// How many records a topic has.
pub fn records(topic: &str) -> i64 {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers());
    let observer: BaseConsumer = config.create().expect("an observer");
    let metadata = observer.fetch_metadata(Some(topic), TIMEOUT).expect("metadata");
    let ends = metadata.topics()[0].partitions().iter().map(|partition| {
        let (low, end) = observer.fetch_watermarks(topic, partition.id(), TIMEOUT).expect("watermarks");
        end - low
    });
    ends.sum()
}

/// Where the broker is.
pub fn brokers() -> String {
    service("POSTRIDER_KAFKA_BROKERS")
}

/// The id that the producer gives an event: without dots, which would be escaped in a signed id.
pub fn event_id(topic: &str, seq: u32) -> String {
    format!("{}-{seq}", topic.replace('.', "-"))
}

fn payload(seq: u32, size_bytes: usize) -> String {
    let bare = format!("{{\"seq\":{seq}}}");
    match size_bytes.checked_sub(bare.len() + r#","pad":"""#.len()) {
        Some(pad @ 1..) => format!("{{\"seq\":{seq},\"pad\":\"{}\"}}", "x".repeat(pad)),
        _ => bare,
    }
}
