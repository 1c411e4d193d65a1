//! ○ Our spans in the SDK's words.

use opentelemetry::{
    InstrumentationScope, KeyValue, StringValue, Value as SdkValue,
    trace::{Link, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::span_context;
use crate::trace::{
    SpanClocks,
    span::{TraceSpan, TraceSpanKind, Value},
};

/// A span as the SDK exports it.
pub(super) fn data(span: TraceSpan, clocks: SpanClocks) -> SpanData {
    let links = span.links.iter().map(|(trace_id, span_id)| {
        let context = span_context(*trace_id, *span_id, false);
        Link::new(context, Vec::new(), 0)
    });
    let mut all_links = SpanLinks::default();
    all_links.links = links.collect();
    SpanData {
        span_context: span_context(span.trace_id, span.span_id, false),
        parent_span_id: span.parent.map_or(SpanId::INVALID, |above| SpanId::from_bytes(above.span_id.to_be_bytes())),
        parent_span_is_remote: span.parent.is_some_and(|above| above.is_remote),
        span_kind: match span.kind {
            TraceSpanKind::Consumer => SpanKind::Consumer,
            TraceSpanKind::Client => SpanKind::Client,
            TraceSpanKind::Internal => SpanKind::Internal,
        },
        name: span.name,
        start_time: clocks.wall(span.from),
        end_time: clocks.wall(span.to.max(span.from)),
        attributes: span.attributes.into_iter().map(attribute).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: all_links,
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope(),
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("postrider").with_version(env!("CARGO_PKG_VERSION")).build()
}

fn attribute((name, value): (&'static str, Value)) -> KeyValue {
    let value = match value {
        Value::Text(text) => SdkValue::String(StringValue::from(text)),
        Value::Number(number) => SdkValue::I64(number),
    };
    KeyValue::new(name, value)
}
