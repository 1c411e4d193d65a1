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
    store::skipped_ranges::{self, Gap},
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
        let mut of: BTreeMap<(Arc<str>, String, i32), Gap> = BTreeMap::new();
        let mut current = Vec::new();
        for (endpoint_id, skipped) in skipped {
            for skipping in skipped {
                let event = skipping.receipt.event();
                if !event.source.is_current() {
                    continue;
                }
                let (topic, partition, offset) = (event.topic(), event.partition(), event.offset());
                let gap = of.entry((Arc::clone(&endpoint_id), topic.to_owned(), partition)).or_insert_with(|| Gap {
                    endpoint_id: endpoint_id.to_string(),
                    topic: topic.to_owned(),
                    partition,
                    from: offset,
                    end: offset + 1,
                    events: 0,
                });
                (gap.from, gap.end, gap.events) = (gap.from.min(offset), gap.end.max(offset + 1), gap.events + 1);
                current.push(skipping);
            }
        }
        if current.is_empty() {
            return;
        }
        let gaps: Vec<Gap> = of.into_values().collect();
        self.retry_policy().retry(|| skipped_ranges::widen(&self.pool, &gaps)).await;
        Receipt::settle_all(current.into_iter().map(|skipping| skipping.receipt), Settlement::Skipped);
    }
}
