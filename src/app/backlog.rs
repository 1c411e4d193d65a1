//! ● The backlog, wired: what endpoints park goes to Postgres, and what waits there back into their queues.

use std::{sync::Arc, time::Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::{Error, core_lag::CoreLag, settings_loader::LoadProgress};
use crate::{
    backlog::{
        drainer::{self, DrainerOptions, Heads, Surroundings, ageing::Ageing},
        orphans::Orphans,
        page_read::{EndpointReadiness, MemoryLimits},
        scheduler::EVENTS_MAX,
        writer::BacklogWriter,
    },
    config::{self, Config},
    dead_letter::writer::DeadLetterWriter,
    endpoint::{
        queue::{Pushed, StoredTake},
        supervisor::Notices,
    },
    flow::drain_rate::Load,
    ingest::{consumer::ConsumerState, ledger::PartitionLedger, missed::CatchesUp},
    model::{
        event::{EndpointKey, Event},
        parking::RowCount,
        receipt::{Receipt, Settlement},
        settings::{DeliverySettings, EndpointState, Mode},
    },
    router::table::RoutingTable,
    store::{Pool, PoolOptions, backlog_read::BACKLOG_PLANS},
};

/// Starts the writer, on connections of its own: what is parked must not queue behind anything else.
///
/// # Errors
/// When the URL of Postgres makes no sense.
pub(super) fn start_writer(
    config: &Config,
    dead_letters: &DeadLetterWriter,
    runtime: &Handle,
) -> Result<(BacklogWriter, Arc<Heads>), Error> {
    let pool = own_pool(config, config.backlog.connections_max, runtime)?;
    let heads = Heads::new(room(&config.backlog));
    let watch = Arc::clone(&heads) as _;
    let writer = BacklogWriter::start(pool, (&config.backlog).into(), dead_letters.clone(), watch, runtime);
    Ok((writer, heads))
}

/// Connections for the backlog alone, with plans that stay right whatever the tables' statistics say.
fn own_pool(config: &Config, connections_max: usize, runtime: &Handle) -> Result<Pool, Error> {
    let options = PoolOptions { connections_max, session: BACKLOG_PLANS, ..(&config.postgres).into() };
    Ok(Pool::open_on(&options, runtime.clone())?)
}

/// Starts draining, until the process ends.
///
/// # Errors
/// When the URL of Postgres makes no sense.
pub(super) fn start_drainer(
    config: &Config,
    heads: Arc<Heads>,
    (writer, dead_letters): (&BacklogWriter, &DeadLetterWriter),
    around: DrainContext,
    runtime: &Handle,
) -> Result<(), Error> {
    let pool = own_pool(config, config.backlog.queries_max, runtime)?;
    let backlog = &config.backlog;
    let options = DrainerOptions {
        poll: backlog.poll(),
        refresh: backlog.refresh(),
        queries_max: backlog.queries_max,
        rate: backlog.rate(around.core_lag.cores()),
    };
    let (writer, dead_letters) = (writer.clone(), dead_letters.clone());
    let around: Arc<dyn Surroundings> = Arc::new(around);
    let ageing = Ageing {
        pool: own_pool(config, 1, runtime)?,
        age_max: backlog.age_max(),
        poll: backlog.poll(),
        heads: Arc::clone(&heads),
        dead_letters: dead_letters.clone(),
        surroundings: Arc::clone(&around),
    };
    actix_rt::spawn(ageing.run());
    actix_rt::spawn(async move {
        let never = drainer::run(pool, options, heads, writer, dead_letters, around).await;
        match never {}
    });
    Ok(())
}

fn room(backlog: &config::BacklogSection) -> MemoryLimits {
    MemoryLimits {
        endpoint_bytes_max: backlog.endpoint_memory_bytes_max,
        bytes_max: backlog.memory_bytes_max,
        page_rows_max: backlog.page_rows_max,
        rest: backlog.poll(),
    }
}

/// The rest of the service, as the drainer sees it.
#[derive(Clone)]
pub(super) struct DrainContext {
    pub table: Arc<RoutingTable>,
    pub notices: Notices,
    pub consumer: Arc<ConsumerState>,
    pub settings: Arc<LoadProgress>,
    pub core_lag: Arc<CoreLag>,
    /// Partitions that are nobody's, for those who take care of them.
    pub orphans: Option<Arc<OwnedPartitions>>,
}

/// The partitions that Kafka assigned to this instance, and those that are nobody's; the same list while nothing changes.
pub(super) struct OwnedPartitions {
    pub orphans: Arc<Orphans>,
    newest: Mutex<Option<[Ledgers; 3]>>,
}

type Ledgers = Arc<Vec<Arc<PartitionLedger>>>;

impl OwnedPartitions {
    #[must_use]
    pub(super) fn with(orphans: Arc<Orphans>) -> Arc<Self> {
        Arc::new(OwnedPartitions { orphans, newest: Mutex::default() })
    }

    fn all(&self, assigned: Ledgers) -> Ledgers {
        let orphans = self.orphans.ledgers();
        if orphans.is_empty() {
            return assigned;
        }
        let mut newest = self.newest.lock();
        if let Some([of, and, all]) = &*newest
            && Arc::ptr_eq(of, &assigned)
            && Arc::ptr_eq(and, &orphans)
        {
            return Arc::clone(all);
        }
        let orphans = self.orphans.give_up(&assigned);
        let all = Arc::new(assigned.iter().chain(orphans.iter()).cloned().collect());
        *newest = Some([assigned, orphans, Arc::clone(&all)]);
        all
    }
}

impl DrainContext {
    /// The time, read before: then the holds are at least as new.
    fn unless_held(&self, topic: &str, complete_to_ms: i64) -> i64 {
        if self.table.holds().is_held(topic) { 0 } else { complete_to_ms }
    }
}

impl Surroundings for DrainContext {
    fn ledgers(&self) -> Arc<Vec<Arc<PartitionLedger>>> {
        let assigned = self.consumer.assigned();
        match &self.orphans {
            Some(owned) => owned.all(assigned),
            None => assigned,
        }
    }

    fn standing(&self, endpoint_id: &str, now: Instant) -> EndpointReadiness {
        if self.consumer.is_quiet() {
            return EndpointReadiness::Waits;
        }
        let endpoints = self.table.endpoints();
        let Some(queue) = endpoints.find(endpoint_id) else { return EndpointReadiness::Gone };
        let settings = queue.settings();
        let most = events_max(&settings.delivery);
        match queue.takes_stored(now) {
            StoredTake::Nothing => EndpointReadiness::Waits,
            StoredTake::UpTo(events) => takes(&settings.delivery, events.min(most)),
            StoredTake::Many => takes(&settings.delivery, most),
        }
    }

    fn catches_up(&self, endpoint_id: &str) -> CatchesUp {
        let endpoints = self.table.endpoints();
        let Some(queue) = endpoints.find(endpoint_id) else { return CatchesUp::Never };
        let settings = queue.settings();
        match settings.delivery.ordering {
            _ if settings.suspended || settings.state == EndpointState::Disabled => CatchesUp::Later,
            Some(_) => CatchesUp::InOrder,
            None => CatchesUp::InAnyOrder,
        }
    }

    fn settings_complete_to_ms(&self, topic: &str) -> i64 {
        let complete_to_ms = self.settings.complete_to_ms();
        self.unless_held(topic, complete_to_ms)
    }

    fn settings_complete_to_store_ms(&self, topic: &str) -> i64 {
        let complete_to_ms = self.settings.complete_to_store_ms();
        self.unless_held(topic, complete_to_ms)
    }

    fn load(&self) -> Load {
        let flow = self.table.flow();
        Load {
            core_lag: self.core_lag.worst(),
            live_ever: flow.ended_ever(),
            drained_ever: flow.drained_ever(),
            live_waits: flow.live_waits(),
            window_is_full: flow.is_window_full(),
        }
    }

    fn endpoint(&self, endpoint_id: &str) -> Option<(EndpointKey, Arc<str>)> {
        let endpoints = self.table.endpoints();
        endpoints.find(endpoint_id).map(|queue| (queue.key, Arc::clone(&queue.settings().customer_id)))
    }

    fn matches(&self, event: &Event, endpoint: EndpointKey) -> bool {
        self.table.index().gives(event, endpoint)
    }

    fn push(&self, endpoint_id: &str, receipts: Vec<Receipt>) {
        let queue = self.table.endpoints().find(endpoint_id).cloned();
        match queue {
            Some(queue) => {
                if self.table.push_stored(&queue, receipts) == Pushed::NeedsActor {
                    self.notices.needs_actor(&queue);
                }
            }
            None => Receipt::settle_all(receipts, Settlement::Cancelled),
        }
    }

    fn wake(&self, endpoint_id: &str) {
        if let Some(queue) = self.table.endpoints().find(endpoint_id) {
            queue.nudge();
        }
    }

    fn show_drain_rate(&self, per_second: f64) {
        self.table.flow().show_drain_rate(per_second);
    }

    fn rows_wait(&self, endpoint_id: &str, count: RowCount) {
        if let Some(queue) = self.table.endpoints().find(endpoint_id) {
            queue.show_backlog_rows(count);
        }
    }

    fn wake_ordered(&self) {
        let endpoints = self.table.endpoints();
        endpoints.iter().filter(|queue| queue.settings().delivery.ordering.is_some()).for_each(|queue| queue.nudge());
    }
}

fn takes(settings: &DeliverySettings, events_max: usize) -> EndpointReadiness {
    match settings.ordering {
        None => EndpointReadiness::Takes(events_max),
        Some(ordering) => EndpointReadiness::TakesInOrder(events_max, ordering.by),
    }
}

/// Events of its backlog that an endpoint has in memory at most.
fn events_max(settings: &DeliverySettings) -> usize {
    match settings.mode {
        Mode::Stream => EVENTS_MAX,
        Mode::Batch { events_max, .. } => (2 * events_max as usize).max(EVENTS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    fn assigned(partition: i32) -> Arc<PartitionLedger> {
        Arc::new(PartitionLedger::new("orders".into(), partition, 7, Some(0), unbounded_channel().0))
    }

    #[test]
    fn a_partition_that_is_assigned_is_no_orphan_from_that_moment_on() {
        let owned = OwnedPartitions::with(Arc::new(Orphans::new(unbounded_channel().0)));
        let nobodys = || (0..2).map(|partition| ("orders".to_owned(), partition)).collect();
        assert_eq!((owned.orphans.update(nobodys()), owned.orphans.update(nobodys())), (0, 2));
        let of =
            |partition: i32| owned.orphans.ledgers().iter().find(|orphan| orphan.partition() == partition).cloned();
        let (orphan, other) = (of(0).expect("nobody's"), of(1).expect("nobody's"));

        let mine: Ledgers = Arc::new(vec![assigned(0)]);
        let all = owned.all(Arc::clone(&mine));
        assert!(Arc::ptr_eq(&all[0], &mine[0]) && Arc::ptr_eq(&all[1], &other) && all.len() == 2, "{all:?}");
        assert_eq!((orphan.is_current(), other.is_current()), (false, true));
        assert!(Arc::ptr_eq(&all, &owned.all(Arc::clone(&mine))), "the same list while nothing changes");

        assert_eq!(owned.all(Arc::default()).len(), 1, "whoever reads it now");
        assert_eq!((owned.orphans.update(nobodys()), owned.orphans.update(nobodys())), (0, 1), "it is nobody's again");
    }
}
