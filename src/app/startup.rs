//! ● The way up; see [`crate::app`] for the order and why.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use secrecy::ExposeSecret as _;

use super::{
    Error,
    actor_views::ObservedParts,
    auto_disable,
    backlog::{self, DrainContext},
    backlog_quota, canary,
    core_threads::{self, client_limits, places_of},
    handles, heartbeat, monitoring_tasks, options,
    pipeline::{EventWriters, Pipeline, consumer_client, topics},
    readiness::Health,
    redrives,
    replays::Replays,
    settings_loader::{LoadProgress, Loader},
    sweeper,
};
use crate::{
    admin::{
        self, endpoint_body::EndpointRules, endpoint_test::Tester, memory::Memory, routing_snapshot::RoutingSnapshot,
        scans::Scans, state::AdminState, work::Work,
    },
    attempts::{AttemptWriter, count_writer::CountWriter, counts::Total},
    backlog::{drainer::Heads, orphans::Orphans, writer::BacklogWriter},
    clock,
    config::{self, Config, handles::Handles},
    dead_letter::writer::DeadLetterWriter,
    endpoint::{egress::Egress, queue::EndpointQueue, supervisor::OnGone},
    flow::counters::FlowCounters,
    ingest::{
        decode::Decoder,
        first_start::{self, FirstStartAt, FirstStartPositions},
    },
    model::settings::EndpointState,
    monitoring::{peer_auth::PeerToken, peers::Peers},
    notifications::{OperatorEvent, emit},
    replay::positions::OffsetLookup,
    router::table::RoutingTable,
    store::{
        self, Pool, PoolOptions, secret_box::SecretBox, settings::SettingsReader, threads::StoreThreads,
        write_queue::CustomerOf,
    },
    telemetry,
};

const GONE: (&[EndpointState], EndpointState) =
    (&[EndpointState::Enabled, EndpointState::Paused], EndpointState::Disabled);
const RETRY: Duration = Duration::from_secs(1);

/// A running Postrider.
pub(super) struct App {
    pub(super) health: Arc<Health>,
    pub(super) table: Arc<RoutingTable>,
    pub(super) pipeline: Pipeline,
    pub(super) backlog: BacklogWriter,
    pub(super) dead_letters: DeadLetterWriter,
    pub(super) attempts: AttemptWriter,
    pub(super) counts: Arc<CountWriter>,
    pub(super) replays: Replays,
    pub(super) admin: admin::Server,
    pub(super) pool: Pool,
    pub(super) instance: String,
    /// Kept until all is written.
    #[expect(dead_code, reason = "it ends with the process")]
    store: Storage,
}

/// Threads on which everything that talks to Postgres lives: for what Postrider does by itself, and for callers of the API.
struct Storage {
    own: StoreThreads,
    api: StoreThreads,
}

impl Storage {
    fn start() -> Result<Self, Error> {
        let start = |name| StoreThreads::start(name, STORE_THREADS).map_err(Error::Thread);
        Ok(Storage { own: start("store")?, api: start("store-api")? })
    }
}

/// They wait for Postgres most of the time.
const STORE_THREADS: usize = 2;

