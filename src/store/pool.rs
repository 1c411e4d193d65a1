//! ● Connections to Postgres.
//!
//! **Invariant:** a connection goes back to the pool only after its work came to an end. When the work failed to
//! connect, timed out, was cancelled or met a read-only server or a transaction that had failed, the connection is thrown
//! away: its backend may still be busy with the abandoned statement, and the next user would wait for it, or be refused.

use std::{future::Future, pin::Pin, str::FromStr as _, time::Duration};

use deadpool_postgres::{
    Client, ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, RecyclingMethod, Runtime, Timeouts,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_postgres::{
    Config,
    config::{SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{StoreError, tls::TlsOptions};
use crate::{
    clock,
    fair_share::{
        shares::Refused,
        turns::{self, FairTurn, Turns},
    },
    telemetry::names,
};

/// Options of a connection to Postgres: `[postgres]` of the configuration.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    pub url: SecretString,
    pub connections_max: usize,
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
    /// Further settings of each session: `-c name=value`.
    pub session: &'static str,
}

/// Connections to Postgres, shared by everyone; cheap to clone.
#[derive(Clone)]
pub struct Pool {
    inner: deadpool_postgres::Pool,
    /// Time for [`Pool::with`] once it has its connection.
    deadline: Duration,
    /// Turns at the connections, where holders share them.
    turns: Option<(Turns, Duration)>,
}

impl Pool {
    /// A pool whose connections are [shared between holders](crate::fair_share): nobody takes all of them.
    ///
    /// # Errors
    /// As [`Pool::open_on`].
    pub fn open_shared(options: &PoolOptions, runtime: Handle) -> Result<Pool, StoreError> {
        let turns = Turns::new("statements", options.connections_max, HOLDER_WAITING_MAX);
        Ok(Pool { turns: Some((turns, options.connect_timeout)), ..Pool::open_on(options, runtime)? })
    }

    /// A pool whose connections live on the tokio runtime this is called on, whoever uses them.
    ///
    /// # Errors
    /// As [`Pool::open_on`].
    pub fn open(options: &PoolOptions) -> Result<Pool, StoreError> {
        Pool::open_on(options, Handle::current())
    }

    /// Connects to nothing yet. The connections will live on `runtime`, whoever uses them.
    ///
    /// # Errors
    /// When the URL or its TLS options make no sense.
    pub fn open_on(options: &PoolOptions, runtime: Handle) -> Result<Pool, StoreError> {
        let (config, tls) = connection_config(
            options.url.expose_secret(),
            options.connect_timeout,
            options.statement_timeout,
            options.session,
        )?;
        let connect = ConnectOn { runtime, tls };
        // Verified by a hook of our own: what is thrown away there is counted.
        let manager = Manager::from_connect(config, connect, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let answers_within = options.connect_timeout;
        let inner = deadpool_postgres::Pool::builder(manager)
            .max_size(options.connections_max.max(1))
            .timeouts(Timeouts {
                wait: Some(options.connect_timeout),
                create: Some(options.connect_timeout),
                recycle: Some(options.connect_timeout),
            })
            .runtime(Runtime::Tokio1)
            .pre_recycle(Hook::async_fn(move |client, metrics| {
                let is_old = metrics.age() > LIFETIME_MAX;
                Box::pin(async move {
                    if is_old { Err(HookError::message("old enough")) } else { verify(client, answers_within).await }
                })
            }))
            .build()
            .map_err(|error| StoreError::Settings(error.to_string()))?;
        // The server's own timeout speaks first; ours is for a server that says nothing.
        Ok(Pool { inner, deadline: options.statement_timeout + FROZEN_AFTER, turns: None })
    }

    /// Runs `work` on a connection, within the usual deadline.
    ///
    /// # Errors
    /// Those of `work`, and [`StoreError::Unavailable`] or [`StoreError::TimedOut`].
    pub async fn with<T>(&self, work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.with_deadline(self.deadline, work).await
    }

    /// Runs `work` on a connection, for work of many statements.
    ///
    /// # Errors
    /// As [`Pool::with`].
    pub async fn with_deadline<T>(
        &self,
        deadline: Duration,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let asked_at = clock::now();
        let _turn = self.turn().await.inspect_err(count)?;
        let client = self.inner.get().await.map_err(StoreError::from).inspect_err(count)?;
        metrics::histogram!(names::POSTGRES_WAIT_SECONDS).record(clock::now().saturating_duration_since(asked_at));
        let mut lease = Lease { client: Some(client) };
        let client = lease.client.as_mut().expect("a new lease has its client");
        let result = tokio::time::timeout(deadline, work(client)).await.unwrap_or(Err(StoreError::TimedOut(deadline)));
        let result = result.inspect_err(count);
        match &result {
            Err(error) if error.is_unavailable() => {
                metrics::counter!(names::POSTGRES_DISCARDED).increment(1);
                if is_read_only(error) {
                    // After a failover every pooled connection may lead to the standby.
                    self.inner.retain(|_, _| false);
                }
            }
            _ => lease.give_back(),
        }
        result
    }

    /// The right to use a connection, where that is shared.
    async fn turn(&self) -> Result<Option<FairTurn>, StoreError> {
        let Some((turns, patience)) = &self.turns else { return Ok(None) };
        turns.wait(&turns::holder(), *patience).await.map(Some).map_err(|refused| match refused {
            Refused::BeyondShare => StoreError::BeyondShare,
            Refused::UsedUp => StoreError::Unavailable("no connection came free in time".to_owned()),
        })
    }

    /// Closes all connections; later calls fail.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("status", &self.inner.status()).finish_non_exhaustive()
    }
}

/// A connection that answers is used again.
async fn verify(client: &ClientWrapper, within: Duration) -> Result<(), HookError> {
    match tokio::time::timeout(within, client.simple_query("")).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(_)) | Err(_) => metrics::counter!(names::POSTGRES_DISCARDED).increment(1),
    }
    Err(HookError::message("it answers nothing any more"))
}

