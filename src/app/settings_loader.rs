//! ● Settings, at start and while running: Postgres is the truth, the routing table follows it.
//!
//! Every second the newest version is asked for, and what lies above ours is loaded; now and then everything is read
//! again and compared, which heals whatever a delta could not (an endpoint that became readable, a missed tombstone).

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::canary::OwnReceiver;
use crate::{
    clock,
    router::{
        index::SubscriptionChange,
        subscription::Subscription,
        table::{EndpointQueues, RoutingTable},
    },
    store::{
        StoreError,
        settings::{EndpointRow, SettingsChunk, SettingsReader, SubscriptionRow},
    },
    telemetry::handles::SettingsMetrics,
};

/// Postgres away at start: asked again this often.
const RETRY: Duration = Duration::from_secs(1);

/// Follows the settings; one a process.
pub(super) struct Loader {
    reader: SettingsReader,
    table: Arc<RoutingTable>,
    known: Mutex<Known>,
    progress: Arc<LoadProgress>,
    metrics: SettingsMetrics,
    /// The receiver of the canary's requests.
    own_receiver: Option<OwnReceiver>,
}

/// Ids in the table, to find what a reconcile must take out.
#[derive(Default)]
struct Known {
    endpoints: HashSet<Arc<str>>,
    subscriptions: HashSet<Arc<str>>,
    /// Subscriptions that this version cannot read, or whose customers' grants it cannot, and their topics.
    unreadable: HashMap<Arc<str>, Arc<str>>,
}

impl Known {
    /// Notes these for the next [`Known::publish_subscriptions`].
    fn stage_subscriptions(&mut self, table: &RoutingTable, rows: Vec<SubscriptionRow>, seen: &mut HashSet<Arc<str>>) {
        let changes: Vec<_> = {
            let endpoints = table.endpoints();
            rows.into_iter().map(|row| self.change_of(row, &endpoints, seen)).collect()
        };
        table.stage_subscriptions(changes);
    }

    /// Returns the number of subscriptions in the table.
    fn publish_subscriptions(&self, table: &RoutingTable) -> usize {
        let held = self.unreadable.values().cloned().collect();
        table.holds().change(held, || table.publish_subscriptions())
    }

    fn change_of(
        &mut self,
        row: SubscriptionRow,
        endpoints: &EndpointQueues,
        seen: &mut HashSet<Arc<str>>,
    ) -> SubscriptionChange {
        let (id, found, held) = match row {
            // The scope that it had when it could be read is no measure: it may give less by now, and so may the grants. Its
            // topic waits, and so does what is held already, until it can be read again.
            SubscriptionRow::Unreadable { id, topic } | SubscriptionRow::Ungranted { id, topic } => {
                (id, None, Some(topic))
            }
            SubscriptionRow::Present { id, endpoint_id, topic, scope } => {
                let found = endpoints.find(&endpoint_id).map(|queue| (queue.key, topic, scope));
                (id, found, None)
            }
            SubscriptionRow::Absent { id } => (id, None, None),
        };
        let stands = found.is_some() || held.is_some();
        match held {
            Some(topic) => drop(self.unreadable.insert(Arc::from(id.as_str()), Arc::from(topic))),
            None => drop(self.unreadable.remove(id.as_str())),
        }
        if stands {
            let name: Arc<str> = Arc::from(id.as_str());
            self.subscriptions.insert(Arc::clone(&name));
            seen.insert(name);
        } else {
            self.subscriptions.remove(id.as_str());
        }
        match found {
            Some((endpoint, topic, scope)) => SubscriptionChange::Put(Subscription { id, endpoint, topic, scope }),
            None => SubscriptionChange::Remove { id },
        }
    }
}

/// Progress of loading settings, for `/readyz` and metrics.
#[derive(Default)]
pub struct LoadProgress {
    version: AtomicI64,
    /// Everything committed before this time (milliseconds since 1970) is in effect.
    complete_to_ms: AtomicI64,
    /// The same, by the clock of Postgres.
    complete_to_store_ms: AtomicI64,
    confirmed_at: Mutex<Option<Instant>>,
}

impl LoadProgress {
    /// The version that is in effect.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Time since Postgres last said that this is the newest; `None` before the first load.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.confirmed_at.lock().map(|at| now.saturating_duration_since(at))
    }

    /// The time before which everything committed is in effect; milliseconds since 1970.
    #[must_use]
    pub fn complete_to_ms(&self) -> i64 {
        self.complete_to_ms.load(Ordering::Acquire)
    }

    /// The same, by the clock of Postgres: for what was written down by that clock.
    #[must_use]
    pub fn complete_to_store_ms(&self) -> i64 {
        self.complete_to_store_ms.load(Ordering::Acquire)
    }

    /// `asked_ms` is when Postgres was asked which is the newest, and `store_ms` what its own clock said then. Whoever sees
    /// one of these times sees the index, the endpoints and the holds that were published before.
    fn confirm(&self, version: i64, asked_ms: i64, store_ms: i64) {
        self.complete_to_ms.store(asked_ms, Ordering::Release);
        self.complete_to_store_ms.store(store_ms, Ordering::Release);
        self.version.store(version, Ordering::Relaxed);
        *self.confirmed_at.lock() = Some(clock::now());
    }
}

