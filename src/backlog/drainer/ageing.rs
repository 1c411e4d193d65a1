//! ● Gives up what has waited for longer than `backlog.age_hours_max`.
//!
//! A task and a connection of its own: nobody's draining waits for it. A head is looked through in bounded steps, for
//! finding its oldest row means looking at all of them.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;

use super::{Heads, Surroundings, reading::take_in};
use crate::{
    backlog::head::{AgeingRead, BacklogHead},
    clock,
    dead_letter::{letter::Letter, writer::DeadLetterWriter},
    model::{
        disposition::{GivenUp, Reason},
        receipt::Settlement,
    },
    store::{
        Pool, StoreError,
        backlog::HeadKey,
        backlog_ageing::{self, ScannedRows},
        backlog_read::{self, BacklogPage, BacklogRow},
    },
};

/// State of the ageing.
pub struct Ageing {
    pub pool: Pool,
    /// The age at which a waiting event is given up.
    pub age_max: Duration,
    /// Between two looks while there is more to do.
    pub poll: Duration,
    pub heads: Arc<Heads>,
    pub dead_letters: DeadLetterWriter,
    pub surroundings: Arc<dyn Surroundings>,
}

/// Position up to which a head was looked through.
#[derive(Clone, Copy, Debug)]
struct Scan {
    after: (i64, i64),
    /// Time at which the oldest of the rows so far was received.
    oldest_ms: Option<i64>,
}

type Scans = HashMap<(Arc<str>, i32, Arc<str>), Scan>;

impl Ageing {
    /// Until the process ends, also after a panic.
    pub async fn run(self) {
        let mut scans = Scans::new();
        loop {
            let more = match AssertUnwindSafe(self.scan(&mut scans)).catch_unwind().await {
                Ok(Ok(more)) => more,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the backlog cannot be searched for expired rows; it is tried again");
                    false
                }
                Err(_panic) => {
                    tracing::error!("the search for expired backlog rows panicked; it is restarted");
                    scans.clear();
                    false
                }
            };
            tokio::time::sleep(if more { self.poll } else { LOOK_EVERY }).await;
        }
    }

    /// One step for each head that may have something too old. True when there is more to do.
    async fn scan(&self, scans: &mut Scans) -> Result<bool, StoreError> {
        let age_max_ms = i64::try_from(self.age_max.as_millis()).unwrap_or(i64::MAX);
        let before_ms = clock::wall_ms().saturating_sub(age_max_ms);
        let heads = self.heads.older_than(before_ms);
        scans.retain(|key, _| heads.iter().any(|head| *key == key_of(head)));
        let mut more = false;
        for head in heads {
            if self.dead_letters.queued_bytes() > LETTERS_BYTES_MAX || self.heads.is_full() {
                return Ok(true);
            }
            more |= self.step(&head, before_ms, scans).await?;
        }
        Ok(more)
    }

    async fn step(&self, head: &Arc<BacklogHead>, before_ms: i64, scans: &mut Scans) -> Result<bool, StoreError> {
        let name = head.key();
        let scan = scans.entry(key_of(head)).or_insert(Scan { after: BEGINNING, oldest_ms: None });
        let ScannedRows { rows, oldest_ms, last } =
            backlog_ageing::scan(&self.pool, name, scan.after, SCAN_ROWS_MAX).await?;
        if oldest_ms.is_some_and(|oldest| oldest < before_ms) {
            let read = head.ageing_read();
            let rows = self.page(name, scan.after, before_ms).await?;
            self.give_up((head, &read), rows, clock::now());
            return Ok(true);
        }
        scan.oldest_ms = [scan.oldest_ms, oldest_ms].into_iter().flatten().min();
        if let Some(last) = last
            && rows == SCAN_ROWS_MAX
        {
            scan.after = last;
            return Ok(true);
        }
        let oldest_ms = scan.oldest_ms;
        scans.remove(&key_of(head));
        match oldest_ms {
            Some(oldest_ms) => {
                let renewed = backlog_ageing::set_oldest(&self.pool, name, oldest_ms, before_ms).await?;
                self.heads.renewed(renewed);
            }
            None => self.heads.misjudged(head),
        }
        Ok(false)
    }

    async fn page(&self, key: HeadKey<'_>, after: (i64, i64), before_ms: i64) -> Result<Vec<BacklogRow>, StoreError> {
        let page = BacklogPage {
            after,
            due_ms: i64::MAX,
            received_before_ms: before_ms,
            rows_max: OLD_ROWS_MAX,
            bytes_max: OLD_BYTES_MAX,
            without_keys: &[],
            with_key: false,
        };
        backlog_read::page(&self.pool, key, page).await
    }

    fn give_up(&self, (head, read): (&Arc<BacklogHead>, &AgeingRead), rows: Vec<BacklogRow>, now: Instant) {
        let endpoint = self.surroundings.endpoint(&head.endpoint_id);
        let key = endpoint.as_ref().map(|(key, _)| *key);
        let hold = |row: &BacklogRow| read.hold(row.offset, row.record_ms, row.weight());
        for receipt in take_in((head, hold), rows, None, key, now) {
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

fn key_of(head: &BacklogHead) -> (Arc<str>, i32, Arc<str>) {
    (Arc::clone(&head.name.topic), head.name.partition, Arc::clone(&head.endpoint_id))
}

const BEGINNING: (i64, i64) = (i64::MIN, i64::MIN);
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A step takes some ten milliseconds.
const SCAN_ROWS_MAX: i64 = 10_000;
const OLD_ROWS_MAX: i64 = 500;
/// While so much waits to be stored as dead letters, no more is given up.
const LETTERS_BYTES_MAX: usize = 16 * 1024 * 1024;
const OLD_BYTES_MAX: i64 = 4 * 1024 * 1024;
