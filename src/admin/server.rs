//! ● The routes, and the server that listens on a thread of its own: requests for settings never share a core's arbiter
//! with deliveries.

use std::{io, net::SocketAddr, sync::Arc, thread};

use actix_web::{
    App, HttpServer,
    dev::ServerHandle,
    http::header,
    middleware::{DefaultHeaders, from_fn},
    web,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    actors::{self, ActorReport},
    answer::{not_allowed, nowhere},
    attempts,
    auth::{KeyHash, require_key},
    backlog,
    bulk_body::BulkGate,
    bulk_endpoints, bulk_subscriptions, customers, dead_letters,
    endpoint_body::Rules,
    endpoint_commands, endpoints,
    health::{self, Readiness},
    live::Live,
    matches,
    problem::Problem,
    replays, subscriptions,
};
use crate::{
    clock,
    replay::positions::Positions,
    store::{
        Pool,
        id::{self, Kind},
        secret_box::SecretBox,
        secrets::EndpointSecrets,
    },
};

/// `[admin]` of the configuration.
#[derive(Debug, Clone)]
pub struct AdminOptions {
    /// Port 0 takes any free one.
    pub bind: SocketAddr,
    pub key: SecretString,
    pub request_bytes_max: usize,
    /// Of a call with many items.
    pub bulk_bytes_max: usize,
}

impl From<&crate::config::Admin> for AdminOptions {
    fn from(config: &crate::config::Admin) -> Self {
        AdminOptions {
            bind: config.bind,
            key: config.key.clone(),
            request_bytes_max: config.request_bytes_max,
            bulk_bytes_max: config.bulk_bytes_max,
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
    pub readiness: Arc<dyn Readiness>,
    /// Where ranges of Kafka are looked up.
    pub positions: Positions,
    /// What events are matched against.
    pub live: Live,
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
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests under way end, and stops.
    pub async fn stop(self) {
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
    let (state, hash) = (web::Data::new(state), web::Data::new(KeyHash::of(options.key.expose_secret())));
    let bytes_max = options.request_bytes_max;
    let bulk = web::Data::new(BulkGate::new(options.bulk_bytes_max));
    let bind = options.bind;
    let (started, answer) = std::sync::mpsc::channel();
    let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(state.clone())
                    .app_data(hash.clone())
                    .app_data(bulk.clone())
                    .app_data(web::PayloadConfig::new(bytes_max))
                    .configure(routes)
            })
            .workers(1)
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
    Ok(Server { address, handle, thread })
}

/// A resource whose other methods answer 405 with what is allowed.
macro_rules! resource {
    ($path:literal, $($method:ident: $handler:expr),+) => {
        web::resource($path)
            $(.route(web::$method().to($handler)))+
            .default_service(web::to(|| not_allowed(&[$(stringify!($method)),+])))
    };
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
        .service(resource!("/customers", get: customers::list, post: customers::create))
        .service(resource!("/customers/{name}", get: customers::read, put: customers::put, patch: customers::patch,
            delete: customers::delete))
        .service(resource!("/endpoints", get: endpoints::list, post: endpoints::create))
        .service(resource!("/endpoints/bulk", post: bulk_endpoints::upsert))
        .service(resource!("/endpoints/{name}", get: endpoints::read, put: endpoints::put, patch: endpoints::patch,
            delete: endpoints::delete))
        .service(resource!("/endpoints/{name}/enable", post: endpoint_commands::enable))
        .service(resource!("/endpoints/{name}/disable", post: endpoint_commands::disable))
        .service(resource!("/endpoints/{name}/pause", post: endpoint_commands::pause))
        .service(resource!("/endpoints/{name}/resume", post: endpoint_commands::resume))
        .service(resource!("/endpoints/{name}/restart", post: endpoint_commands::restart))
        .service(resource!("/endpoints/{name}/secrets/rotate", post: endpoint_commands::rotate))
        .service(resource!("/endpoints/{name}/attempts", get: attempts::list))
        .service(resource!("/endpoints/{name}/backlog", get: backlog::read))
        .service(resource!("/endpoints/{name}/backlog/purge", post: backlog::purge))
        .service(resource!("/endpoints/{name}/dead-letters", get: dead_letters::list_of_endpoint))
        .service(resource!("/endpoints/{name}/dead-letters/ack", post: dead_letters::acknowledge))
        .service(resource!("/endpoints/{name}/dead-letters/redrive", post: dead_letters::redrive))
        .service(resource!("/subscriptions", get: subscriptions::list, post: subscriptions::create))
        .service(resource!("/subscriptions/bulk", post: bulk_subscriptions::upsert))
        .service(resource!("/subscriptions/{name}", get: subscriptions::read, put: subscriptions::put,
            patch: subscriptions::patch, delete: subscriptions::delete))
        .service(resource!("/match", post: matches::who_gets))
        .service(resource!("/dead-letters", get: dead_letters::list_of_operator))
        .service(resource!("/dead-letters/ack", post: dead_letters::acknowledge_of_operator))
        .service(resource!("/dead-letters/{id}", get: dead_letters::read))
        .service(resource!("/replays", get: replays::list, post: replays::create))
        .service(resource!("/replays/{id}", get: replays::read))
        .service(resource!("/replays/{id}/cancel", post: replays::cancel))
        .service(resource!("/actors", get: actors::list))
        .default_service(web::to(nowhere));
    config
        .service(resource!("/livez", get: health::live))
        .service(resource!("/readyz", get: health::ready))
        .service(resource!("/metrics", get: health::metrics))
        .service(v1)
        .app_data(web::PathConfig::default().error_handler(|_, _| Problem::not_found("path").into()))
        .default_service(web::to(nowhere));
}

/// An id that nobody has.
pub(super) fn new_id(kind: Kind) -> String {
    id::new(kind, clock::wall_ms(), rand::random())
}
