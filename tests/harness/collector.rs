//! ● An OpenTelemetry collector: takes OTLP over HTTP and keeps what it got.

use std::{
    collections::HashMap,
    io::{BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value},
    logs::v1::LogRecord,
    trace::v1::Span,
};
use prost::Message as _;

use super::{
    acceptor::{accept_each, wake},
    http,
};

/// On a port of its own.
pub struct Collector {
    address: SocketAddr,
    got: Arc<Mutex<Got>>,
    stopped: Arc<AtomicBool>,
}

#[derive(Default)]
struct Got {
    spans: Vec<Span>,
    logs: Vec<LogRecord>,
    /// Of whatever sent something: its attributes.
    resource: HashMap<String, String>,
    /// The headers of each export.
    headers: Vec<Vec<(String, String)>>,
}

impl Collector {
    pub fn start() -> Self {
        let (got, stopped) = (Arc::<Mutex<Got>>::default(), Arc::<AtomicBool>::default());
        let (taking, stopping) = (Arc::clone(&got), Arc::clone(&stopped));
        let is_stopped = move || stopping.load(Ordering::Acquire);
        let address = accept_each(is_stopped, move |stream| serve(stream, &taking));
        Collector { address, got, stopped }
    }

    /// `http://HOST:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans so far, in the order in which they came.
    pub fn spans(&self) -> Vec<Span> {
        self.got.lock().unwrap().spans.clone()
    }

    /// The log lines so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        self.got.lock().unwrap().logs.clone()
    }

    /// An attribute of whoever sent something.
    pub fn resource(&self, name: &str) -> String {
        self.got.lock().unwrap().resource.get(name).cloned().unwrap_or_default()
    }

    /// True when every export had this header.
    pub fn always_got(&self, name: &str, value: &str) -> bool {
        let wanted = (name.to_owned(), value.to_owned());
        let got = self.got.lock().unwrap();
        !got.headers.is_empty() && got.headers.iter().all(|headers| headers.contains(&wanted))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        wake(self.address);
    }
}

fn serve(stream: TcpStream, got: &Mutex<Got>) {
    let mut writer = stream.try_clone().expect("a second handle of a socket");
    let mut reader = BufReader::new(stream);
    while let Ok(Some(request)) = http::read(&mut reader) {
        let taken = got.lock().unwrap().take(&request);
        // An empty body is an empty answer in protobuf: all of it was taken.
        if http::answer(&mut writer, if taken { 200 } else { 400 }, &[], "").and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
}

impl Got {
    fn take(&mut self, request: &http::HttpRequest) -> bool {
        self.headers.push(request.headers.clone());
        let resource = match request.path.as_str() {
            "/v1/traces" => {
                let Ok(export) = ExportTraceServiceRequest::decode(&*request.body) else { return false };
                let mut resource = None;
                for of_resource in export.resource_spans {
                    resource = of_resource.resource.or(resource);
                    self.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
                }
                resource
            }
            "/v1/logs" => {
                let Ok(export) = ExportLogsServiceRequest::decode(&*request.body) else { return false };
                let mut resource = None;
                for of_resource in export.resource_logs {
                    resource = of_resource.resource.or(resource);
                    self.logs.extend(of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records));
                }
                resource
            }
            _ => return false,
        };
        for KeyValue { key, value, .. } in resource.into_iter().flat_map(|resource| resource.attributes) {
            self.resource.insert(key, text(value.as_ref()));
        }
        true
    }
}

/// An attribute, as text; empty when there is none.
pub fn attribute(attributes: &[KeyValue], name: &str) -> String {
    text(attributes.iter().find(|attribute| attribute.key == name).and_then(|found| found.value.as_ref()))
}

/// What a log line says.
pub fn said(line: &LogRecord) -> String {
    text(line.body.as_ref())
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
