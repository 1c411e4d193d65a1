//! ● Redrives, wired: dead letters of the partitions this instance owns go into their endpoints' queues again.

use std::sync::Arc;

use crate::{
    config::Config,
    dead_letter::{
        redrive::{self, EndpointSink, Owns},
        writer::DeadLetterWriter,
    },
    endpoint::supervisor::Notices,
    event::EndpointKey,
    ingest::{
        consumer::ConsumerState,
        receipt::{Origin as _, Receipt, Settlement},
    },
    router::{actor::push, table::RoutingTable},
    store::Pool,
};

/// Starts following what is asked for, until the process ends.
pub fn start(
    config: &Config,
    pool: Pool,
    dead_letters: DeadLetterWriter,
    consumer: Arc<ConsumerState>,
    queues: Queues,
) {
    let owns: Owns = Arc::new(move |topic, partition| {
        consumer.assigned().iter().any(|ledger| ledger.partition() == partition && ledger.topic() == topic)
    });
    let options = (&config.dead_letter).into();
    actix_rt::spawn(async move {
        let never = redrive::run(pool, options, dead_letters, Arc::new(queues), owns).await;
        match never {}
    });
}

/// The endpoints' queues, by id.
pub struct Queues {
    pub table: Arc<RoutingTable>,
    pub notices: Notices,
}

impl EndpointSink for Queues {
    fn key(&self, endpoint_id: &str) -> Option<EndpointKey> {
        self.table.endpoints().find(endpoint_id).map(|queue| queue.key)
    }

    fn push(&self, endpoint_id: &str, receipts: Vec<Receipt>) {
        let queue = self.table.endpoints().find(endpoint_id).cloned();
        match queue {
            Some(queue) => push(&queue, receipts, &self.notices),
            None => Receipt::settle_all(receipts, Settlement::Cancelled),
        }
    }
}
