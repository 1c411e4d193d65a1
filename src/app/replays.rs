//! ● Replays, wired: what is asked for through the API is read from Kafka again by the owners of the partitions.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use super::{Error, backlog::DrainContext, core_threads::places_of, pipeline::consumer_client};
use crate::{
    backlog::drainer::Surroundings,
    config::Config,
    dead_letter::writer::DeadLetterWriter,
    ingest::decode::Decoder,
    replay::{
        reader::{self, ReaderOptions},
        runner::{self, ReplayShared, RunnerOptions},
    },
    store::Pool,
};

/// Running replays, and the handle that stops them.
pub(super) struct Replays {
    shared: Arc<ReplayShared>,
    pool: Pool,
    thread: JoinHandle<()>,
}

impl Replays {
    /// Starts following what is asked for, until the process ends.
    ///
    /// # Errors
    /// When the reader's thread cannot be started.
    pub(super) fn start(
        config: &Arc<Config>,
        pool: Pool,
        dead_letters: DeadLetterWriter,
        around: DrainContext,
    ) -> Result<Self, Error> {
        let shared = ReplayShared::new();
        let replay = &config.replay;
        let places = Arc::clone(config);
        let options = ReaderOptions {
            client: consumer_client(config),
            rate: replay.rate(around.core_lag.cores()),
            records_per_second_max: replay.records_per_second_max,
            endpoint_events_max: replay.endpoint_events_max,
            memory_bytes_max: replay.memory_bytes_max,
            event_bytes_max: config.ingest.event_bytes_max,
            decoder: Arc::new(move |topic| Decoder::new(&places_of(&places, topic))),
        };
        let surroundings: Arc<dyn Surroundings> = Arc::new(around);
        let thread = reader::start(options, Arc::clone(&shared), Arc::clone(&surroundings)).map_err(Error::Thread)?;
        let options = RunnerOptions { poll: replay.poll(), partitions_max: replay.partitions_max };
        let (its_pool, its_shared) = (pool.clone(), Arc::clone(&shared));
        actix_rt::spawn(async move {
            let never = runner::run(its_pool, options, its_shared, dead_letters, surroundings).await;
            match never {}
        });
        Ok(Replays { shared, pool, thread })
    }

    /// State of running replays, for monitoring.
    #[must_use]
    pub(super) fn shared(&self) -> Arc<ReplayShared> {
        Arc::clone(&self.shared)
    }

    /// Reads nothing more.
    pub(super) fn be_quiet(&self) {
        self.shared.be_quiet();
    }

    /// Writes down how far they have come, so that whoever goes on with them repeats less, and waits for the reader.
    pub(super) async fn stop(self) {
        match tokio::time::timeout(STOP_MAX, self.shared.save(&self.pool)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the progress of replays was not stored; some events are sent again")
            }
            Err(_) => tracing::warn!("the progress of replays was not stored in time; some events are sent again"),
        }
        let thread = self.thread;
        let ended = tokio::task::spawn_blocking(move || thread.join().is_ok());
        if !matches!(tokio::time::timeout(STOP_MAX, ended).await, Ok(Ok(true))) {
            tracing::debug!("the reader of replays ends with the process");
        }
    }
}

const STOP_MAX: Duration = Duration::from_millis(500);
