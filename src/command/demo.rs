//! ● `postrider demo`: sample customers, sample events, and a table of what arrives.
//!
//! It makes its topics, starts an instance (or uses a running one), creates customers, endpoints and subscriptions
//! through the REST API, produces events, and receives them as the customers would. It keeps books of what must arrive
//! where, so its end is a verdict: a delivery that did not come, a bad signature or a stray event makes it fail.

mod fixtures; // ○ who takes part
mod script; // ○ the sample events
mod tally; // ○ what was produced and received
mod screen; // ○ the table and the verdict
mod api; // ● REST
mod producer; // ● Kafka
mod instance; // ● a Postrider of its own

use std::{
    io::{IsTerminal, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use actix_web::dev::ServerHandle;
use clap::Args;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, timeout},
};

use self::{
    api::Api, fixtures::DemoEndpoint, instance::DemoInstance, producer::ProducerThread, screen::ScreenNumbers,
    tally::DemoTally,
};
use super::receiver::{self, Received, ReceiverReply, Verifier};
use crate::{clock, config::Config, store, telemetry::names};

#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Events a second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Stop by itself after so many seconds of events, and succeed only if everything arrived
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Use the Postrider that runs there instead of starting one; it must consume the topics demo.*
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// The admin key of that Postrider; without it admin.key of the configuration
    #[arg(long, env = "POSTRIDER_DEMO_ADMIN_KEY", hide_env_values = true, requires = "api")]
    admin_key: Option<SecretString>,
    /// The host by which that Postrider reaches this machine
    #[arg(long, value_name = "HOST", requires = "api")]
    receive_at: Option<String>,
}

/// The customer whose own key is shown; the picky receiver is its.
const WATCHED: &str = "globex";
/// Time for everything to come up, and for the first event to be heard.
const START_MAX: Duration = Duration::from_secs(60);
/// Time for the last deliveries: a failed one is tried again after a pause, and the pauses grow.
const DRAIN_MAX: Duration = Duration::from_secs(30);

