//! ○ Rows of the backlog, as PostgreSQL has them.

use std::sync::Arc;

/// The identity of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey {
    pub topic: Arc<str>,
    pub partition: i32,
    pub endpoint_id: Arc<str>,
    pub offset: i64,
    pub record_ms: i64,
}

/// The identity of a head: all rows of one partition for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadKey<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub endpoint_id: &'a str,
}

/// Totals of what waits of one partition for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRow {
    pub topic: String,
    pub partition: i32,
    pub endpoint_id: String,
    pub events: i64,
    pub bytes: i64,
    /// Milliseconds since 1970.
    pub oldest_ms: i64,
}

/// Everything that is needed to deliver a stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BacklogRow {
    pub offset: i64,
    pub record_ms: i64,
    pub received_ms: i64,
    pub not_before_ms: i64,
    pub attempts: i32,
    pub occurred_ms: i64,
    pub event_id: Option<Vec<u8>>,
    pub tenant: Option<Vec<u8>>,
    pub department: Option<Vec<u8>>,
    pub kind: Option<Vec<u8>>,
    pub record: Vec<u8>,
    pub key_bytes: Option<i32>,
    pub value_bytes: Option<i32>,
    pub bytes: i32,
}

impl BacklogRow {
    /// The record's key, which stands at its beginning.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.record.get(..usize::try_from(self.key_bytes?).ok()?)
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(0)
    }
}

#[cfg(any(test, feature = "testing"))]
impl BacklogRow {
    /// A small row; without a key where that is empty.
    #[must_use]
    pub fn of(offset: i64, key: &str, attempts: i32, not_before_ms: i64) -> Self {
        BacklogRow {
            offset,
            record_ms: 0,
            received_ms: 0,
            not_before_ms,
            attempts,
            occurred_ms: 0,
            event_id: None,
            tenant: None,
            department: None,
            kind: None,
            record: format!("{key}{{}}").into_bytes(),
            key_bytes: (!key.is_empty()).then_some(key.len() as i32),
            value_bytes: Some(2),
            bytes: 2,
        }
    }
}
