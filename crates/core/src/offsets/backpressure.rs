//! ○ Pausing and resuming a partition: high and low watermarks, so that it does not flutter.
//!
//! **Invariant:** what is outstanding stays below the high watermarks plus what was fetched before the pause took hold.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::tracker::SPAN_MAX;
use crate::model::pause::PauseReason;

/// Limits of one partition before it pauses; it resumes below half of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLimits {
    pub events_max: u64,
    pub bytes_max: u64,
    /// Offsets between the oldest unsettled one and the last one seen.
    pub span_max: u64,
}

impl PartitionLimits {
    /// The span leaves an eighth of the tracker's window for what was fetched before the pause took hold.
    #[must_use]
    pub fn new(events_max: u64, bytes_max: u64) -> Self {
        PartitionLimits { events_max, bytes_max, span_max: SPAN_MAX / 8 * 7 }
    }
}

/// Outstanding events and bytes of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionLoad {
    pub events: u64,
    pub bytes: u64,
    /// [`SPAN_MAX`] while a chunk waits because its offsets are too far ahead.
    pub span: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Pause(PauseReason),
    Resume,
}

/// The pause of one partition. A new assignment begins with a new gate: a revoke resumes what was paused.
#[derive(Debug)]
pub struct PartitionGate {
    limits: PartitionLimits,
    paused: Option<PauseReason>,
}

impl PartitionGate {
    #[must_use]
    pub fn new(limits: PartitionLimits) -> Self {
        PartitionGate { limits, paused: None }
    }

    #[must_use]
    pub fn paused(&self) -> Option<PauseReason> {
        self.paused
    }

    /// The decision that is due, if any. `beyond` is a reason that is not the partition's own: the process's
    /// [`MemoryBudget`] or its read window is full.
    pub fn decide(&mut self, load: PartitionLoad, beyond: Option<PauseReason>) -> Option<Decision> {
        let PartitionLimits { events_max, bytes_max, span_max } = self.limits;
        if self.paused.is_some() {
            let is_low = below_half(load.events, events_max)
                && below_half(load.bytes, bytes_max)
                && below_half(load.span, span_max);
            if !is_low || beyond.is_some() {
                return None;
            }
            self.paused = None;
            return Some(Decision::Resume);
        }
        let reason = if load.events >= events_max {
            PauseReason::Events
        } else if load.bytes >= bytes_max {
            PauseReason::Bytes
        } else if load.span >= span_max {
            PauseReason::Span
        } else {
            beyond?
        };
        self.paused = Some(reason);
        Some(Decision::Pause(reason))
    }
}

/// The memory of all partitions together: full at the maximum, no longer full below 7/8 of it.
#[derive(Debug)]
pub struct MemoryBudget {
    bytes_max: u64,
    is_full: bool,
}

impl MemoryBudget {
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        MemoryBudget { bytes_max, is_full: false }
    }

    /// True if memory is full, with this many bytes outstanding in the whole process.
    pub fn decide(&mut self, bytes: u64) -> bool {
        let threshold = if self.is_full { self.bytes_max - self.bytes_max / 8 } else { self.bytes_max };
        self.is_full = bytes >= threshold;
        self.is_full
    }
}

/// Memory that events and the receipts of their deliveries take: beside many endpoints the receipts are the larger part.
#[must_use]
pub fn memory_bytes(events_bytes: u64, open_receipts: i64) -> u64 {
    events_bytes + u64::try_from(open_receipts).unwrap_or(0) * RECEIPT_BYTES
}

/// A receipt, its place in a queue, and what is made of it while it is parked.
const RECEIPT_BYTES: u64 = 300;

/// Held from outside while reading on would not help: then each partition may read only so many events more.
#[derive(Debug)]
pub struct ReadThrottle(AtomicU64);

impl Default for ReadThrottle {
    fn default() -> Self {
        ReadThrottle(AtomicU64::new(RELEASED))
    }
}

impl ReadThrottle {
    /// Limits each partition to this many events, counted from when the brake was put on; `None` releases it.
    pub fn set(&self, events_max: Option<u64>) {
        self.0.store(events_max.unwrap_or(RELEASED), Relaxed);
    }

    #[must_use]
    pub fn events_max(&self) -> Option<u64> {
        Some(self.0.load(Relaxed)).filter(|events_max| *events_max != RELEASED)
    }
}

const RELEASED: u64 = u64::MAX;

/// The writers to PostgreSQL, as far as reading depends on them.
pub trait StorePressure: Send + Sync + std::fmt::Debug {
    /// Too much of what was given up is not stored yet: nothing more is read.
    fn is_full(&self) -> bool;
    /// Records of this partition wait to be stored and have used up their share: nothing more is read of it.
    fn holds_up(&self, topic: &str, partition: i32) -> bool;
    /// Events that wait to be stored in the backlog.
    fn waiting_events(&self) -> u64;
    /// Events that were stored in the backlog, ever.
    fn stored_ever(&self) -> u64;
}

