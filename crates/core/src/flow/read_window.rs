//! ○ The number of events that may wait in this process for reasons of our own.
//!
//! The window is the rate at which events leave, times the target: an event that is read then waits about that long
//! (Little's law). While nothing is the limit the window is never reached. When a core, a receiver that all share, or
//! PostgreSQL is, reading follows it. The wait itself corrects the product, as the delay does in CoDel (RFC 8289): should
//! even the quickest events wait longer than twice the target, the window shrinks by a part, and grows back by a step.
//!
//! All of it may wait for one endpoint. So it is bounded by bytes as well: an endpoint that takes batches takes so many
//! events a second that half a second of them would be more than it may hold, and would make it lag.
//!
//! **Invariant:** the window is never smaller than its floor, so reading never stops for good.

use std::time::{Duration, Instant};

use super::rate::Rate;

#[derive(Clone, Copy, Debug)]
pub struct ReadWindowOptions {
    /// Time that an event may wait for us.
    pub wait_target: Duration,
    /// The window while little or nothing leaves.
    pub events_min: u64,
    /// Bytes that may wait for us at most; see [`bytes_max_of_endpoint`](ReadWindowOptions::bytes_max_of_endpoint).
    pub bytes_max: u64,
}

impl ReadWindowOptions {
    /// Half of what makes an endpoint lag: all that waits may wait for a single one, beside what it is sent already.
    #[must_use]
    pub fn bytes_max_of_endpoint(endpoint_bytes_max: usize) -> u64 {
        endpoint_bytes_max as u64 / 2
    }
}

/// Counts and measures of the process by now.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadCounts {
    /// Events that ended for one endpoint: delivered, given up, or stored in the backlog.
    pub left: u64,
    /// The least time that an event waited for its endpoint's actor since the last look.
    pub wait_min: Option<Duration>,
    /// Bytes of an endpoint's memory that a waiting event takes, as far as is known: its weight, less where events go to many
    /// endpoints, each of which holds a part of what waits.
    pub event_bytes: Option<f64>,
}

/// See the module's page.
#[derive(Debug)]
pub struct ReadWindow {
    options: ReadWindowOptions,
    left: u64,
    leaving: Rate,
    /// Between [`CORRECTION_MIN`] and 1.
    correction: f64,
    wait_min: Option<Duration>,
    corrected_at: Instant,
    /// Events that [`bytes_max`](ReadWindowOptions::bytes_max) has room for.
    fitting: u64,
    events_max: u64,
    is_full: bool,
}

impl ReadWindow {
    #[must_use]
    pub fn new(options: ReadWindowOptions, now: Instant) -> Self {
        let leaving = Rate::new(now);
        let events_max = options.events_min;
        ReadWindow {
            options,
            left: 0,
            leaving,
            correction: 1.0,
            wait_min: None,
            corrected_at: now,
            fitting: u64::MAX,
            events_max,
            is_full: false,
        }
    }

    /// The counts by now.
    pub fn observe(&mut self, counts: ReadCounts, now: Instant) {
        self.leaving.add(counts.left.saturating_sub(self.left), now);
        self.left = counts.left;
        self.wait_min = [self.wait_min, counts.wait_min].into_iter().flatten().min();
        self.correct(now);
        let product = self.leaving.per_second(now) * self.options.wait_target.as_secs_f64() * self.correction;
        if let Some(event_bytes) = counts.event_bytes {
            self.fitting = (self.options.bytes_max as f64 / event_bytes.max(1.0)) as u64;
        }
        self.events_max = (product as u64).min(self.fitting).max(self.options.events_min);
    }

    /// Number of further events that may be read while so many wait; 0 while the window is full. It is full until an
    /// eighth of it is free, or what leaves within [`FREE_TIME`] if that is less: single events would make single
    /// chunks.
    pub fn room(&mut self, waiting: u64, now: Instant) -> u64 {
        let free = self.events_max.saturating_sub(waiting);
        if self.is_full {
            let within = self.leaving.per_second(now) * FREE_TIME.as_secs_f64();
            let wanted = (self.events_max / 8).min(within as u64).max(1);
            self.is_full = free < wanted;
        } else {
            self.is_full = free == 0;
        }
        if self.is_full { 0 } else { free }
    }

    /// Events that may wait at once.
    #[must_use]
    pub fn events_max(&self) -> u64 {
        self.events_max
    }

    /// Events that leave a second.
    #[must_use]
    pub fn leaving_per_second(&self, now: Instant) -> f64 {
        self.leaving.per_second(now)
    }

