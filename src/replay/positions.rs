//! ● Beginnings and ends of partitions, and the offset of a time: asked of Kafka once, when a replay is asked for.

use std::{collections::HashSet, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use super::range::{self, Extent, Share};
use crate::{
    fair_share::{
        shares::Refused,
        turns::{self, Turns},
    },
    ingest::consumer::Topics,
};

/// Handle for asking. Cheap to clone.
#[derive(Clone)]
pub struct OffsetLookup {
    client: ClientConfig,
    topics: Topics,
    /// Each asks with a client of its own: a few at once, shared between those who ask.
    turns: Turns,
}

#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// Events of this topic are not read, so nobody would replay them.
    #[error("is not a topic that this service reads")]
    NotRead,
    #[error("there is no such topic in Kafka")]
    NoTopic,
    #[error("Kafka cannot be asked at the moment: {0}")]
    Unavailable(String),
    /// Others ask already.
    #[error("Kafka is asked too much at the moment")]
    Busy(Refused),
}

impl From<KafkaError> for PositionError {
    fn from(error: KafkaError) -> Self {
        PositionError::Unavailable(error.to_string())
    }
}

impl OffsetLookup {
    /// `client` is the configuration of the service's own consumer: it asks as that group, without ever joining it.
    #[must_use]
    pub fn new(client: ClientConfig, topics: Topics) -> Self {
        OffsetLookup { client, topics, turns: Turns::new("kafka_lookups", CLIENTS_MAX, HOLDER_WAITING_MAX) }
    }

    /// True if this service reads the topic, as far as that can be said without asking Kafka.
    #[must_use]
    pub fn reads(&self, topic: &str) -> bool {
        self.topics.may_contain(topic)
    }

    /// Beginnings and ends of a topic's partitions.
    ///
    /// # Errors
    /// When the topic is not there to be replayed, or Kafka does not answer.
    pub async fn extents(&self, topic: &str) -> Result<Vec<Extent>, PositionError> {
        self.ask(topic, extents).await
    }

    /// The shares of a range of time that begins then (milliseconds since 1970).
    ///
    /// # Errors
    /// As [`OffsetLookup::extents`].
    pub async fn of_times(&self, topic: &str, from_ms: i64) -> Result<Vec<Share>, PositionError> {
        self.ask(topic, move |consumer, topic| {
            let extents = extents(consumer, topic)?;
            let from = at_time(consumer, topic, &extents, from_ms)?;
            Ok(extents.iter().zip(from).map(|(extent, from)| range::of_times(*extent, from)).collect())
        })
        .await
    }

    /// Every partition that there is, whoever reads it.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn partitions(&self) -> Result<HashSet<(String, i32)>, PositionError> {
        let all = move |consumer: &BaseConsumer| {
            let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
            let topics = metadata.topics().iter();
            let places = topics
                .flat_map(|topic| topic.partitions().iter().map(|partition| (topic.name().to_owned(), partition.id())));
            Ok(places.collect())
        };
        self.in_turn(all).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        topic: &str,
        ask: impl FnOnce(&BaseConsumer, &str) -> Result<T, PositionError> + Send + 'static,
    ) -> Result<T, PositionError> {
        if !self.topics.may_contain(topic) {
            return Err(PositionError::NotRead);
        }
        let topic = topic.to_owned();
        self.in_turn(move |consumer| ask(consumer, &topic)).await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&BaseConsumer) -> Result<T, PositionError> + Send + 'static,
    ) -> Result<T, PositionError> {
        let unavailable = |error: &dyn std::fmt::Display| PositionError::Unavailable(error.to_string());
        let turn = self.turns.wait(&turns::holder(), PATIENCE).await.map_err(PositionError::Busy)?;
        let client = self.client.clone();
        let asking = move || {
            let _turn = turn;
            let consumer: BaseConsumer = client.create()?;
            ask(&consumer)
        };
        tokio::task::spawn_blocking(asking).await.map_err(|error| unavailable(&error))?
    }
}

impl std::fmt::Debug for OffsetLookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Positions").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// Asks for all topics: asking for one by name may create it.
fn extents(consumer: &BaseConsumer, topic: &str) -> Result<Vec<Extent>, PositionError> {
    let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic && !found.partitions().is_empty());
    let mut partitions: Vec<i32> =
        found.ok_or(PositionError::NoTopic)?.partitions().iter().map(|partition| partition.id()).collect();
    partitions.sort_unstable();
    partitions.into_iter().map(|partition| extent(consumer, topic, partition).map_err(PositionError::from)).collect()
}

/// Beginning and end of one partition now. Blocks.
pub(super) fn extent(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<Extent, KafkaError> {
    let (low, high) = consumer.fetch_watermarks(topic, partition, TIMEOUT)?;
    Ok(Extent { partition, low, high })
}

/// The first offset at or after a time, in the order of `extents`.
fn at_time(
    consumer: &BaseConsumer,
    topic: &str,
    extents: &[Extent],
    ms: i64,
) -> Result<Vec<Option<i64>>, PositionError> {
    let mut asked = TopicPartitionList::new();
    for extent in extents {
        // Negative numbers are words of the protocol.
        asked.add_partition_offset(topic, extent.partition, Offset::from_raw(ms.max(0)))?;
    }
    let found = consumer.offsets_for_times(asked, TIMEOUT)?;
    let mut offsets = Vec::with_capacity(extents.len());
    for extent in extents {
        let element = found.find_partition(topic, extent.partition);
        let element = element.ok_or_else(|| PositionError::Unavailable("a partition is missing".to_owned()))?;
        element.error()?;
        offsets.push(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        });
    }
    Ok(offsets)
}

const TIMEOUT: Duration = Duration::from_secs(10);
const CLIENTS_MAX: usize = 4;
/// Questions of one who asks that may wait.
const HOLDER_WAITING_MAX: usize = 16;
/// The client waits with us. Of others that fail, each takes up to a few times [`TIMEOUT`].
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn one_who_asks_all_the_time_leaves_room_for_others_and_is_refused_beyond_its_share() {
        let lookup = OffsetLookup::new(ClientConfig::new(), Topics::Names(vec!["orders".to_owned()]));
        let (answers, unanswered) = mpsc::channel::<()>();
        let unanswered = Arc::new(Mutex::new(unanswered));
        let asked = |holder: &str, ask: Box<dyn FnOnce() -> bool + Send>| {
            let lookup = lookup.clone();
            let work = async move { lookup.in_turn(|_| Ok(ask())).await };
            tokio::spawn(turns::on_behalf_of(holder.into(), work))
        };
        let mut greedy: Vec<_> = (0..40)
            .map(|_| {
                let unanswered = Arc::clone(&unanswered);
                asked("greedy", Box::new(move || unanswered.lock().recv().is_ok()))
            })
            .collect();
        let refused = greedy.pop().expect("forty").await.expect("it ran");
        assert!(matches!(refused, Err(PositionError::Busy(Refused::BeyondShare))), "{refused:?}");
        let other = tokio::time::timeout(Duration::from_secs(20), asked("other", Box::new(|| true))).await;
        assert!(matches!(other, Ok(Ok(Ok(true)))), "{other:?}");
        drop(answers);
    }
}
