//! ● When the host took the machine away: what was measured meanwhile says nothing of Postrider.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Looks at the machine's own account of its time, once a second, until it is dropped.
pub struct Watch {
    looks: Arc<Mutex<Vec<Look>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Look {
    at: Instant,
    cpu_steal: u64,
    all: u64,
}

impl Watch {
    pub fn start() -> Self {
        let (looks, ends) = (Arc::<Mutex<Vec<Look>>>::default(), Arc::<AtomicBool>::default());
        let (into, until) = (Arc::clone(&looks), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                into.lock().extend(look());
                thread::sleep(Duration::from_secs(1));
            }
        });
        Watch { looks, ends, thread: Some(thread) }
    }

    /// The part of all cores' time between these times that the host gave to others.
    pub fn part(&self, from: Instant, to: Instant) -> f64 {
        let looks = self.looks.lock();
        let within: Vec<&Look> = looks.iter().filter(|look| look.at >= from && look.at < to).collect();
        match (within.first(), within.last()) {
            (Some(first), Some(last)) if last.all > first.all => {
                (last.cpu_steal - first.cpu_steal) as f64 / (last.all - first.all) as f64
            }
            _ => 0.0,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The first line of `/proc/stat`, whose eighth number is what was cpu_steal (proc_stat(5)); `None` where there is none.
fn look() -> Option<Look> {
    let at = Instant::now();
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let numbers: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).flat_map(str::parse).collect();
    Some(Look { at, cpu_steal: *numbers.get(7)?, all: numbers.iter().take(8).sum() })
}
