//! ● Settings, at start and while running: Postgres is the truth, the routing table follows it.
//!
//! Every second the newest version is asked for, and what lies above ours is loaded; now and then everything is read
//! again and compared, which heals whatever a delta could not (an endpoint that became readable, a missed tombstone).
//! The two run beside each other, so that a change waits for no full read, however long that takes.
//!
//! **Invariant:** a delta is never asked for before and applied after the opening of a full read's snapshot ([`Loader::turn`]).
//! So every delta that comes during a full read is at least as new as its snapshot: it always counts, and of the
//! snapshot only what no such delta has named ([`FullRead`](crate::router::full_read::FullRead)). It also holds all changes
//! up to the snapshot, so what it publishes never has rows of the snapshot without the changes that belong to them.

mod known;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use self::known::{Known, Origin};
use super::canary::OwnReceiver;
use crate::{
    clock,
    router::table::RoutingTable,
    store::{
        StoreError,
        settings::{EndpointRow, NewestVersion, SettingsChunk, SettingsReader, SubscriptionRow},
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
    /// Held while a delta is asked for and applied, and while a full read opens its snapshot.
    turn: tokio::sync::Mutex<()>,
    progress: Arc<LoadProgress>,
    metrics: SettingsMetrics,
    /// The receiver of the canary's requests.
    own_receiver: Option<OwnReceiver>,
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

    /// The store has gone back, as after a restore: changes above this version are new.
    fn go_back_to(&self, version: i64) {
        self.version.fetch_min(version, Ordering::Relaxed);
    }

    fn was_confirmed_since(&self, at: Instant) -> bool {
        self.confirmed_at.lock().is_some_and(|confirmed| confirmed >= at)
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
        let (known, turn, metrics) = (Mutex::default(), tokio::sync::Mutex::default(), SettingsMetrics::new());
        Loader { reader, table, known, turn, progress, metrics, own_receiver }
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
        let (endpoints, subscriptions) = self.known.lock().counts();
        tracing::info!(version = self.progress.version(), endpoints, subscriptions, "settings loaded");
    }

    /// Follows changes until the process ends, and reads everything now and then.
    pub(super) async fn follow(&self, poll: Duration, reconcile: Duration) {
        let changes = async {
            loop {
                tokio::time::sleep(poll).await;
                warn_of(self.catch_up().await);
                self.publish_metrics();
            }
        };
        let everything = async {
            loop {
                tokio::time::sleep(reconcile).await;
                warn_of(self.reconcile().await);
            }
        };
        tokio::join!(changes, everything);
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let (version, asked_ms) = (self.progress.version(), clock::wall_ms());
        let newest = self.reader.version().await?;
        if newest.version > version {
            let delta = self.reader.load_since(version).await?;
            self.apply_endpoints(delta.endpoints, Origin::Change);
            self.stage_subscriptions(delta.subscriptions, Origin::Change);
            self.publish(|known| known.publish_subscriptions(&self.table));
            self.progress.confirm(delta.version, asked_ms, newest.at_ms);
            tracing::debug!(version = delta.version, "settings changed");
        } else {
            self.progress.confirm(version, asked_ms, newest.at_ms);
        }
        Ok(())
    }

    /// Reads everything, and takes out what is there no more.
    async fn reconcile(&self) -> Result<(), StoreError> {
        let turn = self.turn.lock().await;
        let (asked_at, asked_ms, mut store_ms) = (clock::now(), clock::wall_ms(), 0);
        let opened = |newest: NewestVersion| {
            store_ms = newest.at_ms;
            self.progress.go_back_to(newest.version);
            self.known.lock().begin_full_read();
            drop(turn);
        };
        let loaded = self.reader.load_all(opened, |chunk| match chunk {
            SettingsChunk::Endpoints(rows) => self.apply_endpoints(rows, Origin::FullRead),
            SettingsChunk::Subscriptions(rows) => self.stage_subscriptions(rows, Origin::FullRead),
        });
        let version = loaded.await.inspect_err(|_| self.known.lock().abandon_full_read())?;
        // All of it at once: a tenant that went from one subscription to another is in one of the two at any time.
        self.publish(|known| known.end_full_read(&self.table));
        if !self.progress.was_confirmed_since(asked_at) {
            self.progress.confirm(version, asked_ms, store_ms);
        }
        Ok(())
    }

    fn apply_endpoints(&self, rows: Vec<EndpointRow>, origin: Origin) {
        self.known.lock().apply_endpoints(&self.table, rows, origin, |settings| {
            if let Some(own) = self.own_receiver.as_ref().filter(|own| own.endpoint_id == settings.id) {
                settings.url = own.url.clone();
            }
        });
    }

    fn stage_subscriptions(&self, rows: Vec<SubscriptionRow>, origin: Origin) {
        self.known.lock().stage_subscriptions(&self.table, rows, origin);
    }

    fn publish(&self, publish: impl FnOnce(&mut Known) -> usize) {
        let from = clock::now();
        self.metrics.subscriptions(publish(&mut self.known.lock()));
        self.metrics.index_seconds.record(clock::now().saturating_duration_since(from));
    }

    fn publish_metrics(&self) {
        self.metrics.version(self.progress.version());
        if let Some(age) = self.progress.age(clock::now()) {
            self.metrics.age(age);
        }
    }
}

fn warn_of(followed: Result<(), StoreError>) {
    if let Err(error) = followed {
        // Deliveries go on with what is known; the age of the settings is a metric.
        tracing::warn!(%error, "settings could not be read; it is tried again");
    }
}

#[cfg(test)]
mod tests;
