//! ○ Counts of the cores for the flow control: additions on memory of their own, read by the poll thread.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The flow control of one process, or of several added up, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct FlowView {
    /// Events in memory that wait for their endpoints, for reasons of our own.
    pub waiting_events: u64,
    /// Events that may wait in memory.
    pub window_events: u64,
    /// Events that leave memory a second.
    pub leaving_per_second: u64,
    /// Events of the backlog that may be sent a second.
    pub drain_per_second: u64,
    /// True while reading waits for that, at this instance or at one of these.
    pub is_held_back: bool,
}

impl FlowView {
    pub fn add(&mut self, other: &FlowView) {
        self.waiting_events += other.waiting_events;
        self.window_events += other.window_events;
        self.leaving_per_second += other.leaving_per_second;
        self.drain_per_second += other.drain_per_second;
        self.is_held_back |= other.is_held_back;
    }
}

/// Live events that were taken by their endpoints' actors, ever, and those of them that had waited for longer than
/// [`LATE_AFTER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveWaits {
    pub taken: u64,
    pub late: u64,
}

impl LiveWaits {
    #[must_use]
    pub fn since(self, earlier: LiveWaits) -> LiveWaits {
        let (taken, late) = (self.taken.saturating_sub(earlier.taken), self.late.saturating_sub(earlier.late));
        LiveWaits { taken, late }
    }
}

/// A live event on a core that has time is with its endpoint's actor within a fraction of a millisecond: on two cores with
/// Kafka, Postgres and the receiver at the same time, 0 to 0.5 % of 2,000 a second wait for longer than this.
pub const LATE_AFTER: Duration = Duration::from_millis(2);

/// Counters of one process.
#[derive(Debug)]
pub struct FlowCounters {
    cores: Box<[CoreCounters]>,
    /// Events in the endpoints' queues that their actors have not taken yet.
    queued: AtomicI64,
    window_is_full: AtomicBool,
    window_events: AtomicU64,
    window_waiting: AtomicU64,
    leaving_per_second: AtomicU64,
    drain_per_second: AtomicU64,
}

/// Counters of one core.
#[derive(Debug)]
#[repr(align(128))] // two cores on one cache line would make each other wait
pub struct CoreCounters {
    /// Events that wait with the core's actors and count in the read window.
    waiting: AtomicI64,
    /// Events of Kafka that were delivered or given up, ever.
    ended: AtomicU64,
    /// Events of the backlog that were delivered or given up, ever.
    drained: AtomicU64,
    /// Events that were routed, ever, and the receipts that were opened for them.
    routed: AtomicU64,
    opened: AtomicU64,
    /// See [`LiveWaits`].
    taken: AtomicU64,
    late: AtomicU64,
    wait_min_micros: AtomicU64,
}

impl Default for CoreCounters {
    fn default() -> Self {
        CoreCounters {
            waiting: AtomicI64::new(0),
            ended: AtomicU64::new(0),
            drained: AtomicU64::new(0),
            routed: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            late: AtomicU64::new(0),
            wait_min_micros: AtomicU64::new(NONE),
        }
    }
}

impl FlowCounters {
    #[must_use]
    pub fn new(cores: usize) -> Self {
        FlowCounters {
            cores: (0..cores).map(|_| CoreCounters::default()).collect(),
            queued: AtomicI64::new(0),
            window_is_full: AtomicBool::new(false),
            window_events: AtomicU64::new(0),
            window_waiting: AtomicU64::new(0),
            leaving_per_second: AtomicU64::new(0),
            drain_per_second: AtomicU64::new(0),
        }
    }

    #[must_use]
    pub fn core(&self, core: usize) -> &CoreCounters {
        &self.cores[core]
    }

    /// The events in the endpoints' queues changed by this many.
    pub fn queued(&self, change: i64) {
        self.queued.fetch_add(change, Relaxed);
    }

    /// The poll thread says whether reading is held back.
    pub fn show_window_full(&self, is_full: bool) {
        self.window_is_full.store(is_full, Relaxed);
    }

    /// The poll thread says how large the window is, how many events wait in it, and how many leave a second.
    pub fn show_window(&self, events_max: u64, waiting: u64, leaving_per_second: f64) {
        self.window_events.store(events_max, Relaxed);
        self.window_waiting.store(waiting, Relaxed);
        self.leaving_per_second.store(leaving_per_second as u64, Relaxed);
    }

    /// The drainer says how many rows it may send a second.
    pub fn show_drain_rate(&self, per_second: f64) {
        self.drain_per_second.store(per_second as u64, Relaxed);
    }

    #[must_use]
    pub fn view(&self) -> FlowView {
        FlowView {
            waiting_events: self.window_waiting.load(Relaxed),
            window_events: self.window_events.load(Relaxed),
            leaving_per_second: self.leaving_per_second.load(Relaxed),
            drain_per_second: self.drain_per_second.load(Relaxed),
            is_held_back: self.is_window_full(),
        }
    }

