//! ● What comes for a suspended endpoint: its position is stored, and nothing else of it.

use std::{collections::BTreeMap, sync::Arc};

use super::Shared;
use crate::{
    ingest::receipt::{Receipt, Settlement},
    store::gaps::{self, Gap},
};

impl Shared {
    /// Settles receipts once their positions are stored; those of partitions that are someone else's by now are dropped.
    pub(super) async fn skip(&self, skipped: Vec<(Arc<str>, Vec<Receipt>)>) {
        let mut of: BTreeMap<(Arc<str>, String, i32), Gap> = BTreeMap::new();
        let mut settled = Vec::new();
        for (endpoint_id, receipts) in skipped {
            for receipt in receipts {
                let event = receipt.event();
                if !event.origin.is_current() {
                    continue;
                }
                let (topic, partition, offset) = (event.topic(), event.origin.partition(), event.offset());
                let gap = of.entry((Arc::clone(&endpoint_id), topic.to_owned(), partition)).or_insert_with(|| Gap {
                    endpoint_id: endpoint_id.to_string(),
                    topic: topic.to_owned(),
                    partition,
                    from: offset,
                    end: offset + 1,
                    events: 0,
                });
                (gap.from, gap.end, gap.events) = (gap.from.min(offset), gap.end.max(offset + 1), gap.events + 1);
                settled.push(receipt);
            }
        }
        if settled.is_empty() {
            return;
        }
        let gaps: Vec<Gap> = of.into_values().collect();
        self.patience().retry(|| gaps::widen(&self.pool, &gaps)).await;
        Receipt::settle_all(settled, Settlement::Skipped);
    }
}
