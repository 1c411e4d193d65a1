//! ● The client's queue, in which records of all partitions wait for the poll thread.

use rdkafka::{bindings as rd, consumer::Consumer as _};

use super::Poller;
use crate::ingest::partition::QueuePosition;

impl Poller {
    /// The place up to which records were taken out of the client's queue, and its end.
    pub(super) fn queue_position(&self) -> QueuePosition {
        // SAFETY: the client outlives the calls; the queue is a reference of its own, given back at once.
        let length = unsafe {
            let queue = rd::rd_kafka_queue_get_consumer(self.consumer.client().native_ptr());
            let length = if queue.is_null() { 0 } else { rd::rd_kafka_queue_length(queue) };
            if !queue.is_null() {
                rd::rd_kafka_queue_destroy(queue);
            }
            length
        };
        QueuePosition { taken: self.queue_taken, end: self.queue_taken + length as u64 }
    }
}
