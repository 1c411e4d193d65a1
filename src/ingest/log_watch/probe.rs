//! ● Another reader's try at a partition that is stalled although nothing seems to be in its way: what it is told is told
//! of that partition alone, in the broker's words.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    clock,
    ingest::stalls::{PartitionName, PartitionStallReason},
};

/// Hears the client's words, which its errors do not carry.
#[derive(Default)]
pub(super) struct ClientErrorListener {
    newest: Mutex<String>,
}

impl ClientContext for ClientErrorListener {
    fn error(&self, _: KafkaError, reason: &str) {
        reason.clone_into(&mut self.newest.lock());
    }
}

impl ConsumerContext for ClientErrorListener {}

/// Times of the tries, and their results.
#[derive(Default)]
pub(super) struct ProbeTries(HashMap<PartitionName, (Instant, Option<(PartitionStallReason, String)>)>);

impl ProbeTries {
    /// The answer to the last try, if there was one.
    pub(super) fn of(&self, name: &PartitionName) -> Option<(PartitionStallReason, String)> {
        self.0.get(name).and_then(|(_, told)| told.clone())
    }

    pub(super) fn keep(&mut self, is_wanted: impl Fn(&PartitionName) -> bool) {
        self.0.retain(|name, _| is_wanted(name));
    }

    /// Tries one of these, from its offset on: the one that was not tried for longest, and none too often.
    pub(super) fn try_next<'a>(
        &mut self,
        consumer: &BaseConsumer<ClientErrorListener>,
        candidates: impl Iterator<Item = (&'a PartitionName, i64)>,
        now: Instant,
    ) {
        let tried_at = |name: &PartitionName| self.0.get(name).map(|(at, _)| *at);
        let is_due =
            |name: &PartitionName| tried_at(name).is_none_or(|at| now.saturating_duration_since(at) >= TRY_EVERY);
        let next = candidates.filter(|(name, _)| is_due(name)).min_by_key(|(name, _)| tried_at(name));
        if let Some((name, offset)) = next {
            let told = read_one(consumer, name, offset)
                .unwrap_or_else(|error| Some((PartitionStallReason::Broker, error.to_string())));
            self.0.insert(name.clone(), (now, told));
        }
    }
}

const TRY_EVERY: Duration = Duration::from_secs(60);
const TRY_FOR: Duration = Duration::from_secs(5);

/// The answer to reading the record at this offset; `None` when it could be read, or nothing came.
fn read_one(
    consumer: &BaseConsumer<ClientErrorListener>,
    (topic, partition): &PartitionName,
    offset: i64,
) -> Result<Option<(PartitionStallReason, String)>, KafkaError> {
    drain(consumer);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, *partition, Offset::Offset(offset))?;
    consumer.assign(&assignment)?;
    let until = clock::now() + TRY_FOR;
    let mut told = None;
    while clock::now() < until {
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(_)) => break,
            Some(Err(error)) => {
                let words = std::mem::take(&mut *consumer.context().newest.lock());
                let words = if words.is_empty() { error.to_string() } else { words };
                told = Some((why(&error), words));
                break;
            }
        }
    }
    consumer.unassign()?;
    Ok(told)
}

/// Throws away what the client had to say before: errors of long ago are no answer to what is asked now.
pub(super) fn drain(consumer: &BaseConsumer<ClientErrorListener>) {
    for _ in 0..DRAIN_MAX {
        if consumer.poll(Duration::ZERO).is_none() {
            break;
        }
    }
    consumer.context().newest.lock().clear();
}

/// Messages at one time: more are for the next time.
const DRAIN_MAX: usize = 10_000;

fn why(error: &KafkaError) -> PartitionStallReason {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed,
        ) => PartitionStallReason::NotAuthorized,
        Some(
            RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::NotImplemented
            | RDKafkaErrorCode::Underflow,
        ) => PartitionStallReason::Unreadable,
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => PartitionStallReason::TopicMissing,
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
            PartitionStallReason::OffsetLost
        }
        _ => PartitionStallReason::Broker,
    }
}
