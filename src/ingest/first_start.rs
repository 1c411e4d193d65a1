//! ● Where a group's very first start begins: fixed once, in Postgres, so that a second instance or a crash in
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

/// Where partitions without a committed offset begin.
#[derive(Debug, Clone, Default)]
pub struct FirstStart {
    positions: HashMap<(String, i32), i64>,
    at_ms: i64,
}

impl FirstStart {
    #[must_use]
    pub fn new(positions: HashMap<(String, i32), i64>, at_ms: i64) -> Self {
        FirstStart { positions, at_ms }
    }

    /// When the first start was, in milliseconds since 1970.
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// The partition existed at the group's first start.
    #[must_use]
    pub fn knows(&self, topic: &str, partition: i32) -> bool {
        self.positions.contains_key(&(topic.to_owned(), partition))
    }

    /// A partition that did not exist at the group's first start begins at its beginning. `since` is its first record
    /// since then, as it is now: in a topic that was deleted and made again all records are, at whatever offsets.
    #[must_use]
    pub fn position(&self, topic: &str, partition: i32, since: Option<i64>) -> Offset {
        match self.positions.get(&(topic.to_owned(), partition)) {
            Some(offset) => Offset::Offset(since.map_or(*offset, |since| since.min(*offset))),
            None => Offset::Beginning,
        }
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
    let metadata = consumer.fetch_metadata(None, KAFKA_TIMEOUT)?;
    for topic in metadata.topics().iter().filter(|topic| topics.may_contain(topic.name())) {
        for partition in topic.partitions() {
            asked.add_partition_offset(topic.name(), partition.id(), Offset::from_raw(time))?;
        }
    }
    if asked.count() == 0 {
        return Ok(HashMap::new());
    }
    let found = consumer.offsets_for_times(asked, KAFKA_TIMEOUT)?;
    let mut rows = HashMap::with_capacity(found.count());
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
    use super::*;

    #[test]
    fn a_partition_born_after_the_first_start_begins_at_its_beginning() {
        let first_start = first_start();
        assert_eq!(first_start.position("orders", 0, None), Offset::Offset(42));
        assert_eq!(first_start.position("orders", 1, None), Offset::Beginning);
        assert_eq!(first_start.position("refunds", 0, None), Offset::Beginning);
    }

    #[test]
    fn a_topic_made_again_begins_with_its_first_record_and_not_at_an_offset_of_the_one_before() {
        assert_eq!(first_start().position("orders", 0, Some(0)), Offset::Offset(0));
        assert_eq!(first_start().position("orders", 0, Some(50)), Offset::Offset(42), "clocks may be apart");
    }

    fn first_start() -> FirstStart {
        FirstStart::new(HashMap::from([(("orders".to_owned(), 0), 42)]), 0)
    }
}
