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

use metrics::counter;
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

use secrecy::{ExposeSecret as _, SecretString};

use self::{
    client::Collector,
    gate::{CountedExporter, ExportGate, Gated},
};
use super::names;
use crate::trace::{self, TraceCounters, Tracer, TracerOptions};

/// `[otlp]` of the configuration.
#[derive(Debug, Clone)]
pub struct OtlpOptions {
    /// Empty: nothing is exported.
    pub endpoint: String,
    /// `name=value,…`
    pub headers: SecretString,
    pub service_name: String,
    pub traces: bool,
    pub logs: bool,
    pub sample_every: u64,
    pub events_per_second_max: u32,
    pub propagate: bool,
    pub queue_records_max: usize,
    pub interval: Duration,
    pub timeout: Duration,
}

impl OtlpOptions {
    /// The URL of a signal: `traces` or `logs`.
    #[must_use]
    pub fn url_of(&self, signal: &str) -> String {
        format!("{}/v1/{signal}", self.endpoint.trim_end_matches('/'))
    }

    /// Names and values, as far as they are pairs.
    pub fn header_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.headers.expose_secret().split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.trim(), value.trim()))
    }
}

/// The layer that exports log lines.
pub type LogBridge = OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>;

/// Exports to the collector. Sends what waits when it is dropped, for a moment: keep it until the end of `main`.
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
pub fn start(options: &OtlpOptions, group_id: &str, instance: &str) -> Result<Exports, OtlpError> {
    let mut exports = Exports { spans: None, logs: None, flush_max: options.timeout.min(FLUSH_MAX) };
    if options.endpoint.is_empty() || !(options.traces || options.logs) {
        return Ok(exports);
    }
    let collector = Arc::new(Collector::new(options)?);
    let resource = resource(options, instance);
    if options.traces {
        let spans = Arc::new(spans(options, &collector, &resource)?);
        trace::install(tracer(options, group_id, Arc::clone(&spans)));
        exports.spans = Some(spans.0.clone());
    }
    if options.logs {
        exports.logs = Some(logs(options, &collector, resource)?);
    }
    Ok(exports)
}

impl Exports {
    /// The layer to add to the log's subscriber.
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

/// The instance that spans and lines come from; `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(options: &OtlpOptions, instance: &str) -> Resource {
    Resource::builder()
        .with_attributes([
            KeyValue::new("service.name", options.service_name.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.to_owned()),
        ])
        .build()
}

type Spans = (Arc<BatchSpanProcessor>, Arc<ExportGate>);

fn spans(options: &OtlpOptions, collector: &Arc<Collector>, resource: &Resource) -> Result<Spans, OtlpError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_shared_http_client(Arc::clone(collector) as _)
        .with_endpoint(options.url_of("traces"))
        .with_timeout(options.timeout)
        .build()?;
    let gate = Arc::new(ExportGate::new("traces", options.queue_records_max));
    let batches = SpanBatches::default()
        .with_max_queue_size(options.queue_records_max + QUEUE_SLACK)
        .with_max_export_batch_size(EXPORT_RECORDS_MAX.min(options.queue_records_max))
        .with_scheduled_delay(options.interval)
        .build();
    let mut processor = BatchSpanProcessor::new(CountedExporter::new(exporter, &gate), batches);
    processor.set_resource(resource);
    Ok((Arc::new(processor), gate))
}

fn tracer(options: &OtlpOptions, group_id: &str, spans: Arc<Spans>) -> Tracer {
    let traced = TracerOptions {
        sample_every: options.sample_every,
        events_per_second_max: options.events_per_second_max,
        propagate: options.propagate,
        group_id: group_id.to_owned(),
    };
    let counters = TraceCounters { begun: counter!(names::TRACES), passed_over: counter!(names::TRACES_PASSED_OVER) };
    Tracer::new(traced, counters, move |span, clocks| {
        let (processor, gate) = &*spans;
        if gate.enter() {
            processor.on_end(spans::data(span, clocks));
        }
    })
}

fn logs(options: &OtlpOptions, collector: &Arc<Collector>, resource: Resource) -> Result<SdkLoggerProvider, OtlpError> {
    let exporter = LogExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_shared_http_client(Arc::clone(collector) as _)
        .with_endpoint(options.url_of("logs"))
        .with_timeout(options.timeout)
        .build()?;
    let gate = Arc::new(ExportGate::new("logs", options.queue_records_max));
    let batches = LogBatches::default()
        .with_max_queue_size(options.queue_records_max + QUEUE_SLACK)
        .with_max_export_batch_size(EXPORT_RECORDS_MAX.min(options.queue_records_max))
        .with_scheduled_delay(options.interval)
        .build();
    let processor =
        BatchLogProcessor::builder(CountedExporter::new(exporter, &gate)).with_batch_config(batches).build();
    let gated = Gated::new(processor, gate);
    Ok(SdkLoggerProvider::builder().with_resource(resource).with_log_processor(gated).build())
}

/// The SDK's own queues are a little larger than ours, so that ours is the one that is full, and counts.
const QUEUE_SLACK: usize = 64;
/// One export.
const EXPORT_RECORDS_MAX: usize = 512;
/// Time for the last export when the process ends.
const FLUSH_MAX: Duration = Duration::from_secs(2);
