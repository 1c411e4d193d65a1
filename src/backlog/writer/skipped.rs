//! ● Events for a suspended endpoint, and for an ordered one that has not caught up yet: their positions are stored, and
//! nothing else of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use super::{BacklogWriter, Shared, Write};
use crate::{
    ingest::missed::Skipping,
    model::{
        disposition::Parked,
        receipt::{Receipt, Settlement},
        settings::Settings,
        source::SkipAt,
    },
    store::{
        StoreError,
        skipped_ranges::{self, Gap},
    },
};

impl BacklogWriter {
    /// Takes out of what comes for an endpoint what it misses: the positions of that are stored, and then it is settled.
    /// Returns the rest.
    #[must_use]
    pub fn skip_missed(&self, settings: &Settings, receipts: Vec<Receipt>) -> Vec<Receipt> {
        let suspended = settings.suspended;
        if !suspended && settings.delivery.ordering.is_none() {
            return receipts;
        }
        let (mut skipped, mut rest) = (Vec::new(), Vec::with_capacity(receipts.len()));
        for receipt in receipts {
            match Skipping::of(receipt, &settings.id, SkipAt::Arrival { suspended }) {
                Ok(skipping) => skipped.push(skipping),
                Err(receipt) => rest.push(receipt),
            }
        }
        self.skip(settings, skipped);
        rest
    }

    /// The same of what leaves memory: a row would be sent before what is still being replayed.
    pub(super) fn skip_leaving(&self, settings: &Settings, parked: Vec<Parked>) -> Vec<Parked> {
        if settings.delivery.ordering.is_none() {
            return parked;
        }
        let (mut skipped, mut rest) = (Vec::new(), Vec::with_capacity(parked.len()));
        for Parked { receipt, attempts, last, in_flight_until, not_before, parking } in parked {
            match Skipping::of(receipt, &settings.id, SkipAt::Departure) {
                Ok(skipping) => skipped.push(skipping),
                Err(receipt) => rest.push(Parked { receipt, attempts, last, in_flight_until, not_before, parking }),
            }
        }
        self.skip(settings, skipped);
        rest
    }

    fn skip(&self, settings: &Settings, skipped: Vec<Skipping>) {
        if !skipped.is_empty() {
            self.shared.known_receipts.fetch_add(skipped.len(), Ordering::Relaxed);
            self.shared.queues.push(&settings.id, Write::Skip { endpoint_id: Arc::clone(&settings.id), skipped });
        }
    }
}

impl Shared {
    /// Settles receipts once their positions are stored; those of partitions that are someone else's by now are dropped.
    pub(super) async fn skip(&self, skipped: Vec<(Arc<str>, Vec<Skipping>)>) {
        self.retry_policy().retry(|| self.widen(&skipped)).await;
        let stored = skipped.into_iter().flat_map(|(_, skipped)| skipped).filter(is_current);
        Receipt::settle_all(stored.map(|skipping| skipping.receipt), Settlement::Skipped);
    }

    /// One try: what moved to another instance before it is that one's to store.
    async fn widen(&self, skipped: &[(Arc<str>, Vec<Skipping>)]) -> Result<(), StoreError> {
        let gaps = gaps(skipped);
        if gaps.is_empty() { Ok(()) } else { skipped_ranges::widen(&self.pool, &gaps).await }
    }
}

fn gaps(skipped: &[(Arc<str>, Vec<Skipping>)]) -> Vec<Gap> {
    let mut of: BTreeMap<(&str, &str, i32), Gap> = BTreeMap::new();
    for (endpoint_id, skipped) in skipped {
        for skipping in skipped.iter().filter(|skipping| is_current(skipping)) {
            let event = skipping.receipt.event();
            let (topic, partition, offset) = (event.topic(), event.partition(), event.offset());
            let gap = of.entry((endpoint_id, topic, partition)).or_insert_with(|| Gap {
                endpoint_id: endpoint_id.to_string(),
                topic: topic.to_owned(),
                partition,
                from: offset,
                end: offset + 1,
                events: 0,
            });
            (gap.from, gap.end, gap.events) = (gap.from.min(offset), gap.end.max(offset + 1), gap.events + 1);
        }
    }
    of.into_values().collect()
}

fn is_current(skipping: &Skipping) -> bool {
    skipping.receipt.is_current()
}
