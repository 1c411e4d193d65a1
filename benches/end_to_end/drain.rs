//! ● Drains: a topic that is full already, delivered as fast as it goes.

use std::io;

use crate::{
    kafka::Topics,
    plan::Plan,
    receiver::{Interval, Question},
    sender::{Stage, Who},
};

/// One drain, measured between 5 % and 95 % of its events: without starting and stopping.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub events_per_second: f64,
    pub events_per_cpu_second: f64,
    pub rss_peak_bytes: f64,
    /// Of a request's body; that both send the same shows here.
    pub bytes_per_event: f64,
    /// That were opened.
    pub connections: u64,
    pub duplicates: u64,
    pub lost: u64,
}

/// Delivers the first `events` of the stage's topic once.
pub fn run(stage: &mut Stage, who: Who, events: u64, label: &str, topics: &mut Topics) -> io::Result<Measured> {
    let group = group(stage.plan(), label);
    let mut run = stage.start(who, &group, topics)?;
    let watch = Question::Watch { pid: run.pid(), from: events / 20, to: events / 20 * 19, below: u64::MAX };
    let _: crate::receiver::Report = run.receiver.ask(&watch)?;
    let report = run.wait_for(events)?;
    let rss_peak_bytes = run.rss_peak_bytes() as f64;
    run.stop()?;
    let rate = |interval: Interval, time: std::time::Duration| interval.events as f64 / time.as_secs_f64();
    Ok(Measured {
        events_per_second: report.interval.map_or(0.0, |interval| rate(interval, interval.time)),
        events_per_cpu_second: report.interval.map_or(0.0, |interval| rate(interval, interval.cpu)),
        rss_peak_bytes,
        bytes_per_event: report.body_bytes as f64 / (report.events + report.duplicates).max(1) as f64,
        connections: report.connections,
        duplicates: report.duplicates,
        lost: events.saturating_sub(report.events),
    })
}

/// A consumer group's name for a run of the plan.
pub fn group(plan: &Plan, label: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    format!("{}-{label}", plan.topic).chars().map(plain).collect()
}

impl Measured {
    /// The median of each number by itself; duplicates and losses are summed, and the most connections shown.
    pub fn median(rounds: &[Measured]) -> Measured {
        let median = |number: fn(&Measured) -> f64| {
            let mut numbers: Vec<f64> = rounds.iter().map(number).collect();
            numbers.sort_by(f64::total_cmp);
            if numbers.is_empty() {
                return 0.0;
            }
            (numbers[(numbers.len() - 1) / 2] + numbers[numbers.len() / 2]) / 2.0
        };
        Measured {
            events_per_second: median(|m| m.events_per_second),
            events_per_cpu_second: median(|m| m.events_per_cpu_second),
            rss_peak_bytes: median(|m| m.rss_peak_bytes),
            bytes_per_event: median(|m| m.bytes_per_event),
            connections: rounds.iter().map(|m| m.connections).max().unwrap_or(0),
            duplicates: rounds.iter().map(|m| m.duplicates).sum(),
            lost: rounds.iter().map(|m| m.lost).sum(),
        }
    }
}
