//! ● Asks the other live instances what they know of themselves: all at once, and no longer than a second.
//!
//! **Invariant:** whoever is asked answers for itself alone and asks nobody, so a question never goes round in circles.
//! **Invariant:** an instance that does not answer is named, and costs the answer nothing but its share.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    peer_address,
    peer_auth::{DIGEST_HEADER, HEADER, PeerToken, digest_of},
};
use crate::{api::instance::SilentPeer, clock, store::instances::InstanceRow};

/// Connecting, asking and the whole answer.
const DEADLINE: Duration = Duration::from_secs(1);
/// A page of actors, or a quarter of an hour of five hundred topics, is far below.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// The other instances, as the heartbeat last saw them.
pub struct Peers {
    own: InstanceRow,
    token: PeerToken,
    others: ArcSwap<Vec<InstanceRow>>,
    canary: OnceLock<OnCanary>,
}

/// Callback for a canary of this instance that another one has delivered.
pub type OnCanary = Box<dyn Fn(u64) + Send + Sync>;

/// Answers of the others.
#[derive(Debug)]
pub struct PeerAnswers<T> {
    pub answers: Vec<T>,
    pub silent: Vec<SilentPeer>,
}

/// The answer that travels: the name says whether the one that was meant has answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct PeerAnswer<T> {
    pub instance: String,
    pub answer: T,
}

impl Peers {
    /// `id` is this instance.
    #[must_use]
    pub fn new(id: &str, started_ms: i64, token: PeerToken) -> Self {
        let at = Timestamp::from_millisecond(started_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        let own = InstanceRow { id: id.to_owned(), started_at: at, seen_at: at, version, address: None };
        Peers { own, token, others: ArcSwap::default(), canary: OnceLock::new() }
    }

    #[must_use]
    pub fn own_id(&self) -> &str {
        &self.own.id
    }

    #[must_use]
    pub fn token(&self) -> &PeerToken {
        &self.token
    }

    /// The heartbeat saw these others.
    pub fn update_instances(&self, others: Vec<InstanceRow>) {
        self.others.store(Arc::new(others));
    }

    /// All live instances, this one first.
    #[must_use]
    pub fn instances(&self) -> Vec<InstanceRow> {
        let seen_at = Timestamp::from_millisecond(clock::wall_ms()).unwrap_or(self.own.seen_at);
        let own = InstanceRow { seen_at, ..self.own.clone() };
        std::iter::once(own).chain(self.others.load().iter().cloned()).collect()
    }

    /// Registers the callback for canaries that came back over another instance.
    pub fn on_canary(&self, heard: OnCanary) {
        let _ = self.canary.set(heard);
    }

    /// Another instance has delivered it.
    pub fn canary_arrived(&self, number: u64) {
        if let Some(heard) = self.canary.get() {
            heard(number);
        }
    }

    /// Tells one instance something, if it lives. To be called on an actix thread.
    pub async fn notify(&self, instance: &str, path: &str, body: &Value) {
        let others = self.others.load_full();
        let Some(other) = others.iter().find(|other| other.id == instance) else { return };
        if let Err(reason) = self.ask_one::<bool>(other, path, Some(&body.to_string())).await {
            tracing::debug!(instance, reason, "another instance could not be notified");
        }
    }

    /// Asks every other instance for `path`; with a body it is a POST. To be called on an actix thread.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str, body: Option<&Value>) -> PeerAnswers<T> {
        let others = self.others.load_full();
        let body = body.map(ToString::to_string);
        let asked = others.iter().map(|other| self.ask_one(other, path, body.as_deref()));
        let mut heard = PeerAnswers { answers: Vec::new(), silent: Vec::new() };
        for (other, answer) in others.iter().zip(join_all(asked).await) {
            match answer {
                Ok(answer) => heard.answers.push(answer),
                Err(reason) => heard.silent.push(SilentPeer { id: other.id.clone(), reason }),
            }
        }
        heard
    }

    async fn ask_one<T: DeserializeOwned>(
        &self,
        other: &InstanceRow,
        path: &str,
        body: Option<&str>,
    ) -> Result<T, String> {
        let Some(address) = &other.address else { return Err("it says no address".to_owned()) };
        peer_address::check(address)?;
        let path = for_one(path, &other.id);
        let asked =
            tokio::time::timeout(DEADLINE, self.exchange(address, &path, body.unwrap_or_default(), body.is_some()));
        let bytes = asked.await.map_err(|_| format!("no answer within {} ms", DEADLINE.as_millis()))??;
        let answer: PeerAnswer<T> =
            serde_json::from_slice(&bytes).map_err(|_| "its answer is of another version".to_owned())?;
        if answer.instance == other.id { Ok(answer.answer) } else { Err("another instance has its address".to_owned()) }
    }

    async fn exchange(&self, address: &str, path: &str, body: &str, is_post: bool) -> Result<Vec<u8>, String> {
        let token = self.token.sign(clock::wall_ms(), path, body.as_bytes());
        let url = format!("http://{address}{path}");
        let client = CLIENT.with(Clone::clone);
        let request = if is_post { client.post(url) } else { client.get(url) };
        let request = request
            .insert_header((HEADER, token))
            .insert_header((DIGEST_HEADER, digest_of(body.as_bytes())))
            .insert_header(("content-type", "application/json"));
        let mut reply = request.send_body(body.to_owned()).await.map_err(|error| error.to_string())?;
        if reply.status() != awc::http::StatusCode::OK {
            return Err(format!("it answered {}", reply.status().as_u16()));
        }
        Ok(reply.body().limit(ANSWER_BYTES_MAX).await.map_err(|error| error.to_string())?.to_vec())
    }
}

/// Names the instance in a question to it, and so in its signature: another one that gets the question cannot use it.
fn for_one(path: &str, id: &str) -> String {
    let to: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let join = if path.contains('?') { '&' } else { '?' };
    format!("{path}{join}{TO}={to}")
}

/// True if a question is for this instance. One of an older version does not say for whom it is.
#[must_use]
pub fn is_for(query: &str, own_id: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).all(|(name, value)| name != TO || value == own_id)
}

const TO: &str = "to";

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("own", &self.own.id).finish_non_exhaustive()
    }
}

thread_local! {
    /// Not the endpoints' client: instances stand where endpoints may not lead.
    static CLIENT: awc::Client = awc::Client::builder().timeout(DEADLINE).disable_redirects().finish();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_for_the_instance_that_it_names_and_for_nobody_else() {
        for path in ["/peer/overview", "/peer/actors?kind=endpoint"] {
            let asked = for_one(path, "in_1 & co");
            let query = asked.split_once('?').expect("a query").1;
            assert!(is_for(query, "in_1 & co") && !is_for(query, "in_2"), "{asked}");
        }
        assert!(is_for("kind=endpoint", "in_1"), "an older instance does not say for whom");
    }
}
