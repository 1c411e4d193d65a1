//! ● The routes and their listeners, each with threads of its own: requests for settings never share a core's arbiter with
//! deliveries, and probes never share a thread with requests.

use std::net::SocketAddr;

use actix_web::{
    Resource, Route, Scope,
    http::header,
    middleware::{DefaultHeaders, from_fn},
    web,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    auth::{ApiCallLimits, Keys, require_key},
    bulk_body::BulkGate,
    compress::compress,
    dead_letter_long_poll::DeadLetterLongPolls,
    health,
    listener::{ApiListener, ListenerOptions, StartError},
    memory::charge_answers,
    openapi_routes, peer,
    problem::Problem,
    responses::{not_allowed, nowhere},
    routes::resources,
    state::AdminState,
};
use crate::dashboard;

/// `[admin]` of the configuration.
#[derive(Clone)]
pub struct AdminOptions {
    /// Listener of the API.
    pub public: ListenerOptions,
    /// Listener of probes, metrics and other instances; without it the API's listener serves them.
    pub internal: Option<ListenerOptions>,
    /// The API's listener serves what is internal in any case.
    pub internal_paths_public: bool,
    pub key: SecretString,
    pub request_bytes_max: usize,
    /// Bytes of a call with many items.
    pub bulk_bytes_max: usize,
    pub limits: ApiCallLimits,
}

/// The listeners of an instance.
#[derive(Debug)]
pub struct Server {
    public: ApiListener,
    internal: Option<ApiListener>,
    arrivals: DeadLetterLongPolls,
}

impl Server {
    /// Address of the API.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.public.address()
    }

    /// Address of probes and other instances.
    #[must_use]
    pub fn internal_address(&self) -> SocketAddr {
        self.internal.as_ref().unwrap_or(&self.public).address()
    }

    /// Lets requests under way end, and stops. Probes are answered until the API has ended.
    pub async fn stop(self) {
        // Whoever waits for news would wait for the end of its time.
        self.arrivals.close();
        self.public.stop().await;
        if let Some(internal) = self.internal {
            internal.stop().await;
        }
    }
}

/// Listens at once.
///
/// # Errors
/// When a listener cannot be started.
pub fn start(options: &AdminOptions, state: AdminState) -> Result<Server, StartError> {
    let keys = web::Data::new(Keys::new(
        options.key.expose_secret(),
        options.limits,
        state.pool.clone(),
        options.public.trusted_proxies.clone(),
    ));
    let arrivals = DeadLetterLongPolls::new(state.pool.clone(), options.public.connections_max);
    let waiting = web::Data::new(arrivals.clone());
    let bulk = web::Data::new(BulkGate::new(options.bulk_bytes_max, state.work.clone()));
    let memory = web::Data::new(state.memory.clone());
    let work = web::Data::new(state.work.clone());
    let state = web::Data::new(state);
    let bytes_max = options.request_bytes_max;
    let with_internal = options.internal.is_none() || options.internal_paths_public;
    let of_internal = state.clone();
    let public = ApiListener::start(options.public.clone(), move |config| {
        config
            .app_data(state.clone())
            .app_data(keys.clone())
            .app_data(bulk.clone())
            .app_data(waiting.clone())
            .app_data(memory.clone())
            .app_data(work.clone())
            .app_data(web::PayloadConfig::new(bytes_max));
        if with_internal {
            config.configure(internal_routes);
        }
        config.configure(public_routes);
    });
    let public = public?;
    let internal = options.internal.clone().map(|options| {
        let configure = move |config: &mut web::ServiceConfig| {
            config.app_data(of_internal.clone()).configure(internal_routes).default_service(web::to(nowhere));
        };
        ApiListener::start(options, configure)
    });
    Ok(Server { public, internal: internal.transpose()?, arrivals })
}

/// The API and the web page.
fn public_routes(config: &mut web::ServiceConfig) {
    let v1 = web::scope("/v1")
        .wrap(from_fn(compress)) // inside of the key: its work is that key's
        .wrap(from_fn(require_key))
        // Answers may hold a signing secret.
        .wrap(
            DefaultHeaders::new()
                .add((header::CACHE_CONTROL, "no-store"))
                .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff")),
        )
        .wrap(from_fn(charge_answers));
    let v1 = resources().into_iter().fold(v1, Scope::service).default_service(web::to(nowhere));
    config
        .service(open("/openapi.json", web::get().to(openapi_routes::document)))
        .service(open("/reference", web::get().to(openapi_routes::reference)))
        .service(v1)
        .configure(dashboard::routes)
        .app_data(web::PathConfig::default().error_handler(|_, _| Problem::not_found("path").into()))
        .default_service(web::to(nowhere));
}

/// For orchestrators, Prometheus and the other instances.
fn internal_routes(config: &mut web::ServiceConfig) {
    config
        .service(open("/livez", web::get().to(health::live)))
        .service(open("/readyz", web::get().to(health::ready)))
        .service(open("/metrics", web::get().to(health::metrics)))
        .service(open("/peer/overview", web::get().to(peer::overview)))
        .service(open("/peer/actors", web::get().to(peer::actors)))
        .service(web::resource("/peer/canary").route(web::post().to(peer::canary)))
        .service(web::resource("/peer/probe").route(web::post().to(peer::probe)))
        .service(web::resource("/peer/endpoints").route(web::post().to(peer::endpoints)));
}

/// A path that needs no key.
fn open(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(|| not_allowed("GET".to_owned())))
}
