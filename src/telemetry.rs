//! ● Logs, metrics and traces: installed once, before anything else starts.
//!
//! Metrics are told by handles (see [`handles`]) that are made once and cost an atomic addition on the hot path; made
//! before [`metrics`] is called, a handle counts nothing.

pub mod names; // every metric, and what it means
pub mod handles; // what the rooms count with
pub mod gauges; // how things stand, looked at every few seconds
pub mod otlp; // traces and logs for a collector, where there is one
mod log; // lines to stderr that never hold up a delivery
mod process; // what the operating system says of us

pub use self::log::{LogError, LogOptions, Logs, logs};

use std::{sync::OnceLock, thread, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The installed recorder. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Installs the recorder of this process, or returns the one that is installed.
///
/// # Panics
/// When something else installed a recorder of its own.
#[must_use]
pub fn metrics() -> Metrics {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    Metrics(INSTALLED.get_or_init(install).clone())
}

impl Metrics {
    /// The page for `/metrics`, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        process::refresh();
        self.0.render()
    }
}

fn install() -> PrometheusHandle {
    let mut builder = PrometheusBuilder::new();
    // Without buckets a histogram is a summary: dearer, and not to be added up over instances.
    for metric in names::ALL {
        if let names::MetricKind::Histogram(buckets) = metric.kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
                .expect("every histogram has buckets");
        }
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("the recorder is installed once");
    names::describe();
    process::started();
    let upkeep = handle.clone();
    // Histograms collect their values until they are drained; nobody else does it when nobody asks for /metrics.
    let thread = thread::Builder::new().name("metrics-upkeep".to_owned()).spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            upkeep.run_upkeep();
        }
    });
    if let Err(error) = thread {
        tracing::warn!(%error, "no thread for the metrics' upkeep; histograms are drained by /metrics only");
    }
    handle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{outcome::Outcome, receipt::Settlement};

    #[test]
    fn what_is_counted_is_on_the_page() {
        let metrics = metrics();
        let delivery = crate::endpoint::delivery_metrics::DeliveryMetrics::new("stream");
        delivery.attempted(&Outcome::Delivered, "http_2xx", 1, Duration::from_millis(3));
        handles::SettlementMetrics::new().settled(Settlement::Delivered, 7);
        let page = metrics.render();
        for line in [
            "postrider_deliveries_total{outcome=\"delivered\",mode=\"stream\"} 1",
            "postrider_delivery_duration_seconds_bucket{mode=\"stream\",le=\"0.004\"} 1",
            "postrider_settled_total{settlement=\"delivered\"} 7",
            "# TYPE postrider_settled_total counter",
        ] {
            assert!(page.contains(line), "missing {line} in\n{page}");
        }
    }

    #[test]
    fn a_second_installation_is_the_first() {
        let (first, second) = (metrics(), metrics());
        metrics::counter!("postrider_test_total").increment(1);
        assert!(
            first.render().contains("postrider_test_total 1") && second.render().contains("postrider_test_total 1")
        );
    }
}
