//! ● Every five seconds, what the rooms have counted goes to the [`Sampler`], and how things stand to the metrics.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use metrics::Histogram;
use parking_lot::Mutex;

use super::{actor_views::ObservedParts, readiness::Health, stalled_endpoints::StalledEndpoints};
use crate::{
    admin::actors::ActorReport as _,
    clock,
    config::Config,
    endpoint::{delivery_metrics::delivered_after, queue::EndpointQueue},
    ingest::ledger::PartitionLedger,
    model::{event::EndpointKey, receipt::tally},
    monitoring::{
        core_counters::{Flow, FlowTotals},
        peers::Peers,
        persistent_diff::PersistentDiff,
        rolling_rate::{STEP_MS, step_of},
        sampler::{EndpointSeen, PartitionSeen, SampledCounters},
    },
    store::{Pool, queue_depths},
    telemetry::gauges::{InstanceGauges, QueueTotals, memory},
};

/// The objects that are sampled.
pub(super) struct SampledParts {
    config: Arc<Config>,
    pool: Pool,
    health: Arc<Health>,
    peers: Arc<Peers>,
    flows: Vec<Arc<Flow>>,
}

impl SampledParts {
    pub(super) fn new(
        config: &Arc<Config>,
        pool: &Pool,
        health: &Arc<Health>,
        peers: &Arc<Peers>,
        flows: Vec<Arc<Flow>>,
    ) -> Self {
        let (config, pool) = (Arc::clone(config), pool.clone());
        SampledParts { config, pool, health: Arc::clone(health), peers: Arc::clone(peers), flows }
    }
}

/// Samples until the process ends.
pub(super) async fn run(looking: SampledParts) {
    let dead_letters: Arc<Mutex<Option<u64>>> = Arc::default();
    actix_rt::spawn(count_dead_letters(looking.pool.clone(), Arc::clone(&dead_letters)));
    let (metrics, mut unaccounted, mut stray) =
        (InstanceGauges::new(), PersistentDiff::default(), PersistentDiff::default());
    let repeat_after = looking.config.operator_events.repeat_after();
    let (mut at_once, mut standing) = (AtOnce::new(), StalledEndpoints::new(repeat_after));
    loop {
        let wall_ms = clock::wall_ms();
        let rest_ms = STEP_MS - wall_ms.rem_euclid(STEP_MS);
        tokio::time::sleep(Duration::from_millis(rest_ms.unsigned_abs())).await;
        let Some(parts) = looking.health.parts() else { continue };
        let letters = *dead_letters.lock();
        // The step that has just ended; an early waking is not a step of its own.
        let seen = looking.collect(parts, step_of(wall_ms), letters);
        {
            let mut sampler = parts.sampler.lock();
            sampler.sample(seen);
            let endpoints = looking.health.table().endpoints();
            sampler.keep_endpoints(|key| endpoints.get(EndpointKey(key)).is_some());
        }
        looking.publish_metrics(parts, &metrics);
        standing.observe(parts, looking.health.table().endpoints().iter(), letters.is_some());
        metrics.dead_letters(letters);
        let difference = parts.consumer.assigned().iter().map(|ledger| ledger.unaccounted()).sum();
        metrics.unaccounted(unaccounted.observe(difference));
        metrics.stray(stray.observe(looking.stray(parts)));
        at_once.publish(&looking.flows);
    }
}

impl SampledParts {
    /// Receipts that neither ended nor are where receipts may be. Told only when nothing moved while it was looked: what is
    /// just being handed on is in no place.
    fn stray(&self, parts: &ObservedParts) -> i64 {
        let before = tally::totals();
        let queued: usize = self.health.table().endpoints().iter().map(|queue| queue.held_receipts()).sum();
        let stored = parts.backlog.held_receipts() + parts.dead_letters.queued_letters() as i64;
        if tally::totals() == before { before.held() - queued as i64 - stored } else { 0 }
    }