    fn correct(&mut self, now: Instant) {
        if now.saturating_duration_since(self.corrected_at) < self.options.wait_target {
            return;
        }
        self.corrected_at = now;
        let Some(wait_min) = self.wait_min.take() else { return };
        self.correction = if wait_min > self.options.wait_target * 2 {
            (self.correction * SHRINKS_TO).max(CORRECTION_MIN)
        } else {
            (self.correction + GROWS_BY).min(1.0)
        };
    }
}

const SHRINKS_TO: f64 = 0.8;
const GROWS_BY: f64 = 0.1;
const CORRECTION_MIN: f64 = 0.25;
const FREE_TIME: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ReadWindowOptions =
        ReadWindowOptions { wait_target: Duration::from_millis(500), events_min: 100, bytes_max: 32_000_000 };

    fn leaving(per_ms: u64, ms: u64, wait: Duration) -> (ReadWindow, Instant) {
        let start = Instant::now();
        let mut window = ReadWindow::new(OPTIONS, start);
        let mut now = start;
        for ms in 1..=ms {
            now = start + Duration::from_millis(ms);
            window.observe(ReadCounts { left: ms * per_ms, wait_min: Some(wait), event_bytes: Some(800.0) }, now);
        }
        (window, now)
    }

    #[test]
    fn however_much_leaves_the_window_holds_no_more_bytes_than_one_endpoint_may_have_waiting() {
        let (mut window, now) = leaving(200, 2_000, Duration::from_millis(300));
        assert_eq!(window.events_max(), 40_000, "and not 100,000");
        window.observe(ReadCounts { left: 400_000, wait_min: None, event_bytes: None }, now);
        assert_eq!(window.events_max(), 40_000, "while nothing is read, what was read last counts");
        window.observe(ReadCounts { left: 400_000, wait_min: None, event_bytes: Some(1e7) }, now);
        assert_eq!(window.events_max(), OPTIONS.events_min, "reading never stops for good");
    }

    #[test]
    fn the_window_is_what_leaves_within_the_target() {
        let (window, _) = leaving(20, 2_000, Duration::from_millis(300));
        assert!((9_500..=10_500).contains(&window.events_max()), "{}", window.events_max());
    }

    #[test]
    fn an_idle_process_may_still_read_its_floor() {
        let (mut window, now) = leaving(0, 5_000, Duration::ZERO);
        assert_eq!(window.events_max(), 100);
        assert_eq!(window.room(40, now), 60);
    }

    #[test]
    fn a_full_window_opens_again_when_a_part_of_it_is_free() {
        let (mut window, now) = leaving(20, 2_000, Duration::from_millis(300));
        let max = window.events_max();
        assert_eq!(window.room(max, now), 0);
        assert_eq!(window.room(max - 100, now), 0, "a few free places are not worth a chunk");
        assert_eq!(window.room(max - max / 8, now), max / 8);
        assert_eq!(window.room(max - 1, now), 1, "it is open until it is full");
    }

    #[test]
    fn a_core_that_is_quick_now_and_then_is_not_what_limits_the_window() {
        let start = Instant::now();
        let mut window = ReadWindow::new(OPTIONS, start);
        for ms in 1..=4_000_u64 {
            let wait = if ms % 100 == 0 { Duration::from_millis(5) } else { Duration::from_millis(1_100) };
            window.observe(
                ReadCounts { left: ms * 20, wait_min: Some(wait), event_bytes: Some(800.0) },
                start + Duration::from_millis(ms),
            );
        }
        assert!(window.events_max() > 9_500, "the least wait of an interval counts: {}", window.events_max());
    }

    #[test]
    fn a_new_window_is_open() {
        let now = Instant::now();
        assert_eq!(ReadWindow::new(OPTIONS, now).room(95, now), 5);
    }

    #[test]
    fn waits_beyond_twice_the_target_shrink_it_and_shorter_ones_let_it_grow_back() {
        let (long, _) = leaving(20, 4_000, Duration::from_millis(1_100));
        assert!(long.events_max() < 6_000, "{}", long.events_max());
        let (mut window, mut now) = leaving(20, 4_000, Duration::from_millis(1_100));
        for ms in 4_001..=10_000_u64 {
            now += Duration::from_millis(1);
            let counts =
                ReadCounts { left: ms * 20, wait_min: Some(Duration::from_millis(400)), event_bytes: Some(800.0) };
            window.observe(counts, now);
        }
        assert!(window.events_max() > 9_500, "{}", window.events_max());
    }
}
