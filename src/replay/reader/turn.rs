//! ● One turn of a reading: how the endpoints stand, and what goes to them in the end.

use std::{sync::Arc, time::Instant};

use super::{Bounds, reading::Reading};
use crate::{
    backlog::{drainer::Surroundings, page_read::EndpointReadiness},
    ingest::actor::happened,
    model::{
        event::{EndpointKey, Event, Fields, Record},
        receipt::Receipt,
        source::{EventSource, SourceBacklog as _},
    },
    replay::{read_plan::View, replay_partition::ReplayPart},
    trace,
};

/// For the parts of a reading, in their order.
pub(super) struct ReadingHand<'a> {
    surroundings: &'a dyn Surroundings,
    now: Instant,
    bytes_max: usize,
    /// For each part: how many events its endpoint may have on their way, and its key.
    endpoints: Vec<(usize, Option<EndpointKey>)>,
    receipts: Vec<Vec<Receipt>>,
    pub has_read: bool,
}

/// An endpoint's answer to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    No,
    /// Its topic is held: who should get it is not known, and it is read again when that is over.
    Unknown,
}

impl<'a> ReadingHand<'a> {
    pub(super) fn new(reading: &Reading, bounds: &Bounds, surroundings: &'a dyn Surroundings, now: Instant) -> Self {
        let endpoint = |part: &Arc<ReplayPart>| {
            let id = &part.name.endpoint_id;
            let events_max = match surroundings.standing(id, now) {
                // Nothing is sent past what waits of the partition, in the backlog (it would only join it) or in memory.
                EndpointReadiness::TakesInOrder(..)
                    if part.ahead(id, None).events != Some(0) || !part.is_next_in_order() =>
                {
                    0
                }
                EndpointReadiness::Takes(events) | EndpointReadiness::TakesInOrder(events, _) => {
                    events.min(bounds.options.endpoint_events_max)
                }
                EndpointReadiness::Waits | EndpointReadiness::Gone => 0,
            };
            (events_max, surroundings.endpoint(id).map(|(key, _)| key))
        };
        ReadingHand {
            surroundings,
            now,
            bytes_max: bounds.options.memory_bytes_max,
            endpoints: reading.parts.iter().map(endpoint).collect(),
            receipts: reading.parts.iter().map(|_| Vec::new()).collect(),
            has_read: false,
        }
    }

    pub(super) fn views(&self, reading: &Reading) -> Vec<View> {
        reading.parts.iter().enumerate().map(|(place, part)| self.view(place, part)).collect()
    }

    pub(super) fn view(&self, place: usize, part: &ReplayPart) -> View {
        part.view(self.endpoints[place].0, self.bytes_max)
    }

    pub(super) fn endpoint(&self, place: usize) -> Option<EndpointKey> {
        self.endpoints[place].1
    }

    /// Puts the event on its way if the endpoint wants it, by today's subscriptions.
    pub(super) fn take(
        &mut self,
        place: usize,
        part: &Arc<ReplayPart>,
        key: EndpointKey,
        record: &Record,
        fields: &Fields,
    ) -> Taken {
        let source: Arc<dyn EventSource> = Arc::clone(part) as _;
        let mut event = Event::new(source, record.clone(), happened(fields.clone(), record), self.now);
        if !self.surroundings.matches(&event, key) {
            if self.surroundings.is_held(part.topic()) {
                self.endpoints[place].0 = 0;
                return Taken::Unknown;
            }
            return Taken::No;
        }
        if !part.track(record.offset, event.weight_bytes()) {
            return Taken::No;
        }
        trace::begin(&mut event);
        self.receipts[place].push(Arc::new(event).open_receipt(key));
        Taken::Yes
    }

    /// Into the endpoints' queues; true when anything was read.
    pub(super) fn give_out(self, reading: &Reading) -> bool {
        for (part, receipts) in reading.parts.iter().zip(self.receipts) {
            if !receipts.is_empty() {
                self.surroundings.push(&part.name.endpoint_id, receipts);
            }
        }
        self.has_read
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::{
        backlog::amount::Amount,
        clock,
        flow::drain_rate::Load,
        ingest::{ledger::PartitionLedger, missed::CatchesUp, testing},
        model::parking::RowCount,
        replay::{
            progress::{ReplayCounts, ReplayProgress},
            replay_partition::ReplayPartName,
        },
    };

    const ENDPOINT: EndpointKey = EndpointKey(1);

    /// Nobody subscribes, or nobody knows.
    #[derive(Default)]
    struct EmptyIndex {
        is_held: AtomicBool,
    }

    impl Surroundings for EmptyIndex {
        fn ledgers(&self) -> Arc<Vec<Arc<PartitionLedger>>> {
            Arc::default()
        }
        fn standing(&self, _: &str, _: Instant) -> EndpointReadiness {
            EndpointReadiness::Takes(5)
        }
        fn catches_up(&self, _: &str) -> CatchesUp {
            CatchesUp::Later
        }
        fn endpoint(&self, _: &str) -> Option<(EndpointKey, Arc<str>)> {
            Some((ENDPOINT, "cus_1".into()))
        }
        fn matches(&self, _: &Event, _: EndpointKey) -> bool {
            false
        }
        fn settings_complete_to_ms(&self, topic: &str) -> i64 {
            self.settings_complete_to_store_ms(topic)
        }
        fn settings_complete_to_store_ms(&self, _: &str) -> i64 {
            if self.is_held.load(Ordering::Relaxed) { 0 } else { 1 }
        }
        fn load(&self) -> Load {
            Load::default()
        }
        fn show_drain_rate(&self, _: f64) {}
        fn push(&self, _: &str, _: Vec<Receipt>) {}
        fn wake(&self, _: &str) {}
        fn rows_wait(&self, _: &str, _: RowCount) {}
        fn wake_ordered(&self) {}
    }

    #[test]
    fn what_matches_nothing_is_passed_only_while_all_subscriptions_to_its_topic_are_known() {
        let (settings, now) = (EmptyIndex::default(), clock::now());
        let name = ReplayPartName { replay_id: "rpl_1".into(), endpoint_id: "ep_1".into(), times: None };
        let progress = ReplayProgress::new(0, 100, ReplayCounts::default());
        let amounts = (Arc::<Amount>::default(), Arc::<Amount>::default());
        let part = ReplayPart::new(name, testing::ledger(), progress, amounts);
        let endpoints = vec![(5, Some(ENDPOINT))];
        let mut hand = ReadingHand {
            surroundings: &settings,
            now,
            bytes_max: 1_000,
            endpoints,
            receipts: vec![vec![]],
            has_read: false,
        };
        let mut take = || hand.take(0, &part, ENDPOINT, &testing::record(7), &Fields::default());
        assert_eq!(take(), Taken::No);
        settings.is_held.store(true, Ordering::Relaxed);
        assert_eq!(take(), Taken::Unknown, "the hold began before the subscription left the index");
        assert!(!hand.view(0, &part).has_room, "nothing more is read for it in this turn");
    }
}
