//! ● What a process used, as the kernel counts it: the judge of CPU asks about one process at a time.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// User and system time of all threads of the process so far; `None` once it is gone.
pub fn cpu(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything; after it the fields are plain, state first.
    let fields = stat.rsplit_once(')')?.1;
    let ticks: u64 = fields.split_ascii_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * TICK_MS))
}

/// From now on for so long: the part of one core.
pub fn cpu_share(pid: u32, lasts: Duration) -> f64 {
    let (before, started) = (cpu(pid).unwrap_or_default(), Instant::now());
    thread::sleep(lasts);
    let used = cpu(pid).unwrap_or_default().saturating_sub(before);
    used.as_secs_f64() / started.elapsed().as_secs_f64()
}

/// The most memory the process ever held, in bytes.
pub fn rss_peak_bytes(pid: u32) -> Option<u64> {
    bytes(pid, "VmHWM:")
}

/// What it holds now.
pub fn rss_bytes(pid: u32) -> Option<u64> {
    bytes(pid, "VmRSS:")
}

fn bytes(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Linux shows times in hundredths of a second on every machine (`USER_HZ`).
const TICK_MS: u64 = 10;
