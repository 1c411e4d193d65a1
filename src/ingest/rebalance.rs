//! ● Assignment and revocation of partitions. Every callback here runs inside `poll`, on the poll thread.
//!
//! **Invariant:** on revoke, what is settled is stored, the epoch ends, and the partitions are given back before the
//! callback returns: until then librdkafka pauses the partitions we keep as well (deferring it by 1.5 s stopped them
//! for 2.4 s).

mod complaints; // what its callbacks say of errors and commits

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
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
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc::UnboundedSender;

pub(in crate::ingest) use self::complaints::made_again;
use super::{
    actor::IngestActor,
    begin::{Begin, Hold, note_of},
    client_report::ClientReport,
    consumer::ConsumerState,
    first_start::FirstStartPositions,
    ledger::PartitionLedger,
    stalls::PartitionName,
    starts,
};
use crate::{model::receipt::Abandoned, telemetry::handles::ConsumerMetrics};

/// Time to ask for the beginning of new partitions, thrice at most; what is not known then waits, and is asked again
/// from elsewhere.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Adds what may be committed of a partition, and of which log it is.
pub(super) fn add_commit(list: &mut TopicPartitionList, ledger: &PartitionLedger, offset: i64) -> KafkaResult<()> {
    let mut element = list.add_partition(ledger.topic(), ledger.partition());
    element.set_offset(Offset::Offset(offset))?;
    if let Some(topic_id) = ledger.topic_id() {
        element.set_metadata(note_of(topic_id));
    }
    Ok(())
}

/// Starts what reads an assigned partition.
pub trait Assigned: Send {
    fn start_ingest(&self, ledger: Arc<PartitionLedger>) -> actix::Addr<IngestActor>;
}

/// State of the callbacks.
pub struct PollContext {
    first_start: Arc<FirstStartPositions>,
    abandoned: UnboundedSender<Abandoned>,
    state: Arc<ConsumerState>,
    ledgers: Mutex<HashMap<PartitionName, Arc<PartitionLedger>>>,
    epoch: AtomicU64,
    /// The poll loop has not yet followed the newest assignment.
    changed: AtomicBool,
    /// The client has reported on the ends of partitions since the poll loop last looked.
    reported: AtomicBool,
    /// A commit did not go through: what was stored is still to be committed.
    uncommitted: AtomicBool,
    /// Time at which the offsets now being committed were stored.
    stored_at: Mutex<Option<Instant>>,
    /// The group's commit is ahead of these, in a log that is gone: librdkafka by itself never commits backwards. With the
    /// positions that were committed by hand since.
    rewinds: Mutex<HashMap<PartitionName, Option<RangeInclusive<i64>>>>,
    /// Partitions that this client has had.
    known: Mutex<HashSet<PartitionName>>,
    pub metrics: ConsumerMetrics,
}

impl PollContext {
    pub fn new(
        first_start: Arc<FirstStartPositions>,
        abandoned: UnboundedSender<Abandoned>,
        state: Arc<ConsumerState>,
    ) -> Self {
        PollContext {
            first_start,
            abandoned,
            state,
            ledgers: Mutex::default(),
            epoch: AtomicU64::new(0),
            changed: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            uncommitted: AtomicBool::new(false),
            stored_at: Mutex::new(None),
            rewinds: Mutex::default(),
            known: Mutex::default(),
            metrics: ConsumerMetrics::new(),
        }
    }