    fn collect(&self, parts: &ObservedParts, step: i64, dead_letters: Option<u64>) -> SampledCounters {
        let now = clock::now();
        let partition = |ledger: &Arc<PartitionLedger>| PartitionSeen {
            topic: ledger.topic_name(),
            partition: ledger.partition(),
            epoch: ledger.epoch(),
            received: ledger.received_events(),
            lag: ledger.lag(),
            uncommitted_age_ms: u64::try_from(ledger.uncommitted_age(now).as_millis()).unwrap_or(u64::MAX),
        };
        SampledCounters {
            step,
            flow: FlowTotals::of(self.flows.iter().map(AsRef::as_ref)),
            partitions: parts.consumer.assigned().iter().map(partition).collect(),
            routed: parts.routed.iter().map(|routed| routed.load(Relaxed)).collect(),
            backlog_events: parts.heads.waiting().events,
            dead_letters,
            endpoints: self.health.table().endpoints().iter().filter_map(endpoint).collect(),
        }
    }

    fn publish_metrics(&self, parts: &ObservedParts, metrics: &InstanceGauges) {
        metrics.instances(self.peers.instances().len());
        metrics.endpoints(self.health.endpoint_states());
        let queues = self.health.table().endpoints().iter().fold(QueueTotals::default(), |totals, queue| {
            let bytes = queue.held_bytes();
            QueueTotals {
                lagging: totals.lagging + usize::from(queue.is_lagging()),
                in_flight: totals.in_flight + u64::from(queue.health.in_flight.load(Relaxed)),
                in_flight_limit: totals.in_flight_limit + u64::from(queue.health.in_flight_limit.load(Relaxed)),
                events: totals.events + queue.waiting_events() + queue.health.queued_events.load(Relaxed),
                bytes: totals.bytes + bytes,
                largest_bytes: totals.largest_bytes.max(bytes),
            }
        });
        metrics.queues(queues);
        let outstanding: u64 = parts.consumer.assigned().iter().map(|ledger| ledger.outstanding().1).sum();
        let config = &self.config;
        memory("ingest", usize::try_from(outstanding).unwrap_or(usize::MAX), config.ingest.memory_bytes_max);
        memory("backlog", parts.heads.in_memory().1, config.backlog.memory_bytes_max);
        memory("replay", parts.replays.under_way_bytes(), config.replay.memory_bytes_max);
        memory("dead_letter", parts.dead_letters.queued_bytes(), config.dead_letter.queue_bytes_max);
    }
}

/// Nearly every request is delivered with its first attempt: the cores count them, and this tells.
struct AtOnce {
    told: u64,
    attempts: Histogram,
}

impl AtOnce {
    fn new() -> Self {
        AtOnce { told: 0, attempts: delivered_after() }
    }

    fn publish(&mut self, flows: &[Arc<Flow>]) {
        let delivered: u64 = flows.iter().map(|flow| flow.delivered_at_once.load(Relaxed)).sum();
        self.attempts.record_many(1.0, usize::try_from(delivered.saturating_sub(self.told)).unwrap_or(0));
        self.told = delivered;
    }
}

/// Samples an endpoint; one that never had an attempt is left out.
fn endpoint(queue: &Arc<EndpointQueue>) -> Option<EndpointSeen> {
    let health = &queue.health;
    let (delivered, failed_attempts) = (health.delivered.load(Relaxed), health.failed_attempts.load(Relaxed));
    let took = (delivered + failed_attempts > 0).then(|| health.took.snapshot())?;
    Some(EndpointSeen { key: queue.key.0, delivered, failed_attempts, took })
}

/// Beside the sampling: Postgres may be slow, or away.
async fn count_dead_letters(pool: Pool, known: Arc<Mutex<Option<u64>>>) {
    loop {
        let counted = queue_depths::dead_letters(&pool).await.ok();
        *known.lock() = counted;
        // Counting many takes a while, and a few more or less of many say little.
        let wait = if counted.is_none_or(|letters| letters < FEW) { COUNT_EVERY } else { COUNT_MANY_EVERY };
        tokio::time::sleep(wait).await;
    }
}

const FEW: u64 = 10_000;
const COUNT_EVERY: Duration = Duration::from_secs(5);
const COUNT_MANY_EVERY: Duration = Duration::from_secs(30);
