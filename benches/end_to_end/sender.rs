//! ● The one that delivers: Postrider, or the bare loop in its place.

use std::{
    fmt, io,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use crate::{
    authority::Authority,
    bare,
    kafka::Topics,
    plan::Plan,
    postrider::{Installation, Instance},
    process, producer,
    receiver::{self, Question, Report},
    rest::Caller,
    role::Role,
    sampler::Sampler,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Postrider,
    Bare,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Who::Postrider => "Postrider",
            Who::Bare => "bare loop",
        })
    }
}

/// A plan with all that is needed to carry it out again and again: each time with a new sender and a new receiver.
pub struct Stage {
    plan: Plan,
    brokers: String,
    cores: usize,
    port: u16,
    authority: Option<Authority>,
    installation: Option<Installation>,
}

/// A sender at work, and its customers.
pub struct Run {
    sender: Sender,
    pub receiver: Role,
}

enum Sender {
    Postrider(Instance),
    Bare(Role),
}

impl Stage {
    pub fn new(plan: Plan, topics: &mut Topics, cores: usize) -> io::Result<Stage> {
        let port = free_port()?;
        let authority = plan.https.then(Authority::new).transpose()?;
        Ok(Stage { plan, brokers: topics.brokers().to_owned(), cores, port, authority, installation: None })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Starts the customers, then who delivers to them; Postrider with a new consumer group of this name.
    pub fn start(&mut self, who: Who, group: &str, topics: &mut Topics) -> io::Result<Run> {
        let arguments = receiver::Arguments {
            port: self.port,
            hung_every: self.plan.hung_every,
            answers_per_second: self.plan.answers_per_second,
            slow: self.plan.slow,
            far: self.plan.far,
            untimed: self.plan.untimed,
            authority: self.authority.clone(),
            http2: self.plan.http2,
        };
        let mut receiver = Role::start("receiver", &arguments)?;
        receiver.hear()?;
        let sender = match who {
            Who::Bare => Sender::Bare(Role::start("bare", &self.bare_arguments())?),
            Who::Postrider => {
                if self.installation.is_none() {
                    let authority = self.authority.as_ref();
                    self.installation = Some(Installation::new(&self.plan, self.port, authority, self.cores, topics)?);
                }
                let installation = self.installation.as_ref().expect("just made");
                Sender::Postrider(installation.start(&self.plan.topics().join(","), group)?)
            }
        };
        Ok(Run { sender, receiver })
    }

    /// One more instance of Postrider in this consumer group, once one was started.
    pub fn another(&self, group: &str) -> io::Result<Instance> {
        self.another_with(group, &[])
    }

    /// … with settings of its own.
    pub fn another_with(&self, group: &str, settings: &[(&str, &str)]) -> io::Result<Instance> {
        let installation = self.installation.as_ref().ok_or_else(|| io::Error::other("nothing is set up yet"))?;
        installation.start_with(&self.plan.topics().join(","), group, settings)
    }

    fn bare_arguments(&self) -> bare::Arguments {
        bare::Arguments {
            brokers: self.brokers.clone(),
            topics: self.plan.topics(),
            partitions: self.plan.partitions,
            endpoints: self.plan.endpoints,
            tenants: self.plan.tenants,
            port: self.port,
            authority: self.authority.as_ref().map(|authority| authority.certificate.clone()),
            // Of many endpoints, what keeps the cores busy: in turn to each, none has more than the plan allows.
            in_flight_max: (self.plan.endpoints * self.plan.in_flight_max).min(256),
            batch_events: self.plan.batch_events,
            raw: self.plan.raw,
            cores: self.cores,
        }
    }
}

impl Run {
    pub fn pid(&self) -> u32 {
        match &self.sender {
            Sender::Postrider(instance) => instance.pid(),
            Sender::Bare(role) => role.pid(),
        }
    }

    /// Of Postrider; the bare loop has none.
    pub fn metric(&self, name: &str) -> io::Result<f64> {
        match &self.sender {
            Sender::Postrider(instance) => instance.metric(name),
            Sender::Bare(_) => Ok(0.0),
        }
    }

    /// Of Postrider.
    pub fn sampler(&self) -> io::Result<Sampler> {
        match &self.sender {
            Sender::Postrider(instance) => Ok(instance.sampler()),
            Sender::Bare(_) => Err(io::Error::other("the bare loop has no metrics")),
        }
    }

    /// Of Postrider's API.
    pub fn caller(&self) -> io::Result<Caller> {
        match &self.sender {
            Sender::Postrider(instance) => Ok(instance.caller()),
            Sender::Bare(_) => Err(io::Error::other("the bare loop has no API")),
        }
    }

    pub fn resume(&self, plan: &Plan) -> io::Result<()> {
        match &self.sender {
            Sender::Postrider(instance) => instance.resume(plan),
            Sender::Bare(_) => Ok(()),
        }
    }

    /// Starts the producer, and measures latency from the end of the warm-up on.
    pub fn begin_measuring(&mut self, arguments: &producer::Arguments, warm_up: Duration) -> io::Result<Role> {
        let producer = Role::start("producer", arguments)?;
        thread::sleep(warm_up);
        let _: Report = self.receiver.ask(&Question::MeasureLatency)?;
        Ok(producer)
    }

    pub fn report(&mut self) -> io::Result<Report> {
        self.receiver.ask(&Question::Report)
    }

    /// Waits until so many different events have been received, or until nothing more comes.
    pub fn wait_for(&mut self, events: u64) -> io::Result<Report> {
        self.wait_showing(events, |_| ())
    }

    /// The same, and shows what has come until now again and again.
    pub fn wait_showing(&mut self, events: u64, show: impl FnMut(&Report)) -> io::Result<Report> {
        self.wait_until(|report| report.events >= events, show)
    }

    /// Waits for this, or until nothing more comes.
    pub fn wait_until(
        &mut self,
        mut enough: impl FnMut(&Report) -> bool,
        mut show: impl FnMut(&Report),
    ) -> io::Result<Report> {
        let mut last = (0, Instant::now());
        loop {
            let report = self.report()?;
            show(&report);
            if enough(&report) {
                return Ok(report);
            }
            if report.events > last.0 {
                last = (report.events, Instant::now());
            }
            if last.1.elapsed() > PATIENCE {
                return Ok(report);
            }
            self.check_alive()?;
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The most memory it has held until now.
    pub fn rss_peak_bytes(&self) -> u64 {
        process::rss_peak_bytes(self.pid()).unwrap_or(0)
    }

    fn check_alive(&mut self) -> io::Result<()> {
        match &mut self.sender {
            Sender::Postrider(instance) => instance.check_alive(),
            Sender::Bare(role) => role.check_alive(),
        }
    }

    pub fn stop(self) -> io::Result<()> {
        match self.sender {
            Sender::Postrider(instance) => instance.stop(),
            Sender::Bare(_) => Ok(()),
        }
    }
}

/// Below the ports that Linux gives to outgoing connections, so that it is still free for the next receiver.
fn free_port() -> io::Result<u16> {
    let first = 10_000 + (std::process::id() % 8_000) as u16;
    (first..20_000)
        .find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
        .ok_or_else(|| io::Error::other("no free port below 20000"))
}

/// No event for so long means that no more will come. Retries after a failure may take a few seconds.
const PATIENCE: Duration = Duration::from_secs(15);