    /// True once after each rebalance.
    pub fn take_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed) && self.changed.swap(false, Ordering::AcqRel)
    }

    /// True once after each of the client's reports, or several.
    pub fn take_reported(&self) -> bool {
        self.reported.swap(false, Ordering::AcqRel)
    }

    /// True once after a commit that did not go through.
    pub fn take_uncommitted(&self) -> bool {
        self.uncommitted.swap(false, Ordering::AcqRel)
    }

    pub fn ledgers(&self) -> Vec<Arc<PartitionLedger>> {
        self.ledgers.lock().values().cloned().collect()
    }

    /// A fresh ledger, a new epoch, for a partition that is read again from here.
    pub fn renew(&self, old: &PartitionLedger, from: i64) -> Arc<PartitionLedger> {
        let topic_id = old.topic_id().cloned();
        self.begin(&(old.topic_name(), old.partition()), &Begin::At { offset: from, topic_id, is_committed: true })
    }

    /// A fresh ledger, a new epoch, for a partition that begins so.
    pub fn begin(&self, name: &PartitionName, begin: &Begin) -> Arc<PartitionLedger> {
        let (start, topic_id) = match begin {
            Begin::At { offset, topic_id, .. } => (Some(*offset), topic_id.clone()),
            Begin::Beginning { topic_id } => (None, topic_id.clone()),
            // Nobody has read anything of it: what retention has removed already is lost.
            Begin::NewLog { topic_id } => (Some(0), Some(Arc::clone(topic_id))),
            Begin::Unknown(_) => (None, None),
        };
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        let (topic, partition) = (Arc::clone(&name.0), name.1);
        let ledger = Arc::new(PartitionLedger::new(topic, partition, epoch, start, self.abandoned.clone()));
        topic_id.into_iter().for_each(|id| ledger.identify(id));
        match begin {
            Begin::Unknown(hold) => ledger.hold(*hold),
            Begin::NewLog { .. } => self.rewind(name),
            // The broker forgets the commits of a topic that is deleted, but this client does not.
            Begin::At { is_committed: false, .. } | Begin::Beginning { .. } => {
                if !self.known.lock().insert(name.clone()) {
                    self.rewind(name);
                }
            }
            Begin::At { is_committed: true, .. } => {
                self.known.lock().insert(name.clone());
            }
        }
        self.ledgers.lock().insert(name.clone(), Arc::clone(&ledger));
        ledger
    }

    /// Notes that this partition's commit lies ahead of where it is read now.
    pub fn rewind(&self, name: &PartitionName) {
        self.rewinds.lock().insert(name.clone(), None);
    }

    /// Partitions whose commit must be taken back by hand.
    pub fn rewinds(&self) -> Vec<PartitionName> {
        self.rewinds.lock().keys().cloned().collect()
    }

    /// This position of the partition is committed by hand.
    pub fn taking_back(&self, name: &PartitionName, offset: i64) {
        if let Some(handed) = self.rewinds.lock().get_mut(name) {
            let first = handed.as_ref().map_or(offset, |handed| *handed.start());
            *handed = Some(first..=offset);
        }
    }

    /// Offsets were stored; the next commit answers for them.
    pub fn stored(&self, now: Instant) {
        self.stored_at.lock().get_or_insert(now);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let name = |topic: &str, partition| (Arc::from(topic), partition);
        let names: Vec<PartitionName> =
            partitions.elements().iter().map(|element| name(element.topic(), element.partition())).collect();
        let mut begins = starts::ask(consumer, &self.first_start, &names, ASK_TIMEOUT);
        let (mut starts, mut held) = (TopicPartitionList::new(), TopicPartitionList::new());
        for name in &names {
            let begin = begins.remove(name).unwrap_or(Begin::Unknown(Hold::Commit));
            let _ = starts.add_partition_offset(&name.0, name.1, offset_of(&begin));
            if matches!(begin, Begin::Unknown(_)) {
                held.add_partition(&name.0, name.1);
            }
            if matches!(begin, Begin::NewLog { .. }) {
                complaints::made_again(&name.0, Some(name.1));
            }
            self.begin(name, &begin);
        }
        if let Err(error) = consumer.incremental_assign(&starts) {
            tracing::error!(%error, "taking over partitions failed; the group assigns them again");
        }
        if held.count() > 0
            && let Err(error) = consumer.pause(&held)
        {
            tracing::error!(%error, "partitions whose beginning is not known could not be paused");
        }
        self.state.membership.join();
        self.metrics.assigned.increment(partitions.count() as u64);
        tracing::info!(partitions = partitions.count(), waiting = held.count(), "partitions assigned");
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
                    let _ = add_commit(&mut settled, &ledger, offset);
                }
                ledger.revoke();
            }
            self.rewinds.lock().retain(|name, _| ledgers.contains_key(name));
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
        if lost {
            self.state.membership.lose()
        } else {
            self.state.membership.join()
        }
        let counter = if lost { &self.metrics.lost } else { &self.metrics.revoked };
        counter.increment(partitions.count() as u64);
        tracing::info!(partitions = partitions.count(), lost, "partitions revoked");
    }
}

/// The offset that librdkafka begins at. One that waits is paused, and sought when its beginning is known.
pub(super) fn offset_of(begin: &Begin) -> Offset {
    match begin {
        Begin::At { offset, .. } => Offset::Offset(*offset),
        Begin::Beginning { .. } | Begin::NewLog { .. } | Begin::Unknown(_) => Offset::Beginning,
    }
}

impl ClientContext for PollContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        complaints::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complain(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match ClientReport::parse(statistics) {
            Ok(report) => self.look_at(&report),
            Err(error) => tracing::warn!(%error, "the statistics of Kafka's client cannot be read"),
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
        self.changed.store(true, Ordering::Release);
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        self.committed(result, offsets);
    }
}