/// The client's configuration and TLS for a URL.
pub(super) fn connection_config(
    url: &str,
    connect_timeout: Duration,
    statement_timeout: Duration,
    session: &str,
) -> Result<(Config, MakeRustlsConnect), StoreError> {
    let (url, tls) = TlsOptions::split_from(url)?;
    // The parser's message names the option, not its value.
    let mut config = Config::from_str(&url).map_err(|error| StoreError::Settings(format!("url: {error}")))?;
    if url.contains("://") || tls.mode != SslMode::Prefer {
        config.ssl_mode(tls.mode);
    }
    let options = format!(
        "{} {session} -c statement_timeout={ms} -c idle_in_transaction_session_timeout={ms}",
        config.get_options().unwrap_or_default(),
        ms = statement_timeout.as_millis(),
    );
    config
        .options(options.trim())
        .application_name("postrider")
        .connect_timeout(connect_timeout)
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(15))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    Ok((config, tls.connector()?))
}

/// Standbys are promoted and names move: a connection is made again after this long.
const LIFETIME_MAX: Duration = Duration::from_secs(300);
/// Beyond `statement_timeout`, a server that has not answered is frozen or cut off.
const FROZEN_AFTER: Duration = Duration::from_secs(3);

/// Statements of one holder that may wait.
const HOLDER_WAITING_MAX: usize = 256;

fn count(error: &StoreError) {
    metrics::counter!(names::POSTGRES_ERRORS, "kind" => error.as_str()).increment(1);
}

fn is_read_only(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(what) if what.contains("25006"))
}

/// A connection on loan: dropped without [`Lease::give_back`] (an error, a timeout, a cancelled caller), it is closed.
struct Lease {
    client: Option<Object>,
}

impl Lease {
    fn give_back(mut self) {
        drop(self.client.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

/// Makes connections on one runtime: a connection made on a caller's short-lived runtime would die with it.
struct ConnectOn {
    runtime: Handle,
    tls: MakeRustlsConnect,
}

type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<(tokio_postgres::Client, JoinHandle<()>), tokio_postgres::Error>> + Send + 'a>>;

impl deadpool_postgres::Connect for ConnectOn {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        let (config, tls, runtime) = (config.clone(), self.tls.clone(), self.runtime.clone());
        Box::pin(async move {
            let (connected, answer) = tokio::sync::oneshot::channel();
            let task = runtime.spawn(async move {
                match config.connect(tls).await {
                    Ok((client, connection)) => {
                        // Whoever asked may have given up; then the client is dropped and the connection ends.
                        let _ = connected.send(Ok(client));
                        if let Err(error) = connection.await {
                            tracing::warn!(error = %StoreError::from(error), "connection to postgres lost");
                        }
                    }
                    Err(error) => drop(connected.send(Err(error))),
                }
            });
            match answer.await {
                Ok(connected) => connected.map(|client| (client, task)),
                // Only when that runtime is gone: the pool's timeout is the answer.
                Err(_) => std::future::pending().await,
            }
        })
    }
}
