//! ● The number of events that may be read now: the read window, held against the counts of the cores and the writers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    flow::{
        counters::FlowCounters,
        rate::Rate,
        read_window::{ReadCounts, ReadWindow, ReadWindowOptions},
    },
    ingest::backpressure::StorePressure,
    telemetry::handles::IntakeMetrics,
};

/// The window's decision for the poll thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadDecision {
    /// Number of events that may be read.
    Read(usize),
    /// Nothing for a moment: room is expected soon, and what librdkafka has fetched stays.
    Wait,
    /// Nothing for longer: partitions pause, so that polling goes on.
    Pause,
}

/// The window of one process, and what it is held against.
pub(super) struct IntakeControl {
    window: ReadWindow,
    wait_target: Duration,
    counters: Arc<FlowCounters>,
    store: Arc<dyn StorePressure>,
    stored: u64,
    storing: Rate,
    /// Receipts an event.
    fan_out: f64,
    counted: (u64, u64),
    /// Mean weight of an event, of those that were read lately.
    event_bytes: Option<f64>,
    /// Events since that was measured, and their weight.
    received: (u64, usize),
    full_since: Option<Instant>,
    waiting: u64,
    metrics: IntakeMetrics,
}

impl IntakeControl {
    pub(super) fn new(
        options: ReadWindowOptions,
        counters: &Arc<FlowCounters>,
        store: &Arc<dyn StorePressure>,
        now: Instant,
    ) -> Self {
        IntakeControl {
            window: ReadWindow::new(options, now),
            wait_target: options.wait_target,
            counters: Arc::clone(counters),
            store: Arc::clone(store),
            stored: 0,
            storing: Rate::new(now),
            fan_out: 1.0,
            counted: (0, 0),
            event_bytes: None,
            received: (0, 0),
            full_since: None,
            waiting: 0,
            metrics: IntakeMetrics::new(),
        }
    }

    /// An event of this weight was read.
    pub(super) fn received(&mut self, bytes: usize) {
        self.received = (self.received.0 + 1, self.received.1 + bytes);
    }

    /// The decision with so many events on their way to the routers.
    pub(super) fn decide(&mut self, unrouted: u64, now: Instant) -> ReadDecision {
        self.measure_fan_out();
        self.measure_event_bytes();
        let stored = self.store.stored_ever();
        self.storing.add(stored - self.stored, now);
        self.stored = stored;
        let (left, wait_min) = (self.counters.ended_ever() + stored, self.counters.take_wait_min());
        let event_bytes = self.event_bytes.map(|bytes| bytes / self.fan_out.max(1.0));
        self.window.observe(ReadCounts { left, wait_min, event_bytes }, now);
        self.waiting = (unrouted as f64 * self.fan_out) as u64 + self.counters.waiting() + self.waiting_for_store(now);
        let room = self.window.room(self.waiting, now);
        self.counters.show_window_full(room == 0);
        match room {
            0 => self.full(now),
            _ if self.is_paused(now) && self.waiting > self.window.events_max() / 2 => ReadDecision::Pause,
            room => {
                self.full_since = None;
                ReadDecision::Read((room as f64 / self.fan_out).max(1.0) as usize)
            }
        }
    }

    pub(super) fn publish_metrics(&self, now: Instant) {
        let leaving = self.window.leaving_per_second(now);
        self.counters.show_window(self.window.events_max(), self.waiting, leaving);
        self.metrics.window_events.set(self.window.events_max() as f64);
        self.metrics.waiting_events.set(self.waiting as f64);
        self.metrics.leaving_per_second.set(leaving);
    }

    fn full(&mut self, now: Instant) -> ReadDecision {
        self.full_since.get_or_insert(now);
        if self.is_paused(now) { ReadDecision::Pause } else { ReadDecision::Wait }
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.full_since.is_some_and(|since| now.saturating_duration_since(since) >= WAIT_MAX)
    }

    /// PostgreSQL is one more place that takes events at its own rate. What it stores within [`STORE_QUEUE`] does not count:
    /// one customer's burst of rows is no reason to read less for the others. Of what is beyond that, as much counts as it
    /// stores soon; while PostgreSQL is away that is nothing, for whoever needs no row does not wait for it.
    fn waiting_for_store(&self, now: Instant) -> u64 {
        let per_second = self.storing.per_second(now);
        let beyond = self.store.waiting_events().saturating_sub((per_second * STORE_QUEUE.as_secs_f64()) as u64);
        beyond.min((per_second * self.wait_target.as_secs_f64() * 2.0) as u64)
    }

    fn measure_fan_out(&mut self) {
        let (routed, opened) = self.counters.routed_and_opened();
        let (events, receipts) = (routed - self.counted.0, opened - self.counted.1);
        if events >= MEASURED_EVENTS_MIN {
            self.counted = (routed, opened);
            self.fan_out += (receipts as f64 / events as f64 - self.fan_out) * NEWEST_PART;
            self.fan_out = self.fan_out.max(FAN_OUT_MIN);
        }
    }

    fn measure_event_bytes(&mut self) {
        let (events, bytes) = self.received;
        if events >= MEASURED_EVENTS_MIN {
            self.received = (0, 0);
            let newest = bytes as f64 / events as f64;
            let mean = self.event_bytes.get_or_insert(newest);
            *mean += (newest - *mean) * NEWEST_PART;
        }
    }
}

/// A full window lasts a fraction of the target; where it lasts this long, next to nothing leaves.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// Rows may wait this long for PostgreSQL before reading slows down for them. It adds to the age of their commits.
const STORE_QUEUE: Duration = Duration::from_secs(3);
const MEASURED_EVENTS_MIN: u64 = 64;
const NEWEST_PART: f64 = 0.2;
/// Events that nobody wants pass quickly, but not for nothing.
const FAN_OUT_MIN: f64 = 0.05;
