//! ● Begins traces, reads the clock for them, and hands their spans on.

use std::{
    any::Any,
    num::NonZeroU32,
    sync::{Arc, OnceLock},
    time::{Instant, SystemTime},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use metrics::Counter;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{
    attempt_spans::{self, MEMBERS_MAX, TracedAttempt},
    context::{TRACEPARENT, TraceContext},
    event_trace::{self, Beginning, Journey},
    sampling,
    span::{Attribute, TraceSpan, Value, number, text},
};
use crate::{
    clock,
    model::{
        event::{EndpointKey, Event, EventTrace},
        receipt::Settlement,
        settings::{Mode, Settings},
    },
};

/// `[otlp]` of the configuration, as far as it says what is traced.
#[derive(Debug, Clone)]
pub struct TracerOptions {
    pub sample_every: u64,
    /// Traces begun a second; 0 is no limit.
    pub events_per_second_max: u32,
    /// Receivers get a `traceparent`.
    pub propagate: bool,
    /// The consumer group, as spans name it.
    pub group_id: String,
}

/// One a process. Whoever may have something to trace asks for it once, as it is made.
pub struct Tracer {
    options: TracerOptions,
    rate: Option<DefaultDirectRateLimiter>,
    sink: Box<dyn Fn(TraceSpan, SpanClocks) + Send + Sync>,
    counters: TraceCounters,
}

/// Traces by how they began.
pub struct TraceCounters {
    pub begun: Counter,
    /// Left out for [`TracerOptions::events_per_second_max`].
    pub passed_over: Counter,
}

/// One instant by both clocks: spans carry wall time.
#[derive(Debug, Clone, Copy)]
pub struct SpanClocks {
    now: Instant,
    wall: SystemTime,
}

impl SpanClocks {
    /// The wall time of an instant.
    #[must_use]
    pub fn wall(&self, at: Instant) -> SystemTime {
        match at.checked_duration_since(self.now) {
            Some(later) => self.wall + later,
            None => self.wall - self.now.saturating_duration_since(at),
        }
    }
}

static TRACER: OnceLock<Arc<Tracer>> = OnceLock::new();

/// From now on events are traced. Before anything asks for the tracer; the first one stays.
pub fn install(tracer: Tracer) {
    let _ = TRACER.set(Arc::new(tracer));
}

/// The tracer of this process; `None` where nobody traces.
#[must_use]
pub fn tracer() -> Option<Arc<Tracer>> {
    TRACER.get().cloned()
}

/// Traces an event from here on, if anybody traces and it is one of those that are traced.
pub fn begin(event: &mut Event) {
    if let Some(tracer) = TRACER.get() {
        tracer.begin(event);
    }
}

impl Tracer {
    /// `sink` gets every span as it ends, on whatever thread; it must not wait.
    #[must_use]
    pub fn new(
        options: TracerOptions,
        counters: TraceCounters,
        sink: impl Fn(TraceSpan, SpanClocks) + Send + Sync + 'static,
    ) -> Self {
        let rate = NonZeroU32::new(options.events_per_second_max);
        Tracer {
            rate: rate.map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            options,
            sink: Box::new(sink),
            counters,
        }
    }

    /// Traces an event from here on, if it is one of those that are traced.
    pub fn begin(self: &Arc<Self>, event: &mut Event) {
        let producer = event.record.header(TRACEPARENT).and_then(TraceContext::parse);
        if !sampling::is_chosen(producer.as_ref(), event.position(), self.options.sample_every) {
            return;
        }
        if self.rate.as_ref().is_some_and(|rate| rate.check().is_err()) {
            return self.counters.passed_over.increment(1);
        }
        self.counters.begun.increment(1);
        let clocks = SpanClocks { now: clock::now(), wall: clock::wall() };
        let journey = Journey::new(Beginning {
            trace_id: producer.map_or_else(|| sampling::trace_id(event.position()), |producer| producer.trace_id),
            producer: producer.map(|producer| u64::from_be_bytes(producer.span_id)),
            id: rand::random::<u64>().max(1),
            received_at: event.received_at,
            decoded_at: clocks.now,
            topic: event.topic().into(),
            about: self.about(event),
        });
        event.traced = Some(Box::new(TraceHandle { tracer: Arc::clone(self), clocks, journey: Mutex::new(journey) }));
    }

    /// By the semantic conventions for messaging. Neither key nor payload: they are the customer's.
    fn about(&self, event: &Event) -> Vec<Attribute> {
        let mut all = vec![
            ("messaging.system", Value::from("kafka")),
            ("messaging.operation.name", Value::from("process")),
            ("messaging.operation.type", Value::from("process")),
            ("messaging.destination.name", text(event.topic())),
            ("messaging.destination.partition.id", text(&event.partition().to_string())),
            ("messaging.kafka.offset", Value::from(event.offset())),
            ("messaging.consumer.group.name", text(&self.options.group_id)),
            ("messaging.message.body.size", number(event.value().map_or(0, <[u8]>::len))),
            ("postrider.event.type", text(event.kind())),
            ("postrider.source", Value::from(event.source.name().kind.as_str())),
        ];
        if let Some(id) = event.own_id() {
            all.push(("messaging.message.id", text(id)));
        }
        if let Some(tenant) = event.tenant() {
            all.push(("postrider.tenant", text(tenant)));
        }
        all
    }

    /// The trace context of a request with this event alone: the attempt's own span, or of an event that is not traced here
    /// its producer's. Requests of batches have none.
    #[must_use]
    pub fn context_of(
        &self,
        event: &Event,
        settings: &Settings,
        endpoint: EndpointKey,
        number: u64,
    ) -> Option<TraceContext> {
        if !self.options.propagate || settings.delivery.mode != Mode::Stream {
            return None;
        }
        match own_trace(event) {
            Some(traced) => {
                let place = traced.journey.lock().place(endpoint);
                let span_id = attempt_spans::id(place, number).to_be_bytes();
                Some(TraceContext { trace_id: place.trace_id, span_id, sampled: true })
            }
            None => event.record.header(TRACEPARENT).and_then(TraceContext::parse),
        }
    }

    /// An attempt with these events has ended. Returns the trace and the span that log lines about it belong to, where any of its events is
    /// traced.
    pub fn attempted<'a>(
        &self,
        events: impl Iterator<Item = &'a Arc<Event>>,
        endpoint: EndpointKey,
        ended: TracedAttempt<'_>,
    ) -> Option<([u8; 16], u64)> {
        let mut places: SmallVec<[event_trace::SpanParent; 1]> = SmallVec::new();
        let mut clocks = None;
        let traced = events.filter_map(|event| own_trace(event)).take(MEMBERS_MAX);
        for traced in traced {
            clocks.get_or_insert(traced.clocks);
            let times = (ended.sent_at, ended.ended_at);
            let (wait, place) = traced.journey.lock().attempted(endpoint, &ended.settings.id, times);
            places.push(place);
            wait.into_iter().for_each(|wait| (self.sink)(wait, traced.clocks));
        }
        let (clocks, first) = clocks.zip(places.first().copied())?;
        attempt_spans::spans(&places, ended).for_each(|span| (self.sink)(span, clocks));
        Some((first.trace_id, attempt_spans::id(first, ended.number)))
    }
}

