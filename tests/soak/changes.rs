//! ● Endpoints and subscriptions that come and go all the time, through the API.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rand::{Rng as _, rngs::SmallRng};
use serde_json::{Value, json};

use crate::{
    harness::{Receiver, TestApp, rest::Rest},
    stand::TENANTS,
};

/// Endpoints at once, at most.
const PLACES: usize = 6;
/// Between two changes, at most.
const PACE_MS: u64 = 2_000;

/// A place for an endpoint; one after the other has it.
struct Place {
    url: String,
    /// Their ids.
    endpoint: Option<String>,
    subscription: Option<String>,
}

/// The API and the names that changes are made with.
struct Customer {
    rest: Rest,
    id: String,
    topic: String,
    dice: SmallRng,
    tally: Tally,
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub endpoints: u64,
    pub subscriptions: u64,
    pub patches: u64,
    /// Calls that were not answered with 2xx: Postgres is away now and then.
    pub refused: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { endpoints, subscriptions, patches, refused } = self;
        write!(
            f,
            "{endpoints} endpoints and {subscriptions} subscriptions came and went, {patches} endpoints were changed, \
             {refused} calls failed"
        )
    }
}

pub struct Changes {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Tally>,
}

impl Changes {
    pub fn start(app: &TestApp, receiver: &Receiver, dice: SmallRng) -> Self {
        let place = |number: usize| {
            let hook = receiver.hook(&format!("passing-{number}"));
            hook.keep_no_requests();
            Place { url: hook.url().to_owned(), endpoint: None, subscription: None }
        };
        let mut places: Vec<Place> = (0..PLACES).map(place).collect();
        let (rest, id, topic) = (app.rest().clone(), app.new_customer(), app.topic.clone());
        let mut customer = Customer { rest, id, topic, dice, tally: Tally::default() };
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopping.load(Ordering::Acquire) {
                let place = customer.dice.random_range(0..PLACES);
                customer.change(&mut places[place]);
                thread::park_timeout(Duration::from_millis(customer.dice.random_range(0..PACE_MS)));
            }
            places.iter_mut().for_each(|place| customer.leave(place));
            customer.tally
        });
        Changes { stop, thread }
    }

    /// Ends it; all of these endpoints are gone.
    pub fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().expect("changes are made until the end")
    }
}

impl Customer {
    fn change(&mut self, place: &mut Place) {
        let Some(endpoint) = place.endpoint.clone() else { return self.come(place) };
        match self.dice.random_range(0..4) {
            0 => self.leave(place),
            1 => {
                let body = json!({"in_flight_max": self.dice.random_range(1..16)});
                self.call("PATCH", &format!("/v1/endpoints/{endpoint}"), Some(&body));
                self.tally.patches += 1;
            }
            _ => {
                if let Some(id) = place.subscription.take() {
                    self.call("DELETE", &format!("/v1/subscriptions/{id}"), None);
                }
                place.subscription = self.subscribe(&endpoint);
            }
        }
    }

    fn come(&mut self, place: &mut Place) {
        let mode = if self.dice.random_bool(0.5) { "stream" } else { "batch" };
        let body = json!({"customer_id": self.id, "url": place.url, "mode": mode});
        place.endpoint = self.call("POST", "/v1/endpoints", Some(&body)).and_then(id_of);
        if let Some(endpoint) = place.endpoint.clone() {
            self.tally.endpoints += 1;
            place.subscription = self.subscribe(&endpoint);
        }
    }

    fn subscribe(&mut self, endpoint: &str) -> Option<String> {
        let tenant = self.dice.random_range(1..=TENANTS).to_string();
        let scope = json!({"level": "tenants", "tenants": [tenant]});
        let body = json!({"endpoint_id": endpoint, "topic": self.topic, "scope": scope});
        self.tally.subscriptions += 1;
        self.call("POST", "/v1/subscriptions", Some(&body)).and_then(id_of)
    }

    /// The endpoint goes, with its subscription and all that waits for it. Tried again while nobody answers.
    fn leave(&mut self, place: &mut Place) {
        const TRIES: u32 = 30;
        let Some(endpoint) = place.endpoint.take() else { return };
        place.subscription = None;
        for _ in 0..TRIES {
            if self.call("DELETE", &format!("/v1/endpoints/{endpoint}"), None).is_some() {
                return;
            }
            thread::sleep(Duration::from_secs(1)); // until Postgres is back
        }
    }

    /// The answer, if it is a 2xx, or says that there is no such thing.
    fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
        let reply = self.rest.try_call(method, path, body.map(Value::to_string));
        let done = reply.filter(|reply| (200..300).contains(&reply.status) || reply.status == 404);
        self.tally.refused += u64::from(done.is_none());
        done.map(|reply| serde_json::from_str(&reply.text).unwrap_or_default())
    }
}

fn id_of(answer: Value) -> Option<String> {
    answer["id"].as_str().map(str::to_owned)
}
