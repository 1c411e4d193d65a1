//! ● Beginnings of assigned partitions: the group's commit in this very log, else the fixed first start, else the
//! beginning.
//!
//! **Invariant:** an offset that was committed of another log is never applied. What is committed carries the topic's id;
//! where the log behind the name is another one, it is read from its beginning.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
};

use super::{
    begin::{Begin, First, GroupCommit, Hold, begin_of, first_of, id_of},
    first_start::{AT_ITS_TIME, FirstStartPositions},
    log_watch::LATEST,
    stalls::PartitionName,
    topic_ids::{self, TopicNow},
};
use crate::clock;

/// Asks Kafka where each of these begins, in a few questions about all of them. Blocks for at most three times `timeout`,
/// which each question has; what it cannot say is [`Begin::Unknown`], to be asked again.
pub fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    first_start: &FirstStartPositions,
    names: &[PartitionName],
    timeout: Duration,
) -> HashMap<PartitionName, Begin> {
    if names.is_empty() {
        return HashMap::new();
    }
    let mut topics: Vec<&str> = names.iter().map(|(topic, _)| &**topic).collect();
    topics.sort_unstable();
    topics.dedup();
    let until = clock::now() + 3 * timeout;
    let left = || timeout.min(until.saturating_duration_since(clock::now()));
    let topics_now = topic_ids::ask(consumer.client(), &topics, left()).unwrap_or_else(|error| {
        tracing::warn!(%error, "topic ids are unavailable; committed offsets are trusted until they are known");
        HashMap::new()
    });
    let (committed, refused) = match committed(consumer, names, left()) {
        Ok(committed) => committed,
        Err(error) => {
            tracing::warn!(%error, "the group's committed offsets cannot be read yet; its partitions wait for them");
            return names.iter().map(|name| (name.clone(), Begin::Unknown(Hold::Commit))).collect();
        }
    };
    let is_uncommitted = |name: &&PartitionName| !committed.contains_key(*name) && !refused.contains(*name);
    let uncommitted: Vec<&PartitionName> = names.iter().filter(is_uncommitted).collect();
    let mut firsts = firsts(consumer, first_start, &uncommitted, &topics_now, &left);
    let begin = |name: &PartitionName| {
        if refused.contains(name) {
            return (name.clone(), Begin::Unknown(Hold::Commit));
        }
        let topic_id = topics_now.get(&*name.0).and_then(TopicNow::id);
        let first = firsts.remove(name).unwrap_or(First::Unwritten);
        (name.clone(), begin_of(committed.get(name), topic_id, first))
    };
    names.iter().map(begin).collect()
}

/// The group's commits, of partitions that have one, and partitions of which the coordinator does not say it.
fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    names: &[PartitionName],
    timeout: Duration,
) -> Result<(HashMap<PartitionName, GroupCommit>, HashSet<PartitionName>), KafkaError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in names {
        asked.add_partition(topic, *partition);
    }
    let found = consumer.committed_offsets(asked, timeout)?;
    let (mut committed, mut refused) = (HashMap::new(), HashSet::new());
    for element in found.elements() {
        let name = (Arc::from(element.topic()), element.partition());
        if let Err(error) = element.error() {
            tracing::warn!(topic = %name.0, partition = name.1, %error, "the group's commit cannot be read yet");
            refused.insert(name);
            continue;
        }
        if let Offset::Offset(offset) = element.offset()
            && offset >= 0
        {
            // Another tool may have written anything as the metadata of its commit, and the crate panics where that is no text.
            let note = catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned())).unwrap_or_default();
            let topic_id = id_of(&note).map(Arc::from);
            committed.insert(name, GroupCommit { offset, topic_id });
        }
    }
    Ok((committed, refused))
}

/// Knowledge of the group's first start in partitions that have no commit.
fn firsts<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    first_start: &FirstStartPositions,
    names: &[&PartitionName],
    topics_now: &HashMap<String, TopicNow>,
    left: &dyn Fn() -> Duration,
) -> HashMap<PartitionName, First> {
    let known = names.iter().filter_map(|name| Some((*name, first_start.offset(&name.0, name.1)?)));
    let known: Vec<(&PartitionName, i64)> = known.collect();
    let leader = |(topic, partition): &PartitionName| topics_now.get(&**topic).and_then(|now| now.leader(*partition));
    let mut led: BTreeMap<i32, Vec<&PartitionName>> = BTreeMap::new();
    for (name, _) in &known {
        if let Some(leader) = leader(name) {
            led.entry(leader).or_default().push(name);
        }
    }
    // Broker by broker: one that does not answer fails the whole question, and takes no more than its part of the time.
    let mut since = HashMap::new();
    for (asked, names) in led.values().enumerate() {
        let until = clock::now() + left() / u32::try_from(led.len() - asked).unwrap_or(u32::MAX);
        let left = || until.saturating_duration_since(clock::now());
        let (unfixed, fixed): (Vec<&PartitionName>, Vec<&PartitionName>) =
            names.iter().partition(|name| first_start.offset(&name.0, name.1) == Some(AT_ITS_TIME));
        since.extend(since_time(consumer, &fixed, first_start.at_ms(), &left));
        since.extend(since_time(consumer, &unfixed, first_start.time_ms(), &left));
    }
    let first = |(name, offset): &(&PartitionName, i64)| {
        let fixed = Some(*offset).filter(|offset| *offset != AT_ITS_TIME);
        ((*name).clone(), first_of(fixed, since.get(*name).copied(), leader(name).is_some()))
    };
    known.iter().map(first).collect()
}

/// The first records since a time, as the log is now; its end where there is none.
fn since_time<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    names: &[&PartitionName],
    at_ms: i64,
    left: &dyn Fn() -> Duration,
) -> HashMap<PartitionName, i64> {
    let found = offsets(consumer, names, at_ms.max(0), left());
    let without: Vec<&PartitionName> = found.iter().filter(|(_, at)| at.is_none()).map(|(name, _)| name).collect();
    let ends = offsets(consumer, &without, LATEST, left());
    let since = found.iter().chain(&ends).filter_map(|(name, at)| Some((name.clone(), (*at)?)));
    since.collect()
}

/// The offset of each of these since `time`, of which ListOffsets knows words as well; `None` where there is none.
fn offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    names: &[&PartitionName],
    time: i64,
    timeout: Duration,
) -> HashMap<PartitionName, Option<i64>> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in names {
        let _ = asked.add_partition_offset(topic, *partition, Offset::from_raw(time));
    }
    if asked.count() == 0 {
        return HashMap::new();
    }
    let found = consumer.offsets_for_times(asked, timeout).unwrap_or_else(|error| {
        tracing::warn!(%error, "the offsets of the group's first start are unavailable; its partitions without a commit wait for them");
        TopicPartitionList::new()
    });
    let elements = found.elements();
    let answered = elements.iter().filter(|element| element.error().is_ok());
    let offset = |offset| match offset {
        Offset::Offset(offset) if offset >= 0 => Some(offset),
        _ => None,
    };
    let at = answered.map(|one| ((Arc::from(one.topic()), one.partition()), offset(one.offset())));
    at.collect()
}
