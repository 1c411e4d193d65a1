//! ● Postrider's REST API, as far as the benchmark needs it.

use std::{io, net::SocketAddr, time::Duration};

use awc::{Client, Connector, http::Method};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{addresses, plan::Plan};

/// True once the instance says that it is ready.
pub fn is_ready(admin: SocketAddr) -> bool {
    actix_rt::System::new().block_on(async {
        let client = Client::builder().timeout(Duration::from_secs(1)).finish();
        client.get(format!("http://{admin}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success())
    })
}

/// A customer, an endpoint and a subscription for each of the plan's endpoints.
pub fn set_up(admin: SocketAddr, key: &str, plan: &Plan, port: u16) -> io::Result<()> {
    actix_rt::System::new().block_on(async {
        let api = Api::new(admin, key);
        let all: Vec<usize> = (0..plan.endpoints).collect();
        for some in all.chunks(BULK_ITEMS) {
            api.put_bulk("customers", some.iter().map(|number| customer(*number))).await?;
            api.put_bulk("endpoints", some.iter().map(|number| endpoint(plan, port, *number))).await?;
            api.put_bulk("subscriptions", some.iter().map(|number| subscription(plan, *number))).await?;
        }
        for some in plan.other_topics.chunks(BULK_ITEMS) {
            api.put_bulk("subscriptions", some.iter().map(|topic| whole_topic(topic))).await?;
        }
        api.command_paused(plan, "pause").await
    })
}

/// Lets the plan's endpoints have what waits for them.
pub fn resume(admin: SocketAddr, key: &str, plan: &Plan) -> io::Result<()> {
    actix_rt::System::new().block_on(async { Api::new(admin, key).command_paused(plan, "resume").await })
}

/// An instance's metrics at one time.
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// Of a metric without labels.
    pub fn value(&self, name: &str) -> f64 {
        self.of(name).find(|(labels, _)| labels.is_empty()).map_or(0.0, |(_, value)| value)
    }

    /// Each value of a metric, with its labels as they are written.
    pub fn of(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.text.lines().filter_map(move |line| {
            let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            let labelled = labels.is_empty() || labels.starts_with('{');
            Some((labels, value.parse().ok()?)).filter(|_| labelled)
        })
    }
}

pub fn metrics(admin: SocketAddr) -> io::Result<Metrics> {
    actix_rt::System::new().block_on(async {
        let client = Client::builder().timeout(Duration::from_secs(5)).finish();
        let sent = client.get(format!("http://{admin}/metrics")).send().await;
        let mut answer = sent.map_err(|error| io::Error::other(format!("GET /metrics: {error}")))?;
        let text = answer.body().limit(METRICS_BYTES_MAX).await.map_err(io::Error::other)?;
        Ok(Metrics { text: String::from_utf8_lossy(&text).into_owned() })
    })
}

/// Calls one after the other.
pub struct Caller {
    base: String,
    key: String,
}

impl Caller {
    pub fn new(admin: SocketAddr, key: &str) -> Self {
        Caller { base: format!("http://{admin}/v1"), key: key.to_owned() }
    }

    pub fn get(&self, path: &str) -> io::Result<Value> {
        self.run(async |api| api.send(Method::GET, path, &Value::Null).await)
    }

    pub fn put(&self, path: &str, body: &Value) -> io::Result<Value> {
        self.run(async |api| api.put(path, body).await)
    }

    pub fn post(&self, path: &str, body: &Value) -> io::Result<Value> {
        self.run(async |api| api.send(Method::POST, path, body).await)
    }

    /// All of them over one connection.
    pub fn put_all(&self, all: &[(String, Value)]) -> io::Result<()> {
        self.run(async |api| {
            for (path, body) in all {
                api.put(path, body).await?;
            }
            Ok(())
        })
    }

    fn run<T>(&self, work: impl AsyncFnOnce(Api) -> io::Result<T>) -> io::Result<T> {
        actix_rt::System::new().block_on(async {
            let client = Client::builder().timeout(Duration::from_secs(120)).bearer_auth(&self.key).finish();
            work(Api { client, base: self.base.clone() }).await
        })
    }
}

struct Api {
    client: Client,
    base: String,
}

impl Api {
    fn new(admin: SocketAddr, key: &str) -> Self {
        let client = Client::builder()
            .connector(Connector::new().limit(AT_ONCE))
            .timeout(Duration::from_secs(120))
            .bearer_auth(key)
            .finish();
        Api { client, base: format!("http://{admin}/v1") }
    }

    async fn put_bulk(&self, what: &str, items: impl Iterator<Item = Value>) -> io::Result<()> {
        let body = json!({ what: items.collect::<Vec<_>>() });
        self.send(Method::POST, &format!("/{what}/bulk"), &body).await.map(drop)
    }

    /// To each of those that the plan pauses, a few at once.
    async fn command_paused(&self, plan: &Plan, command: &str) -> io::Result<()> {
        let mut ended = stream::iter(0..plan.paused)
            .map(|number| async move {
                let path = format!("/endpoints/{}/{command}", addresses::name(number));
                self.send(Method::POST, &path, &json!({})).await
            })
            .buffer_unordered(AT_ONCE);
        while let Some(result) = ended.next().await {
            result?;
        }
        Ok(())
    }

    async fn put(&self, path: &str, body: &Value) -> io::Result<Value> {
        self.send(Method::PUT, path, body).await
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> io::Result<Value> {
        let sent = self.client.request(method.clone(), format!("{}{path}", self.base)).send_json(body).await;
        let mut answer = sent.map_err(|error| io::Error::other(format!("{method} {path}: {error}")))?;
        let text = answer.body().limit(ANSWER_BYTES_MAX).await.map_err(io::Error::other)?;
        if !answer.status().is_success() {
            let text = String::from_utf8_lossy(&text);
            return Err(io::Error::other(format!("{method} {path}: {} {text}", answer.status())));
        }
        Ok(serde_json::from_slice(&text)?)
    }
}

fn customer(number: usize) -> Value {
    let name = addresses::name(number);
    json!({ "uid": name, "name": name, "grants": { "topics": ["*"], "tenants": ["*"] } })
}

fn endpoint(plan: &Plan, port: u16, number: usize) -> Value {
    let name = addresses::name(number);
    let mut endpoint = json!({
        "uid": name,
        "customer_id": name,
        "url": plan.url(number, port),
        "format": if plan.raw { "raw" } else { "envelope" },
        "in_flight_max": plan.in_flight_max,
        "http2": if plan.http2 { "auto" } else { "off" },
    });
    if let Some(slow) = plan.slow.filter(|slow| addresses::is_one_in(number, slow.every)) {
        // Slow, and no failure.
        endpoint["request_timeout_ms"] = (slow.after * 3).as_secs().clamp(15, 120).saturating_mul(1_000).into();
    }
    if let Some(events_max) = plan.batch_events {
        endpoint["mode"] = "batch".into();
        endpoint["batch"] = json!({ "events_max": events_max, "wait_ms_max": 1000, "bytes_max": 1 << 20 });
    }
    endpoint
}

fn subscription(plan: &Plan, number: usize) -> Value {
    let name = addresses::name(number);
    let scope = match plan.endpoints {
        1 => json!({ "level": "topic" }),
        _ => {
            let own = (number..plan.tenants).step_by(plan.endpoints); // as `Plan::endpoint_of` has it
            json!({ "level": "tenants", "tenants": own.map(addresses::tenant).collect::<Vec<_>>() })
        }
    };
    json!({ "uid": name, "endpoint_id": name, "topic": plan.topic, "scope": scope })
}

/// The first endpoint gets all of it.
fn whole_topic(topic: &str) -> Value {
    json!({ "uid": topic, "endpoint_id": addresses::name(0), "topic": topic, "scope": { "level": "topic" } })
}

/// As many as one bulk call takes.
const BULK_ITEMS: usize = 10_000;
const AT_ONCE: usize = 8;
const ANSWER_BYTES_MAX: usize = 64 << 20;
const METRICS_BYTES_MAX: usize = 16 << 20;
