//! ● Pausing and resuming of partitions, in every round of the poll thread.

use std::{sync::atomic::Ordering, time::Instant};

use rdkafka::{TopicPartitionList, consumer::Consumer as _};

use super::{Poller, intake::ReadDecision, warn_on_error};
use crate::{
    ingest::{
        backpressure::memory_bytes,
        partition::{Move, Partition},
    },
    model::{pause::PauseReason, receipt::tally},
};

impl Poller {
    /// Pauses partitions that have too much outstanding and resumes those that have room again. True when nothing
    /// more should be taken for a moment.
    pub(super) fn hold_back(&mut self, now: Instant) -> bool {
        let brake = self.brake_now();
        let intake = self.poll(now);
        let beyond = match intake {
            _ if self.memory_is_full() => Some(PauseReason::Memory),
            ReadDecision::Pause => Some(PauseReason::Window),
            ReadDecision::Read(_) | ReadDecision::Wait => None,
        };
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        let mut stalled = intake == ReadDecision::Wait;
        let (partitions, store) = (&mut self.partitions, &self.store);
        self.active.retain(|slot| {
            let partition = &mut partitions[slot];
            let holds_up = || store.holds_up(partition.ledger.topic(), partition.ledger.partition());
            let beyond = beyond.or_else(|| holds_up().then_some(PauseReason::Memory));
            let list = match partition.hold_back(beyond, brake, now) {
                None => return partition.is_active(),
                Some(Move::Stall) => {
                    stalled = true;
                    return true;
                }
                Some(Move::Pause(_)) => &mut pause,
                Some(Move::Resume) if partition.ledger.takes_nothing() => return true,
                Some(Move::Resume) => &mut resume,
            };
            list.add_partition(partition.ledger.topic(), partition.ledger.partition());
            true
        });
        if pause.count() > 0 {
            warn_on_error("pause", self.consumer.pause(&pause));
        }
        if resume.count() > 0 {
            warn_on_error("resume", self.consumer.resume(&resume));
        }
        stalled
    }

    /// The limit of this round's reading. While partitions pause for the window, one event at a time is polled, for
    /// rebalances come with polling.
    fn poll(&mut self, now: Instant) -> ReadDecision {
        let unrouted = |slot: &usize| {
            let partition = &self.partitions[*slot];
            partition.ledger.unrouted_events() + partition.waiting() as u64
        };
        let unrouted = self.active.as_slice().iter().map(unrouted).sum();
        let intake = self.intake.decide(unrouted, now);
        self.room_events = match intake {
            ReadDecision::Read(events) => events,
            ReadDecision::Wait | ReadDecision::Pause => 1,
        };
        intake
    }

    fn memory_is_full(&mut self) -> bool {
        let bytes_of = |slot: &usize| self.partitions[*slot].ledger.outstanding().1;
        let bytes: u64 = self.active.as_slice().iter().map(bytes_of).sum();
        let is_quiet = self.state.quiet.load(Ordering::Acquire);
        self.memory.decide(memory_bytes(bytes, tally::totals().held())) || self.store.is_full() || is_quiet
    }

    fn brake_now(&mut self) -> Option<u64> {
        let brake = self.brake.events_max();
        if brake.is_some() && !self.is_braked {
            self.partitions.iter_mut().for_each(Partition::count_from_here);
        }
        self.is_braked = brake.is_some();
        brake
    }
}
