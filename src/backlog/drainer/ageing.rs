//! ● What has waited for longer than `backlog.age_hours_max`.

use std::sync::Arc;

use super::{Drainer, reading::take_in};
use crate::{
    backlog::head::Head,
    clock,
    dead_letter::letter::Letter,
    endpoint::delivery::{GivenUp, Reason},
    ingest::receipt::Settlement,
    store::{
        StoreError,
        backlog_read::{self, BacklogRow, Page},
    },
};

impl Drainer {
    /// What has waited for longer than it may becomes a dead letter, whether its endpoint takes events or not.
    pub(super) async fn give_up_old(&mut self) -> Result<(), StoreError> {
        let age_max_ms = i64::try_from(self.options.age_max.as_millis()).unwrap_or(i64::MAX);
        let before_ms = clock::wall_ms().saturating_sub(age_max_ms);
        let old = self.heads.book.lock().older_than(before_ms);
        let mut more = false;
        for head in old {
            let letters_wait = self.dead_letters.queued_bytes() > LETTERS_BYTES_MAX;
            if letters_wait || self.heads.book.lock().is_full() {
                more = true;
                break;
            }
            let page = Page {
                after: (i64::MIN, i64::MIN),
                due_ms: i64::MAX,
                received_before_ms: before_ms,
                rows_max: OLD_ROWS_MAX,
                bytes_max: OLD_BYTES_MAX,
                without_keys: &[],
                with_key: false,
            };
            let name = (&*head.topic, head.partition, &*head.endpoint_id);
            let rows = backlog_read::page(&self.pool, name, page).await?;
            if rows.is_empty() {
                backlog_read::renew_oldest(&self.pool, name).await?;
                self.unread.extend(self.seen.iter().filter(|ledger| head.is_of(ledger)).cloned());
                continue;
            }
            more = true;
            self.give_up(&head, rows);
        }
        if more {
            self.age_at = clock::now() + self.options.poll;
        }
        Ok(())
    }

    fn give_up(&self, head: &Arc<Head>, rows: Vec<BacklogRow>) {
        let endpoint = self.surroundings.endpoint(&head.endpoint_id);
        let key = endpoint.as_ref().map(|(key, _)| *key);
        for receipt in take_in(head, rows, key, clock::now()) {
            let Some((_, customer_id)) = &endpoint else {
                receipt.settle(Settlement::Cancelled);
                continue;
            };
            let attempts = receipt.attempts();
            let given_up = GivenUp { receipt, reason: Reason::Exhausted, attempts, last: None };
            let (endpoint_id, customer_id) = (Arc::clone(&head.endpoint_id), Arc::clone(customer_id));
            self.dead_letters.submit([Letter { endpoint_id, customer_id, given_up }]);
        }
    }
}

const OLD_ROWS_MAX: i64 = 500;
/// While so much waits to be stored as dead letters, no more is given up.
const LETTERS_BYTES_MAX: usize = 16 * 1024 * 1024;
const OLD_BYTES_MAX: i64 = 4 * 1024 * 1024;
