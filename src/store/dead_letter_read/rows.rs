//! ● Rows of dead letters as letters.

use tokio_postgres::Row;

use super::{LetterData, LetterHead};
use crate::store::{StoreError, dead_letters};

pub(super) fn head(row: &Row) -> Result<LetterHead, StoreError> {
    let [event_id, tenant, department, kind] = dead_letters::texts(row)?;
    Ok(LetterHead {
        id: row.try_get("id")?,
        endpoint_id: row.try_get("endpoint_id")?,
        customer_id: row.try_get("customer_id")?,
        topic: row.try_get("topic")?,
        partition: row.try_get("partition")?,
        offset: row.try_get("offset")?,
        record_ms: row.try_get("record_ms")?,
        occurred_ms: row.try_get("occurred_ms")?,
        event_id,
        tenant,
        department,
        kind,
        reason: row.try_get("reason")?,
        attempts: row.try_get("attempts")?,
        last_status: row.try_get("last_status")?,
        last_class: row.try_get("last_class")?,
        excerpt: row.try_get("excerpt")?,
        received_at: row.try_get("received_at")?,
        created_at: row.try_get("created_at")?,
        state: row.try_get("state")?,
        redrive_requested_at: row.try_get("redrive_requested_at")?,
        data_bytes: row.try_get("data_bytes")?,
        written_in: row.try_get("written_in")?,
        is_settled: row.try_get("is_settled")?,
    })
}

pub(super) fn data(row: &Row) -> Result<LetterData, StoreError> {
    Ok(LetterData {
        key: row.try_get("record_key")?,
        value: row.try_get("record_value")?,
        headers: row.try_get("record_headers")?,
    })
}
