//! ● A queue towards the collector, bounded and counted: where records enter it, and where they leave it for good.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use metrics::{Counter, counter};
use opentelemetry::{InstrumentationScope, logs::Severity};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord},
    trace::{SpanData, SpanExporter},
};
use parking_lot::Mutex;

use crate::{clock, telemetry::names};

/// Gate of one signal.
#[derive(Debug)]
pub(super) struct ExportGate {
    signal: &'static str,
    records_max: usize,
    waiting: AtomicUsize,
    counters: Counters,
    /// Dropped and not yet spoken of.
    unsaid: AtomicU64,
    said_at: Mutex<Option<Instant>>,
}

struct Counters {
    exported: Counter,
    full: Counter,
    failed: Counter,
}

impl ExportGate {
    pub(super) fn new(signal: &'static str, records_max: usize) -> Self {
        let dropped = |reason: &'static str| counter!(names::OTLP_DROPPED, "signal" => signal, "reason" => reason);
        let counters = Counters {
            exported: counter!(names::OTLP_EXPORTED, "signal" => signal),
            full: dropped("queue_full"),
            failed: dropped("not_taken"),
        };
        ExportGate {
            signal,
            records_max,
            waiting: AtomicUsize::new(0),
            counters,
            unsaid: AtomicU64::new(0),
            said_at: Mutex::new(None),
        }
    }

    /// One more record; false when there is no room for it. Says nothing: it may be a log line that asks.
    pub(super) fn enter(&self) -> bool {
        if self.waiting.fetch_add(1, Relaxed) < self.records_max {
            return true;
        }
        self.waiting.fetch_sub(1, Relaxed);
        self.counters.full.increment(1);
        self.unsaid.fetch_add(1, Relaxed);
        false
    }

    /// These are out of the queue, taken by the collector or not.
    fn left(&self, records: usize, result: &OTelSdkResult) {
        self.waiting.fetch_sub(records, Relaxed);
        match result {
            Ok(()) => self.counters.exported.increment(records as u64),
            Err(_) => {
                self.counters.failed.increment(records as u64);
                self.unsaid.fetch_add(records as u64, Relaxed);
            }
        }
        self.say(result, clock::now());
    }

    /// Rarely, and on the export's own thread.
    fn say(&self, result: &OTelSdkResult, now: Instant) {
        let mut said_at = self.said_at.lock();
        let is_due = said_at.is_none_or(|at| now.saturating_duration_since(at) >= SAY_EVERY);
        if !is_due || self.unsaid.load(Relaxed) == 0 {
            return;
        }
        *said_at = Some(now);
        let (signal, records) = (self.signal, self.unsaid.swap(0, Relaxed));
        match result {
            Ok(()) => tracing::warn!(
                signal,
                records,
                "the collector does not keep up; records that found no room are dropped"
            ),
            Err(error) => {
                tracing::warn!(signal, records, %error, "the collector refuses exported records; they are dropped")
            }
        }
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

/// An exporter whose exports are counted.
#[derive(Debug)]
pub(super) struct CountedExporter<E> {
    inner: E,
    gate: Arc<ExportGate>,
}

impl<E> CountedExporter<E> {
    pub(super) fn new(inner: E, gate: &Arc<ExportGate>) -> Self {
        CountedExporter { inner, gate: Arc::clone(gate) }
    }
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let records = batch.len();
        let result = self.inner.export(batch).await;
        self.gate.left(records, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for CountedExporter<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        let result = self.inner.export(batch).await;
        self.gate.left(records, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// A processor behind a gate.
#[derive(Debug)]
pub(super) struct Gated<P> {
    inner: P,
    gate: Arc<ExportGate>,
}

impl<P> Gated<P> {
    pub(super) fn new(inner: P, gate: Arc<ExportGate>) -> Self {
        Gated { inner, gate }
    }
}

impl<P: LogProcessor> LogProcessor for Gated<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.gate.enter() {
            self.inner.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    /// Lets lines of the exporting itself go to stderr alone, or they would go round and round.
    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        !OWN_TARGETS.iter().any(|own| target.starts_with(own)) && self.inner.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

const OWN_TARGETS: [&str; 2] = ["opentelemetry", "ureq"];
/// Interval of log lines about drops.
const SAY_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[test]
    fn what_finds_no_room_is_turned_away_until_something_has_left() {
        let gate = ExportGate::new("traces", 2);
        assert!(gate.enter() && gate.enter());
        assert!(!gate.enter(), "full");
        gate.left(2, &Ok(()));
        assert!(gate.enter() && gate.enter() && !gate.enter());
        gate.left(1, &Err(OTelSdkError::InternalFailure("away".to_owned())));
        assert!(gate.enter(), "what the collector did not take is out as well");
    }

    #[test]
    fn what_is_dropped_is_spoken_of_once_a_minute() {
        let gate = ExportGate::new("logs", 1);
        let now = clock::now();
        gate.unsaid.store(5, Relaxed);
        gate.say(&Ok(()), now);
        assert_eq!(gate.unsaid.load(Relaxed), 0);
        gate.unsaid.store(7, Relaxed);
        gate.say(&Ok(()), now + Duration::from_secs(59));
        assert_eq!(gate.unsaid.load(Relaxed), 7, "kept for the next time");
        gate.say(&Ok(()), now + Duration::from_secs(60));
        assert_eq!(gate.unsaid.load(Relaxed), 0);
    }
}
