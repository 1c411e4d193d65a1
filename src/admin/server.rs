//! ● The routes, and the server that listens on a thread of its own: requests for settings never share a core's arbiter
//! with deliveries.

use std::{io, net::SocketAddr, num::NonZeroU32, sync::Arc, thread};

use actix_web::{
    App, HttpServer, Resource, Route, Scope,
    dev::ServerHandle,
    http::header,
    middleware::{DefaultHeaders, from_fn},
    web,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    actors::ActorReport,
    answer::{not_allowed, nowhere},
    arrivals::Arrivals,
    auth::{Keys, Limits, require_key},
    bulk_body::BulkGate,
    compress::compress,
    description,
    endpoint_body::Rules,
    endpoint_test::Tester,
    health::{self, Readiness},
    live::Live,
    peer,
    problem::Problem,
    routes::resources,
};
use crate::{
    clock, dashboard,
    replay::positions::Positions,
    store::{
        Pool,
        id::{self, Kind},
        secret_box::SecretBox,
        secrets::EndpointSecrets,
    },
    watch::peers::Peers,
};

/// `[admin]` of the configuration.
#[derive(Debug, Clone)]
pub struct AdminOptions {
    /// Port 0 takes any free one.
    pub bind: SocketAddr,
    pub key: SecretString,
    /// Others wait to be accepted.
    pub connections_max: usize,
    pub request_bytes_max: usize,
    /// Of a call with many items.
    pub bulk_bytes_max: usize,
    pub limits: Limits,
}

impl From<&crate::config::Admin> for AdminOptions {
    fn from(config: &crate::config::Admin) -> Self {
        AdminOptions {
            bind: config.bind,
            key: config.key.clone(),
            connections_max: config.connections_max,
            request_bytes_max: config.request_bytes_max,
            bulk_bytes_max: config.bulk_bytes_max,
            limits: Limits {
                requests_per_second: NonZeroU32::new(config.key_requests_per_second_max),
                burst_requests: NonZeroU32::new(config.key_burst_requests_max).unwrap_or(NonZeroU32::MIN),
                wrong_keys_per_second: NonZeroU32::new(config.wrong_keys_per_second_max),
            },
        }
    }
}

/// What the handlers work with.
#[derive(Clone)]
pub struct AdminState {
    pub pool: Pool,
    pub secrets: SecretBox,
    pub rules: Rules,
    pub actors: Arc<dyn ActorReport>,
    /// The other instances.
    pub peers: Arc<Peers>,
    pub readiness: Arc<dyn Readiness>,
    /// Where ranges of Kafka are looked up.
    pub positions: Positions,
    /// What events are matched against.
    pub live: Live,
    /// Sends tests.
    pub tester: Tester,
    /// Renders `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl AdminState {
    /// An endpoint's secrets as they are stored.
    pub(super) fn sealed(&self, endpoint_id: &str, secrets: &EndpointSecrets) -> Vec<u8> {
        self.secrets.seal(endpoint_id, &secrets.to_bytes(), rand::random())
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    thread: thread::JoinHandle<io::Result<()>>,
    arrivals: Arrivals,
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests under way end, and stops.
    pub async fn stop(self) {
        // Who waits for news would wait for the end of its time.
        self.arrivals.close();
        self.handle.stop(true).await;
        // The thread ends right after the server.
        drop(self.thread);
    }
}

/// Listens at once.
///
/// # Errors
/// When the address cannot be bound.
pub fn start(options: &AdminOptions, state: AdminState) -> io::Result<Server> {
    let keys = web::Data::new(Keys::new(options.key.expose_secret(), options.limits, state.pool.clone()));
    let state = web::Data::new(state);
    let (bytes_max, connections_max) = (options.request_bytes_max, options.connections_max);
    let arrivals = Arrivals::new(state.pool.clone(), connections_max);
    let waiting = web::Data::new(arrivals.clone());
    let bulk = web::Data::new(BulkGate::new(options.bulk_bytes_max));
    let bind = options.bind;
    let (started, answer) = std::sync::mpsc::channel();
    let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(state.clone())
                    .app_data(keys.clone())
                    .app_data(bulk.clone())
                    .app_data(waiting.clone())
                    .app_data(web::PayloadConfig::new(bytes_max))
                    .configure(routes)
            })
            .workers(1)
            .max_connections(connections_max)
            .shutdown_timeout(5)
            .disable_signals()
            .bind(bind);
            let server = match server {
                Ok(server) => server,
                Err(error) => {
                    drop(started.send(Err(error)));
                    return Ok(());
                }
            };
            let address = server.addrs().first().copied().unwrap_or(bind);
            let server = server.run();
            drop(started.send(Ok((address, server.handle()))));
            server.await
        })
    })?;
    let (address, handle) = answer.recv().map_err(|_| io::Error::other("the admin server did not start"))??;
    Ok(Server { address, handle, thread, arrivals })
}

fn routes(config: &mut web::ServiceConfig) {
    let v1 = web::scope("/v1")
        .wrap(from_fn(require_key))
        // Answers may hold a signing secret.
        .wrap(
            DefaultHeaders::new()
                .add((header::CACHE_CONTROL, "no-store"))
                .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff")),
        )
        .wrap(from_fn(compress));
    let v1 = resources().into_iter().fold(v1, Scope::service).default_service(web::to(nowhere));
    config
        .service(open("/livez", web::get().to(health::live)))
        .service(open("/readyz", web::get().to(health::ready)))
        .service(open("/metrics", web::get().to(health::metrics)))
        .service(open("/peer/overview", web::get().to(peer::overview)))
        .service(open("/peer/actors", web::get().to(peer::actors)))
        .service(web::resource("/peer/canary").route(web::post().to(peer::canary)))
        .service(web::resource("/peer/endpoints").route(web::post().to(peer::endpoints)))
        .service(open("/openapi.json", web::get().to(description::document)))
        .service(open("/reference", web::get().to(description::reference)))
        .service(v1)
        .configure(dashboard::routes)
        .app_data(web::PathConfig::default().error_handler(|_, _| Problem::not_found("path").into()))
        .default_service(web::to(nowhere));
}

/// What needs no key.
fn open(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(|| not_allowed("GET".to_owned())))
}

/// An id that nobody has.
pub(super) fn new_id(kind: Kind) -> String {
    id::new(kind, clock::wall_ms(), rand::random())
}
