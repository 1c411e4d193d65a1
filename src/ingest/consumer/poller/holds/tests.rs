//! Topics that are held and released.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use tokio::sync::mpsc;

use super::*;
use crate::{
    clock,
    flow::{counters::FlowCounters, read_window::ReadWindowOptions},
    ingest::{
        actor::IngestActor,
        backpressure::{PartitionLimits, ReadThrottle, StorePressure},
        consumer::{ConsumerSettings, ConsumerState, OffsetLostPolicy, Topics},
        first_start::FirstStartPositions,
        rebalance::{Assigned, PollContext},
        testing,
        topic_holds::TopicHolds,
    },
};

#[derive(Debug)]
struct NoWriters;

impl StorePressure for NoWriters {
    fn is_full(&self) -> bool {
        false
    }
    fn holds_up(&self, _topic: &str, _partition: i32) -> bool {
        false
    }
    fn waiting_events(&self) -> u64 {
        0
    }
    fn stored_ever(&self) -> u64 {
        0
    }
}

struct NoActors;

impl Assigned for NoActors {
    fn start_ingest(&self, _: Arc<PartitionLedger>) -> actix::Addr<IngestActor> {
        unreachable!("nothing is assigned")
    }
}

/// A poller without a broker, that has one partition.
fn poller(holds: &Arc<TopicHolds>, ledger: &Arc<PartitionLedger>) -> Poller {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "holds");
    let settings = ConsumerSettings {
        client: client.clone(),
        topics: Topics::Names(Vec::new()),
        offset_lost: OffsetLostPolicy::Earliest,
        commit_interval: Duration::from_secs(1),
        park_after: Duration::from_secs(1),
        limits: PartitionLimits::new(1, 1),
        chunk_events_max: 1,
        memory_bytes_max: 1,
        window: ReadWindowOptions { wait_target: Duration::from_secs(1), events_min: 1, bytes_max: 1 },
        flow: Arc::new(FlowCounters::new(1)),
        store: Arc::new(NoWriters),
        brake: Arc::new(ReadThrottle::default()),
        holds: Arc::clone(holds),
    };
    let state = Arc::new(ConsumerState::new(clock::now()));
    let first_start = Arc::new(FirstStartPositions::default());
    let context = PollContext::new(first_start, mpsc::unbounded_channel().0, Arc::clone(&state));
    let consumer = client.create_with_context(context).expect("it connects to nothing yet");
    let mut poller = Poller::new(consumer, &settings, state, Box::new(NoActors));
    poller.partitions.push(testing::partition(ledger));
    poller
}

#[actix_rt::test]
async fn a_partition_that_cannot_go_back_stays_held_until_it_can() {
    let (holds, ledger, now) = (Arc::new(TopicHolds::default()), testing::ledger(), clock::now());
    let mut poller = poller(&holds, &ledger);
    holds.change([ledger.topic_name()].into(), || ());
    poller.follow_holds(now);
    assert!(ledger.is_topic_held());
    holds.change(Default::default(), || ());
    poller.follow_holds(now);
    assert!(ledger.is_topic_held(), "the client has no such partition, so it does not seek");
    assert!(!ledger.has_failed(), "nothing was lost of it");

    let mut assigned = TopicPartitionList::new();
    assigned.add_partition_offset(ledger.topic(), ledger.partition(), Offset::Offset(5)).expect("an offset");
    poller.consumer.assign(&assigned).expect("it needs no broker");
    drop(assigned);
    poller.follow_holds(now);
    assert!(ledger.is_topic_held(), "it is not tried all the time");
    poller.follow_holds(now + REREAD_SPACING);
    assert!(!ledger.is_topic_held());
}
