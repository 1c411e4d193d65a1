//! ● Metrics of the poll thread, as often as it commits.

use std::time::Instant;

use rdkafka::consumer::Consumer as _;

use super::Poller;
use crate::model::pause::PauseReason;

impl Poller {
    pub(super) fn publish_metrics(&mut self, now: Instant) {
        let (mut events, mut bytes, mut paused) = (0, 0, [0_u32; PauseReason::ALL.len()]);
        // The others have nothing outstanding.
        for slot in self.stirred.as_slice() {
            let partition = &mut self.partitions[*slot];
            let outstanding = partition.publish_metrics(&self.settled, now);
            events += outstanding.0;
            bytes += outstanding.1;
            if let Some(reason) = partition.paused() {
                paused[reason as usize] += 1;
            }
        }
        self.intake.publish_metrics(now);
        let metrics = &self.consumer.context().metrics;
        for (gauge, count) in metrics.partitions_paused.iter().zip(paused) {
            gauge.set(f64::from(count));
        }
        metrics.outstanding_events.set(events as f64);
        metrics.outstanding_bytes.set(bytes as f64);
        metrics.poll_age_seconds.set(self.state.poll_gap(now).as_secs_f64());
    }
}
