//! ● What happens when partitions come and go. Every callback here runs inside `poll`, on the poll thread.
//!
//! **Invariant:** on revoke, what is settled is stored, the epoch ends, and the partitions are given back before the
//! callback returns: until then librdkafka pauses the partitions we keep as well (deferring it by 1.5 s stopped them
//! for 2.4 s).

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult},
    statistics::Statistics,
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    actor::IngestActor, consumer::ConsumerState, first_start::FirstStart, ledger::PartitionLedger, receipt::Abandoned,
};
use crate::{clock, telemetry::handles::ConsumerMetrics};

/// The committed offsets of new partitions are asked for this long; librdkafka asks again by itself when that fails.
const COMMITTED_TIMEOUT: Duration = Duration::from_secs(5);

fn known(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) if offset >= 0 => Some(offset),
        _ => None,
    }
}

/// Starts what reads an assigned partition.
pub trait Assigned: Send {
    fn start_ingest(&self, ledger: Arc<PartitionLedger>) -> actix::Addr<IngestActor>;
}

/// A topic and a partition of it.
pub type Name = (Arc<str>, i32);

/// What the callbacks know and change.
pub struct PollContext {
    first_start: FirstStart,
    abandoned: UnboundedSender<Abandoned>,
    state: Arc<ConsumerState>,
    ledgers: Mutex<HashMap<Name, Arc<PartitionLedger>>>,
    epoch: AtomicU64,
    /// The poll loop has not yet followed the newest assignment.
    changed: AtomicBool,
    /// When the offsets now being committed were stored.
    stored_at: Mutex<Option<Instant>>,
    pub metrics: ConsumerMetrics,
}

impl PollContext {
    pub fn new(first_start: FirstStart, abandoned: UnboundedSender<Abandoned>, state: Arc<ConsumerState>) -> Self {
        PollContext {
            first_start,
            abandoned,
            state,
            ledgers: Mutex::default(),
            epoch: AtomicU64::new(0),
            changed: AtomicBool::new(false),
            stored_at: Mutex::new(None),
            metrics: ConsumerMetrics::new(),
        }
    }

