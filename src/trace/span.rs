//! ○ A piece of a trace, in our own words; `telemetry/otlp` says it in the collector's.

use std::{borrow::Cow, time::Instant};

/// A piece of a trace, from one time to another.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSpan {
    pub trace_id: [u8; 16],
    pub span_id: u64,
    pub parent: Option<Parent>,
    pub kind: TraceSpanKind,
    pub name: Cow<'static, str>,
    pub from: Instant,
    pub to: Instant,
    pub attributes: Vec<Attribute>,
    /// Spans of other traces that are about the same.
    pub links: Vec<([u8; 16], u64)>,
    /// The reason why it went wrong, in a stable word.
    pub error: Option<&'static str>,
}

/// The span above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    pub span_id: u64,
    /// True if it belongs to another process.
    pub is_remote: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceSpanKind {
    /// An event was taken out of Kafka.
    Consumer,
    /// A request.
    Client,
    Internal,
}

/// By the semantic conventions of OpenTelemetry where they have a name for it, else `postrider.…`.
pub type Attribute = (&'static str, Value);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(Cow<'static, str>),
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number)
    }
}

/// A producer's or a customer's text, up to a length.
#[must_use]
pub fn text(text: &str) -> Value {
    Value::Text(Cow::Owned(text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()))
}

/// A count or an index, as it is said in attributes.
#[must_use]
pub fn number(number: impl TryInto<i64>) -> Value {
    Value::Number(number.try_into().unwrap_or(i64::MAX))
}

const TEXT_BYTES_MAX: usize = 256;
