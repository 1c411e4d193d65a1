//! Traces: where the time of a sampled event went, for a collector. Nobody traces unless `[otlp]` says so.
//!
//! One trace for each traced event: `process` (all of it), below it `match`, and for each endpoint `deliver` with what
//! happened there in turn: `wait`, an attempt (`POST`), `wait`, … and `settle`. A trace begins with the producer's own, where
//! the record has a `traceparent`, and goes on at the receiver, which gets one.
//!
//! **Invariant:** an event that is not traced costs a look at an `Option`; nothing here is asked while nobody traces.
//! **Invariant:** nothing waits for a trace, and nothing is decided by one.

pub use postrider_core::model::trace_context as context; // ○ `traceparent`: who traces, and as what

pub mod sampling; // ○ which events are traced
pub mod span; // ○ a piece of a trace
pub mod event_trace; // ○ an event's way, told step by step; the spans of it
pub mod attempt_spans; // ○ an attempt, in the traces of those of its events that are traced
mod tracer; // ● begins traces, reads the clock, hands spans on

pub use self::tracer::{SpanClocks, TraceCounters, TraceHandle, Tracer, TracerOptions, begin, install, tracer};
