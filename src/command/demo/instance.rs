//! ● A Postrider of the demo's own: a child process, configured by variables, that ends with the demo.

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;

use super::fixtures::{INVOICE_PLACES, TOPICS};

/// A running `postrider serve`.
pub(super) struct DemoInstance {
    child: Child,
    /// Stops the instance when it closes.
    stdin: Option<ChildStdin>,
    /// Log lines that nobody showed yet; the oldest are dropped.
    log: Arc<Mutex<Vec<String>>>,
}

/// Log lines kept for showing.
const LINES_MAX: usize = 20;

impl DemoInstance {
    /// Starts this very binary with the configuration it was given, the demo's own topics and this address.
    pub(super) fn start(config: Option<&Path>, bind: SocketAddr) -> Result<Self, String> {
        let binary = std::env::current_exe().map_err(|error| format!("cannot find its own binary: {error}"))?;
        let mut command = Command::new(binary);
        command
            .args(["serve", "--until-stdin-ends"])
            .args(config.iter().flat_map(|path| [Path::new("--config"), path]))
            .env("POSTRIDER_KAFKA_TOPICS", TOPICS.join(","))
            .env("POSTRIDER_KAFKA_TOPICS_PATTERN", "")
            .env("POSTRIDER_KAFKA_GROUP_ID", "postrider-demo")
            .env("POSTRIDER_EVENT_TENANT", "header:tenant")
            .env("POSTRIDER_EVENT_DEPARTMENT", "header:department")
            .env("POSTRIDER_EVENT_TYPE", "header:type")
            .env("POSTRIDER_EVENT_TOPICS", INVOICE_PLACES)
            .env("POSTRIDER_ADMIN_BIND", bind.to_string())
            // The receivers are this process's own.
            .env("POSTRIDER_EGRESS_ALLOW", "127.0.0.0/8")
            .env("POSTRIDER_LOG_FORMAT", "text")
            // The picky receiver's failures are meant to happen; the table counts them.
            .env("POSTRIDER_LOG_FILTER", "warn,postrider::endpoint::attempt_log=off")
            // Ctrl-C reaches the terminal's whole process group; the instance is to stop last, so it gets its own.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start an instance: {error}"))?;
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = log.lock();
                    if log.len() == LINES_MAX {
                        log.remove(0);
                    }
                    log.push(line);
                }
            });
        }
        Ok(DemoInstance { stdin: child.stdin.take(), child, log })
    }

    /// Log lines since the last call.
    pub(super) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock())
    }

    /// An error when it ended by itself.
    pub(super) fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("the instance ended ({status}):\n{}", self.take_log().join("\n"))),
            Err(error) => Err(format!("cannot look after the instance: {error}")),
        }
    }

    /// Lets it drain; kills it only when it takes longer than it is allowed to.
    pub(super) async fn stop(mut self, at_most: Duration) -> Result<(), String> {
        drop(self.stdin.take());
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while waited < at_most {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the instance ended with {status}")),
                Ok(None) => actix::clock::sleep(step).await,
                Err(error) => return Err(format!("cannot wait for the instance: {error}")),
            }
            waited += step;
        }
        Err(format!("the instance did not stop within {} s and was killed", at_most.as_secs()))
    }
}

impl Drop for DemoInstance {
    fn drop(&mut self) {
        // Without effect when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configured address, or another port of this machine when it is taken.
pub(super) fn free_address(wanted: SocketAddr) -> Result<SocketAddr, String> {
    let free = |address: SocketAddr| TcpListener::bind(address).and_then(|listener| listener.local_addr());
    free(wanted)
        .or_else(|_| free(SocketAddr::from(([127, 0, 0, 1], 0))))
        .map_err(|error| format!("no port is free: {error}"))
}