pub(super) fn run(arguments: &DemoArguments, config_path: Option<&PathBuf>, config: Config) -> ExitCode {
    let mut needed = config.clone();
    needed.kafka.topics = fixtures::TOPICS.map(str::to_owned).to_vec();
    if arguments.api.is_none()
        && let Err(errors) = needed.ready_to_serve()
    {
        return super::usage(&errors);
    }
    let outcome = actix::System::new().block_on(async {
        let mut demo = Demo::prepare(arguments, config_path.map(PathBuf::as_path), &config).await?;
        let result = demo.watch(arguments.seconds).await;
        demo.finish(&config).await.and(result)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => super::failure(&problem),
    }
}

/// Everything that runs.
struct Demo {
    parts: Arc<Vec<DemoEndpoint>>,
    tally: Arc<Mutex<DemoTally>>,
    api: Api,
    receivers: ServerHandle,
    instance: Option<DemoInstance>,
    producing: Option<ProducerThread>,
}

impl Demo {
    async fn prepare(arguments: &DemoArguments, config_path: Option<&Path>, config: &Config) -> Result<Self, String> {
        producer::create_topics(&config.kafka).await?;
        let key = arguments.admin_key.clone().unwrap_or_else(|| config.admin.key.clone());
        let parts = Arc::new(fixtures::parts(key.expose_secret()));
        let run = format!("{:016x}", rand::random::<u64>());
        let tally = Arc::new(Mutex::new(DemoTally::new(run.clone(), parts.len(), clock::now())));
        let (address, receivers) = start_receivers(arguments, &parts, &tally)?;
        let (api, instance) = match &arguments.api {
            Some(url) => (Api::new(url, key.clone()), None),
            None => {
                let url = config.postgres.url.expose_secret();
                store::migrate(url).await.map_err(|error| format!("the database: {error}"))?;
                let bind = instance::free_address(config.admin.bind)?;
                let instance = DemoInstance::start(config_path, bind)?;
                (Api::new(&format!("http://{}", super::health::reachable(bind)), key.clone()), Some(instance))
            }
        };
        let producing =
            ProducerThread::start(&config.kafka, arguments.rate, run, Arc::clone(&parts), Arc::clone(&tally))?;
        let mut demo = Demo { parts, tally, api, receivers, instance, producing: Some(producing) };
        demo.introduce(arguments, address).await?;
        let customer_key = demo.api.customer_key(WATCHED).await?;
        demo.welcome(&key, &customer_key);
        Ok(demo)
    }

    /// Creates everyone in the instance, and waits until each receiver heard of this run.
    async fn introduce(&mut self, arguments: &DemoArguments, address: SocketAddr) -> Result<(), String> {
        let started = clock::now();
        let mut pause = interval(Duration::from_millis(50));
        let host = arguments.receive_at.clone().unwrap_or_else(|| Ipv4Addr::LOCALHOST.to_string());
        let mut created = false;
        loop {
            pause.tick().await;
            if let Some(instance) = &mut self.instance {
                instance.check()?;
            }
            if !created && self.api.ready().await {
                self.api.create(&self.parts, &format!("http://{host}:{}", address.port())).await?;
                created = true;
            }
            if created && self.tally.lock().rows.iter().all(|row| row.listens) {
                break;
            }
            if clock::now().duration_since(started) > START_MAX {
                return Err(self.not_listening(created));
            }
        }
        if let Some(producing) = &self.producing {
            producing.begin_counting();
        }
        Ok(())
    }

    fn not_listening(&self, created: bool) -> String {
        let log = self.instance.as_ref().map(|instance| instance.take_log().join("\n")).unwrap_or_default();
        if !created {
            return format!("{} was not ready within {} s\n{log}", self.api.base(), START_MAX.as_secs());
        }
        let tally = self.tally.lock();
        let deaf = self.parts.iter().zip(&tally.rows).filter(|(_, row)| !row.listens).map(|(part, _)| part.uid);
        format!("nothing reached {} within {} s\n{log}", deaf.collect::<Vec<_>>().join(", "), START_MAX.as_secs())
    }

    fn welcome(&self, key: &SecretString, customer_key: &str) {
        let base = self.api.base();
        let key = key.expose_secret();
        println!("Postrider is delivering. Its web page: {base}/");
        println!("  sign in as the admin, with the key              {key}");
        println!("  or as the customer {WATCHED}, with its own key   {customer_key}");
        println!("For those who watch it: {base}/livez  {base}/readyz  {base}/metrics");
        println!("The dead letters of the picky receiver, as its customer pulls them:");
        println!(
            "  curl -s -H 'Authorization: Bearer {customer_key}' '{base}/v1/endpoints/demo-globex-picky/dead-letters'"
        );
        println!("Ctrl-C stops.\n");
    }

    /// Shows what happens until the time is over or somebody stops it.
    async fn watch(&mut self, seconds: Option<u64>) -> Result<(), String> {
        let mut screen = Screen::new();
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        second.tick().await;
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut moment = ScreenNumbers::default();
        let mut before = (0, 0);
        loop {
            tokio::select! {
                _ = second.tick() => {}
                _ = tokio::signal::ctrl_c() => break,
                _ = terminate.recv() => break,
            }
            moment.seconds += 1;
            moment.dead_letters = self.dead_letters().await;
            {
                let tally = self.tally.lock();
                let now = (tally.produced, screen::delivered(&tally));
                (moment.produced_per_second, moment.delivered_per_second) = (now.0 - before.0, now.1 - before.1);
                before = now;
                let log = self.instance.as_ref().map(DemoInstance::take_log).unwrap_or_default();
                screen.show(&log, &self.parts, &tally, &moment);
            }
            if let Some(instance) = &mut self.instance {
                instance.check()?;
            }
            if self.producing.as_ref().is_some_and(ProducerThread::failed) {
                return Err("Kafka does not take the sample events".to_owned());
            }
            if seconds.is_some_and(|seconds| moment.seconds >= seconds) {
                break;
            }
        }
        Ok(())
    }

    /// Stops in the order of the path, waits for what is under way, and says how it went.
    async fn finish(mut self, config: &Config) -> Result<(), String> {
        println!("\nstopping: no more events, then the last deliveries, then the instance");
        if let Some(producing) = self.producing.take() {
            producing.stop();
        }
        let waited = timeout(DRAIN_MAX, self.drained());
        tokio::select! {
            _ = waited => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        let dead_letters = self.dead_letters().await;
        let stopped = match self.instance.take() {
            Some(instance) => instance.stop(config.service.shutdown_max() + Duration::from_secs(2)).await,
            None => Ok(()),
        };
        self.receivers.stop(false).await;
        let tally = self.tally.lock();
        println!();
        for line in screen::table(&self.parts, &tally) {
            println!("{line}");
        }
        println!("\n{}", screen::sums(&tally, dead_letters));
        let mut complaints = screen::complaints(&self.parts, &tally);
        complaints.extend(stopped.err());
        if !complaints.is_empty() {
            return Err(complaints.join("\n  "));
        }
        println!("everything arrived");
        Ok(())
    }

    async fn drained(&self) {
        let mut pause = interval(Duration::from_millis(50));
        while self.tally.lock().due() > 0 {
            pause.tick().await;
        }
    }

    async fn dead_letters(&self) -> Option<u64> {
        self.api.metrics().await.map(|page| screen::counter(&page, names::DEAD_LETTERS))
    }
}

/// One server for all parts: each has its own path and its own secret.
fn start_receivers(
    arguments: &DemoArguments,
    parts: &Arc<Vec<DemoEndpoint>>,
    tally: &Arc<Mutex<DemoTally>>,
) -> Result<(SocketAddr, ServerHandle), String> {
    // Another machine's Postrider cannot reach loopback.
    let ip = if arguments.receive_at.is_some() { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let listener =
        TcpListener::bind((IpAddr::V4(ip), 0)).map_err(|error| format!("no port for the receivers: {error}"))?;
    let verifiers: Result<Vec<Verifier>, _> = parts.iter().map(|part| Verifier::new([part.secret.as_str()])).collect();
    let verifiers = verifiers.map_err(|error| error.to_string())?;
    let (parts, tally) = (Arc::clone(parts), Arc::clone(tally));
    let look = move |received: Received| {
        let uid = received.path.trim_start_matches('/');
        let Some(index) = parts.iter().position(|part| part.uid == uid) else { return ReceiverReply::Status(404) };
        let (id, timestamp, signature) = (&received.webhook_id, &received.webhook_timestamp, &received.signature);
        if verifiers[index].verify(id, timestamp, signature, &received.body, clock::wall_ms() / 1000).is_err() {
            tally.lock().rows[index].bad_signatures += 1;
            return ReceiverReply::Status(401);
        }
        let events = receiver::events(&received.body);
        tally.lock().receive(index, &parts[index], &events, clock::now())
    };
    receiver::start(listener, look).map_err(|error| format!("the receivers could not start: {error}"))
}

/// The terminal: a table that stays in its place, or one line a second where it is no terminal.
struct Screen {
    is_terminal: bool,
    height: usize,
}

impl Screen {
    fn new() -> Self {
        Screen { is_terminal: std::io::stdout().is_terminal(), height: 0 }
    }

    fn show(&mut self, log: &[String], parts: &[DemoEndpoint], tally: &DemoTally, moment: &ScreenNumbers) {
        let mut text = String::new();
        if self.is_terminal && self.height > 0 {
            text.push_str(&format!("\x1b[{}A\x1b[J", self.height));
        }
        for line in log {
            text.push_str(&format!("instance: {line}\n"));
        }
        if self.is_terminal {
            let mut table = screen::table(parts, tally);
            table.extend(screen::status(tally, moment));
            self.height = table.len();
            // A narrow terminal cuts the lines: were they to wrap, the height would be wrong.
            text.push_str(&format!("\x1b[?7l{}\x1b[?7h\n", table.join("\n")));
        } else {
            text.push_str(&(screen::status(tally, moment).join("  ") + "\n"));
        }
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
