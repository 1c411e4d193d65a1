//! ● The canary: a synthetic event a minute through the whole path, from Kafka over the router and an endpoint actor to a
//! receiver of this instance's own. Components may look well while nothing is delivered; this one sees it.
//!
//! Its customer, endpoint and subscription are rows like any others, so that nothing on its way is special. Only where
//! its requests go is: each instance sends those that it delivers to its own receiver on the loopback, and hands what
//! another instance has sent on to that one. With `canary.url` they go to a receiver of somebody's own, and have arrived when
//! that one takes them.

mod rows; // its customer, its endpoint, its subscription

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, web};
use metrics::{Gauge, Histogram, gauge, histogram};
use parking_lot::Mutex;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::channel;

use super::{Error, pipeline::plain_client};
use crate::{
    clock,
    config::Config,
    endpoint::attempt_log::DeliveryObserver,
    ingest::consumer::ConsumerState,
    model::{event::Event, url::EndpointUrl},
    monitoring::{
        canary::{CanaryPayload, CanaryWatch},
        peers::Peers,
    },
    notifications::emit,
    store::{Pool, secret_box::SecretBox},
    telemetry::names,
};

/// The canary's endpoint, as this instance delivers to it.
#[derive(Debug, Clone)]
pub(super) struct OwnReceiver {
    pub endpoint_id: Arc<str>,
    pub url: EndpointUrl,
    pub address: SocketAddr,
}

/// Canaries that were sent, and those that arrived.
#[derive(Clone)]
struct Arrivals {
    peers: Arc<Peers>,
    watch: Arc<Mutex<CanaryWatch>>,
    seconds: Histogram,
}

impl Arrivals {
    fn new(config: &Config, peers: &Arc<Peers>) -> Self {
        let watch = CanaryWatch::new(config.canary.late_after_ms, clock::wall_ms());
        let arrivals = Arrivals {
            peers: Arc::clone(peers),
            watch: Arc::new(Mutex::new(watch)),
            seconds: histogram!(names::CANARY_SECONDS),
        };
        let heard = arrivals.clone();
        peers.on_canary(Box::new(move |number| heard.arrived(number)));
        arrivals
    }

    /// One has come out at the other end: its sender is told.
    async fn take(&self, canary: CanaryPayload) {
        if canary.instance == self.peers.own_id() {
            self.arrived(canary.number);
        } else {
            self.peers.notify(&canary.instance, "/peer/canary", &json!(canary)).await;
        }
    }

    fn arrived(&self, number: u64) {
        if let Some(took_ms) = self.watch.lock().arrive(number, clock::wall_ms()) {
            self.seconds.record(Duration::from_millis(took_ms));
        }
    }
}

/// One that is ready to be sent.
pub(super) struct Prepared {
    at: At,
    arrivals: Arrivals,
}

/// The receiver that gets them.
enum At {
    Own(OwnReceiver),
    Elsewhere(Arc<DeliveryObserver>),
}

/// The canary's receiver, as those who deliver need it.
#[derive(Clone, Default)]
pub struct CanaryTarget {
    pub own_receiver: Option<SocketAddr>,
    pub observed: Option<Arc<DeliveryObserver>>,
}

impl Prepared {
    /// Sends it from now on.
    pub(super) fn start(self, config: &Arc<Config>, consumer: &Arc<ConsumerState>) {
        actix_rt::spawn(run(Arc::clone(config), Arc::clone(consumer), self.arrivals));
    }
}

/// Makes the rows that are missing, however long Postgres takes, and begins to listen. `None` without `canary.topic`.
///
/// # Errors
/// When there is no port for the receiver.
pub(super) async fn prepare(
    config: &Config,
    pool: &Pool,
    secrets: &SecretBox,
    peers: &Arc<Peers>,
) -> Result<Option<Prepared>, Error> {
    if config.canary.topic.is_empty() {
        return Ok(None);
    }
    let arrivals = Arrivals::new(config, peers);
    let endpoint_id = rows(config, pool, secrets).await;
    let at = match config.canary.url.as_str() {
        "" => At::Own(listen(endpoint_id, &arrivals)?),
        _ => At::Elsewhere(observe(endpoint_id, &arrivals)),
    };
    Ok(Some(Prepared { at, arrivals }))
}

/// The address of its requests, if it is not its row's; and the place where they arrive.
pub(super) fn places(prepared: Option<&Prepared>) -> (Option<OwnReceiver>, CanaryTarget) {
    match prepared.map(|prepared| &prepared.at) {
        None => (None, CanaryTarget::default()),
        Some(At::Own(own)) => (Some(own.clone()), CanaryTarget { own_receiver: Some(own.address), observed: None }),
        Some(At::Elsewhere(observed)) => {
            (None, CanaryTarget { own_receiver: None, observed: Some(Arc::clone(observed)) })
        }
    }
}

