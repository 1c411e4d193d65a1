//! ● Traces and logs for an OpenTelemetry collector: OTLP over HTTP, in protobuf. Nothing of it runs without an endpoint.
//!
//! The SDK gathers spans and log lines in bounded queues and exports them from threads of its own, over a client that
//! blocks those threads and nobody else.
//!
//! **Invariant:** whoever has a span or a line to tell never waits: what finds no room, and what the collector does not
//! take, is counted and dropped.

mod client; // ● the collector's HTTP client
mod gate; // ● a bounded queue, counted at both ends
mod spans; // ○ our spans in the SDK's words

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    Context, ContextGuard, KeyValue,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    logs::{BatchConfigBuilder as LogBatches, BatchLogProcessor, SdkLogger, SdkLoggerProvider},
    trace::{BatchConfigBuilder as SpanBatches, BatchSpanProcessor, SpanProcessor as _},
};

use self::{
    client::Collector,
    gate::{Counted, Gate, Gated},
};
use crate::{
    config::Otlp,
    trace::{self, Tracer, TracerOptions},
};

/// What takes log lines beside stderr.
pub type LogBridge = OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>;

/// What runs towards the collector. Exports what waits when it is dropped, for a moment: keep it until the end of `main`.
#[must_use]
pub struct Exports {
    spans: Option<Arc<BatchSpanProcessor>>,
    logs: Option<SdkLoggerProvider>,
    flush_max: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    #[error("the exporter refused its configuration: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("{0}")]
    Client(#[from] client::ClientError),
}

/// Starts what `[otlp]` asks for, under the name of this instance; installs the tracer.
///
/// # Errors
/// When a part refuses its configuration. A collector that is away is no error.
pub fn start(config: &Otlp, group_id: &str, instance: &str) -> Result<Exports, OtlpError> {
    let mut exports = Exports { spans: None, logs: None, flush_max: config.timeout().min(FLUSH_MAX) };
    if config.endpoint.is_empty() || !(config.traces || config.logs) {
        return Ok(exports);
    }
    let collector = Arc::new(Collector::new(config)?);
    let resource = resource(config, instance);
    if config.traces {
        let spans = Arc::new(spans(config, &collector, &resource)?);
        trace::install(tracer(config, group_id, Arc::clone(&spans)));
        exports.spans = Some(spans.0.clone());
    }
    if config.logs {
        exports.logs = Some(logs(config, &collector, resource)?);
    }
    Ok(exports)
}

impl Exports {
    /// What log lines are to be told to as well.
    #[must_use]
    pub fn log_bridge(&self) -> Option<LogBridge> {
        self.logs.as_ref().map(OpenTelemetryTracingBridge::new)
    }
}

impl Drop for Exports {
    fn drop(&mut self) {
        // What the collector does not take in this time is lost, as it is whenever it is away.
        if let Some(spans) = &self.spans {
            let _ = spans.shutdown_with_timeout(self.flush_max);
        }
        if let Some(logs) = &self.logs {
            let _ = logs.shutdown_with_timeout(self.flush_max);
        }
    }
}

/// While it is held, log lines of this thread belong to a span.
pub struct Linked(#[allow(dead_code)] ContextGuard);

#[must_use]
pub fn link(trace_id: [u8; 16], span_id: u64) -> Linked {
    let span = span_context(trace_id, span_id, false);
    Linked(Context::current().with_remote_span_context(span).attach())
}

fn span_context(trace_id: [u8; 16], span_id: u64, is_remote: bool) -> SpanContext {
    let (trace_id, span_id) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id.to_be_bytes()));
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, is_remote, TraceState::NONE)
}

/// Whose spans and lines they are; `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(config: &Otlp, instance: &str) -> Resource {
    Resource::builder()
        .with_attributes([
            KeyValue::new("service.name", config.service_name.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.to_owned()),
        ])
        .build()
}

type Spans = (Arc<BatchSpanProcessor>, Arc<Gate>);

fn spans(config: &Otlp, collector: &Arc<Collector>, resource: &Resource) -> Result<Spans, OtlpError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_shared_http_client(Arc::clone(collector) as _)
        .with_endpoint(config.url_of("traces"))
        .with_timeout(config.timeout())
        .build()?;
    let gate = Arc::new(Gate::new("traces", config.queue_records_max));
    let batches = SpanBatches::default()
        .with_max_queue_size(config.queue_records_max + QUEUE_SLACK)
        .with_max_export_batch_size(EXPORT_RECORDS_MAX.min(config.queue_records_max))
        .with_scheduled_delay(config.interval())
        .build();
    let mut processor = BatchSpanProcessor::new(Counted::new(exporter, &gate), batches);
    processor.set_resource(resource);
    Ok((Arc::new(processor), gate))
}

fn tracer(config: &Otlp, group_id: &str, spans: Arc<Spans>) -> Tracer {
    let options = TracerOptions {
        sample_every: config.sample_every,
        events_per_second_max: config.events_per_second_max,
        propagate: config.propagate,
        group_id: group_id.to_owned(),
    };
    Tracer::new(options, move |span, clocks| {
        let (processor, gate) = &*spans;
        if gate.enter() {
            processor.on_end(spans::data(span, clocks));
        }
    })
}

fn logs(config: &Otlp, collector: &Arc<Collector>, resource: Resource) -> Result<SdkLoggerProvider, OtlpError> {
    let exporter = LogExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_shared_http_client(Arc::clone(collector) as _)
        .with_endpoint(config.url_of("logs"))
        .with_timeout(config.timeout())
        .build()?;
    let gate = Arc::new(Gate::new("logs", config.queue_records_max));
    let batches = LogBatches::default()
        .with_max_queue_size(config.queue_records_max + QUEUE_SLACK)
        .with_max_export_batch_size(EXPORT_RECORDS_MAX.min(config.queue_records_max))
        .with_scheduled_delay(config.interval())
        .build();
    let processor = BatchLogProcessor::builder(Counted::new(exporter, &gate)).with_batch_config(batches).build();
    let gated = Gated::new(processor, gate);
    Ok(SdkLoggerProvider::builder().with_resource(resource).with_log_processor(gated).build())
}

/// The SDK's own queues are a little larger than ours, so that ours is the one that is full, and counts.
const QUEUE_SLACK: usize = 64;
/// One export.
const EXPORT_RECORDS_MAX: usize = 512;
/// How long the last export may take when the process ends.
const FLUSH_MAX: Duration = Duration::from_secs(2);
