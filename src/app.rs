//! ● The composition root: builds every part, in the order of start, and takes it down in the order of drain.
//!
//! Start: REST (so that `/livez` answers) → Postgres and all settings → where the group begins → cores → consumer.
//! **Invariant:** nothing is consumed before every subscription is loaded; an event that matched nothing for want of
//! them would be committed away.
//!
//! Drain: not ready → read no more → batches go as they are, in-flight requests end → store, commit, leave the group →
//! stop. What is not settled by then is not committed, and the next owner reads it again.

mod backlog; // what waits in Postgres, parked and drained
mod options; // the configuration, as the rooms want it
mod core_threads; // one thread per core: router, client, endpoint actors
mod drain; // the way down
mod handles; // who gets how many file handles
mod auto_disable; // endpoints that take nothing for days
mod settings_loader; // settings, at start and while running
mod local_outage; // when nobody can be reached
pub mod pipeline; // the path of an event, wired
mod backlog_quota; // endpoints whose backlogs grow too large
mod redrives; // dead letters again
mod replays; // replays
mod sweeper; // what waits in partitions that nobody reads
mod readiness; // what /readyz says
mod actor_views; // what /v1/actors and /v1/overview say
mod canary; // a synthetic event through the whole path
mod endpoint_alarms; // endpoints that fail, dead letters that grow
mod stalled_endpoints; // endpoints for which nothing moves
mod sampler; // what was counted, every five seconds
mod table_metrics; // how large they are
mod core_lag; // how late the cores are
mod heartbeat; // who lives, and where
mod monitoring_tasks; // those who look on
mod startup; // the way up

pub use self::options::default_egress;
pub use crate::app::readiness::Health;

use std::{sync::Arc, time::Duration};

use crate::{clock, config::Config, model::id};

/// The reason why Postrider could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the secrets key is unusable: {0}")]
    SecretsKey(String),
    #[error("{0}")]
    Listen(#[from] crate::admin::listener::StartError),
    #[error("cannot listen for the canary: {0}")]
    CanaryReceiver(std::io::Error),
    #[error("Kafka's client refused its configuration: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error("the store refused its configuration: {0}")]
    Store(#[from] crate::store::StoreError),
    #[error("{0}")]
    TooFewHandles(#[from] crate::config::handles::TooFew),
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// A name for this instance, which no other ever had.
#[must_use]
pub fn new_instance() -> String {
    format!("in_{}", id::name(clock::wall_ms(), rand::random()))
}

/// Runs until a signal (SIGTERM or Ctrl-C), or until `told_to_stop` is over, and a clean drain. Blocks.
///
/// # Errors
/// When a part refuses its configuration. Kafka or Postgres being away is no error: it waits for them.
pub fn run_until(config: Config, instance: String, told_to_stop: impl Future<Output = ()>) -> Result<(), Error> {
    handles::raise_limit();
    actix::System::new().block_on(async move {
        let shutdown_max = config.service.shutdown_max();
        let leave_max = Duration::from_millis(config.kafka.session_timeout_ms);
        let mut stop = std::pin::pin!(async {
            tokio::select! {
                () = wait_for_signal() => {}
                () = told_to_stop => tracing::info!("told to stop: draining"),
            }
        });
        let app = tokio::select! {
            app = startup::start(Arc::new(config), instance) => app?,
            // Nothing was consumed yet, so there is nothing to drain; but what was being asked may not let go.
            () = &mut stop => {
                watch_over_exit(shutdown_max);
                return Ok(());
            }
        };
        stop.await;
        watch_over_exit(shutdown_max);
        if !drain::drain(app, drain::DrainDeadlines { shutdown_max, leave_max }).await {
            exit_after_last_line();
        }
        Ok(())
    })
}

async fn wait_for_signal() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!(%error, "cannot install the SIGTERM handler; only Ctrl-C stops this process in order");
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = tokio::signal::ctrl_c() => tracing::info!("Ctrl-C: draining"),
    }
}

/// Ends the process in time, even if something hangs (a broker that does not answer can hang librdkafka, also in what
/// it does at exit): what is not committed is not lost.
fn watch_over_exit(shutdown_max: Duration) {
    let deadline = clock::now() + shutdown_max;
    std::thread::spawn(move || {
        std::thread::park_timeout(deadline.saturating_duration_since(clock::now()));
        while clock::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(100));
        }
        tracing::error!("the drain took too long; the process stops now, and events without a commit are read again");
        exit_after_last_line();
    });
}

/// The last line is written by a thread of its own; then ends the process, whatever still hangs.
fn exit_after_last_line() -> ! {
    std::thread::sleep(LAST_LINE_WAIT);
    exit_now(1);
}

/// Time for the last line to be written.
const LAST_LINE_WAIT: Duration = Duration::from_millis(100);

/// Ends the process without running anything more of it: neither destructors nor what libraries do at exit.
fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and touches no memory.
    unsafe { libc::_exit(code) }
}
