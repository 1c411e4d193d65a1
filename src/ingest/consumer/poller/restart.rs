//! ● Partitions that are read from elsewhere: again, after a fault of ours; from the beginning, where the topic was made
//! again; at last, where the beginning was not known.

use std::{sync::Arc, time::Duration};

use metrics::counter;
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaResult};

use super::{Poller, warn_on_error};
use crate::{
    clock,
    ingest::{
        begin::Begin,
        consumer::orders::PollerOrder,
        ledger::PartitionLedger,
        partition::{Partition, Reread},
        rebalance::{made_again, offset_of},
    },
    notifications::{OperatorEvent, emit},
    telemetry::names,
};

const SEEK_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two rounds of reading again: a chunk that fails each time must not become a hot loop.
pub(super) const REREAD_SPACING: Duration = Duration::from_secs(1);

impl Poller {
    /// Events of these partitions were lost behind us (an actor's panic), or the log was cut: they are read again,
    /// from the settled prefix, in a new epoch.
    pub(super) fn reread_failed(&mut self) {
        let now = clock::now();
        if now < self.reread_at {
            return;
        }
        for at in 0..self.active.as_slice().len() {
            let slot = self.active.as_slice()[at];
            let Some(from) = self.partitions[slot].must_reread_from() else { continue };
            self.reread_at = now + REREAD_SPACING;
            let cut_at = self.partitions[slot].was_cut_at();
            let old = Arc::clone(&self.partitions[slot].ledger);
            // The old ledger stays until Kafka has gone back: a new one that began too late would commit over the gap.
            if !self.go_to(&old, from.offset().map_or(Offset::Beginning, Offset::Offset)) {
                continue;
            }
            let (topic, partition) = (old.topic_name(), old.partition());
            tracing::error!(%topic, partition, offset = from.offset(), "restarting the partition from this offset");
            old.revoke();
            let ledger = self.renew(&old, from);
            if let Some((expected, offset)) = cut_at.zip(from.offset()) {
                self.tell_offset_lost(&ledger, expected, offset);
            }
            self.replace(slot, ledger);
        }
    }

    fn renew(&self, old: &PartitionLedger, from: Reread) -> Arc<PartitionLedger> {
        let context = self.consumer.context();
        match from {
            Reread::From(offset) => context.renew(old, offset),
            Reread::Beginning => {
                let begin = Begin::Beginning { topic_id: old.topic_id().cloned() };
                context.begin(&(old.topic_name(), old.partition()), &begin)
            }
        }
    }

    fn tell_offset_lost(&self, ledger: &PartitionLedger, offset: i64, goes_on_at: i64) {
        let (topic, partition) = (ledger.topic_name(), ledger.partition());
        self.consumer.context().rewind(&(Arc::clone(&topic), partition));
        counter!(names::OFFSETS_LOST, "topic" => topic.to_string()).increment(1);
        emit(OperatorEvent::OffsetLost { topic, partition, offset, goes_on_at });
    }

    /// The log is shorter than what was read of it.
    fn go_back(&mut self, name: &(Arc<str>, i32), epoch: u64, offset: i64) -> bool {
        let Some(slot) = self.by_name.get(&name.0, name.1) else { return true };
        let old = Arc::clone(&self.partitions[slot].ledger);
        let expected = old.next_offset().filter(|next| *next > offset && old.epoch() == epoch);
        let Some(expected) = expected else { return true }; // it went on meanwhile
        let is_handed_on = self.hand_on_all(slot);
        // What it lost below the cut is read again first; that makes this order void.
        if !is_handed_on || self.partitions[slot].must_reread_from().is_some() {
            return false;
        }
        // Committing begins there as well: what is below the cut and not settled would be lost by a crash.
        let from = old.goes_on_below(offset);
        if !self.go_to(&old, Offset::Offset(from)) {
            return false;
        }
        // What was read beyond is nowhere else any more: it is delivered.
        self.state.retired.retire(&old);
        let ledger = self.consumer.context().renew(&old, from);
        self.tell_offset_lost(&ledger, expected, from);
        self.replace(slot, ledger);
        true
    }

