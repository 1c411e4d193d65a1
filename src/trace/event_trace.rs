//! ○ An event's way, told step by step; out come the spans of it.
//!
//! ```text
//! process orders ├─ match ─┤
//!   deliver                ├─ wait ─┼─ POST ─┼─ wait ─┼─ POST ─┼─ settle ─┤   for each endpoint
//! ```
//!
//! **Invariant:** whatever becomes of the event, a span that was begun comes out once.

use std::{borrow::Cow, time::Instant};

use smallvec::SmallVec;

use super::{
    sampling::span_below,
    span::{Attribute, Parent, TraceSpan, TraceSpanKind, Value, number},
};
use crate::model::{event::EndpointKey, receipt::Settlement};

/// One traced event, from when it was received until nobody here holds it.
#[derive(Debug)]
pub struct Journey {
    trace_id: [u8; 16],
    /// The producer's span.
    producer: Option<u64>,
    /// The span of all of it.
    id: u64,
    received_at: Instant,
    decoded_at: Instant,
    legs: SmallVec<[DeliveryLeg; 1]>,
    /// Endpoints beyond [`LEGS_MAX`] are counted, and not shown each.
    endpoints: usize,
    about: Vec<Attribute>,
    topic: Box<str>,
}

/// To one endpoint.
#[derive(Debug)]
struct DeliveryLeg {
    endpoint: EndpointKey,
    endpoint_id: Option<Box<str>>,
    from: Instant,
    /// The end of what was shown last.
    since: Instant,
    waits: u64,
    attempts: u32,
    /// It is given to whoever stores it.
    storing_since: Option<Instant>,
}

/// The beginning of a journey.
pub struct Beginning {
    pub trace_id: [u8; 16],
    pub producer: Option<u64>,
    /// The id of its first span; different each time an event is met.
    pub id: u64,
    pub received_at: Instant,
    pub decoded_at: Instant,
    pub topic: Box<str>,
    pub about: Vec<Attribute>,
}

/// The parent of an attempt in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanParent {
    pub trace_id: [u8; 16],
    /// The span of the endpoint's part.
    pub leg: u64,
}

impl Journey {
    #[must_use]
    pub fn new(beginning: Beginning) -> Self {
        let Beginning { trace_id, producer, id, received_at, decoded_at, topic, about } = beginning;
        Journey { trace_id, producer, id, received_at, decoded_at, legs: SmallVec::new(), endpoints: 0, about, topic }
    }

    /// The parent of an endpoint's attempts.
    #[must_use]
    pub fn place(&self, endpoint: EndpointKey) -> SpanParent {
        SpanParent { trace_id: self.trace_id, leg: span_below(self.id, LEGS_FROM + u64::from(endpoint.0)) }
    }

    /// These endpoints get it.
    pub fn routed(&mut self, endpoints: &[EndpointKey], now: Instant) -> TraceSpan {
        self.endpoints = endpoints.len();
        let leg = |endpoint: &EndpointKey| DeliveryLeg {
            endpoint: *endpoint,
            endpoint_id: None,
            from: now,
            since: now,
            waits: 0,
            attempts: 0,
            storing_since: None,
        };
        self.legs.extend(endpoints.iter().take(LEGS_MAX).map(leg));
        let attributes = vec![("postrider.endpoints", number(endpoints.len()))];
        self.span("match", (span_below(self.id, 1), self.id), (self.decoded_at, now), attributes)
    }