impl Loader {
    #[must_use]
    pub(super) fn new(
        reader: SettingsReader,
        table: Arc<RoutingTable>,
        progress: Arc<LoadProgress>,
        own_receiver: Option<OwnReceiver>,
    ) -> Self {
        Loader { reader, table, known: Mutex::default(), progress, metrics: SettingsMetrics::new(), own_receiver }
    }

    /// Loads everything, however long Postgres takes to come up.
    pub(super) async fn load_at_start(&self) {
        let mut said = String::new();
        while let Err(error) = self.reconcile().await {
            let problem = error.to_string();
            if problem != said {
                tracing::warn!(%error, "settings cannot be loaded yet; nothing is consumed before they are");
                said = problem;
            }
            tokio::time::sleep(RETRY).await;
        }
        let known = self.known.lock();
        tracing::info!(
            version = self.progress.version(),
            endpoints = known.endpoints.len(),
            subscriptions = known.subscriptions.len(),
            "settings loaded"
        );
    }

    /// Follows changes until the process ends.
    pub(super) async fn follow(&self, poll: Duration, reconcile: Duration) {
        let mut reconcile_at = clock::now() + reconcile;
        loop {
            tokio::time::sleep(poll).await;
            let mut followed = self.catch_up().await;
            // Behind what changed just before, which must not wait until everything is read.
            if followed.is_ok() && clock::now() >= reconcile_at {
                reconcile_at = clock::now() + reconcile;
                followed = self.reconcile().await;
            }
            if let Err(error) = followed {
                // Deliveries go on with what is known; the age of the settings is a metric.
                tracing::warn!(%error, "settings could not be read; it is tried again");
            }
            self.publish_metrics();
        }
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        let (version, asked_ms) = (self.progress.version(), clock::wall_ms());
        let newest = self.reader.version().await?;
        if newest.version > version {
            let delta = self.reader.load_since(version).await?;
            self.apply_endpoints(delta.endpoints, &mut HashSet::new());
            self.stage_subscriptions(delta.subscriptions, &mut HashSet::new());
            self.publish_subscriptions();
            self.progress.confirm(delta.version, asked_ms, newest.at_ms);
            tracing::debug!(version = delta.version, "settings changed");
        } else {
            self.progress.confirm(version, asked_ms, newest.at_ms);
        }
        Ok(())
    }

    /// Reads everything, and takes out what is there no more.
    async fn reconcile(&self) -> Result<(), StoreError> {
        let (mut endpoints, mut subscriptions) = (HashSet::new(), HashSet::new());
        let asked_ms = clock::wall_ms();
        let store_ms = self.reader.version().await?.at_ms;
        let version = self
            .reader
            .load_all(|chunk| match chunk {
                SettingsChunk::Endpoints(rows) => self.apply_endpoints(rows, &mut endpoints),
                SettingsChunk::Subscriptions(rows) => self.stage_subscriptions(rows, &mut subscriptions),
            })
            .await?;
        let (gone_endpoints, gone_subscriptions) = {
            let known = self.known.lock();
            let gone = |known: &HashSet<Arc<str>>, seen: &HashSet<Arc<str>>| {
                known.difference(seen).cloned().collect::<Vec<_>>()
            };
            (gone(&known.endpoints, &endpoints), gone(&known.subscriptions, &subscriptions))
        };
        let rows = gone_subscriptions.iter().map(|id| SubscriptionRow::Absent { id: id.to_string() }).collect();
        self.stage_subscriptions(rows, &mut HashSet::new());
        // All of it at once: a tenant that went from one subscription to another is in one of the two at any time.
        self.publish_subscriptions();
        if !gone_endpoints.is_empty() {
            let rows = gone_endpoints.iter().map(|id| EndpointRow::Absent { id: id.to_string() }).collect();
            self.apply_endpoints(rows, &mut HashSet::new());
        }
        self.progress.confirm(version, asked_ms, store_ms);
        Ok(())
    }

    fn apply_endpoints(&self, rows: Vec<EndpointRow>, seen: &mut HashSet<Arc<str>>) {
        let mut known = self.known.lock();
        for row in rows {
            match row {
                EndpointRow::Present(mut settings) => {
                    if let Some(own) = self.own_receiver.as_ref().filter(|own| own.endpoint_id == settings.id) {
                        settings.url = own.url.clone();
                    }
                    let id = Arc::clone(&settings.id);
                    known.endpoints.insert(Arc::clone(&id));
                    seen.insert(id);
                    self.table.put_endpoint(Arc::new(*settings));
                }
                EndpointRow::Absent { id } => {
                    known.endpoints.remove(id.as_str());
                    self.table.remove_endpoint(&id);
                }
            }
        }
    }

    fn stage_subscriptions(&self, rows: Vec<SubscriptionRow>, seen: &mut HashSet<Arc<str>>) {
        self.known.lock().stage_subscriptions(&self.table, rows, seen);
    }

    fn publish_subscriptions(&self) {
        let from = clock::now();
        self.metrics.subscriptions(self.known.lock().publish_subscriptions(&self.table));
        self.metrics.index_seconds.record(clock::now().saturating_duration_since(from));
    }

    fn publish_metrics(&self) {
        self.metrics.version(self.progress.version());
        if let Some(age) = self.progress.age(clock::now()) {
            self.metrics.age(age);
        }
    }
}

#[cfg(test)]
mod tests;
