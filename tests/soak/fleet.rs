//! ● Instances beside the first one, which come and go.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    harness::{Instance, TestApp, rest::Rest},
    plan::Fault,
    samples::FIRST,
};

/// Numbers that an instance tells of itself.
#[derive(Clone)]
pub struct Watched {
    pub number: u32,
    pub pid: u32,
    pub internal: Rest,
}

/// Instances that run.
pub type Running = Arc<Mutex<Vec<Watched>>>;

const STOPS_WITHIN: Duration = Duration::from_secs(40);
/// Said by an instance that had to leave without its last commits, while Kafka was away; its status says so as well.
const WITHOUT_KAFKA: &str = "Kafka does not answer; the process stops without it";

pub struct Fleet {
    pub running: Running,
    others: Vec<(u32, Instance)>,
    started: u32,
    /// Misdeeds of instances, in words.
    pub complaints: Vec<String>,
}

impl Fleet {
    /// The app's own instance, and one beside it.
    pub fn new(app: &mut TestApp) -> Self {
        let first = app.instance();
        let first = Watched { number: FIRST, pid: first.pid(), internal: first.internal.clone() };
        let running = Arc::new(Mutex::new(vec![first]));
        let mut fleet = Fleet { running, others: Vec::new(), started: FIRST, complaints: Vec::new() };
        fleet.start(app);
        fleet
    }

    pub fn change(&mut self, app: &TestApp, fault: Fault, begins: bool) {
        match (fault, begins) {
            (Fault::Joins, true) | (Fault::Terminated | Fault::Killed, false) => self.start(app),
            (Fault::Joins, false) | (Fault::Terminated, true) => self.terminate(),
            (Fault::Killed, true) => self.kill(),
            (Fault::Receiver(..) | Fault::KafkaAway | Fault::PostgresAway, _) => {}
        }
    }

    fn start(&mut self, app: &TestApp) {
        self.started += 1;
        let (number, instance) = (self.started, app.another_instance());
        let watched = Watched { number, pid: instance.pid(), internal: instance.internal.clone() };
        self.running.lock().unwrap().push(watched);
        self.others.push((number, instance));
    }

    /// The one that has run longest.
    fn terminate(&mut self) {
        let Some((number, mut instance)) = self.leaves() else { return };
        let asked_at = instance.send_sigterm();
        while instance.is_running() && asked_at.elapsed() < STOPS_WITHIN {
            std::thread::sleep(Duration::from_millis(50));
        }
        if instance.is_running() {
            self.complaints.push(format!("instance {number} runs {STOPS_WITHIN:?} after SIGTERM"));
            instance.kill9();
        } else if !instance.await_death().success() && !instance.log().contains(WITHOUT_KAFKA) {
            self.complaints.push(format!("instance {number} ended badly after SIGTERM"));
        }
        self.read_log(number, &instance);
    }

    fn kill(&mut self) {
        let Some((number, mut instance)) = self.leaves() else { return };
        instance.kill9();
        self.read_log(number, &instance);
    }

    fn leaves(&mut self) -> Option<(u32, Instance)> {
        let leaves = (!self.others.is_empty()).then(|| self.others.remove(0))?;
        self.running.lock().unwrap().retain(|watched| watched.number != leaves.0);
        Some(leaves)
    }

    /// Notes who ended without being told to, and starts another one for it.
    pub fn look_after(&mut self, app: &mut TestApp) {
        while let Some(at) = self.others.iter_mut().position(|(_, instance)| !instance.is_running()) {
            let (number, instance) = self.others.remove(at);
            self.running.lock().unwrap().retain(|watched| watched.number != number);
            self.complaints.push(format!("instance {number} ended by itself"));
            self.read_log(number, &instance);
            self.start(app);
        }
        assert!(app.instance().is_running(), "the first instance ended by itself");
    }

    /// Everybody but the first one stops.
    pub fn end(&mut self, app: &mut TestApp) {
        while !self.others.is_empty() {
            self.terminate();
        }
        let first = app.instance();
        self.read_log(FIRST, first);
    }

    fn read_log(&mut self, number: u32, instance: &Instance) {
        let log = instance.log();
        let panics = log.lines().filter(|line| line.contains("panicked"));
        self.complaints.extend(panics.map(|line| format!("instance {number}: {line}")));
    }
}
