//! ● One instance: a real process of the real binary.

use std::{
    collections::BTreeMap,
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use super::{eventually, rest::Rest, within};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_postrider");

/// A running `postrider serve`. Dropping it kills it, and shows its log when the story failed.
pub struct Instance {
    child: Child,
    log: PathBuf,
    pub rest: Rest,
    /// Where probes are answered.
    pub internal: Rest,
}

/// How an instance ended.
pub struct Stopped {
    pub status: ExitStatus,
    pub took: Duration,
}

impl Instance {
    /// Starts it, without waiting for anything.
    pub fn spawn(name: &str, settings: &BTreeMap<String, String>) -> Self {
        let log = log_path(name);
        let bind = format!("127.0.0.1:{}", free_port());
        // Where handles are few there are none for a second listener.
        let internal =
            if settings.contains_key(HANDLES_MAX) { None } else { Some(format!("127.0.0.1:{}", free_port())) };
        let file = File::create(&log).expect("a log file");
        let child = command(settings)
            .arg("serve")
            .env("POSTRIDER_ADMIN_BIND", &bind)
            .env("POSTRIDER_ADMIN_INTERNAL_BIND", internal.as_deref().unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle of the log"))
            .stderr(file)
            .spawn()
            .expect("the binary starts");
        let rest = Rest::new(&bind, &settings["POSTRIDER_ADMIN_KEY"]);
        let internal = Rest::new(internal.as_deref().unwrap_or(&bind), "").with_key(None);
        Instance { child, log, rest, internal }
    }

    /// Waits until it is ready.
    #[track_caller]
    pub fn await_ready(&mut self) {
        eventually("the instance is ready", || {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("the instance ended with {status} before it was ready");
            }
            self.rest.try_get("/readyz").filter(|reply| reply.status == 200)
        });
    }

    /// The process ends in the middle of whatever it does.
    pub fn kill9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// Waits until it has died by itself.
    #[track_caller]
    pub fn await_death(&mut self) -> ExitStatus {
        eventually("the process died", || self.child.try_wait().expect("a child can be asked"))
    }

    /// Asks it to stop, and waits until it has.
    #[track_caller]
    pub fn sigterm(&mut self) -> Stopped {
        let asked_at = self.send_sigterm();
        let status = within(Duration::from_secs(40), "the process ended", || self.child.try_wait().expect("a child"));
        Stopped { status, took: asked_at.elapsed() }
    }

    /// Asks it to stop, and does not wait.
    pub fn send_sigterm(&self) -> Instant {
        self.signal("TERM");
        Instant::now()
    }

    /// SIGSTOP: the process lives, and does nothing.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// SIGCONT
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// CPU time that it has used so far, all threads together; zero where the system does not tell.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // After the name, which may have spaces: the 12th and the 13th, in hundredths of a second.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", self.child.id())])
            .status()
            .expect("sh runs everywhere");
        assert!(status.success(), "kill -{signal} failed");
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
            eprintln!("--- {} ---\n{}\n---", self.log.display(), lines[from..].join("\n"));
        }
    }
}

/// Not a setting: another build of the binary.
pub const BUILD: &str = "BUILD";

/// Not a setting: the process begins with such a limit of file handles.
pub const HANDLES_MAX: &str = "HANDLES_MAX";

const LOG_LINES_SHOWN: usize = 80;

/// The binary with these settings and no others.
pub fn command(settings: &BTreeMap<String, String>) -> Command {
    let binary = settings.get(BUILD).map_or(BINARY, String::as_str);
    let mut command = match settings.get(HANDLES_MAX) {
        None => Command::new(binary),
        Some(most) => {
            let mut limited = Command::new("sh");
            limited.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", most, binary]);
            limited
        }
    };
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTRIDER_")) {
        command.env_remove(name);
    }
    command.envs(settings);
    command
}

fn log_path(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}.log", std::process::id()))
}

/// A port that nobody listens on, below those the system hands out by itself, and never the same one twice.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 11_000;
    const COUNT: u16 = 8_000;
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    loop {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