    /// A request with it was under way from then to then: out comes what it waited for before, and where the attempt hangs.
    /// Of a leg that has ended (it was parked with the attempt under way) only the latter.
    pub fn attempted(
        &mut self,
        endpoint: EndpointKey,
        endpoint_id: &str,
        (sent_at, ended_at): (Instant, Instant),
    ) -> (Option<TraceSpan>, SpanParent) {
        let place = self.place(endpoint);
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.endpoint == endpoint) else { return (None, place) };
        leg.attempts += 1;
        leg.endpoint_id.get_or_insert_with(|| endpoint_id.into());
        let (from, wait) = (leg.since, leg.waits);
        (leg.since, leg.waits) = (ended_at, wait + 1);
        let ids = (span_below(place.leg, WAITS_FROM + wait), place.leg);
        (Some(self.span("wait", ids, (from, sent_at), Vec::new())), place)
    }

    /// From now on it is on its way into Postgres.
    pub fn storing(&mut self, endpoint: EndpointKey, endpoint_id: &str, now: Instant) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.endpoint == endpoint) {
            leg.storing_since.get_or_insert(now);
            leg.endpoint_id.get_or_insert_with(|| endpoint_id.into());
        }
    }

    /// The endpoint's part has ended.
    pub fn settled(&mut self, endpoint: EndpointKey, how: Settlement, now: Instant) -> Vec<TraceSpan> {
        let Some(place) = self.legs.iter().position(|leg| leg.endpoint == endpoint) else { return Vec::new() };
        let leg = self.legs.swap_remove(place);
        let id = self.place(endpoint).leg;
        let mut spans = Vec::with_capacity(3);
        if let Some(storing_since) = leg.storing_since
            && storing_since > leg.since
        {
            let ids = (span_below(id, WAITS_FROM + leg.waits), id);
            spans.push(self.span("wait", ids, (leg.since, storing_since), Vec::new()));
        }
        let settling = (leg.storing_since.unwrap_or(leg.since), now);
        let settlement = ("postrider.settlement", Value::from(how.as_str()));
        spans.push(self.span("settle", (span_below(id, SETTLE), id), settling, vec![settlement.clone()]));
        spans.push(self.deliver(leg, settlement, now));
        spans
    }

    /// Nobody holds it any more. What has not settled by then is the new owner's of its partition, or is taken up again.
    pub fn ended(&mut self, now: Instant) -> Vec<TraceSpan> {
        let legs = std::mem::take(&mut self.legs);
        let handed_over = ("postrider.settlement", Value::from("handed_over"));
        let mut spans: Vec<TraceSpan> =
            legs.into_iter().map(|leg| self.deliver(leg, handed_over.clone(), now)).collect();
        let mut attributes = std::mem::take(&mut self.about);
        attributes.push(("postrider.endpoints", number(self.endpoints)));
        let parent = self.producer.map(|span_id| Parent { span_id, is_remote: true });
        spans.push(TraceSpan {
            trace_id: self.trace_id,
            span_id: self.id,
            parent,
            kind: TraceSpanKind::Consumer,
            name: Cow::Owned(format!("process {}", self.topic)),
            from: self.received_at,
            to: now,
            attributes,
            links: Vec::new(),
            error: None,
        });
        spans
    }

    fn deliver(&self, leg: DeliveryLeg, settlement: Attribute, now: Instant) -> TraceSpan {
        let mut attributes = vec![settlement, ("postrider.attempts", number(leg.attempts))];
        if let Some(id) = leg.endpoint_id {
            attributes.push(("postrider.endpoint.id", Value::Text(Cow::Owned(id.into()))));
        }
        self.span("deliver", (self.place(leg.endpoint).leg, self.id), (leg.from, now), attributes)
    }

    fn span(
        &self,
        name: &'static str,
        (span_id, above): (u64, u64),
        (from, to): (Instant, Instant),
        attributes: Vec<Attribute>,
    ) -> TraceSpan {
        TraceSpan {
            trace_id: self.trace_id,
            span_id,
            parent: Some(Parent { span_id: above, is_remote: false }),
            kind: TraceSpanKind::Internal,
            name: Cow::Borrowed(name),
            from,
            to,
            attributes,
            links: Vec::new(),
            error: None,
        }
    }
}

