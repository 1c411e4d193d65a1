//! ● Parking: a full topic for endpoints that are paused, into the backlog as fast as it goes; then they are resumed, and
//! the backlog goes out.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    kafka::Topics,
    sender::{Stage, Who},
};

/// Between 5 % and 95 % of the events: without starting and stopping.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub parked_per_second: f64,
    pub sent_per_second: f64,
    pub rss_peak_bytes: u64,
    pub duplicates: u64,
    pub lost: u64,
}

/// Parks the topic of the stage, then delivers it.
pub fn run(stage: &mut Stage, events: u64, group: &str, topics: &mut Topics) -> io::Result<Measured> {
    let mut run = stage.start(Who::Postrider, group, topics)?;
    let parked = rate(events, || run.metric("postrider_backlog_parked_total"))?;
    run.resume(stage.plan())?;
    let sent = rate(events, || Ok(run.report()?.events as f64))?;
    let report = run.wait_for(events)?;
    let rss_peak_bytes = run.rss_peak_bytes();
    run.stop()?;
    Ok(Measured {
        parked_per_second: parked,
        sent_per_second: sent,
        rss_peak_bytes,
        duplicates: report.duplicates,
        lost: events.saturating_sub(report.events),
    })
}

/// How fast a count grows between 5 % and 95 % of `events`.
fn rate(events: u64, mut count: impl FnMut() -> io::Result<f64>) -> io::Result<f64> {
    let (from, to) = (events as f64 * 0.05, events as f64 * 0.95);
    let mut first: Option<(f64, Instant)> = None;
    let (mut last, mut grown_at) = (0.0, Instant::now());
    loop {
        let (now, at) = (count()?, Instant::now());
        if now > last {
            (last, grown_at) = (now, at);
        }
        match first {
            None if now >= from => first = Some((now, at)),
            Some((begun, since)) if now >= to => return Ok((now - begun) / (at - since).as_secs_f64()),
            _ => {}
        }
        if grown_at.elapsed() > PATIENCE {
            return Err(io::Error::other(format!("stuck at {last} of {events} events")));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
