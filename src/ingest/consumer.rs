//! ● The poll thread: it only polls, pauses, resumes, stores offsets and runs the rebalance callbacks.
//!
//! A plain thread, because the rebalance callback runs on whichever thread polls, and an arbiter must never wait for
//! Kafka. Records leave it in chunks, one partition each.
//!
//! **Invariant:** offsets go to Kafka only from this thread, and only what [`PartitionLedger::committable`](super::ledger::PartitionLedger::committable) says: through
//! `store_offsets`, but for one commit by hand where the log is another one than was committed. Rebalance callbacks run on
//! this thread too, so no store can race a revoke.
//! **Invariant:** a record is tracked in its ledger before it is handed on, so whatever is lost behind this thread
//! holds the commit back instead of slipping past it.

pub mod orders; // what others ask of it
mod poller; // its loop
mod state; // what others see of it

use std::{
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use rdkafka::{
    config::{ClientConfig, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};
use tokio::sync::mpsc::UnboundedSender;

use self::poller::Poller;
pub(crate) use self::poller::record_of;
pub use self::state::ConsumerState;
use super::{
    backpressure::{PartitionLimits, ReadThrottle, StorePressure},
    first_start::FirstStartPositions,
    log_watch::LogWatch,
    rebalance::{Assigned, PollContext},
    topic_holds::TopicHolds,
    topic_name::KAFKAS_OWN,
};
use crate::{
    clock,
    flow::{counters::FlowCounters, read_window::ReadWindowOptions},
    model::{receipt::Abandoned, topic::is_kafkas_own},
};

/// Options of the consumer.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    pub client: ClientConfig,
    pub topics: Topics,
    pub offset_lost: OffsetLostPolicy,
    pub commit_interval: Duration,
    /// Time that an event may wait in memory: one that moves nothing for twice as long is stalled.
    pub park_after: Duration,
    pub limits: PartitionLimits,
    /// Records handed on at once.
    pub chunk_events_max: usize,
    /// Bytes that all partitions together may have outstanding.
    pub memory_bytes_max: u64,
    /// Options of the read window.
    pub window: ReadWindowOptions,
    /// Counters of the cores.
    pub flow: Arc<FlowCounters>,
    /// Events that wait for PostgreSQL.
    pub store: Arc<dyn StorePressure>,
    /// Held while nobody can be reached.
    pub brake: Arc<ReadThrottle>,
    /// Topics that are not read for now.
    pub holds: Arc<TopicHolds>,
}

/// The policy for an offset that is not in the log: `kafka.offset_lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetLostPolicy {
    /// With everything that is there: repeated, but not skipped.
    Earliest,
    /// With what comes.
    Latest,
    /// Not at all.
    Stop,
}

impl OffsetLostPolicy {
    /// librdkafka's word for it.
    fn reset(self) -> &'static str {
        match self {
            OffsetLostPolicy::Earliest => "earliest",
            OffsetLostPolicy::Latest => "latest",
            OffsetLostPolicy::Stop => "error",
        }
    }
}

/// The operator's choice of topics, subscribed to by someone or not: a subscription's change is never a rebalance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    Names(Vec<String>),
    /// A regular expression over whole names.
    Pattern(String),
}

impl Topics {
    /// True if a topic may be one of them. A pattern is librdkafka's to match, so here it may be any but Kafka's own.
    #[must_use]
    pub fn may_contain(&self, name: &str) -> bool {
        let is_chosen = match self {
            Topics::Names(names) => names.iter().any(|known| known == name),
            Topics::Pattern(_) => true,
        };
        is_chosen && !is_kafkas_own(name)
    }
}

/// A pattern as librdkafka wants it: of whole names; a leading `^` marks it as one.
#[must_use]
pub fn whole_name(pattern: &str) -> String {
    format!("^({})$", pattern.trim_start_matches('^').trim_end_matches('$'))
}

/// A running poll thread.
pub struct Consumer {
    pub state: Arc<ConsumerState>,
    thread: JoinHandle<()>,
}

impl Consumer {
    /// Subscribes and starts polling. Everything an event needs must be loaded before.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration or the subscription.
    pub fn start(
        settings: &ConsumerSettings,
        first_start: FirstStartPositions,
        abandoned: UnboundedSender<Abandoned>,
        assigned: Box<dyn Assigned>,
    ) -> Result<Self, KafkaError> {
        let state = Arc::new(ConsumerState::new(clock::now()));
        let first_start = Arc::new(first_start);
        let context = PollContext::new(Arc::clone(&first_start), abandoned, Arc::clone(&state));
        let mut client = settings.client.clone();
        client.set("auto.offset.reset", settings.offset_lost.reset());
        let consumer: BaseConsumer<PollContext> = client.create_with_context(context)?;
        match &settings.topics {
            Topics::Names(names) => consumer.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())?,
            Topics::Pattern(pattern) => consumer.subscribe(&[&whole_name(pattern)])?,
        }
        let poller = Poller::new(consumer, settings, Arc::clone(&state), assigned);
        let thread = std::thread::Builder::new()
            .name("kafka-poll".into())
            .spawn(move || {
                // Without this thread nothing is delivered and nobody would notice: the group must move on without us.
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poller.run())).is_err() {
                    tracing::error!("the poll thread panicked; leaving, so that other instances take over");
                    std::process::exit(70);
                }
            })
            .map_err(|error| KafkaError::ClientCreation(format!("cannot start the poll thread: {error}")))?;
        let watch = LogWatch {
            state: Arc::clone(&state),
            client: settings.client.clone(),
            topics: settings.topics.clone(),
            first_start,
            offset_lost: settings.offset_lost,
            park_after: settings.park_after,
        };
        // Nobody waits for its end: it has nothing to leave in order.
        std::thread::Builder::new()
            .name("kafka-watch".into())
            .spawn(move || watch.run())
            .map_err(|error| KafkaError::ClientCreation(format!("cannot start the watch thread: {error}")))?;
        Ok(Consumer { state, thread })
    }

    /// Commits what is settled and leaves the group; others have its partitions at once. Blocks until done.
    pub fn stop(self) {
        self.state.stop.store(true, Ordering::Release);
        if self.thread.join().is_err() {
            tracing::error!("the poll thread panicked; events without a commit are read again by the next owner");
        }
    }
}