/// Endpoints of one event that are shown each.
const LEGS_MAX: usize = 32;
/// The numbers of spans below another one; an endpoint's key is 32 bits.
const LEGS_FROM: u64 = 1 << 32;
const WAITS_FROM: u64 = 2;
const SETTLE: u64 = 1;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HERE: EndpointKey = EndpointKey(7);

    fn journey(start: Instant) -> Journey {
        Journey::new(Beginning {
            trace_id: [1; 16],
            producer: Some(99),
            id: 5,
            received_at: start,
            decoded_at: start + ms(1),
            topic: "orders".into(),
            about: vec![("messaging.system", Value::from("kafka"))],
        })
    }

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Name, and from when to when after the start.
    fn told(spans: &[TraceSpan], start: Instant) -> Vec<(String, u128, u128)> {
        let at = |time: Instant| time.duration_since(start).as_millis();
        spans.iter().map(|span| (span.name.to_string(), at(span.from), at(span.to))).collect()
    }

    #[test]
    fn an_event_that_failed_once_shows_both_attempts_and_what_it_waited_for() {
        let start = Instant::now();
        let mut journey = journey(start);
        let mut spans = vec![journey.routed(&[HERE], start + ms(2))];
        let (wait, first) = journey.attempted(HERE, "ep_1", (start + ms(3), start + ms(10)));
        spans.extend(wait);
        let (wait, second) = journey.attempted(HERE, "ep_1", (start + ms(60), start + ms(64)));
        spans.extend(wait);
        spans.extend(journey.settled(HERE, Settlement::Delivered, start + ms(65)));
        spans.extend(journey.ended(start + ms(66)));
        let told = told(&spans, start);
        let told: Vec<(&str, u128, u128)> = told.iter().map(|(name, from, to)| (name.as_str(), *from, *to)).collect();
        assert_eq!(
            told,
            [
                ("match", 1, 2),
                ("wait", 2, 3),
                ("wait", 10, 60),
                ("settle", 64, 65),
                ("deliver", 2, 65),
                ("process orders", 0, 66)
            ]
        );
        assert_eq!(first, second, "both attempts hang below the endpoint's part");
        let deliver = &spans[4];
        assert_eq!(deliver.span_id, first.leg);
        assert!(spans[1..4].iter().all(|span| span.parent.is_some_and(|parent| parent.span_id == first.leg)));
        assert_eq!(deliver.parent, Some(Parent { span_id: 5, is_remote: false }));
        assert_eq!(spans[5].parent, Some(Parent { span_id: 99, is_remote: true }), "below the producer's");
        let ids: std::collections::HashSet<u64> = spans.iter().map(|span| span.span_id).collect();
        assert_eq!(ids.len(), spans.len());
    }

    #[test]
    fn an_event_that_is_parked_shows_how_long_it_waited_and_how_long_storing_took() {
        let start = Instant::now();
        let mut journey = journey(start);
        let _ = journey.routed(&[HERE], start);
        journey.storing(HERE, "ep_1", start + ms(5_000));
        let spans = journey.settled(HERE, Settlement::Backlogged, start + ms(5_020));
        let told = told(&spans, start);
        assert_eq!(told[0], ("wait".to_owned(), 0, 5_000));
        assert_eq!(told[1], ("settle".to_owned(), 5_000, 5_020));
        assert!(spans[2].attributes.contains(&("postrider.settlement", Value::from("backlogged"))));
        let (wait, place) = journey.attempted(HERE, "ep_1", (start, start + ms(6_000)));
        assert_eq!(
            (wait, place.leg),
            (None, spans[2].span_id),
            "its last attempt ends later, and hangs there all the same"
        );
    }

    #[test]
    fn what_never_settled_comes_out_in_the_end_and_nothing_twice() {
        let start = Instant::now();
        let mut journey = journey(start);
        let _ = journey.routed(&[HERE, EndpointKey(8)], start);
        assert_eq!(journey.settled(HERE, Settlement::Delivered, start).len(), 2);
        assert!(journey.settled(HERE, Settlement::Delivered, start).is_empty());
        let spans = journey.ended(start + ms(1));
        assert_eq!(spans.len(), 2);
        assert!(spans[0].attributes.contains(&("postrider.settlement", Value::from("handed_over"))));
    }

    #[test]
    fn an_event_for_very_many_endpoints_shows_some_of_them_and_says_how_many_there_are() {
        let start = Instant::now();
        let mut journey = journey(start);
        let all: Vec<EndpointKey> = (0..10_000).map(EndpointKey).collect();
        let _ = journey.routed(&all, start);
        let spans = journey.ended(start);
        assert_eq!(spans.len(), LEGS_MAX + 1);
        assert!(spans[LEGS_MAX].attributes.contains(&("postrider.endpoints", Value::Number(10_000))));
    }
}
