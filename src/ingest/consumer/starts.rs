//! ● Where assignments began whose committed offsets could not be had then: asked for again, or an idle partition's ordered rows
//! would wait for its first record.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
};

use crate::ingest::{ledger::PartitionLedger, receipt::Origin as _};

/// Asks the group for what it has committed of partitions that do not know where they began.
pub(super) fn learn<C: ConsumerContext>(consumer: &BaseConsumer<C>, ledgers: &[Arc<PartitionLedger>]) {
    let unknown = |ledger: &&Arc<PartitionLedger>| ledger.is_current() && ledger.ended_up_to().is_none();
    let unknown: Vec<&Arc<PartitionLedger>> = ledgers.iter().filter(unknown).collect();
    if unknown.is_empty() {
        return;
    }
    let mut asked = TopicPartitionList::new();
    for ledger in &unknown {
        asked.add_partition(ledger.topic(), ledger.partition());
    }
    let Ok(committed) = consumer.committed_offsets(asked, TIMEOUT) else { return };
    for ledger in unknown {
        let element = committed.find_partition(ledger.topic(), ledger.partition());
        if let Some(Offset::Offset(offset)) = element.map(|element| element.offset()).filter(is_known) {
            ledger.learn_start(offset);
        }
    }
}

fn is_known(offset: &Offset) -> bool {
    matches!(offset, Offset::Offset(offset) if *offset >= 0)
}

/// The poll thread waits no longer for it.
const TIMEOUT: Duration = Duration::from_secs(1);
