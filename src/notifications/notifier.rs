//! ● Tells the operators what was emitted: to a webhook, signed as the customers' are, and to a Kafka topic.
//!
//! One after the other, in order. What cannot be told is tried again for a while; meanwhile the outbox fills, and beyond
//! its bound what is emitted is counted and left out.

use std::{convert::Infallible, time::Duration};

use jiff::Timestamp;
use metrics::counter;
use rdkafka::{
    ClientConfig,
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{OperatorEvent, dedup::Dedup, outbox};
use crate::{
    clock,
    model::{
        id,
        signature::{self, SigningKey},
    },
    store::{Pool, operator_events},
    telemetry::names,
};

/// `[operator_events]` of the configuration.
#[derive(Debug, Clone)]
pub struct NotifierOptions {
    pub instance: String,
    pub webhook_url: String,
    /// `whsec_…`, or empty: then nothing is signed.
    pub webhook_secret: SecretString,
    pub topic: String,
    /// For the topic.
    pub kafka: ClientConfig,
    pub repeat_after: Duration,
}

/// Destinations of operator events.
struct Notifier {
    options: NotifierOptions,
    pool: Pool,
    client: awc::Client,
    key: Option<SigningKey>,
    producer: Option<ThreadedProducer<DefaultProducerContext>>,
    told: Dedup,
}

/// Tells for ever. To be run on an actix thread; nothing is kept for it before this is called.
pub async fn run(options: NotifierOptions, pool: Pool) -> Infallible {
    outbox().open();
    let producer = match options.topic.as_str() {
        "" => None,
        topic => options
            .kafka
            .create()
            .inspect_err(|error| tracing::error!(%error, topic, "operator events do not go to Kafka"))
            .ok(),
    };
    let mut notifier = Notifier {
        key: SigningKey::parse(options.webhook_secret.expose_secret()).ok(),
        client: awc::Client::builder().timeout(ANSWER_WITHIN).disable_redirects().finish(),
        producer,
        told: Dedup::default(),
        options,
        pool,
    };
    loop {
        outbox().some().await;
        for (event, at_ms) in outbox().take() {
            notifier.notify(&event, at_ms).await;
        }
    }
}

impl Notifier {
    async fn notify(&mut self, event: &OperatorEvent, at_ms: i64) {
        if !self.is_news(event, at_ms).await {
            return;
        }
        let payload = event.to_json(at_ms, &self.options.instance);
        if let Some(producer) = &self.producer {
            let (key, text) = (event.subject().to_string(), payload.to_string());
            // librdkafka keeps it and tries again by itself, for as long as message.timeout.ms.
            if let Err((error, _)) = producer.send(BaseRecord::to(&self.options.topic).key(&key).payload(&text)) {
                lost("kafka", event, &error.to_string());
            }
        }
        if !self.options.webhook_url.is_empty()
            && let Err(reason) = self.post(&payload, at_ms).await
        {
            lost("webhook", event, &reason);
        }
    }

    /// Not told by this instance a while ago, nor by another one.
    async fn is_news(&mut self, event: &OperatorEvent, at_ms: i64) -> bool {
        let (key, repeat_after) = (event.subject().key(&self.options.instance), self.options.repeat_after);
        let repeat_after_ms = i64::try_from(repeat_after.as_millis()).unwrap_or(i64::MAX);
        if !self.told.is_news(&key, event.as_str(), event.is_relief(), at_ms, repeat_after_ms) {
            return false;
        }
        match operator_events::claim(&self.pool, &key, event.as_str(), event.is_relief(), repeat_after_ms).await {
            Ok(is_ours) => is_ours,
            Err(error) => {
                // Dedup twice is better than not at all.
                tracing::debug!(%error, "it is unknown whether another instance has sent this event already");
                true
            }
        }
    }

    /// The same id each time, so that a receiver can drop what it has.
    async fn post(&self, payload: &Value, at_ms: i64) -> Result<(), String> {
        let id = format!("opev_{}", id::name(clock::wall_ms(), rand::random()));
        let body = payload.to_string();
        let mut wait = WAIT_FIRST;
        for attempt in 1..=ATTEMPTS_MAX {
            let Err(reason) = self.post_once(&id, &body).await else { return Ok(()) };
            if attempt == ATTEMPTS_MAX {
                let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
                return Err(format!("of {at}, after {attempt} attempts: {reason}"));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
        Ok(())
    }

    async fn post_once(&self, id: &str, body: &str) -> Result<(), String> {
        let seconds = clock::wall_ms().div_euclid(1_000);
        let mut request = self
            .client
            .post(&self.options.webhook_url)
            .insert_header(("content-type", "application/json"))
            .insert_header(("user-agent", concat!("postrider/", env!("CARGO_PKG_VERSION"))))
            .insert_header(("webhook-id", id))
            .insert_header(("webhook-timestamp", seconds.to_string()));
        if let Some(key) = &self.key {
            let signature = signature::sign(std::slice::from_ref(key), id, seconds, body.as_bytes());
            request = request.insert_header(("webhook-signature", signature));
        }
        let reply = request.send_body(body.to_owned()).await.map_err(|error| error.to_string())?;
        if reply.status().is_success() { Ok(()) } else { Err(format!("it answered {}", reply.status().as_u16())) }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        if let Some(producer) = &self.producer {
            let _ = producer.flush(FLUSH_MAX);
        }
    }
}

fn lost(way: &'static str, event: &OperatorEvent, reason: &str) {
    counter!(names::OPERATOR_EVENTS_DROPPED).increment(1);
    tracing::error!(operator_event = event.as_str(), way, reason, "an operator event could not be delivered: {event}");
}

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// About five minutes.
const ATTEMPTS_MAX: u32 = 10;
const FLUSH_MAX: Duration = Duration::from_millis(500);
