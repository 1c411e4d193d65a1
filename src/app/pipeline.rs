//! ● The path of an event, wired: cores with routers and endpoint actors, their supervisor, and the consumer in front.

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use actix::Actor as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    Error,
    canary::CanaryTarget,
    core_threads::{self, CoreShared, Cores},
    local_outage,
};
use crate::{
    attempts::AttemptWriter,
    backlog::writer::BacklogWriter,
    clock,
    config::{self, Config},
    dead_letter::{
        letter::{Letter, NO_ENDPOINT},
        writer::DeadLetterWriter,
    },
    endpoint::{
        local_outage::LocalOutage,
        queue::MATCHED_LONG_AGO,
        supervisor::{NoticeReceiver, Notices, OnGone, Rebuild, Supervisor},
        tls::Tls,
    },
    flow::read_window::ReadWindowOptions,
    ingest::{
        backpressure::{PartitionLimits, ReadThrottle, StorePressure},
        consumer::{self, Consumer, ConsumerSettings, OffsetLostPolicy, Topics},
        first_start::FirstStartPositions,
    },
    model::{
        disposition::{GivenUp, Reason},
        receipt::{ABANDONS_MAX, Abandoned, Receipt, Settlement},
    },
    router::{actor::push, table::RoutingTable},
    telemetry::handles::SettlementMetrics,
};

/// The poll thread has committed what it stores by then; librdkafka's own look at all partitions is for what it could not.
const COMMIT_AGAIN: Duration = Duration::from_secs(5);

/// Events that may wait at once while nothing leaves, for each core. At 5 ms a delivery these are 50,000 a second.
const WINDOW_CORE_EVENTS_MIN: u64 = 256;

/// The path of events from Kafka to the endpoints.
pub struct Pipeline {
    pub consumer: Consumer,
    pub cores: Cores,
    pub notices: Notices,
    /// The channel through which receipts that were dropped unsettled report themselves.
    pub abandoned: UnboundedSender<Abandoned>,
    pub local_outage: Arc<LocalOutage>,
}

/// The writers to PostgreSQL.
pub struct EventWriters<'a> {
    pub backlog: &'a BacklogWriter,
    pub dead_letters: &'a DeadLetterWriter,
    pub attempts: &'a AttemptWriter,
}

impl Pipeline {
    /// Starts everything, the consumer last.
    ///
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn start(
        config: &Arc<Config>,
        table: &Arc<RoutingTable>,
        first_start: FirstStartPositions,
        EventWriters { backlog, dead_letters, attempts }: EventWriters<'_>,
        instances: &Arc<AtomicU32>,
        on_gone: OnGone,
        (connections_max, canary): (usize, CanaryTarget),
    ) -> Result<Self, Error> {
        let (notices, notice_receiver) = Notices::channel();
        let local_outage = Arc::new(LocalOutage::new(config.delivery.local_outage_customers_min, clock::now()));
        let shared = CoreShared {
            table: Arc::clone(table),
            notices: notices.clone(),
            backlog: backlog.clone(),
            dead_letters: dead_letters.clone(),
            attempts: attempts.clone(),
            local_outage: Arc::clone(&local_outage),
            instances: Arc::clone(instances),
            tls: Tls::of_this_machine(),
            connections_max,
            canary,
        };
        let cores = Cores::start(config, &Arc::new(shared));
        supervise(config, notice_receiver, &cores, backlog.clone(), on_gone);
        let (abandoned, receiver) = unbounded_channel();
        actix_rt::spawn(take_up_abandoned(receiver, Arc::clone(table), notices.clone(), dead_letters.clone()));
        let brake = Arc::new(ReadThrottle::default());
        actix_rt::spawn(local_outage::watch(Arc::clone(&local_outage), Arc::clone(&brake), Arc::clone(table)));
        let ingest = &config.ingest;
        let settings = ConsumerSettings {
            client: consumer_client(config),
            topics: topics(config),
            offset_lost: match config.kafka.offset_lost {
                config::OffsetLostSetting::Earliest => OffsetLostPolicy::Earliest,
                config::OffsetLostSetting::Latest => OffsetLostPolicy::Latest,
                config::OffsetLostSetting::Stop => OffsetLostPolicy::Stop,
            },
            commit_interval: config.kafka.commit_interval(),
            park_after: config.delivery.park_after(),
            limits: PartitionLimits::new(ingest.partition_events_max as u64, ingest.partition_bytes_max as u64),
            window: ReadWindowOptions {
                wait_target: ingest.wait_target(),
                events_min: WINDOW_CORE_EVENTS_MIN * core_threads::count(config) as u64,
                bytes_max: ReadWindowOptions::bytes_max_of_endpoint(config.delivery.endpoint_bytes_max),
            },
            flow: Arc::clone(table.flow()),
            chunk_events_max: ingest.chunk_events_max,
            memory_bytes_max: ingest.memory_bytes_max as u64,
            store: Arc::new(Writers { backlog: backlog.clone(), dead_letters: dead_letters.clone() }),
            brake,
            holds: Arc::clone(table.holds()),
        };
        let starter = cores.ingest_starter(Arc::clone(config), dead_letters.clone());
        let consumer = Consumer::start(&settings, first_start, abandoned.clone(), starter)?;
        Ok(Pipeline { consumer, cores, notices, abandoned, local_outage })
    }
}