/// Bytes of one answer to a fetch, which is in memory as a whole. Half of what librdkafka would make of our queues' size: with
/// 512 partitions that takes 80 MB off the peak, and nothing off the rate.
pub const FETCH_BYTES_MAX: &str = "16777216";
/// An operator that says one of these has a size of its own in mind, and librdkafka refuses sizes that do not fit each other.
const FETCH_SIZES: [&str; 4] =
    ["fetch.max.bytes", "message.max.bytes", "queued.max.messages.kbytes", "receive.message.max.bytes"];

/// The base of every librdkafka configuration of ours; the operator's properties come on top.
#[must_use]
pub fn client_config<'a>(
    brokers: &str,
    group_id: &str,
    properties: impl Iterator<Item = (&'a str, &'a str)>,
) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", brokers)
        .set("group.id", group_id)
        .set("client.id", "postrider")
        .set("fetch.queue.backoff.ms", "5") // the default of 1000 starves a fast drain
        .set("reconnect.backoff.max.ms", "1000") // the default of 10000 outlasts a session
        .set("fetch.wait.max.ms", "500")
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "32768")
        .set("statistics.interval.ms", "5000") // where partitions end
        // How large a batch may become when it is decompressed, too: what does not fit stops its partition for good.
        .set("receive.message.max.bytes", "1073741824")
        .set("socket.nagle.disable", "true");
    let mut is_fetch_sized = false;
    for (key, value) in properties {
        is_fetch_sized |= FETCH_SIZES.contains(&key);
        client.set(key, value);
    }
    if !is_fetch_sized {
        client.set("fetch.max.bytes", FETCH_BYTES_MAX);
    }
    let own = match client.get("topic.blacklist") {
        Some(theirs) if !theirs.is_empty() => format!("{theirs},{KAFKAS_OWN}"),
        _ => KAFKAS_OWN.to_owned(),
    };
    // What the promise rests on, whatever the operator wrote (the configuration refuses these keys with a message).
    client
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.offset.store", "false")
        .set("enable.auto.commit", "true") // commits what was stored, also while partitions are being revoked
        .set("topic.blacklist", own)
        .set("auto.offset.reset", "earliest") // of whoever reads without a group; the group's own is `kafka.offset_lost`
        .set("enable.partition.eof", "false")
        .set_log_level(RDKafkaLogLevel::Warning);
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafkas_own_topics_are_never_read_by_name_or_by_pattern() {
        let names = Topics::Names(vec!["orders".to_owned(), "__consumer_offsets".to_owned()]);
        assert!(names.may_contain("orders") && !names.may_contain("refunds"));
        assert!(!names.may_contain("__consumer_offsets"));
        let all = Topics::Pattern(".*".to_owned());
        assert!(all.may_contain("orders") && all.may_contain("_schemas") && !all.may_contain("__transaction_state"));
    }

    #[test]
    fn what_the_operator_hides_from_the_client_is_hidden_beside_kafkas_own_topics() {
        let blacklist = |properties: &[(&'static str, &'static str)]| {
            let client = client_config("b:1", "g", properties.iter().copied());
            client.get("topic.blacklist").map(str::to_owned)
        };
        assert_eq!(blacklist(&[]).as_deref(), Some("^__"));
        assert_eq!(blacklist(&[("topic.blacklist", "^test")]).as_deref(), Some("^test,^__"));
    }

    #[test]
    fn an_answer_to_a_fetch_is_small_unless_the_operator_has_larger_messages() {
        let of = |properties: &[(&'static str, &'static str)]| {
            let client = client_config("b:1", "g", properties.iter().copied());
            client.create_native_config().expect("librdkafka takes it");
            client.get("fetch.max.bytes").map(str::to_owned)
        };
        assert_eq!(of(&[]).as_deref(), Some(FETCH_BYTES_MAX));
        assert_eq!(of(&[("message.max.bytes", "30000000")]), None);
        assert_eq!(of(&[("queued.max.messages.kbytes", "2048")]), None, "librdkafka fetches no more than that");
        assert_eq!(of(&[("fetch.max.bytes", "60000000")]).as_deref(), Some("60000000"));
    }

    #[test]
    fn a_batch_that_becomes_large_when_it_is_decompressed_fits_unless_the_operator_says_otherwise() {
        let of = |properties: &[(&'static str, &'static str)]| {
            let client = client_config("b:1", "g", properties.iter().copied());
            client.get("receive.message.max.bytes").and_then(|bytes| bytes.parse::<u64>().ok())
        };
        assert!(of(&[]).is_some_and(|bytes| bytes >= 500_000_000));
        assert_eq!(of(&[("receive.message.max.bytes", "200000000")]), Some(200_000_000));
    }
}