/// The trace of one event; goes with it.
pub struct TraceHandle {
    tracer: Arc<Tracer>,
    clocks: SpanClocks,
    journey: Mutex<Journey>,
}

/// The trace that [`Tracer::begin`] gave an event.
fn own_trace(event: &Event) -> Option<&TraceHandle> {
    let trace: &dyn Any = &**event.traced.as_ref()?;
    trace.downcast_ref()
}

impl EventTrace for TraceHandle {
    fn routed(&self, endpoints: &[EndpointKey]) {
        let span = self.journey.lock().routed(endpoints, clock::now());
        self.hand_on([span]);
    }

    fn storing(&self, endpoint: EndpointKey, endpoint_id: &str, now: Instant) {
        self.journey.lock().storing(endpoint, endpoint_id, now);
    }

    fn settled(&self, endpoint: EndpointKey, how: Settlement) {
        let spans = self.journey.lock().settled(endpoint, how, clock::now());
        self.hand_on(spans);
    }
}

impl TraceHandle {
    fn hand_on(&self, spans: impl IntoIterator<Item = TraceSpan>) {
        spans.into_iter().for_each(|span| (self.tracer.sink)(span, self.clocks));
    }
}

impl Drop for TraceHandle {
    fn drop(&mut self) {
        let spans = self.journey.get_mut().ended(clock::now());
        self.hand_on(spans);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        endpoint::delivery::testing::TestSource,
        model::{
            event::{Fields, Record},
            record::RecordParts,
        },
    };

