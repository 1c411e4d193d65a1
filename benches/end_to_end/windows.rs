//! ○ Latencies second by second.

use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;

/// What was received within a second, in milliseconds from produce to receipt.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Window {
    /// Since 1970.
    pub start_ns: u64,
    pub events: u64,
    pub p50: f64,
    pub p99: f64,
}

/// Seconds in which nothing came are left out.
pub struct Windows {
    past: Vec<Window>,
    start_ns: u64,
    current: Histogram,
}

impl Windows {
    pub fn new(now_ns: u64) -> Self {
        Windows { past: Vec::new(), start_ns: now_ns, current: Histogram::new() }
    }

    pub fn record(&mut self, now_ns: u64, micros: u64) {
        self.roll(now_ns);
        self.current.record(micros);
    }

    /// Those that are over.
    pub fn past(&mut self, now_ns: u64) -> &[Window] {
        self.roll(now_ns);
        &self.past
    }

    fn roll(&mut self, now_ns: u64) {
        let passed = now_ns.saturating_sub(self.start_ns) / SECOND_NS;
        if passed == 0 {
            return;
        }
        if self.current.count() > 0 {
            let (p50, p99) = (self.current.quantile_ms(0.5), self.current.quantile_ms(0.99));
            self.past.push(Window { start_ns: self.start_ns, events: self.current.count(), p50, p99 });
            self.current = Histogram::new();
        }
        self.start_ns += passed * SECOND_NS;
    }
}

pub const SECOND_NS: u64 = 1_000_000_000;
