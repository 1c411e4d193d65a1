//! ○ Limits of `[backlog]`.

use super::{Checks, GIB, MIB};
use crate::config::BacklogSection;

impl Checks {
    pub(super) fn backlog_ranges(&mut self, c: &BacklogSection) {
        self.range("backlog.batch_rows_max", c.batch_rows_max, 1..=10_000);
        self.range("backlog.batch_wait_ms", c.batch_wait_ms, 0..=1_000);
        self.range("backlog.connections_max", c.connections_max, 1..=64);
        self.range("backlog.inserts_per_second_max", c.inserts_per_second_max, 100..=1_000_000);
        self.range("backlog.age_hours_max", c.age_hours_max, 1..=8_760);
        self.range("backlog.endpoint_rows_max", c.endpoint_rows_max, 1..=1_000_000_000);
        self.range("backlog.endpoint_rows_bytes_max", c.endpoint_rows_bytes_max, 1..=1_099_511_627_776);
        self.range("backlog.page_rows_max", c.page_rows_max, 1..=10_000);
        self.range("backlog.events_per_second_max", c.events_per_second_max, 0..=10_000_000);
        self.range("backlog.queries_max", c.queries_max, 1..=64);
        self.range("backlog.memory_bytes_max", c.memory_bytes_max, MIB..=64 * GIB);
        self.range("backlog.endpoint_memory_bytes_max", c.endpoint_memory_bytes_max, MIB..=64 * GIB);
        self.range("backlog.sweep_ms", c.sweep_ms, 100..=86_400_000);
        self.range("backlog.poll_ms", c.poll_ms, 50..=600_000);
        self.range("backlog.refresh_ms", c.refresh_ms, 1_000..=3_600_000);
    }
}
