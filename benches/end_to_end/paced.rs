//! ● Latency: events produced evenly at a rate, and how long each took from produce to receipt.

use std::{
    collections::VecDeque,
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    kafka::{Commits, Topics},
    producer,
    receiver::Latency,
    sender::{Stage, Who},
};

#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub events_per_second: f64,
    /// Delivered, but not measured.
    pub warm_up: Duration,
    pub measured: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub latency: Latency,
    /// The age of the oldest event not committed, at its worst; Postrider only.
    pub commit_lag: Option<Duration>,
    pub cpu_share: f64,
    pub rss_peak_bytes: u64,
    pub duplicates: u64,
    pub lost: u64,
}

/// Delivers events while they are produced.
pub fn run(stage: &mut Stage, who: Who, pace: Pace, topics: &mut Topics) -> io::Result<Measured> {
    let plan = stage.plan().clone();
    let group = format!("{}-{who:?}", plan.topic);
    let mut run = stage.start(who, &group, topics)?;
    let seconds = (pace.warm_up + pace.measured).as_secs_f64();
    let events = (pace.events_per_second * seconds) as u64;
    let arguments = producer::Arguments {
        rate: Some(pace.events_per_second),
        ..producer::Arguments::new(topics.brokers(), &plan.topic, plan.partitions, plan.tenants, events)
    };
    let mut producer = run.begin_measuring(&arguments, pace.warm_up)?;
    let (cpu, started) = (crate::process::cpu(run.pid()).unwrap_or_default(), Instant::now());
    let mut lag = match who {
        Who::Postrider => Some(CommitLag::new(Commits::watch(topics.brokers(), &group, &plan.topic, plan.partitions)?)),
        Who::Bare => None,
    };
    while started.elapsed() < pace.measured {
        if let Some(lag) = &mut lag {
            lag.sample()?;
        }
        thread::sleep(Duration::from_millis(200));
    }
    let cpu = crate::process::cpu(run.pid()).unwrap_or_default() - cpu;
    let cpu_share = cpu.as_secs_f64() / started.elapsed().as_secs_f64();
    producer.hear()?;
    let healthy = plan.healthy(events);
    let report = run.wait_for(healthy)?;
    let rss_peak_bytes = run.rss_peak_bytes();
    run.stop()?;
    Ok(Measured {
        latency: report.latency,
        commit_lag: lag.map(|lag| lag.worst),
        cpu_share,
        rss_peak_bytes,
        duplicates: report.duplicates,
        lost: healthy.saturating_sub(report.events),
    })
}

/// Turns committed offsets into ages: when the topic ended where the group now stands.
struct CommitLag {
    commits: Commits,
    /// When the partitions ended where.
    ends: VecDeque<(Instant, Vec<i64>)>,
    worst: Duration,
}

impl CommitLag {
    fn new(commits: Commits) -> Self {
        CommitLag { commits, ends: VecDeque::new(), worst: Duration::ZERO }
    }

    fn sample(&mut self) -> io::Result<()> {
        let position = self.commits.position()?;
        let now = Instant::now();
        let caught_up = |ends: &[i64]| ends.iter().zip(&position.committed).all(|(end, committed)| end <= committed);
        // What was all there at the youngest such time is committed; what came after it is not, or not all.
        while self.ends.get(1).is_some_and(|(_, ends)| caught_up(ends)) {
            self.ends.pop_front();
        }
        if let Some((at, _)) = self.ends.front() {
            self.worst = self.worst.max(now.duration_since(*at));
        }
        self.ends.push_back((now, position.ends));
        Ok(())
    }
}
