//! ● The client's queue, in which records of all partitions wait for the poll thread, and whether it is empty.

use rdkafka::{bindings as rd, consumer::Consumer as _};

use super::Poller;

impl Poller {
    /// Notes if nothing waits in the client's queue. That a poll returned nothing does not say so: it may have
    /// served a commit or a rebalance instead.
    pub(super) fn note_queue(&mut self) {
        // SAFETY: the client outlives the calls; the queue is a reference of its own, given back at once.
        let length = unsafe {
            let queue = rd::rd_kafka_queue_get_consumer(self.consumer.client().native_ptr());
            if queue.is_null() {
                return;
            }
            let length = rd::rd_kafka_queue_length(queue);
            rd::rd_kafka_queue_destroy(queue);
            length
        };
        self.queue_emptied += u64::from(length == 0);
    }
}