    /// Reading is held back: as many events wait as may.
    #[must_use]
    pub fn is_window_full(&self) -> bool {
        self.window_is_full.load(Relaxed)
    }

    /// Events that wait in queues and with actors and count in the read window.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let waiting: i64 = self.cores.iter().map(|core| core.waiting.load(Relaxed)).sum();
        u64::try_from(waiting + self.queued.load(Relaxed)).unwrap_or(0)
    }

    /// Events of the backlog that were delivered or given up, ever.
    #[must_use]
    pub fn drained_ever(&self) -> u64 {
        self.sum(|core| &core.drained)
    }

    /// Events of Kafka that were delivered or given up, ever.
    #[must_use]
    pub fn ended_ever(&self) -> u64 {
        self.sum(|core| &core.ended)
    }

    #[must_use]
    pub fn live_waits(&self) -> LiveWaits {
        LiveWaits { taken: self.sum(|core| &core.taken), late: self.sum(|core| &core.late) }
    }

    /// Events that were routed, ever, and the receipts that were opened for them.
    #[must_use]
    pub fn routed_and_opened(&self) -> (u64, u64) {
        (self.sum(|core| &core.routed), self.sum(|core| &core.opened))
    }

    /// The least time that an event waited for its endpoint's actor since this was last asked.
    #[must_use]
    pub fn take_wait_min(&self) -> Option<Duration> {
        let wait_min = self.cores.iter().map(|core| core.wait_min_micros.swap(NONE, Relaxed)).min()?;
        (wait_min != NONE).then(|| Duration::from_micros(wait_min))
    }

    fn sum(&self, count: fn(&CoreCounters) -> &AtomicU64) -> u64 {
        self.cores.iter().map(|core| count(core).load(Relaxed)).sum()
    }
}

impl CoreCounters {
    /// The number of events waiting with an actor changed by this many.
    pub fn waiting(&self, change: i64) {
        self.waiting.fetch_add(change, Relaxed);
    }

    pub fn ended(&self, events: usize) {
        self.ended.fetch_add(events as u64, Relaxed);
    }

    pub fn drained(&self, events: usize) {
        self.drained.fetch_add(events as u64, Relaxed);
    }

    pub fn routed(&self, events: usize, receipts: usize) {
        self.routed.fetch_add(events as u64, Relaxed);
        self.opened.fetch_add(receipts as u64, Relaxed);
    }

    /// Counts live events that were taken by their endpoint's actor, the first of them after this wait.
    pub fn waited(&self, events: usize, wait: Duration) {
        self.taken.fetch_add(events as u64, Relaxed);
        if wait > LATE_AFTER {
            self.late.fetch_add(events as u64, Relaxed);
        }
        self.wait_min_micros.fetch_min(u64::try_from(wait.as_micros()).unwrap_or(NONE), Relaxed);
    }
}

const NONE: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_wait_of_all_cores_is_told_once() {
        let counters = FlowCounters::new(2);
        counters.core(0).waited(1, Duration::from_millis(7));
        counters.core(1).waited(1, Duration::from_millis(3));
        assert_eq!(counters.take_wait_min(), Some(Duration::from_millis(3)));
        assert_eq!(counters.take_wait_min(), None);
    }

    #[test]
    fn the_views_of_several_instances_add_up() {
        let one = FlowView {
            waiting_events: 1,
            window_events: 10,
            leaving_per_second: 100,
            drain_per_second: 1_000,
            is_held_back: true,
        };
        let other = FlowView { is_held_back: false, ..one };
        let mut all = other;
        all.add(&one);
        let sum = FlowView {
            waiting_events: 2,
            window_events: 20,
            leaving_per_second: 200,
            drain_per_second: 2_000,
            is_held_back: true,
        };
        assert_eq!(all, sum);
        let counters = FlowCounters::new(1);
        assert!(!counters.view().is_held_back, "nothing holds a new instance back");
    }

    #[test]
    fn events_that_waited_for_long_are_counted_as_late() {
        let counters = FlowCounters::new(2);
        counters.core(0).waited(3, LATE_AFTER);
        let before = counters.live_waits();
        counters.core(0).waited(1, Duration::from_micros(100));
        counters.core(1).waited(2, LATE_AFTER + Duration::from_micros(1));
        assert_eq!(counters.live_waits().since(before), LiveWaits { taken: 3, late: 2 });
    }

    #[test]
    fn what_waits_in_queues_and_with_actors_adds_up() {
        let counters = FlowCounters::new(2);
        counters.queued(5);
        counters.core(1).waiting(4);
        counters.queued(-2);
        counters.core(1).waiting(-1);
        assert_eq!(counters.waiting(), 6);
    }
}
