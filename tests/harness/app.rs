//! ● Postrider as its users see it: a topic, an API, and endpoints that get events.

mod preparation;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

use super::{
    Audit, Hook, Instance, Record, eventually_holds,
    kafka::{self, Kafka},
    postgres::Postgres,
    process::{HANDLES_MAX, Stopped},
    produced::Produced,
    rest::Rest,
};

/// One story's Postrider, with a topic, a group and a database of its own.
pub struct TestApp {
    /// Goes first, before what it works with.
    instance: Option<Instance>,
    name: String,
    pub topic: String,
    pub produced: Arc<Produced>,
    pub postgres: Arc<Postgres>,
    pub kafka: Arc<Kafka>,
    settings: BTreeMap<String, String>,
    lanes: u32,
    tenants: u32,
    customer: std::sync::OnceLock<String>,
}

/// What a story wants before the start.
pub struct Preparation {
    name: &'static str,
    partitions: i32,
    lanes: u32,
    tenants: u32,
    settings: BTreeMap<String, String>,
}

/// A customer's endpoint, and the hook that it points to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub id: String,
    pub secret: String,
    pub hook: Hook,
}

impl TestApp {
    /// Four partitions, one instance, ready.
    pub fn start(name: &'static str) -> Self {
        Self::named(name).start()
    }

    pub fn named(name: &'static str) -> Preparation {
        Preparation { name, partitions: 4, lanes: 0, tenants: 10, settings: BTreeMap::new() }
    }

    /// The first instance.
    #[track_caller]
    pub fn instance(&mut self) -> &mut Instance {
        self.instance.as_mut().expect("the story has started an instance")
    }

    /// The first instance's API.
    #[track_caller]
    pub fn rest(&self) -> &Rest {
        &self.instance.as_ref().expect("the story has started an instance").rest
    }

    /// Where the first instance answers probes.
    #[track_caller]
    pub fn internal(&self) -> &Rest {
        &self.instance.as_ref().expect("the story has started an instance").internal
    }

    /// The first instance dies in the middle of whatever it does.
    pub fn kill9(&mut self) {
        self.instance().kill9();
    }

    /// The first instance is asked to stop, and has.
    #[track_caller]
    pub fn sigterm(&mut self) -> Stopped {
        self.instance().sigterm()
    }

    /// A new process in place of the first instance's; ready.
    #[track_caller]
    pub fn restart(&mut self) {
        self.spawn();
        self.instance().await_ready();
    }

    /// As [`TestApp::restart`], without waiting for anything.
    pub fn spawn(&mut self) {
        self.instance = Some(Instance::spawn(&self.name, &self.settings));
    }

    /// Writes settings before anything of the story's topic is read: by an instance of another group.
    #[track_caller]
    pub fn before_the_first_start<T>(&mut self, write: impl FnOnce(&TestApp) -> T) -> T {
        let settings = self.settings.clone();
        let aside = format!("{}.aside", self.topic);
        self.kafka.create_topic(&aside, 1);
        self.set("KAFKA_TOPICS", aside);
        self.set("KAFKA_GROUP_ID", format!("{}-aside", self.kafka.group));
        self.restart();
        let written = write(self);
        assert!(self.sigterm().status.success());
        self.settings = settings;
        written
    }

    /// Changes a setting for processes that start from now on.
    pub fn set(&mut self, setting: &str, value: impl ToString) {
        self.settings.insert(format!("POSTRIDER_{setting}"), value.to_string());
    }

    /// Sets or clears a variable of the environment for processes that start from now on.
    pub fn env(&mut self, variable: &str, value: Option<&str>) {
        match value {
            Some(value) => drop(self.settings.insert(variable.to_owned(), value.to_owned())),
            None => drop(self.settings.remove(variable)),
        }
    }

    /// What a process is told, such as `POSTRIDER_KAFKA_TOPICS`.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// One more instance of the same group, without waiting for anything.
    pub fn another_instance(&self) -> Instance {
        Instance::spawn(&self.name, &self.settings)
    }

    /// One more instance of the same group; ready.
    #[track_caller]
    pub fn second_instance(&self) -> Instance {
        let mut instance = self.another_instance();
        instance.await_ready();
        instance
    }

    /// An endpoint of a customer that may see everything. `settings` are those of the API.
    #[track_caller]
    pub fn endpoint(&self, hook: &Hook, settings: Value) -> Endpoint {
        let mut body = json!({"customer_id": self.customer(), "url": hook.url()});
        merge(&mut body, settings);
        let created = self.rest().post("/v1/endpoints", &body).ok().json();
        let text = |name: &str| created[name].as_str().unwrap_or_else(|| panic!("no {name}: {created}")).to_owned();
        let (id, secret) = (text("id"), text("secret"));
        hook.verify_with(&[&secret]);
        Endpoint { id, secret, hook: hook.clone() }
    }

    /// As [`TestApp::endpoint`], subscribed to the whole topic; in effect.
    #[track_caller]
    pub fn subscribed_endpoint(&self, hook: &Hook, settings: Value) -> Endpoint {
        let endpoint = self.endpoint(hook, settings);
        self.subscribe(&endpoint, json!({"level": "topic"}));
        self.await_settings();
        endpoint
    }