    /// True once after each rebalance.
    pub fn take_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed) && self.changed.swap(false, Ordering::AcqRel)
    }

    pub fn ledgers(&self) -> Vec<Arc<PartitionLedger>> {
        self.ledgers.lock().values().cloned().collect()
    }

    /// A fresh ledger, a new epoch, for a partition that goes on being ours.
    pub fn renew(&self, topic: &Arc<str>, partition: i32, start: Option<i64>) -> Arc<PartitionLedger> {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        let ledger = Arc::new(PartitionLedger::new(Arc::clone(topic), partition, epoch, start, self.abandoned.clone()));
        self.ledgers.lock().insert((Arc::clone(topic), partition), Arc::clone(&ledger));
        ledger
    }

    /// Offsets were stored; the next commit answers for them.
    pub fn stored(&self, now: Instant) {
        self.stored_at.lock().get_or_insert(now);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let starts = self.starting_positions(consumer, partitions);
        for element in partitions.elements() {
            let topic: Arc<str> = Arc::from(element.topic());
            let start =
                starts.find_partition(element.topic(), element.partition()).and_then(|start| match start.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                });
            self.renew(&topic, element.partition(), start);
        }
        if let Err(error) = consumer.incremental_assign(&starts) {
            tracing::error!(%error, "taking over partitions failed; the group assigns them again");
        }
        self.metrics.assigned.increment(partitions.count() as u64);
        tracing::info!(partitions = partitions.count(), "partitions assigned");
    }

    /// Where each partition begins: what the group committed, else where its first start was fixed, else its beginning.
    fn starting_positions(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) -> TopicPartitionList {
        let mut asked = TopicPartitionList::new();
        for element in partitions.elements() {
            asked.add_partition(element.topic(), element.partition());
        }
        if asked.count() == 0 {
            return asked; // empty assignments happen
        }
        match consumer.committed_offsets(asked.clone(), COMMITTED_TIMEOUT) {
            Ok(committed) => {
                let since = self.since_first_start(consumer, &committed);
                let mut starts = TopicPartitionList::new();
                for element in committed.elements() {
                    let offset = match element.offset() {
                        Offset::Offset(offset) if offset >= 0 => Offset::Offset(offset),
                        _ => {
                            let (topic, partition) = (element.topic(), element.partition());
                            let since = since.find_partition(topic, partition).and_then(|since| known(since.offset()));
                            self.first_start.position(topic, partition, since)
                        }
                    };
                    let _ = starts.add_partition_offset(element.topic(), element.partition(), offset);
                }
                starts
            }
            Err(error) => {
                // librdkafka asks for the committed offsets itself; where there are none it begins at the earliest:
                // at worst more than was asked for, never less.
                tracing::warn!(%error, "the group's committed offsets cannot be read; librdkafka asks for them again");
                asked
            }
        }
    }

    /// The first records since the group's first start, of the partitions that have no commit although they were there
    /// then: for most of them it is just that, but a topic may have been deleted and made again.
    fn since_first_start(&self, consumer: &BaseConsumer<Self>, committed: &TopicPartitionList) -> TopicPartitionList {
        let mut asked = TopicPartitionList::new();
        for element in committed.elements() {
            let (topic, partition) = (element.topic(), element.partition());
            if known(element.offset()).is_none() && self.first_start.knows(topic, partition) {
                let _ = asked.add_partition_offset(topic, partition, Offset::Offset(self.first_start.at_ms()));
            }
        }
        if asked.count() == 0 {
            return asked;
        }
        consumer.offsets_for_times(asked, COMMITTED_TIMEOUT).unwrap_or_else(|error| {
            tracing::warn!(%error, "whether topics were made again is not known; they begin where the group began");
            TopicPartitionList::new()
        })
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let mut settled = TopicPartitionList::new();
        {
            let mut ledgers = self.ledgers.lock();
            for element in partitions.elements() {
                let Some(ledger) = ledgers.remove(&(Arc::from(element.topic()), element.partition())) else { continue };
                if let Some(offset) = ledger.committable()
                    && !lost
                {
                    let _ = settled.add_partition_offset(element.topic(), element.partition(), Offset::Offset(offset));
                }
                ledger.revoke();
            }
        }
        if settled.count() > 0
            && let Err(error) = consumer.store_offsets(&settled)
        {
            tracing::warn!(%error, "storing the last settled offsets failed; the new owner sends some events again");
        }
        drop(settled);
        // librdkafka remembers a pause beyond the assignment: a partition that comes back would stay silent for ever.
        if let Err(error) = consumer.resume(partitions) {
            tracing::warn!(%error, "resuming partitions before giving them back failed");
        }
        if let Err(error) = consumer.incremental_unassign(partitions) {
            tracing::error!(%error, "giving partitions back failed");
        }
        let counter = if lost { &self.metrics.lost } else { &self.metrics.revoked };
        counter.increment(partitions.count() as u64);
        tracing::info!(partitions = partitions.count(), lost, "partitions revoked");
    }
}

impl ClientContext for PollContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
            _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.metrics.errors.increment(1);
        tracing::warn!(target: "librdkafka", %error, "{reason}");
        *self.state.trouble.lock() = reason.to_owned();
    }

    fn stats(&self, statistics: Statistics) {
        // Its own `consumer_lag` is unknown before the first commit, when it may matter most.
        for ((topic, partition), ledger) in &*self.ledgers.lock() {
            let of_topic = statistics.topics.get(&**topic);
            if let Some(seen) = of_topic.and_then(|topic| topic.partitions.get(partition)) {
                // What belongs to an open transaction cannot be read yet.
                let end = if seen.ls_offset >= 0 { seen.ls_offset } else { seen.hi_offset };
                ledger.saw_log(seen.lo_offset, end);
            }
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        Err("OAUTHBEARER needs librdkafka's own OIDC method: set sasl.oauthbearer.method=oidc".into())
    }
}

impl ConsumerContext for PollContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            _ => self.revoke(consumer, partitions),
        }
        self.state.join();
        self.changed.store(true, Ordering::Release);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        let stored_at = self.stored_at.lock().take();
        match result {
            Ok(()) => {
                self.state.trouble.lock().clear();
                self.metrics.commits_ok.increment(1);
                if let Some(stored_at) = stored_at {
                    self.metrics.commit_seconds.record(clock::now().duration_since(stored_at));
                }
            }
            // Nothing was stored since the last commit.
            Err(KafkaError::ConsumerCommit(rdkafka::error::RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                self.metrics.commits_failed.increment(1);
                tracing::warn!(%error, "commit failed; the next one covers it");
            }
        }
    }
}