async fn rows(config: &Config, pool: &Pool, secrets: &SecretBox) -> Arc<str> {
    let mut said = false;
    loop {
        match rows::make(pool, secrets, &config.canary).await {
            Ok(id) => return id,
            Err(error) => {
                if !said {
                    tracing::warn!(%error, "the canary's endpoint cannot be written yet");
                    said = true;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn listen(endpoint_id: Arc<str>, arrivals: &Arrivals) -> Result<OwnReceiver, Error> {
    let data = web::Data::new(arrivals.clone());
    // Known to nobody: an endpoint of a customer's that finds the way here brings nothing about.
    let path = format!("/{:032x}", rand::random::<u128>());
    let served = path.clone();
    let server = HttpServer::new(move || App::new().app_data(data.clone()).route(&served, web::post().to(receive)))
        .workers(1)
        .disable_signals()
        .bind((std::net::Ipv4Addr::LOCALHOST, 0))
        .map_err(Error::CanaryReceiver)?;
    let address = server.addrs().first().copied().unwrap_or_else(|| (std::net::Ipv4Addr::LOCALHOST, 0).into());
    actix_rt::spawn(server.run());
    let url = EndpointUrl::parse(&format!("http://{address}{path}")).expect("invariant: an address makes a URL");
    Ok(OwnReceiver { endpoint_id, url, address })
}

/// The envelope around it.
#[derive(Deserialize)]
struct Envelope {
    data: CanaryPayload,
}

async fn receive(arrivals: web::Data<Arrivals>, body: web::Bytes) -> HttpResponse {
    let Ok(Envelope { data: canary }) = serde_json::from_slice(&body) else {
        // What somebody else has put into the topic. Taken, or it would be tried again and again.
        return HttpResponse::Ok().finish();
    };
    // Told apart from the answer: the sender's absence is not the endpoint's failure.
    let arrivals = arrivals.get_ref().clone();
    actix_rt::spawn(async move { arrivals.take(canary).await });
    HttpResponse::Ok().finish()
}

/// Observes the canaries that a receiver elsewhere has taken, as the cores see it.
fn observe(endpoint_id: Arc<str>, arrivals: &Arrivals) -> Arc<DeliveryObserver> {
    let (sender, mut taken) = channel::<CanaryPayload>(TAKEN_MAX);
    let arrivals = arrivals.clone();
    actix_rt::spawn(async move {
        while let Some(canary) = taken.recv().await {
            arrivals.take(canary).await;
        }
    });
    let taken = move |event: &Event| {
        let canary = event.value().and_then(|value| serde_json::from_slice(value).ok());
        if let Some(Err(_)) = canary.map(|canary| sender.try_send(canary)) {
            tracing::debug!("too many canaries arrive; the rest is not reported");
        }
    };
    Arc::new(DeliveryObserver { endpoint_id, taken: Box::new(taken) })
}

/// Sends one every interval, and says when one is late, until the process ends.
async fn run(config: Arc<Config>, consumer: Arc<ConsumerState>, arrivals: Arrivals) {
    let producer: ThreadedProducer<DefaultProducerContext> = match plain_client(&config).create() {
        Ok(producer) => producer,
        Err(error) => return tracing::error!(%error, "there is no canary: Kafka's client refused its configuration"),
    };
    let shown = Shown { age: gauge!(names::CANARY_AGE), late: gauge!(names::CANARY_LATE) };
    let interval_ms = i64::try_from(config.canary.interval_ms).unwrap_or(i64::MAX);
    let mut due_ms = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now_ms = clock::wall_ms();
        // One that is sent before anything is consumed, or while nothing more is, would only be late.
        if now_ms >= due_ms && consumer.membership().has_joined() && !consumer.is_quiet() {
            due_ms = now_ms.saturating_add(interval_ms);
            send(&producer, &config.canary.topic, &consumer, &arrivals);
        }
        let look = arrivals.watch.lock().poll(now_ms);
        shown.late.set(if look.is_late { 1.0 } else { 0.0 });
        shown.age.set(Duration::from_millis(look.age_ms));
        if let Some(news) = look.news
            && !consumer.is_quiet()
        {
            emit(news);
        }
    }
}

struct Shown {
    age: Gauge,
    late: Gauge,
}

/// Into a partition that is this instance's own, if it has one: then the whole path is its own.
fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    topic: &str,
    consumer: &ConsumerState,
    arrivals: &Arrivals,
) {
    let instance = arrivals.peers.own_id().to_owned();
    let number = arrivals.watch.lock().send(clock::wall_ms());
    let payload = json!(CanaryPayload { instance: instance.clone(), number }).to_string();
    let own = consumer.assigned().iter().find(|ledger| ledger.topic() == topic).map(|ledger| ledger.partition());
    let mut record = BaseRecord::to(topic).key(&instance).payload(&payload);
    record.partition = own;
    if let Err((error, _)) = producer.send(record) {
        tracing::warn!(%error, "the canary could not be sent");
    }
}

const RETRY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// There is one a minute, or a few.
const TAKEN_MAX: usize = 100;
