//! ● Rows of a head go to their endpoint.

use std::{collections::HashSet, sync::Arc, time::Instant};

use super::Drainer;
use crate::{
    backlog::{
        blocked_keys::{PageTime, SendableRows},
        head::{BacklogHead, HeadRead},
        page_read::PageEnd,
        shard::Shard as _,
    },
    clock,
    model::{
        event::EndpointKey,
        receipt::{Receipt, Settlement},
        settings::OrderBy,
        source::EventSource,
    },
    store::{
        StoreError,
        backlog_read::{self, BacklogPage, BacklogRow},
        event_row,
    },
    trace,
};

impl Drainer {
    /// Returns how many rows were there to be sent.
    pub(super) async fn read(&self, mut read: HeadRead) -> Result<usize, StoreError> {
        let head = Arc::clone(&read.head);
        // Before the look at the table: what may be sent is in it by then.
        let up_to = head.ordered_up_to().unwrap_or(i64::MIN);
        let asked_at = clock::now();
        let rows = self.page(&read).await;
        let now = clock::now();
        self.heads.metrics.read_seconds.record(now.saturating_duration_since(asked_at));
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                self.heads.scheduler.lock().was_read(read, None, PageEnd::More, now);
                return Err(error);
            }
        };
        if rows.is_empty() && read.sees_all() {
            self.heads.misjudged(&head);
        }
        let rows = if read.order.is_some() && head.is_closing() { Vec::new() } else { rows };
        let at = PageTime { now, wall_ms: clock::wall_ms(), up_to, log_end: head.log_end() };
        let SendableRows { rows, last, end } = read.sendable(rows, at, |key| head.is_leaving(key));
        let found = rows.len();
        let all_judged = self.send(&head, rows, read.order, now);
        let end = read.judged(end, all_judged, self.surroundings.is_held(&head.name.topic));
        let is_held_up = self.heads.scheduler.lock().was_read(read, last, end, now);
        if is_held_up {
            self.surroundings.wake(&head.endpoint_id);
        }
        Ok(found)
    }

    async fn page(&self, read: &HeadRead) -> Result<Vec<BacklogRow>, StoreError> {
        let (without_keys, with_key) = read.passed_over.crowded();
        let page = BacklogPage {
            after: read.after,
            due_ms: if read.is_gone || read.order.is_some() { i64::MAX } else { clock::wall_ms() },
            received_before_ms: i64::MAX,
            rows_max: i64::try_from(read.rows_max).unwrap_or(i64::MAX),
            bytes_max: i64::try_from(read.bytes_max).unwrap_or(i64::MAX),
            without_keys: &without_keys,
            with_key,
        };
        backlog_read::page(&self.pool, read.head.key(), page).await
    }

    /// Rows that are not in memory yet go to their endpoint, as far as it still wants them. False when of some it is not known
    /// yet: their rows stay, to be looked at again.
    fn send(&self, head: &Arc<BacklogHead>, rows: Vec<BacklogRow>, order: Option<OrderBy>, now: Instant) -> bool {
        let endpoint = self.surroundings.endpoint(&head.endpoint_id).map(|(key, _)| key);
        let complete_to_ms = || self.surroundings.settings_complete_to_ms(&head.name.topic);
        let complete_before = complete_to_ms();
        let received: Vec<(i64, i64)> = rows.iter().map(|row| (row.offset, row.received_ms)).collect();
        let hold = |row: &BacklogRow| head.hold(row.offset, row.record_ms, row.weight());
        let (wanted, unwanted): (Vec<_>, Vec<_>) = take_in((head, hold), rows, order, endpoint, now)
            .partition(|receipt| endpoint.is_some_and(|key| self.surroundings.matches(receipt.event(), key)));
        // Its topic may have been held while they were matched.
        let complete_to_ms = complete_before.min(complete_to_ms());
        let young = received.iter().filter(|(_, at_ms)| !event_row::may_be_cancelled(*at_ms, complete_to_ms));
        let young: HashSet<i64> = young.map(|(offset, _)| *offset).collect();
        let (unjudged, unwanted): (Vec<_>, Vec<_>) =
            unwanted.into_iter().partition(|receipt| young.contains(&receipt.event().offset()));
        let all_judged = unjudged.is_empty();
        Receipt::settle_all(unjudged, Settlement::Backlogged);
        if !unwanted.is_empty() {
            tracing::info!(
                endpoint.id = %head.endpoint_id, topic = %head.name.topic, events = unwanted.len(),
                "cancelled events that no longer match a subscription"
            );
            Receipt::settle_all(unwanted, Settlement::Cancelled);
        }
        if !wanted.is_empty() {
            self.surroundings.push(&head.endpoint_id, wanted);
        }
        all_judged
    }
}

/// The receipts of rows that are not in memory yet: that were new to `hold`. Without an endpoint they can only be settled.
pub(super) fn take_in(
    (head, hold): (&Arc<BacklogHead>, impl Fn(&BacklogRow) -> bool),
    rows: Vec<BacklogRow>,
    order: Option<OrderBy>,
    endpoint: Option<EndpointKey>,
    now: Instant,
) -> impl Iterator<Item = Receipt> {
    let key = endpoint.unwrap_or(EndpointKey(u32::MAX));
    rows.into_iter().filter_map(move |row| {
        let source: Arc<dyn EventSource> = match order {
            Some(OrderBy::Key) => head.lane(row.key())?,
            _ => Arc::clone(head) as _,
        };
        hold(&row).then(|| event_row::receipt(row, source, key, now, trace::begin))
    })
}

#[cfg(test)]
mod tests;
