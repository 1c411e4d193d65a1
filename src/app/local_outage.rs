//! ● Trouble of our own, wired: judged several times a second, told to the poll thread and to every endpoint actor.

use std::sync::Arc;

use crate::{
    clock,
    endpoint::local_outage::{LocalOutage, OutageChange, TICK},
    ingest::backpressure::ReadThrottle,
    notifications::{OperatorEvent, emit},
    router::table::RoutingTable,
    telemetry::handles::EndpointMetrics,
};

/// Until the process ends.
pub(super) async fn watch(local_outage: Arc<LocalOutage>, brake: Arc<ReadThrottle>, table: Arc<RoutingTable>) {
    let metrics = EndpointMetrics::new();
    loop {
        tokio::time::sleep(TICK).await;
        let tick = local_outage.handle_tick(clock::now());
        brake.set(tick.events_max);
        if let Some(change) = tick.change {
            let is_on = f64::from(u8::from(local_outage.is_on()));
            metrics.local_outage.iter().for_each(|gauge| gauge.set(is_on));
            log(&change);
            // Those with nothing to do shall know as well.
            table.endpoints().iter().for_each(|queue| queue.nudge());
        }
        if let Some(queue) = tick.trial.and_then(|endpoint| table.endpoints().get(endpoint).cloned()) {
            queue.nudge();
        }
    }
}

fn log(change: &OutageChange) {
    match change {
        OutageChange::Began => {
            emit(OperatorEvent::LocalOutageBegan {});
            tracing::error!(
                "nobody can be reached: a local outage is assumed (network, name server, file handles); \
             partitions pause and no endpoint is blamed until somebody answers"
            );
        }
        OutageChange::Ended { lasted } => {
            emit(OperatorEvent::LocalOutageEnded { lasted_ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX) });
            tracing::warn!(lasted_ms = lasted.as_millis(), "endpoints can be reached again; partitions are resumed");
        }
    }
}
