//! ○ Counts of the rows that wait, and of those in memory.

use std::{collections::HashMap, sync::Arc};

use super::Book;
use crate::backlog::head::Head;

impl Book {
    /// Memory holds what it may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.of_all.bytes() >= self.room.bytes_max
    }

    /// The heads with something older than that.
    #[must_use]
    pub fn older_than(&self, wall_ms: i64) -> Vec<Arc<Head>> {
        let entries = self.endpoints.values().flat_map(|endpoint| &endpoint.heads);
        entries
            .filter(|entry| entry.events > 0 && entry.oldest_ms < wall_ms)
            .map(|entry| Arc::clone(&entry.head))
            .collect()
    }

    /// Events, bytes and the oldest one's time (milliseconds since 1970) of all heads.
    #[must_use]
    pub fn totals(&self) -> (i64, i64, Option<i64>) {
        let entries = self.endpoints.values().flat_map(|endpoint| &endpoint.heads).filter(|entry| entry.events > 0);
        entries.fold((0, 0, None), |(events, bytes, oldest), entry| {
            let oldest = oldest.map_or(entry.oldest_ms, |oldest: i64| oldest.min(entry.oldest_ms));
            (events + entry.events, bytes + entry.bytes, Some(oldest))
        })
    }

    /// Rows that are in memory: events and bytes.
    #[must_use]
    pub fn in_memory(&self) -> (usize, usize) {
        (self.of_all.events(), self.of_all.bytes())
    }

    /// Events and bytes that wait for one endpoint, as far as its partitions are ours.
    #[must_use]
    pub fn of_endpoint(&self, id: &str) -> (i64, i64) {
        let entries = self.endpoints.get(id).into_iter().flat_map(|endpoint| &endpoint.heads);
        entries.fold((0, 0), |(events, bytes), entry| (events + entry.events, bytes + entry.bytes))
    }

    /// Rows of each endpoint that has some.
    #[must_use]
    pub fn rows_by_endpoint(&self) -> HashMap<Arc<str>, u64> {
        let rows = self.endpoints.iter().map(|(id, endpoint)| {
            let rows: i64 = endpoint.heads.iter().map(|entry| entry.events).sum();
            (Arc::clone(id), u64::try_from(rows).unwrap_or(0))
        });
        rows.filter(|(_, rows)| *rows > 0).collect()
    }
}
