//! ● Topics that are not read for now: their partitions pause, whatever else they do.

use std::{sync::Arc, time::Instant};

use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _};

use super::{Poller, restart::REREAD_SPACING, warn_on_error};
use crate::ingest::ledger::PartitionLedger;

impl Poller {
    /// Pauses what is to be left alone, and goes on where it may be read again. Costs a comparison while nothing changes.
    pub(super) fn follow_holds(&mut self, now: Instant) {
        let held = self.holds.now();
        let has_changed = !Arc::ptr_eq(&held, &self.held);
        if !has_changed && self.release_at.is_none_or(|at| now < at) {
            return;
        }
        (self.held, self.release_at) = (held, None);
        for slot in 0..self.partitions.len() {
            let ledger = &self.partitions[slot].ledger;
            match (self.held.contains(ledger.topic()), ledger.is_topic_held()) {
                (true, false) => self.hold(ledger),
                // The others wait for the next round with it: each try may take seconds.
                (false, true) if self.release_at.is_some() => continue,
                (false, true) if !self.release(ledger) => {
                    self.release_at = Some(now + REREAD_SPACING);
                    continue;
                }
                (false, true) => {}
                _ => continue,
            }
            self.partitions[slot].disturbed();
        }
    }

    /// A new assignment of a topic that is held.
    pub(super) fn hold_new(&self, ledger: &Arc<PartitionLedger>) {
        if self.held.contains(ledger.topic()) {
            self.hold(ledger);
        }
    }

    fn hold(&self, ledger: &PartitionLedger) {
        tracing::warn!(
            topic = ledger.topic(),
            partition = ledger.partition(),
            "a subscription to this topic, or its customer's grants, are unreadable; the topic is paused until they are readable or deleted"
        );
        ledger.hold_topic(true);
        warn_on_error("pause", self.consumer.pause(&list_of(ledger)));
    }

    /// Reads again what came meanwhile and was not taken. False when Kafka does not go back: then it stays held, or what was
    /// not taken would be passed over.
    fn release(&self, ledger: &PartitionLedger) -> bool {
        let from = ledger.next_offset().map_or(Offset::Beginning, Offset::Offset);
        if ledger.held().is_none() && !self.go_to(ledger, from) {
            return false;
        }
        ledger.hold_topic(false);
        if ledger.held().is_none() && ledger.paused().is_none() {
            warn_on_error("resume", self.consumer.resume(&list_of(ledger)));
        }
        true
    }
}

fn list_of(ledger: &PartitionLedger) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition(ledger.topic(), ledger.partition());
    list
}

#[cfg(test)]
mod tests;
