//! ● The real binary as a process of its own, with a database of its own, set up over REST as an operator would.

use std::{
    env,
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{authority::Authority, database::Database, kafka::Topics, plan::Plan, rest, sampler::Sampler};

/// Number of those that were made.
static INSTALLATIONS: AtomicUsize = AtomicUsize::new(0);

/// A database that holds the plan's customers, endpoints and subscriptions; instances start on it again and again.
pub struct Installation {
    database: Database,
    brokers: String,
    cores: usize,
    folder: PathBuf,
    backlog_events_per_second_max: Option<u32>,
    /// A file with the authority of the endpoints' certificates, in place of the machine's.
    roots: Option<PathBuf>,
}

impl Installation {
    /// Sets up with an instance that consumes nothing yet, so that no event passes before its subscription.
    pub fn new(
        plan: &Plan,
        port: u16,
        authority: Option<&Authority>,
        cores: usize,
        topics: &mut Topics,
    ) -> io::Result<Self> {
        // A scenario may set up one topic several times.
        let name = format!("{}-{}", plan.topic, INSTALLATIONS.fetch_add(1, Ordering::Relaxed));
        let mut installation = Installation::empty(&name, topics.brokers(), cores)?;
        if let Some(authority) = authority {
            let roots = installation.folder.join(format!("{name}.pem"));
            fs::write(&roots, &authority.certificate)?;
            installation.roots = Some(roots);
        }
        installation.backlog_events_per_second_max = plan.backlog_events_per_second_max;
        let nothing = topics.empty()?;
        let instance = installation.start(&nothing, &format!("{}-setup", plan.topic))?;
        rest::set_up(instance.admin, ADMIN_KEY, plan, port)?;
        instance.stop()?;
        Ok(installation)
    }

    /// A database of this name with nothing in it.
    pub fn empty(name: &str, brokers: &str, cores: usize) -> io::Result<Self> {
        let folder = logs();
        fs::create_dir_all(&folder)?;
        Ok(Installation {
            database: Database::create(name)?,
            brokers: brokers.to_owned(),
            cores,
            folder,
            backlog_events_per_second_max: None,
            roots: None,
        })
    }

    /// Reads these topics, separated by commas.
    pub fn start(&self, topics: &str, group: &str) -> io::Result<Instance> {
        self.start_with(topics, group, &[])
    }

    /// With settings of its own, as names and values of the environment.
    pub fn start_with(&self, topics: &str, group: &str, settings: &[(&str, &str)]) -> io::Result<Instance> {
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let log = self.folder.join(format!("{group}-{}.log", admin.port()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POSTRIDER_")) {
            command.env_remove(name);
        }
        if let Some(most) = self.backlog_events_per_second_max {
            command.env("POSTRIDER_BACKLOG_EVENTS_PER_SECOND_MAX", most.to_string());
        }
        if let Some(roots) = &self.roots {
            command.env("SSL_CERT_FILE", roots);
        }
        let child = command
            .args(["serve", "--until-stdin-ends"]) // so that nobody stays behind when the driver is killed
            .env("POSTRIDER_SERVICE_CORES", self.cores.to_string())
            .env("POSTRIDER_KAFKA_BROKERS", &self.brokers)
            .env("POSTRIDER_KAFKA_TOPICS", topics)
            .env("POSTRIDER_KAFKA_GROUP_ID", group)
            .env("POSTRIDER_KAFKA_FIRST_START", "earliest")
            .env("POSTRIDER_POSTGRES_URL", self.database.url())
            .env("POSTRIDER_ADMIN_BIND", admin.to_string())
            .env("POSTRIDER_ADMIN_KEY", ADMIN_KEY)
            .env("POSTRIDER_SECRETS_KEY", SECRETS_KEY)
            .env("POSTRIDER_EGRESS_ALLOW", "127.0.0.0/8") // where its receiver is
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()?;
        let mut instance = Instance { child, admin, log };
        instance.wait_until_ready()?;
        Ok(instance)
    }
}

/// A running Postrider, killed when dropped.
pub struct Instance {
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
}

impl Instance {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn metric(&self, name: &str) -> io::Result<f64> {
        Ok(rest::metrics(self.admin)?.value(name))
    }

    /// Looks at it again and again until dropped.
    pub fn sampler(&self) -> Sampler {
        Sampler::start(self.admin, self.pid())
    }

    /// For calls one after the other.
    pub fn caller(&self) -> rest::Caller {
        rest::Caller::new(self.admin, ADMIN_KEY)
    }

    /// Its endpoints were paused, and shall not be any more.
    pub fn resume(&self, plan: &Plan) -> io::Result<()> {
        rest::resume(self.admin, ADMIN_KEY, plan)
    }

    pub fn check_alive(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                Err(io::Error::other(format!("postrider ended unasked ({status}):\n{}", tail.join("\n"))))
            }
        }
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let started = Instant::now();
        while !rest::is_ready(self.admin) {
            self.check_alive()?;
            if started.elapsed() > START_MAX {
                return Err(io::Error::other(format!("postrider is not ready; see {}", self.log.display())));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// SIGKILL, as the kernel does it when memory is short.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// As an orchestrator stops it: SIGTERM, and SIGKILL when that is not heeded.
    pub fn stop(mut self) -> io::Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > STOP_MAX {
                return Err(io::Error::other(format!("postrider did not stop; see {}", self.log.display())));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the instances' logs are. They stay when a run fails.
fn logs() -> PathBuf {
    env::temp_dir().join(format!("postrider-bench-{}", std::process::id()))
}

pub fn remove_logs() {
    let _ = fs::remove_dir_all(logs());
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Of databases that live for a benchmark.
const ADMIN_KEY: &str = "benchmark-admin-key";
const SECRETS_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(30);
