//! One more broker of the cluster, which can go and come back: meanwhile nobody leads what it alone has.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};

use super::{super::eventually_holds, TIMEOUT, brokers, service};

/// A process of Kafka's beside the one that all stories share. Dropping it kills it.
pub struct SecondBroker {
    dir: PathBuf,
    jars: String,
    child: Option<Child>,
}

/// Its number in the cluster; the first one's is 1.
pub const SECOND: i32 = 2;

impl SecondBroker {
    /// Starts it; it has joined the cluster.
    #[track_caller]
    pub fn start() -> Self {
        let first = PathBuf::from(service("KAFKA_DIR"));
        let dir = first.join("second");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a folder beside the first broker's");
        fs::write(dir.join("server.properties"), settings(&first, &dir)).expect("its settings");
        let packages = Command::new("dev/fetch").output().expect("where Kafka is");
        let jars = format!("{}/kafka/*", String::from_utf8_lossy(&packages.stdout).trim());
        let mut second = SecondBroker { dir, jars, child: None };
        second.format(&cluster_of(&first));
        second.come_back();
        second
    }

    /// It dies, with all that it alone has. Asked to stop, it would wait for somebody who takes that over.
    pub fn go_away(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
    }

    #[track_caller]
    pub fn come_back(&mut self) {
        let log = File::create(self.dir.join("log")).expect("a log file");
        let child = self
            .java("kafka.Kafka", &[])
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("java");
        self.child = Some(child);
        eventually_holds("the second broker has joined", || {
            fs::read_to_string(self.dir.join("log")).is_ok_and(|log| log.contains("Kafka Server started"))
        });
    }

    fn format(&self, cluster: &str) {
        let arguments = ["format", "--cluster-id", cluster, "--config"];
        let said = self.java("kafka.tools.StorageTool", &arguments).output().expect("java");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }

    fn java(&self, class: &str, arguments: &[&str]) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", &self.jars])
            .arg(class)
            .args(arguments)
            .arg(self.dir.join("server.properties"))
            .stdin(Stdio::null());
        java
    }
}

impl Drop for SecondBroker {
    /// For a while the cluster thinks that it is still there, and clients would ask it: whoever comes next is spared that.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let Ok(observer) = ClientConfig::new().set("bootstrap.servers", brokers()).create::<BaseConsumer>() else {
            return;
        };
        let until = Instant::now() + TIMEOUT;
        while Instant::now() < until
            && !observer.fetch_metadata(None, TIMEOUT).is_ok_and(|cluster| cluster.brokers().len() == 1)
        {
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// The first one's settings, but for what makes it another one.
fn settings(first: &Path, dir: &Path) -> String {
    let settings = fs::read_to_string(first.join("server.properties")).expect("the first broker's settings");
    let port =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
    let own = [
        ("process.roles", "broker".to_owned()),
        ("node.id", SECOND.to_string()),
        ("listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
        ("log.dirs", dir.join("data").display().to_string()),
    ];
    let is_own = |line: &&str| own.iter().any(|(name, _)| line.split('=').next() == Some(name));
    let kept = settings.lines().filter(|line| !is_own(line)).map(str::to_owned);
    let lines = kept.chain(own.iter().map(|(name, value)| format!("{name}={value}")));
    lines.collect::<Vec<String>>().join("\n")
}

fn cluster_of(first: &Path) -> String {
    let properties = fs::read_to_string(first.join("data/meta.properties")).expect("the cluster's properties");
    let id = properties.lines().find_map(|line| line.strip_prefix("cluster.id="));
    id.expect("the cluster has an id").to_owned()
}