    const PRODUCER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    type Told = Arc<Mutex<Vec<TraceSpan>>>;

    fn tracer(sample_every: u64, events_per_second_max: u32) -> (Arc<Tracer>, Told) {
        let told = Told::default();
        let into = Arc::clone(&told);
        let counters = TraceCounters { begun: Counter::noop(), passed_over: Counter::noop() };
        let options =
            TracerOptions { sample_every, events_per_second_max, propagate: true, group_id: "group".to_owned() };
        (Arc::new(Tracer::new(options, counters, move |span, _| into.lock().push(span))), told)
    }

    fn event(offset: i64, traceparent: Option<&str>) -> Event {
        let header = traceparent.map(|text| (TRACEPARENT, Some(text.as_bytes())));
        let parts = RecordParts { offset, timestamp_ms: 1, key: None, value: Some(b"{}") };
        let record = Record::copy_from(parts, header.into_iter());
        Event::new(TestSource::new(), record, Fields::default(), clock::now())
    }

    #[test]
    fn a_trace_goes_on_where_its_producer_began_it_and_ends_with_the_event() {
        let (tracer, told) = tracer(0, 0);
        let mut event = event(1, Some(PRODUCER));
        tracer.begin(&mut event);
        let event = Arc::new(event);
        event.open_receipt(EndpointKey(1)).settle(Settlement::Delivered);
        drop(event);
        let told = told.lock();
        let names: Vec<&str> = told.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["match", "settle", "deliver", "process orders"]);
        assert!(told.iter().all(|span| span.trace_id[..2] == [0x4b, 0xf9]));
        assert_eq!(told[3].parent.map(|parent| parent.span_id), Some(0x00f0_67aa_0ba9_02b7));
    }

    #[test]
    fn nothing_is_traced_that_its_producer_or_the_rate_does_not_let_be_traced() {
        let (tracer, told) = tracer(1, 1);
        let mut unwanted = event(1, Some(&PRODUCER.replace("-01", "-00")));
        tracer.begin(&mut unwanted);
        assert!(unwanted.traced.is_none());
        let (mut first, mut second) = (event(2, None), event(3, Some("no context at all")));
        tracer.begin(&mut first);
        tracer.begin(&mut second);
        assert!(first.traced.is_some() && second.traced.is_none(), "one a second");
        drop(first);
        assert_eq!(told.lock().len(), 1);
    }

    #[test]
    fn what_is_met_again_goes_on_with_the_same_trace() {
        let (tracer, told) = tracer(1, 0);
        for source in [TestSource::new(), TestSource::stored()] {
            let mut event = event(7, None);
            event.source = source;
            tracer.begin(&mut event);
        }
        let told = told.lock();
        assert_eq!(told[0].trace_id, told[1].trace_id);
        assert_ne!(told[0].span_id, told[1].span_id);
    }
}