/// A limit of 1 has nothing between 0 and its half: nothing outstanding is always low enough.
fn below_half(amount: u64, max: u64) -> bool {
    amount == 0 || amount < max / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: PartitionLimits = PartitionLimits { events_max: 100, bytes_max: 1_000, span_max: 10_000 };

    fn load(events: u64, bytes: u64, span: u64) -> PartitionLoad {
        PartitionLoad { events, bytes, span }
    }

    fn memory(is_full: bool) -> Option<PauseReason> {
        is_full.then_some(PauseReason::Memory)
    }

    #[track_caller]
    fn check(load: PartitionLoad, memory_full: bool, expected: Option<PauseReason>) {
        assert_eq!(PartitionGate::new(LIMITS).decide(load, memory(memory_full)), expected.map(Decision::Pause));
    }

    #[test]
    fn a_partition_pauses_before_its_tracker_is_full() {
        let limits = PartitionLimits::new(100, 1_000);
        assert!(limits.span_max < SPAN_MAX, "what was fetched before the pause still finds room");
        assert!(limits.span_max > SPAN_MAX / 2, "and most of the window serves");
    }

    #[test]
    fn each_limit_pauses_a_partition() {
        check(load(99, 999, 9_999), false, None);
        check(load(100, 0, 0), false, Some(PauseReason::Events));
        check(load(0, 1_000, 0), false, Some(PauseReason::Bytes));
        check(load(0, 0, SPAN_MAX), false, Some(PauseReason::Span));
        check(load(0, 0, 0), true, Some(PauseReason::Memory));
    }

    #[test]
    fn a_partition_resumes_only_below_half_of_every_limit() {
        let mut gate = PartitionGate::new(LIMITS);
        assert!(gate.decide(load(100, 800, 100), None).is_some());
        assert_eq!(gate.decide(load(49, 500, 100), None), None);
        assert_eq!(gate.decide(load(49, 499, 5_000), None), None);
        assert_eq!(gate.decide(load(49, 499, 100), Some(PauseReason::Memory)), None);
        assert_eq!(gate.decide(load(49, 499, 100), None), Some(Decision::Resume));
        assert_eq!(gate.decide(load(49, 499, 100), None), None);
    }

    #[test]
    fn events_for_many_endpoints_are_heavy_by_their_receipts() {
        let mut budget = MemoryBudget::new(512 << 20);
        let events_bytes = 15 << 20;
        assert!(!budget.decide(memory_bytes(events_bytes, 20_000)));
        assert!(budget.decide(memory_bytes(events_bytes, 20_000 * 300)), "20,000 events to 300 hung endpoints");
        assert_eq!(memory_bytes(events_bytes, -3), events_bytes, "counted off a moment before they were counted");
    }

    #[test]
    fn memory_is_full_until_an_eighth_of_it_is_free() {
        let mut budget = MemoryBudget::new(800);
        assert!(!budget.decide(799));
        assert!(budget.decide(800));
        assert!(budget.decide(700));
        assert!(!budget.decide(699));
        assert!(!budget.decide(799));
    }

    proptest! {
        #[test]
        fn an_empty_partition_is_never_left_paused(
            limits in (1_u64..10, 1_u64..10, 1_u64..10),
            loads in prop::collection::vec((0_u64..12, 0_u64..12, 0_u64..12, any::<bool>()), 0..30),
        ) {
            let mut gate = PartitionGate::new(PartitionLimits { events_max: limits.0, bytes_max: limits.1, span_max: limits.2 });
            for (events, bytes, span, memory_full) in loads {
                gate.decide(load(events, bytes, span), memory(memory_full));
            }
            gate.decide(PartitionLoad::default(), None);
            prop_assert_eq!(gate.paused(), None);
        }

        #[test]
        fn pauses_and_resumes_take_turns(loads in prop::collection::vec((0_u64..200, 0_u64..2_000, any::<bool>()), 0..50)) {
            let mut gate = PartitionGate::new(LIMITS);
            let mut is_paused = false;
            for (events, bytes, memory_full) in loads {
                match gate.decide(load(events, bytes, 0), memory(memory_full)) {
                    Some(Decision::Pause(_)) => prop_assert!(!std::mem::replace(&mut is_paused, true)),
                    Some(Decision::Resume) => prop_assert!(std::mem::replace(&mut is_paused, false)),
                    None => {}
                }
                prop_assert!(is_paused || events < 100 && bytes < 1_000 && !memory_full);
            }
        }
    }
}