/// Builds everything, waiting for Postgres and Kafka as long as it takes.
pub(super) async fn start(config: Arc<Config>, instance: String) -> Result<App, Error> {
    let handles = handles::share_out(&config)?;
    let store = Storage::start()?;
    let runtime = store.own.handle();
    let (pool, api_pool) = open_pools(&config, &store)?;
    let secrets =
        SecretBox::new(config.secrets.key.expose_secret()).map_err(|error| Error::SecretsKey(error.to_string()))?;
    let table = Arc::new(RoutingTable::new(Arc::new(FlowCounters::new(core_threads::count(&config)))));
    let progress = Arc::new(LoadProgress::default());
    let health = Arc::new(Health::new(Arc::clone(&table), Arc::clone(&progress), instance.clone()));
    let peers = Arc::new(Peers::new(&instance, clock::wall_ms(), PeerToken::new(config.secrets.key.expose_secret())));
    let live = live(&config, &table, &progress);
    let positions = OffsetLookup::new(consumer_client(&config), topics(&config));
    let admin = start_admin(&config, (&api_pool, &secrets), &handles, &health, (live, &peers, &positions))?;
    tracing::info!(
        address = %admin.address(),
        internal_address = %admin.internal_address(),
        "REST, health and metrics are served"
    );

    await_schema(&config).await;
    let canary = canary::prepare(&config, &pool, &secrets, &peers).await?;
    let (receiver, receiver_at) = canary::places(canary.as_ref());
    let reader = SettingsReader::new(pool.clone(), secrets.clone());
    let loader = Loader::new(reader, Arc::clone(&table), Arc::clone(&progress), receiver);
    loader.load_at_start().await;
    let (poll, reconcile) = (config.postgres.settings_poll(), config.postgres.settings_reconcile());
    actix_rt::spawn(async move { loader.follow(poll, reconcile).await });

    actix_rt::spawn(store::maintenance::keep(pool.clone(), retention(&config), secrets));
    let first_start = fix_first_start(&pool, &config).await;
    let instances = heartbeat::start(&config, &pool, &peers, admin.internal_address());
    let dead_letters = DeadLetterWriter::start(pool.clone(), (&config.dead_letter).into(), &runtime);
    let attempts = AttemptWriter::start(pool.clone(), (&config.attempts).into(), &runtime);
    let counts = counting(&pool, &table);
    let (backlog, heads) = backlog::start_writer(&config, &dead_letters, &runtime)?;
    let on_gone = disabling(pool.clone());
    share_by_customers(&table, (&backlog, &dead_letters), &heads);
    let writers = EventWriters { backlog: &backlog, dead_letters: &dead_letters, attempts: &attempts };
    let places = (handles.connections, receiver_at);
    let pipeline = Pipeline::start(&config, &table, first_start, writers, &instances, on_gone, places)?;
    let consumer = Arc::clone(&pipeline.consumer.state);
    let notices = pipeline.notices.clone();
    let core_lag = pipeline.cores.lag();
    let mut around =
        DrainContext { table: Arc::clone(&table), notices, consumer, settings: progress, core_lag, orphans: None };
    watch_endpoints(&config, &pool, &table, &backlog);
    let replays = Replays::start(&config, pool.clone(), dead_letters.clone(), around.clone())?;
    let orphans = Arc::new(Orphans::new(pipeline.abandoned.clone()));
    sweep(&config, &pool, &instance, positions, &orphans);
    around.orphans = Some(backlog::OwnedPartitions::with(orphans));
    redrives::start(&config, pool.clone(), dead_letters.clone(), around.clone());
    let parts = ObservedParts::of(&pipeline, &heads, (&backlog, &dead_letters), replays.shared());
    canary.into_iter().for_each(|canary| canary.start(&config, &pipeline.consumer.state));
    monitoring_tasks::start(&config, &pool, &health, &peers, (parts, pipeline.cores.flows()));
    backlog::start_drainer(&config, heads, (&backlog, &dead_letters), around, &runtime)?;
    Ok(App { health, table, pipeline, backlog, dead_letters, attempts, counts, replays, admin, pool, instance, store })
}

/// Connections for what Postrider does by itself, and those that callers of the API share.
fn open_pools(config: &Config, storage: &Storage) -> Result<(Pool, Pool), Error> {
    let own = PoolOptions::from(&config.postgres);
    let shared = PoolOptions { connections_max: config.postgres.api_connections_max, ..own.clone() };
    Ok((Pool::open_on(&own, storage.own.handle())?, Pool::open_shared(&shared, storage.api.handle())?))
}

/// Watches for endpoints that take nothing for days, and for backlogs that grow too large.
fn watch_endpoints(config: &Config, pool: &Pool, table: &Arc<RoutingTable>, writer: &BacklogWriter) {
    let after = config.delivery.disable_after();
    if !after.is_zero() {
        actix_rt::spawn(auto_disable::watch(pool.clone(), Arc::clone(table), after));
    }
    let writer = writer.clone();
    let stored = move || writer.stored();
    actix_rt::spawn(backlog_quota::watch(pool.clone(), config.backlog.clone(), config.quotas, stored));
}

/// Customers take turns at what Postgres takes.
fn share_by_customers(table: &Arc<RoutingTable>, writers: (&BacklogWriter, &DeadLetterWriter), heads: &Heads) {
    let customer_of = || -> CustomerOf {
        let table = Arc::clone(table);
        Box::new(move |endpoint_id| table.customer_of(endpoint_id))
    };
    writers.0.share_by(customer_of());
    writers.1.share_by(customer_of());
    heads.share_by(customer_of());
}

/// The table that the API matches sample events against: the same as the routers'.
fn live(config: &Arc<Config>, table: &Arc<RoutingTable>, progress: &Arc<LoadProgress>) -> RoutingSnapshot {
    let (places, progress) = (Arc::clone(config), Arc::clone(progress));
    RoutingSnapshot {
        table: Arc::clone(table),
        version: Arc::new(move || progress.version()),
        decoder: Arc::new(move |topic| Decoder::new(&places_of(&places, topic))),
        event_bytes_max: config.ingest.event_bytes_max,
    }
}

fn sweep(config: &Config, pool: &Pool, instance: &str, positions: OffsetLookup, orphans: &Arc<Orphans>) {
    let (pool, every) = (pool.clone(), config.backlog.sweep());
    actix_rt::spawn(sweeper::sweep(pool, instance.to_owned(), positions, Arc::clone(orphans), every));
}

