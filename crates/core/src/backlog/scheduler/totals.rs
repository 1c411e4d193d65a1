//! ○ Counts of the rows that wait, and of those in memory.

use std::{collections::HashMap, sync::Arc};

use super::Scheduler;
use crate::backlog::shard::Shard;

/// Rows that wait, of all heads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BacklogTotals {
    pub events: i64,
    pub bytes: i64,
    /// Time of the oldest one, milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

impl<S: Shard> Scheduler<S> {
    /// Memory holds what it may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.of_all.bytes() >= self.room.bytes_max
    }

    /// The heads with something older than that.
    #[must_use]
    pub fn older_than(&self, wall_ms: i64) -> Vec<Arc<S>> {
        let entries = self.endpoints.values().flat_map(|endpoint| endpoint.heads.all());
        entries
            .filter(|entry| entry.events > 0 && entry.oldest_ms < wall_ms)
            .map(|entry| Arc::clone(&entry.head))
            .collect()
    }

    /// Rows that wait, of all heads.
    #[must_use]
    pub fn totals(&self) -> BacklogTotals {
        let entries =
            self.endpoints.values().flat_map(|endpoint| endpoint.heads.all()).filter(|entry| entry.events > 0);
        entries.fold(BacklogTotals::default(), |before, entry| BacklogTotals {
            events: before.events + entry.events,
            bytes: before.bytes + entry.bytes,
            oldest_ms: Some(before.oldest_ms.map_or(entry.oldest_ms, |oldest| oldest.min(entry.oldest_ms))),
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
        let entries = self.endpoints.get(id).into_iter().flat_map(|endpoint| endpoint.heads.all());
        entries.fold((0, 0), |(events, bytes), entry| (events + entry.events, bytes + entry.bytes))
    }

    /// Rows of each endpoint that has some.
    #[must_use]
    pub fn rows_by_endpoint(&self) -> HashMap<Arc<str>, u64> {
        let rows = self.endpoints.iter().map(|(id, endpoint)| {
            let rows: i64 = endpoint.heads.all().map(|entry| entry.events).sum();
            (Arc::clone(id), u64::try_from(rows).unwrap_or(0))
        });
        rows.filter(|(_, rows)| *rows > 0).collect()
    }
}
