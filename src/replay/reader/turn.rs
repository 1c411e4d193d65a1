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

    /// True when the endpoint wants the event, by today's subscriptions, and it is on its way.
    pub(super) fn take(
        &mut self,
        place: usize,
        part: &Arc<ReplayPart>,
        key: EndpointKey,
        record: &Record,
        fields: &Fields,
    ) -> bool {
        let source: Arc<dyn EventSource> = Arc::clone(part) as _;
        let mut event = Event::new(source, record.clone(), happened(fields.clone(), record), self.now);
        if !self.surroundings.matches(&event, key) || !part.track(record.offset, event.weight_bytes()) {
            return false;
        }
        trace::begin(&mut event);
        self.receipts[place].push(Arc::new(event).open_receipt(key));
        true
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