/// Starts writing down each endpoint's counts by the minute.
fn counting(pool: &Pool, table: &Arc<RoutingTable>) -> Arc<CountWriter> {
    let table = Arc::clone(table);
    let total = |queue: &Arc<EndpointQueue>| Total {
        endpoint_id: Arc::clone(&queue.id),
        delivered: queue.health.delivered.load(Relaxed),
        failed: queue.health.failed_attempts.load(Relaxed),
    };
    let counts = CountWriter::new(pool.clone(), Box::new(move || table.endpoints().iter().map(total).collect()));
    actix_rt::spawn(Arc::clone(&counts).run());
    counts
}

fn retention(config: &Config) -> store::maintenance::Retention {
    store::maintenance::Retention {
        dead_letter_days: config.dead_letter.retention_days,
        attempt_days: config.attempts.retention_days,
        count_days: config.attempts.counts_retention_days,
    }
}

fn start_admin(
    config: &Config,
    (pool, secrets): (&Pool, &SecretBox),
    handles: &Handles,
    health: &Arc<Health>,
    (live, peers, positions): (RoutingSnapshot, &Arc<Peers>, &OffsetLookup),
) -> Result<admin::Server, Error> {
    let metrics = telemetry::metrics();
    let state = AdminState {
        pool: pool.clone(),
        work: Work::new(std::thread::available_parallelism().map_or(1, usize::from)),
        scans: Scans::default(),
        memory: Memory::new(config.admin.memory_bytes_max),
        secrets: secrets.clone(),
        rules: EndpointRules {
            park_after_ms: config.delivery.park_after_ms,
            backlog_age_max_ms: i64::try_from(config.backlog.age_max().as_millis()).unwrap_or(i64::MAX),
            egress: Arc::new(Egress::from(config)),
        },
        quotas: config.quotas,
        actors: Arc::clone(health) as _,
        peers: Arc::clone(peers),
        readiness: Arc::clone(health) as _,
        positions: positions.clone(),
        live,
        tester: Tester::new(client_limits(config, 1, handles.admin, None)),
        metrics: Arc::new(move || metrics.render()),
    };
    Ok(admin::start(&options::admin(&config.admin, handles), state)?)
}

/// Brings the schema up to date; several instances at once take turns.
async fn await_schema(config: &Config) {
    let mut said = String::new();
    while let Err(error) = store::migrate(config.postgres.url.expose_secret()).await {
        let problem = error.to_string();
        if problem != said {
            tracing::warn!(%error, "waiting for Postgres");
            said = problem;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Fixes the beginning of partitions without a commit: by whichever instance is first, the same for all.
async fn fix_first_start(pool: &Pool, config: &Config) -> FirstStartPositions {
    let (client, topics) = (consumer_client(config), topics(config));
    let at = match config.kafka.first_start {
        config::FirstStartSetting::Latest => FirstStartAt::Latest,
        config::FirstStartSetting::Earliest => FirstStartAt::Earliest,
        config::FirstStartSetting::At(time) => FirstStartAt::Time(time.as_millisecond()),
    };
    let group = &config.kafka.group_id;
    loop {
        match store::first_start::first_start(pool, group).await {
            Ok(Some(known)) => return FirstStartPositions::new(known.positions, known.at_ms, at),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "the group's first start cannot be read yet");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        }
        let (client, topics) = (client.clone(), topics.clone());
        let resolved = tokio::task::spawn_blocking(move || first_start::resolve(&client, &topics, at)).await;
        let rows = match resolved {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                tracing::warn!(%error, "waiting for Kafka");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            Err(_) => continue,
        };
        match store::first_start::record_first_start(pool, group, &rows).await {
            Ok(recorded) => return FirstStartPositions::new(recorded.positions, recorded.at_ms, at),
            Err(error) => tracing::warn!(%error, "the group's first start cannot be stored yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Disables an endpoint whose receiver said that it is gone.
fn disabling(pool: Pool) -> OnGone {
    Box::new(move |queue, version| {
        actix_rt::spawn(disable(pool.clone(), Arc::clone(queue), version));
    })
}

/// Writes down that an endpoint answered 410, until Postgres has taken it. One that was changed since then is asked again.
async fn disable(pool: Pool, queue: Arc<EndpointQueue>, version: i64) {
    let reason = "the endpoint answered 410 Gone";
    loop {
        match store::endpoints::change_state(&pool, &queue.id, version, GONE, reason).await {
            Ok(true) => {
                let (endpoint_id, customer_id) = (Arc::clone(&queue.id), Arc::clone(&queue.settings().customer_id));
                emit(OperatorEvent::EndpointDisabled { endpoint_id, customer_id, reason: reason.to_owned() });
                return;
            }
            Ok(false) => return,
            Err(error) => tracing::warn!(endpoint.id = %queue.id, %error, "disabling the endpoint is tried again"),
        }
        tokio::time::sleep(RETRY).await;
    }
}
