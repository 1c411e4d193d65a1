//! ● Looks at a running Postrider again and again: what it says of itself, and the memory it holds.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{process, rest};

/// What was seen at one time. Where an instance did not answer, what it said last.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Since the sampler started.
    pub at: Duration,
    pub rss_bytes: u64,
    pub parked: u64,
    pub backlog_rows: u64,
    pub outstanding: u64,
    pub uncommitted: Duration,
    /// Partitions that are not read, by reason.
    pub paused: String,
}

/// The worst of each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Worst {
    pub rss_bytes: u64,
    pub parked: u64,
    pub backlog_rows: u64,
    pub outstanding: u64,
    pub uncommitted: Duration,
}

/// Samples until dropped.
pub struct Sampler {
    samples: Arc<Mutex<Vec<Sample>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    pub fn start(admin: SocketAddr, pid: u32) -> Sampler {
        let (samples, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (samples, ended) = (Arc::clone(&samples), Arc::clone(&ended));
            move || {
                let (started, mut sample) = (Instant::now(), Sample::default());
                for round in 0_u64.. {
                    if round.is_multiple_of(METRICS_EVERY) {
                        ask(admin, &mut sample);
                    }
                    sample.at = started.elapsed();
                    sample.rss_bytes = process::rss_bytes(pid).unwrap_or(0);
                    samples.lock().push(sample.clone());
                    if ended.load(Ordering::Relaxed) {
                        break;
                    }
                    thread::sleep(EVERY);
                }
            }
        });
        Sampler { samples, ended, thread: Some(thread) }
    }

    pub fn latest(&self) -> Sample {
        self.samples.lock().last().cloned().unwrap_or_default()
    }

    /// Memory when a part (0 to 1) of the time until now had passed.
    pub fn rss_bytes_at(&self, part: f64) -> u64 {
        let samples = self.samples.lock();
        let at = samples.last().map_or(Duration::ZERO, |last| last.at.mul_f64(part));
        samples.iter().find(|sample| sample.at >= at).map_or(0, |sample| sample.rss_bytes)
    }

    pub fn worst(&self) -> Worst {
        self.samples.lock().iter().fold(Worst::default(), |worst, sample| Worst {
            rss_bytes: worst.rss_bytes.max(sample.rss_bytes),
            parked: worst.parked.max(sample.parked),
            backlog_rows: worst.backlog_rows.max(sample.backlog_rows),
            outstanding: worst.outstanding.max(sample.outstanding),
            uncommitted: worst.uncommitted.max(sample.uncommitted),
        })
    }
}

/// Notes what the instance says of itself, if it answers.
fn ask(admin: SocketAddr, sample: &mut Sample) {
    let Ok(metrics) = rest::metrics(admin) else { return };
    sample.parked = metrics.value("postrider_backlog_parked_total") as u64;
    sample.backlog_rows = metrics.value("postrider_backlog_events") as u64;
    sample.outstanding = metrics.value("postrider_outstanding_events") as u64;
    let uncommitted = metrics.of("postrider_uncommitted_age_seconds").map(|(_, age)| age).fold(0.0, f64::max);
    sample.uncommitted = Duration::try_from_secs_f64(uncommitted).unwrap_or(Duration::MAX);
    let paused = metrics.of("postrider_partitions_paused").filter(|(_, count)| *count > 0.0);
    sample.paused = paused.map(|(reason, count)| format!("{reason}={count}")).collect::<Vec<_>>().join(" ");
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const EVERY: Duration = Duration::from_millis(250);
/// So rarely is the instance asked: its answer is work for it.
const METRICS_EVERY: u64 = 2;
