//! ● Commits that the poll thread makes.

use std::ptr;

use rdkafka::{
    TopicPartitionList, bindings as rd,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};

use super::{Poller, warn_on_error};
use crate::{
    clock,
    ingest::{partition::Partition, rebalance::add_commit},
};

impl Poller {
    /// Stores what has settled and has it committed, and so what an earlier commit could not take.
    ///
    /// librdkafka's own timer would look through the whole assignment, moved or not, as often as a crash may repeat little:
    /// with 2,000 partitions that took 3 % of a core.
    pub(super) fn commit_settled(&mut self) {
        let stored = self.store_settled();
        if (self.consumer.context().take_uncommitted() || stored)
            && let Err(error) = self.commit(None)
        {
            tracing::warn!(%error, "what is settled cannot be committed; the next commit covers it");
        }
    }

    /// Stores the settled prefix of every partition where it moved. True if there is something to commit.
    pub(super) fn store_settled(&mut self) -> bool {
        let mut moved = TopicPartitionList::new();
        let queue = self.queue_position();
        for slot in self.stirred.as_slice() {
            let partition = &mut self.partitions[*slot];
            if let Some(offset) = partition.newly_committable(queue) {
                warn_on_error("store", add_commit(&mut moved, &partition.ledger, offset));
            }
        }
        let is_any = moved.count() > 0;
        if is_any {
            self.store(&moved);
        }
        // Last: what it stores may have settled since.
        self.take_commits_back();
        is_any
    }

    fn store(&mut self, moved: &TopicPartitionList) {
        self.consumer.context().stored(clock::now());
        match self.consumer.store_offsets(moved) {
            Ok(()) => {}
            // A partition was lost in between: its new owner reads on from the last commit.
            Err(KafkaError::StoreOffset(RDKafkaErrorCode::State)) => {
                self.consumer.context().metrics.commits_stale.increment(1);
            }
            Err(error) => {
                tracing::warn!(%error, "storing offsets failed; they are stored again in the next round");
                self.partitions.iter_mut().for_each(Partition::not_stored);
                self.all_at = clock::now();
            }
        }
    }

    /// Commits by hand a position that lies behind the group's commit, which is of a log that is gone: librdkafka
    /// commits only forwards. Repeated until it went through. The position is stored as well: else the next commit would be
    /// of the one that was stored in the log that is gone, which lies ahead.
    fn take_commits_back(&self) {
        let context = self.consumer.context();
        let mut back = TopicPartitionList::new();
        for name in context.rewinds() {
            let Some(slot) = self.by_name.get(&name.0, name.1) else { continue };
            let ledger = &self.partitions[slot].ledger;
            if let Some(offset) = ledger.unsettled_from() {
                warn_on_error("take back commits of", add_commit(&mut back, ledger, offset));
                context.taking_back(&name, offset);
            }
        }
        if back.count() > 0 {
            warn_on_error("take back commits of", self.consumer.store_offsets(&back));
            warn_on_error("take back commits of", self.commit(Some(&back)));
        }
    }
    /// Commits these offsets, or what is stored. The answer comes out of `poll`, to
    /// [`committed`](crate::ingest::rebalance::PollContext), as those to the client's own commits do: the crate's calls ask for
    /// none, so that a commit which failed would be nobody's to repeat.
    fn commit(&self, offsets: Option<&TopicPartitionList>) -> Result<(), KafkaError> {
        let offsets = offsets.map_or(ptr::null(), |offsets| offsets.ptr().cast_const());
        // SAFETY: client and list outlive the call, which copies the list. The request has a reference of its own to the
        // client's main queue, which this one only borrows.
        let code = unsafe {
            let handle = self.consumer.client().native_ptr();
            let queue = rd::rd_kafka_queue_get_main(handle);
            let code = rd::rd_kafka_commit_queue(handle, offsets, queue, None, ptr::null_mut());
            rd::rd_kafka_queue_destroy(queue);
            code
        };
        match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(KafkaError::ConsumerCommit(code.into())),
        }
    }
}