/// The writers that reading has to wait for.
#[derive(Debug)]
struct Writers {
    backlog: BacklogWriter,
    dead_letters: DeadLetterWriter,
}

impl StorePressure for Writers {
    fn is_full(&self) -> bool {
        self.dead_letters.is_full()
    }

    fn holds_up(&self, topic: &str, partition: i32) -> bool {
        self.dead_letters.holds_up(topic, partition)
    }

    fn waiting_events(&self) -> u64 {
        self.backlog.queued_events() as u64
    }

    fn stored_ever(&self) -> u64 {
        self.backlog.stored_events()
    }
}

pub fn topics(config: &Config) -> Topics {
    if config.kafka.topics_pattern.is_empty() {
        Topics::Names(config.kafka.topics.clone())
    } else {
        Topics::Pattern(config.kafka.topics_pattern.clone())
    }
}

/// A client of no group: for those who produce.
pub fn plain_client(config: &Config) -> rdkafka::ClientConfig {
    let mut client = rdkafka::ClientConfig::new();
    for (name, value) in config.kafka.client_properties() {
        client.set(name, value);
    }
    client
}

pub fn consumer_client(config: &Config) -> rdkafka::ClientConfig {
    let kafka = &config.kafka;
    let mut client = consumer::client_config(&kafka.brokers, &kafka.group_id, kafka.properties.iter());
    client
        .set("session.timeout.ms", kafka.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", kafka.heartbeat_interval_ms.to_string())
        .set("auto.commit.interval.ms", kafka.commit_interval().max(COMMIT_AGAIN).as_millis().to_string())
        .set("topic.metadata.refresh.interval.ms", kafka.metadata_refresh_ms.to_string());
    client
}

fn supervise(config: &Config, notices: NoticeReceiver, cores: &Cores, backlog: BacklogWriter, on_gone: OnGone) {
    let rebuild = Rebuild { base: config.delivery.rebuild_base(), max: config.delivery.rebuild_max() };
    let parking = (backlog, config.delivery.park_after());
    Supervisor::new(notices, cores.handles(), cores.routed(), rebuild, parking, on_gone).start();
}

/// Events whose receipts were dropped unsettled (a panic) go back into their endpoint's queue; the third time they are
/// given up.
async fn take_up_abandoned(
    mut abandoned: UnboundedReceiver<Abandoned>,
    table: Arc<RoutingTable>,
    notices: Notices,
    dead_letters: DeadLetterWriter,
) {
    let metrics = SettlementMetrics::new();
    while let Some(abandoned) = abandoned.recv().await {
        metrics.abandoned.increment(1);
        let queue = table.endpoints().get(abandoned.endpoint()).cloned();
        let abandons = abandoned.abandons;
        let receipt: Receipt = abandoned.into_receipt();
        if receipt.endpoint() == NO_ENDPOINT {
            // A record that was to be stored for the operator: it still is.
            let given_up = GivenUp { receipt, reason: Reason::Internal, attempts: u32::from(abandons), last: None };
            dead_letters.submit([Letter::of_record(given_up)]);
            continue;
        }
        match queue {
            None => receipt.settle(Settlement::Cancelled),
            Some(queue) if abandons >= ABANDONS_MAX => {
                let attempts = receipt.attempts_so_far();
                let given_up = GivenUp { receipt, reason: Reason::Internal, attempts, last: None };
                dead_letters.submit_given_up(&queue.settings(), vec![given_up]);
            }
            Some(queue) => push(&queue, [receipt], MATCHED_LONG_AGO, &notices),
        }
    }
}
