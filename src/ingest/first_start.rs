//! ● The position of a group's very first start: fixed once, in Postgres, so that a second instance or a crash in
//! between cannot change the answer.
//!
//! "Latest" cannot be left to Kafka's `auto.offset.reset`: that would skip the beginning of every partition born later.

use std::{collections::HashMap, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use super::consumer::Topics;

const KAFKA_TIMEOUT: Duration = Duration::from_secs(10);

/// The operator's choice, from `kafka.first_start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstStartAt {
    Latest,
    Earliest,
    /// Milliseconds since 1970: the first record at or after it.
    Time(i64),
}

/// In place of an offset: nobody led the partition then, so where it begins follows from the time of the first start.
pub const AT_ITS_TIME: i64 = -1;

/// The beginning of partitions without a committed offset. Those that it does not know were born later, and begin at
/// their beginning.
#[derive(Debug, Clone, Default)]
pub struct FirstStartPositions {
    positions: HashMap<(String, i32), i64>,
    at_ms: i64,
    asked_ms: Option<i64>,
}

impl FirstStartPositions {
    #[must_use]
    pub fn new(positions: HashMap<(String, i32), i64>, at_ms: i64, at: FirstStartAt) -> Self {
        let asked_ms = match at {
            FirstStartAt::Time(ms) => Some(ms),
            FirstStartAt::Latest | FirstStartAt::Earliest => None,
        };
        FirstStartPositions { positions, at_ms, asked_ms }
    }

    /// Time of the first start, in milliseconds since 1970.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// The time that partitions without an offset of their own begin at ([`AT_ITS_TIME`]).
    #[must_use]
    pub fn time_ms(&self) -> i64 {
        self.asked_ms.unwrap_or(self.at_ms)
    }

    /// The offset that was fixed for a partition, or [`AT_ITS_TIME`]; `None` for one that was not there then.
    #[must_use]
    pub fn offset(&self, topic: &str, partition: i32) -> Option<i64> {
        self.positions.get(&(topic.to_owned(), partition)).copied()
    }
}

/// Asks Kafka where the first start begins, for every partition there is now. Blocks; for a thread of its own.
///
/// # Errors
/// When Kafka cannot be asked; it is tried again by the caller.
pub fn resolve(
    client: &ClientConfig,
    topics: &Topics,
    at: FirstStartAt,
) -> Result<HashMap<(String, i32), i64>, KafkaError> {
    if at == FirstStartAt::Earliest {
        return Ok(HashMap::new());
    }
    let consumer: BaseConsumer = client.create()?;
    let mut asked = TopicPartitionList::new();
    let time = match at {
        FirstStartAt::Time(ms) => ms,
        FirstStartAt::Latest | FirstStartAt::Earliest => -1, // ListOffsets' word for the end
    };
    let mut rows = HashMap::new();
    let metadata = consumer.fetch_metadata(None, KAFKA_TIMEOUT)?;
    for topic in metadata.topics().iter().filter(|topic| topics.may_contain(topic.name())) {
        for partition in topic.partitions() {
            // One that nobody leads waits alone: where it begins is found out when somebody does.
            if partition.leader() < 0 {
                tracing::warn!(
                    topic = topic.name(),
                    partition = partition.id(),
                    "the partition has no leader; waiting"
                );
                rows.insert((topic.name().to_owned(), partition.id()), AT_ITS_TIME);
            } else {
                asked.add_partition_offset(topic.name(), partition.id(), Offset::from_raw(time))?;
            }
        }
    }
    if asked.count() == 0 {
        return Ok(rows);
    }
    let found = consumer.offsets_for_times(asked, KAFKA_TIMEOUT)?;
    for element in found.elements() {
        element.error()?;
        let offset = match element.offset() {
            Offset::Offset(offset) => offset,
            // No record at or after that time yet: the end, as it is now.
            _ => consumer.fetch_watermarks(element.topic(), element.partition(), KAFKA_TIMEOUT)?.1,
        };
        rows.insert((element.topic().to_owned(), element.partition()), offset);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, Producer as _},
    };

    use super::*;

    /// On a cluster of librdkafka's own: the leader of a real broker's partitions is that broker, as long as it is there.
    #[test]
    fn a_partition_without_a_leader_waits_alone_and_the_others_begin() {
        let cluster = MockCluster::new(1).expect("a cluster");
        cluster.create_topic("orders", 2, 1).expect("a topic");
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: BaseProducer = client.create().expect("a producer");
        for _ in 0..3 {
            producer.send(BaseRecord::<(), _>::to("orders").partition(0).payload("{}")).expect("there is room");
        }
        producer.flush(Duration::from_secs(30)).expect("they are there");
        cluster.partition_leader("orders", 1, None).expect("it loses its leader");
        let topics = Topics::Names(vec!["orders".to_owned()]);
        let found = resolve(&client, &topics, FirstStartAt::Latest).expect("nobody waits for it");
        let orders = |partition| ("orders".to_owned(), partition);
        assert_eq!(found, HashMap::from([(orders(0), 3), (orders(1), AT_ITS_TIME)]));
    }
}