    /// Carries out what those want who ask Kafka about the logs. What cannot be done yet stays ordered.
    pub(super) fn carry_out_orders(&mut self) {
        let now = clock::now();
        if now < self.reread_at {
            return;
        }
        for order in self.state.orders.take() {
            let done = match &order {
                PollerOrder::MadeAgain { topic, topic_id } => self.begin_new_log(topic, topic_id),
                PollerOrder::Begin { topic, partition, epoch, begin } => {
                    self.begin_held(&(Arc::clone(topic), *partition), *epoch, begin)
                }
                PollerOrder::GoBack { topic, partition, epoch, offset } => {
                    self.go_back(&(Arc::clone(topic), *partition), *epoch, *offset)
                }
            };
            if !done {
                self.reread_at = now + REREAD_SPACING;
                self.state.orders.give(order);
            }
        }
    }

    /// Reads the log that has the topic's name now, from its beginning. What was read of the one before is delivered.
    fn begin_new_log(&mut self, topic: &Arc<str>, topic_id: &Arc<str>) -> bool {
        let is_of_another = |partition: &Partition| {
            let ledger = &partition.ledger;
            *ledger.topic() == **topic && ledger.topic_id().is_some_and(|known| known != topic_id)
        };
        let slots: Vec<usize> =
            (0..self.partitions.len()).filter(|slot| is_of_another(&self.partitions[*slot])).collect();
        let (mut done, mut told) = (true, false);
        for slot in slots {
            let old = Arc::clone(&self.partitions[slot].ledger);
            if !self.hand_on_all(slot) || !self.go_to(&old, Offset::Beginning) {
                done = false;
                continue;
            }
            if !std::mem::replace(&mut told, true) {
                made_again(topic, None);
            }
            self.state.retired.retire(&old);
            let begin = Begin::NewLog { topic_id: Arc::clone(topic_id) };
            let ledger = self.consumer.context().begin(&(Arc::clone(topic), old.partition()), &begin);
            self.replace(slot, ledger);
        }
        done
    }

    /// Hands on the records that wait here: they were read already, and nobody reads them again. False while there is no room
    /// for all of it.
    fn hand_on_all(&mut self, slot: usize) -> bool {
        let partition = &mut self.partitions[slot];
        partition.hand_on(clock::now()) || partition.waiting() == 0 || partition.must_reread_from().is_some()
    }

    fn begin_held(&mut self, name: &(Arc<str>, i32), epoch: u64, begin: &Begin) -> bool {
        let Some(slot) = self.by_name.get(&name.0, name.1) else { return true };
        let old = Arc::clone(&self.partitions[slot].ledger);
        if old.epoch() != epoch || old.held().is_none() {
            return true; // of an assignment that is over
        }
        if !self.go_to(&old, offset_of(begin)) {
            return false;
        }
        tracing::info!(topic = %name.0, partition = name.1, ?begin, "a partition that waited for its beginning begins");
        old.revoke();
        let ledger = self.consumer.context().begin(name, begin);
        self.replace(slot, ledger);
        if !self.partitions[slot].ledger.is_topic_held() {
            let mut resume = TopicPartitionList::new();
            resume.add_partition(&name.0, name.1);
            warn_on_error("resume", self.consumer.resume(&resume));
        }
        true
    }

    /// Another ledger, and with it another ingest actor. A pause of the old one is over.
    fn replace(&mut self, slot: usize, ledger: Arc<PartitionLedger>) {
        let was_paused = self.partitions[slot].paused().is_some();
        self.partitions[slot] = self.start_partition(ledger);
        self.stirred.insert(slot);
        let ledger = &self.partitions[slot].ledger;
        if was_paused && !ledger.is_topic_held() {
            let mut resume = TopicPartitionList::new();
            resume.add_partition(ledger.topic(), ledger.partition());
            warn_on_error("resume", self.consumer.resume(&resume));
        }
        self.publish_assigned();
    }

    pub(super) fn go_to(&self, old: &PartitionLedger, offset: Offset) -> bool {
        let (topic, number) = (old.topic_name(), old.partition());
        let gone = self.consumer.seek(&topic, number, offset, SEEK_TIMEOUT);
        // One that the client has stopped (an offset that the log does not have, `kafka.offset_lost`) cannot be sought.
        match gone.or_else(|_| self.assign_again(&topic, number, offset)) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%topic, partition = number, %error, "the seek failed; it is tried again");
                false
            }
        }
    }

    fn assign_again(&self, topic: &str, number: i32, offset: Offset) -> KafkaResult<()> {
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, number, offset)?;
        self.consumer.incremental_unassign(&assignment)?;
        self.consumer.incremental_assign(&assignment)
    }
}