    /// Subscribes to the story's topic; returns the subscription's id.
    #[track_caller]
    pub fn subscribe(&self, endpoint: &Endpoint, scope: Value) -> String {
        self.subscribe_to(&self.topic, endpoint, scope)
    }

    #[track_caller]
    pub fn subscribe_to(&self, topic: &str, endpoint: &Endpoint, scope: Value) -> String {
        let body = json!({"endpoint_id": endpoint.id, "topic": topic, "scope": scope});
        let created = self.rest().post("/v1/subscriptions", &body).ok().json();
        created["id"].as_str().unwrap_or_else(|| panic!("no id: {created}")).to_owned()
    }

    /// The customer that endpoints belong to unless told otherwise.
    #[track_caller]
    pub fn customer(&self) -> &str {
        self.customer.get_or_init(|| self.new_customer())
    }

    /// One more customer that may see everything; its id.
    #[track_caller]
    pub fn new_customer(&self) -> String {
        let body = json!({"name": "a customer", "grants": {"topics": ["*"], "tenants": ["*"]}});
        let created = self.rest().post("/v1/customers", &body).ok().json();
        created["id"].as_str().unwrap_or_else(|| panic!("no id: {created}")).to_owned()
    }

    /// Waits until the first instance works by everything that was written so far.
    #[track_caller]
    pub fn await_settings(&self) {
        self.await_settings_of(self.rest());
    }

    #[track_caller]
    pub fn await_settings_of(&self, rest: &Rest) {
        let wanted = self.postgres.settings_version();
        eventually_holds("the settings are in effect", || rest.metric("postrider_settings_version") >= wanted as f64);
    }

    /// Produces events of ten tenants and three departments into the story's topic; Kafka has them all.
    #[track_caller]
    pub fn produce(&self, count: u32) {
        (0..count).for_each(|_| self.send_next());
        self.kafka.flush();
    }

    /// Produces one event like this; its number.
    #[track_caller]
    pub fn produce_one(&self, record: &Record<'_>) -> u32 {
        let seq = self.kafka.send(&self.topic, record);
        self.kafka.flush();
        seq
    }

    /// Produces steadily until it is told to stop.
    pub fn load(&self, events_per_second: u32) -> Load {
        self.load_by(move |_| f64::from(events_per_second))
    }

    /// Produces until it is told to stop; `rate` says how much a second, by the seconds since it began.
    pub fn load_by(&self, rate: impl Fn(f64) -> f64 + Send + 'static) -> Load {
        let (kafka, produced, topic) = (Arc::clone(&self.kafka), Arc::clone(&self.produced), self.topic.clone());
        let (lanes, tenants) = (self.lanes, self.tenants);
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let started = Instant::now();
            let (mut at, mut due) = (0.0, 0.0);
            while !stopping.load(Ordering::Acquire) {
                let now = started.elapsed().as_secs_f64();
                due += rate(now) * (now - at);
                at = now;
                (0..due as u32).for_each(|_| send_next(&kafka, &produced, &topic, lanes, tenants));
                due = due.fract();
                thread::sleep(Duration::from_millis(10)); // its pace
            }
            kafka.flush();
        });
        Load { stop, thread: Some(thread) }
    }

    /// Everything is settled and committed, up to the end of every partition.
    #[track_caller]
    pub fn await_committed(&self) {
        eventually_holds("the group has committed everything", || self.kafka.lag() == 0);
    }

    /// All dead letters of an endpoint, page by page.
    #[track_caller]
    pub fn dead_letters(&self, endpoint: &Endpoint) -> Vec<Value> {
        let path = format!("/v1/endpoints/{}/dead-letters?limit=100", endpoint.id);
        let (mut letters, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.rest().get(&format!("{path}{cursor}")).ok().json();
            letters.extend(page["data"].as_array().unwrap_or_else(|| panic!("no data: {page}")).iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return letters,
            }
        }
    }

    pub fn audit(&self) -> Audit {
        Audit::new(Arc::clone(&self.produced), Arc::clone(&self.kafka), Arc::clone(&self.postgres))
    }

    fn send_next(&self) {
        send_next(&self.kafka, &self.produced, &self.topic, self.lanes, self.tenants);
    }
}

/// Events that keep coming.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Ends it; Kafka has all of its events.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.take().expect("a load runs until it is stopped").join().expect("the load went well");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Tenants from 1 on, departments 1 to 3 of each.
fn send_next(kafka: &Kafka, produced: &Produced, topic: &str, lanes: u32, tenants: u32) {
    let next = u32::try_from(produced.count()).expect("fewer events than that");
    let lane = (lanes > 0).then(|| next % lanes);
    let (tenant, department) = ((next % tenants + 1).to_string(), (next / tenants % 3 + 1).to_string());
    let (tenant, department) = (Some(tenant.as_str()), Some(department.as_str()));
    let fields = Record { tenant, department, kind: Some("test"), lane, ..Record::default() };
    kafka.send(topic, &fields);
}

fn merge(body: &mut Value, settings: Value) {
    let (Some(body), Value::Object(settings)) = (body.as_object_mut(), settings) else {
        panic!("settings are an object");
    };
    body.extend(settings);
}
