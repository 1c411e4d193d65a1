//! ● Settings: ten thousand endpoints and a million subscription entries, written over REST, in effect, listed, and
//! loaded at a start.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{addresses, kafka::Topics, postrider::Installation, rest::Caller};

/// How long each took.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// One endpoint after the other, over one connection.
    pub put: Duration,
    pub endpoints: Duration,
    pub subscriptions: Duration,
    /// From the last answer until an instance works by it.
    pub in_effect: Duration,
    /// The slowest pages.
    pub endpoints_page: Duration,
    pub subscriptions_page: Duration,
    /// From the start of a process with all of it until it is ready.
    pub start: Duration,
    pub rss_bytes: u64,
}

pub const ENDPOINTS: usize = 10_000;
/// Of each endpoint.
pub const TENANTS: usize = 100;
const PUTS: usize = 500;
const PAGES: usize = 40;

pub fn run(topics: &mut Topics, cores: usize) -> io::Result<Measured> {
    let topic = topics.empty()?;
    let installation = Installation::empty("settings", topics.brokers(), cores)?;
    let instance = installation.start(&topic, "settings")?;
    let caller = instance.caller();
    let quotas = json!({ "endpoints_max": 2 * ENDPOINTS, "subscription_entries_max": ENDPOINTS * TENANTS });
    let customer = json!({ "name": "bench", "grants": { "topics": ["*"], "tenants": ["*"] }, "quotas": quotas });
    caller.put("/customers/bench", &customer)?;

    let started = Instant::now();
    let puts: Vec<(String, Value)> =
        (0..PUTS).map(|number| (format!("/endpoints/single-{number}"), endpoint(number, None))).collect();
    caller.put_all(&puts)?;
    let put = started.elapsed() / PUTS as u32;

    let all: Vec<Value> = (0..ENDPOINTS).map(|number| endpoint(number, Some(uid(number)))).collect();
    let (_, endpoints) = timed(|| caller.post("/endpoints/bulk", &json!({ "endpoints": all })))?;
    let all: Vec<Value> = (0..ENDPOINTS).map(|number| subscription(number, &topic)).collect();
    let (answer, subscriptions) = timed(|| caller.post("/subscriptions/bulk", &json!({ "subscriptions": all })))?;

    let answered = Instant::now();
    let version = answer["version"].as_f64().unwrap_or(f64::MAX);
    while instance.metric("postrider_settings_version")? < version {
        if answered.elapsed() > PATIENCE {
            return Err(io::Error::other("the settings do not come into effect"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    let in_effect = answered.elapsed();
    let endpoints_page = slowest_page(&caller, "/endpoints?limit=250")?;
    let subscriptions_page = slowest_page(&caller, "/subscriptions?limit=250")?;
    instance.stop()?;

    let started = Instant::now();
    let instance = installation.start(&topic, "settings")?;
    let start = started.elapsed();
    let rss_bytes = crate::process::rss_peak_bytes(instance.pid()).unwrap_or(0);
    instance.stop()?;
    Ok(Measured { put, endpoints, subscriptions, in_effect, endpoints_page, subscriptions_page, start, rss_bytes })
}

fn uid(number: usize) -> String {
    format!("bulk-{number:05}")
}

fn endpoint(number: usize, uid: Option<String>) -> Value {
    json!({ "customer_id": "bench", "uid": uid, "url": addresses::url("http", number, 20_000) })
}

fn subscription(number: usize, topic: &str) -> Value {
    let tenants: Vec<usize> = (0..TENANTS).map(|tenant| number * 3 + tenant).collect();
    let scope = json!({ "level": "tenants", "tenants": tenants });
    json!({ "uid": uid(number), "endpoint_id": uid(number), "topic": topic, "scope": scope })
}

fn slowest_page(caller: &Caller, first: &str) -> io::Result<Duration> {
    let (mut slowest, mut path) = (Duration::ZERO, first.to_owned());
    for _ in 0..PAGES {
        let (page, took) = timed(|| caller.get(&path))?;
        slowest = slowest.max(took);
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{first}&cursor={cursor}"),
            None => break,
        }
    }
    Ok(slowest)
}

fn timed<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Duration)> {
    let started = Instant::now();
    let done = work()?;
    Ok((done, started.elapsed()))
}

const PATIENCE: Duration = Duration::from_secs(60);
