//! ● One thread per core: an arbiter with its router, its HTTP client and its share of the endpoint actors.

use std::{
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
};

use actix::{Actor as _, Addr, Arbiter, ArbiterHandle};

use super::{canary, core_lag::CoreLag};
use crate::{
    attempts::AttemptWriter,
    backlog::writer::BacklogWriter,
    config::Config,
    dead_letter::writer::DeadLetterWriter,
    endpoint::{
        actor::Core,
        attempt_log::AttemptLog,
        client::{ClientLimits, CoreClient},
        delivery::DeliveryLimits,
        egress::Egress,
        local_outage::LocalOutage,
        names::NameLimits,
        shares::CoreShares,
        supervisor::{self, Notices},
        tls::Tls,
    },
    ingest::{
        actor::IngestActor,
        decode::{Decoder, FieldSource, FieldSources},
        ledger::PartitionLedger,
        rebalance::Assigned,
    },
    monitoring::core_counters::Flow,
    router::{actor::Router, table::RoutingTable},
    telemetry::handles::ShareMetrics,
    trace,
};

/// State that all cores share.
pub struct CoreShared {
    pub table: Arc<RoutingTable>,
    pub notices: Notices,
    pub backlog: BacklogWriter,
    pub dead_letters: DeadLetterWriter,
    pub attempts: AttemptWriter,
    pub local_outage: Arc<LocalOutage>,
    /// Live instances.
    pub instances: Arc<AtomicU32>,
    pub tls: Arc<Tls>,
    /// Connections to endpoints, all cores together.
    pub connections_max: usize,
    /// The canary's receiver.
    pub canary: canary::CanaryTarget,
}

pub struct Cores {
    arbiters: Vec<Arbiter>,
    routers: Vec<Addr<Router>>,
    /// Events that each core has routed.
    routed: Arc<Vec<AtomicU64>>,
    /// Events that each core's router was handed.
    handed: Arc<Vec<AtomicU64>>,
    flows: Vec<Arc<Flow>>,
    lag: Arc<CoreLag>,
}

