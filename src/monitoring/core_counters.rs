//! ○ Deliveries of one core, ever: a few additions for each attempt, on memory of the core's own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::latencies::{BUCKETS, LatencyCounters};

/// Written by the endpoint actors of one core, read by the sampler.
#[derive(Debug, Default)]
#[repr(align(128))] // of one core: two on one cache line would make each other wait
pub struct Flow {
    pub delivered: AtomicU64,
    /// Requests, delivered with their first attempt.
    pub delivered_at_once: AtomicU64,
    pub failed_attempts: AtomicU64,
    /// From an event's timestamp in Kafka to its 2xx answer.
    pub ages: LatencyCounters,
}

/// All cores together.
#[derive(Clone, Debug)]
pub struct FlowTotals {
    pub delivered: u64,
    pub failed_attempts: u64,
    pub ages: [u32; BUCKETS],
}

impl Default for FlowTotals {
    fn default() -> Self {
        FlowTotals { delivered: 0, failed_attempts: 0, ages: [0; BUCKETS] }
    }
}

impl FlowTotals {
    pub fn of<'a>(cores: impl IntoIterator<Item = &'a Flow>) -> Self {
        let mut totals = FlowTotals::default();
        for core in cores {
            totals.delivered += core.delivered.load(Relaxed);
            totals.failed_attempts += core.failed_attempts.load(Relaxed);
            for (sum, count) in totals.ages.iter_mut().zip(core.ages.snapshot()) {
                *sum = sum.wrapping_add(count);
            }
        }
        totals
    }
}