impl Cores {
    /// Starts the threads and waits until each is ready to run endpoint actors.
    pub fn start(config: &Config, shared: &Arc<CoreShared>) -> Self {
        let count = count(config);
        let limits = client_limits(config, count, shared.connections_max, shared.canary.own_receiver);
        let arbiters: Vec<Arbiter> = (0..count).map(|_| Arbiter::new()).collect();
        let flows: Vec<Arc<Flow>> = (0..count).map(|_| Arc::default()).collect();
        let lag = CoreLag::of(count);
        let (ready, wait) = mpsc::channel();
        for (index, arbiter) in arbiters.iter().enumerate() {
            let (limits, shared, ready) = (limits.clone(), Arc::clone(shared), ready.clone());
            let delivery = DeliveryLimits {
                park_after: config.delivery.park_after(),
                endpoint_bytes_max: config.delivery.endpoint_bytes_max,
                wait_target: config.ingest.wait_target(),
            };
            let idle_after = config.delivery.idle_after();
            let (sample, flow, lag) = (config.log.delivered_sample_every, Arc::clone(&flows[index]), Arc::clone(&lag));
            let watched = Arc::clone(&flow);
            arbiter.spawn_fn(move || {
                supervisor::install_core(Core {
                    index,
                    client: Rc::new(CoreClient::new(limits, Arc::clone(&shared.tls))),
                    park_turns: CoreShares::new(1, ShareMetrics::none()),
                    limits: delivery,
                    idle_after,
                    backlog: shared.backlog.clone(),
                    dead_letters: shared.dead_letters.clone(),
                    report: AttemptLog::new(sample, shared.attempts.clone(), flow, shared.canary.observed.clone()),
                    notices: shared.notices.clone(),
                    local_outage: Arc::clone(&shared.local_outage),
                    instances: Arc::clone(&shared.instances),
                    tracer: trace::tracer(),
                    flow: Arc::clone(shared.table.flow()),
                });
                actix_rt::spawn(lag.watch(index, watched));
                let _ = ready.send(());
            });
        }
        drop(ready);
        for () in wait.iter().take(count) {}
        let counts = || Arc::new((0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
        let (routed, handed) = (counts(), counts());
        let routers = arbiters
            .iter()
            .enumerate()
            .map(|(core, arbiter)| {
                let (shared, routed) = (Arc::clone(shared), Arc::clone(&routed));
                Router::start_in_arbiter(&arbiter.handle(), move |_| {
                    let (table, notices) = (Arc::clone(&shared.table), shared.notices.clone());
                    Router::new(table, notices, shared.dead_letters.clone(), routed, core)
                })
            })
            .collect();
        Cores { arbiters, routers, routed, handed, flows, lag }
    }

    /// Events that each core has routed, ever.
    #[must_use]
    pub fn routed(&self) -> Arc<Vec<AtomicU64>> {
        Arc::clone(&self.routed)
    }

    /// Events that each core's router was handed, ever: with [`Cores::routed`], what waits for it.
    #[must_use]
    pub fn handed(&self) -> Arc<Vec<AtomicU64>> {
        Arc::clone(&self.handed)
    }

    /// Counters of each core's deliveries.
    #[must_use]
    pub fn flows(&self) -> Vec<Arc<Flow>> {
        self.flows.clone()
    }

    /// Lag of the cores.
    #[must_use]
    pub fn lag(&self) -> Arc<CoreLag> {
        Arc::clone(&self.lag)
    }

    #[must_use]
    pub fn handles(&self) -> Vec<ArbiterHandle> {
        self.arbiters.iter().map(Arbiter::handle).collect()
    }

    /// Starter of ingest actors, beside the router that each feeds.
    #[must_use]
    pub fn ingest_starter(&self, config: Arc<Config>, dead_letters: DeadLetterWriter) -> Box<dyn Assigned> {
        Box::new(IngestStarter {
            cores: self.handles().into_iter().zip(self.routers.iter().cloned()).collect(),
            next: AtomicUsize::new(0),
            config,
            dead_letters,
            handed: Arc::clone(&self.handed),
        })
    }

    pub fn stop(self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

/// Threads that route and deliver.
pub(super) fn count(config: &Config) -> usize {
    match config.service.cores {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}

pub(super) fn client_limits(
    config: &Config,
    cores: usize,
    connections_max: usize,
    own_receiver: Option<SocketAddr>,
) -> ClientLimits {
    let http = &config.http;
    ClientLimits {
        connect_timeout: http.connect_timeout(),
        keep_alive: http.keep_alive(),
        connection_age_max: http.connection_age_max(),
        in_flight_max: http.in_flight_max.div_ceil(cores),
        connections_max: connections_max / cores,
        answer_bytes_max: http.answer_bytes_max,
        dns_servers: http.dns_servers.clone(),
        names: NameLimits {
            fresh_max: http.dns_cache(),
            stale_max: http.dns_stale_max(),
            failure: http.dns_failure(),
            names_max: NAMES_MAX.div_ceil(cores),
        },
        dns_timeout: http.dns_timeout(),
        dns_lookups_max: http.dns_lookups_max.div_ceil(cores),
        tls_clients_max: http.tls_clients_max.div_ceil(cores),
        egress: Arc::new(Egress::from(config).with_own_receiver(own_receiver)),
    }
}

/// Names that are remembered; one costs a look-up, and some hundred bytes.
const NAMES_MAX: usize = 65_536;

/// FieldSources of a topic's fields. Every place was parsed once already, when the configuration was checked.
pub(super) fn places_of(config: &Config, topic: &str) -> FieldSources {
    let texts = config.event.places_of(topic);
    let parse = |text: &str| FieldSource::parse(text).expect("places were checked with the configuration");
    FieldSources {
        tenant: parse(&texts.tenant),
        department: parse(&texts.department),
        kind: parse(&texts.kind),
        id: parse(&texts.id),
        time: parse(&texts.time),
    }
}

struct IngestStarter {
    cores: Vec<(ArbiterHandle, Addr<Router>)>,
    next: AtomicUsize,
    config: Arc<Config>,
    dead_letters: DeadLetterWriter,
    handed: Arc<Vec<AtomicU64>>,
}

impl Assigned for IngestStarter {
    fn start_ingest(&self, ledger: Arc<PartitionLedger>) -> Addr<IngestActor> {
        let core = self.next.fetch_add(1, Ordering::Relaxed) % self.cores.len();
        let (arbiter, router) = &self.cores[core];
        let handed = (Arc::clone(&self.handed), core);
        let places = places_of(&self.config, ledger.topic());
        let decoder = Decoder::new(&places);
        let (router, dead_letters) = (router.clone(), self.dead_letters.clone());
        let event_bytes_max = self.config.ingest.event_bytes_max;
        IngestActor::start_in_arbiter(arbiter, move |_| {
            IngestActor::new(ledger, decoder, event_bytes_max, router.recipient(), dead_letters, handed)
        })
    }
}
