//! ● Dead letters on their way to the endpoint once more.
//!
//! Whoever owns a letter's partition sends it: asked for in any instance, marked in Postgres, found here by polling.
//! **Invariant:** a letter is in flight at most once in this process, and until what became of it is committed.
//! **Invariant:** a letter in flight is still a letter: whatever ends this process, it waits for its redrive again.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    letter::{Letter, LetterKey, record},
    writer::DeadLetterWriter,
};
use crate::{
    clock,
    endpoint::delivery::{GivenUp, Reason},
    event::{EndpointKey, Event, Field, Fields},
    ingest::receipt::{ABANDONS_MAX, Abandoned, Done, Origin, Receipt, Settlement},
    store::{
        Pool, StoreError, dead_letters,
        redrives::{self, Candidate, RedriveRow},
    },
    telemetry::handles::DeadLetterMetrics,
    trace::{self, Source},
};

/// Where redriven events go: the queues of the endpoints.
pub trait EndpointSink: Send + Sync {
    /// `None`: there is no such endpoint (any more).
    fn key(&self, endpoint_id: &str) -> Option<EndpointKey>;
    /// Takes receipts for an endpoint and wakes its actor. When the endpoint is gone meanwhile, settles them as
    /// [`Settlement::Cancelled`].
    fn push(&self, endpoint_id: &str, receipts: Vec<Receipt>);
}

/// True for a partition that this instance owns now.
pub type Owns = Arc<dyn Fn(&str, i32) -> bool + Send + Sync>;

#[derive(Debug, Clone)]
pub struct RedriveOptions {
    pub poll: Duration,
    /// Letters in flight at once, all endpoints together and of one endpoint: one that hangs must not hold the others'.
    pub in_flight_max: usize,
    pub endpoint_in_flight_max: usize,
}

impl From<&crate::config::DeadLetter> for RedriveOptions {
    fn from(config: &crate::config::DeadLetter) -> Self {
        RedriveOptions { poll: config.redrive_poll(), in_flight_max: 500, endpoint_in_flight_max: 200 }
    }
}

/// Sends what is asked for once more, for ever. To be run on the runtime of the store.
pub async fn run(
    pool: Pool,
    options: RedriveOptions,
    writer: DeadLetterWriter,
    sink: Arc<dyn EndpointSink>,
    owns: Owns,
) -> Infallible {
    let shared = Arc::new(Shared {
        writer,
        sink,
        owns,
        in_flight: Mutex::default(),
        ended: Mutex::default(),
        abandoned: Mutex::default(),
        room: Notify::new(),
        metrics: DeadLetterMetrics::new(),
    });
    let mut redrive = Redrive { pool, options, shared, after: String::new() };
    loop {
        match redrive.turn().await {
            // Full, with more to come: as soon as there is room, and then some company for whoever made it.
            Ok(true) => {
                let _ = tokio::time::timeout(redrive.options.poll, redrive.shared.room.notified()).await;
                tokio::time::sleep(redrive.options.poll / 10).await;
            }
            Ok(false) => tokio::time::sleep(redrive.options.poll).await,
            Err(error) => {
                tracing::warn!(%error, "dead letters cannot be redriven at the moment");
                tokio::time::sleep(redrive.options.poll.max(AFTER_FAILURE)).await;
            }
        }
    }
}

struct Redrive {
    pool: Pool,
    options: RedriveOptions,
    shared: Arc<Shared>,
    /// The last letter looked at; the next turn goes on behind it, and begins anew at the end.
    after: String,
}

impl Redrive {
    /// Looks through a bounded number of letters and sends what it may; true when some had to wait for want of room.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        self.take_up_abandoned();
        self.end_cancelled().await?;
        let mut waiting = false;
        for _ in 0..PAGES_A_TURN {
            let page = redrives::candidates(&self.pool, &self.after, PAGE_ROWS).await?;
            let last_page = (page.len() as i64) < PAGE_ROWS;
            let Choice { letters, passed_over, full } = self.choose(&page);
            waiting |= passed_over;
            let sent = self.send(&letters).await?;
            if full || sent < letters.len() {
                // What was passed over for want of room comes first next time.
                self.after.clear();
                return Ok(true);
            }
            match page.last() {
                Some(last) if !last_page => self.after.clone_from(&last.id),
                _ => {
                    self.after.clear();
                    return Ok(waiting);
                }
            }
        }
        Ok(waiting)
    }

    fn choose(&self, page: &[Candidate]) -> Choice {
        let in_flight = self.shared.in_flight.lock();
        let mut room = self.options.in_flight_max.saturating_sub(in_flight.ids.len());
        let mut of_endpoint: HashMap<&str, usize> = HashMap::new();
        let mut choice = Choice::default();
        for letter in page {
            if in_flight.ids.contains(&letter.id) || !(self.shared.owns)(&letter.topic, letter.partition) {
                continue;
            }
            if room == 0 {
                choice.full = true;
                break;
            }
            let taken = of_endpoint
                .entry(&letter.endpoint_id)
                .or_insert_with(|| in_flight.endpoints.get(&letter.endpoint_id).copied().unwrap_or(0));
            if *taken < self.options.endpoint_in_flight_max {
                *taken += 1;
                room -= 1;
                choice.letters.push(letter.clone());
            } else {
                choice.passed_over = true;
            }
        }
        choice
    }

    /// Returns how many were read: fewer when their data is too large to be in memory at once.
    async fn send(&self, chosen: &[Candidate]) -> Result<usize, StoreError> {
        if chosen.is_empty() {
            return Ok(0);
        }
        let ids: Vec<&str> = chosen.iter().map(|letter| letter.id.as_str()).collect();
        let room = BYTES_MAX.saturating_sub(self.shared.in_flight.lock().bytes);
        if room == 0 {
            return Ok(0);
        }
        let rows = redrives::read(&self.pool, &ids, i64::try_from(room).unwrap_or(i64::MAX)).await?;
        let found: HashSet<String> = rows.iter().map(|row| row.id.clone()).collect();
        // A letter that was acknowledged meanwhile counts as read; one behind the last that fitted does not.
        let last = rows.last().map(|row| row.id.clone());
        let read = chosen.iter().take_while(|letter| found.contains(&letter.id) || Some(&letter.id) < last.as_ref());
        let read = if rows.is_empty() { chosen.len() } else { read.count() };

        let mut by_endpoint: HashMap<String, Vec<Receipt>> = HashMap::new();
        for row in rows {
            let endpoint_id = row.endpoint_id.clone();
            match self.shared.sink.key(&endpoint_id) {
                Some(key) => by_endpoint.entry(endpoint_id).or_default().extend(receipt(&self.shared, row, key)),
                None => self.shared.ended.lock().push(Lease::take(&self.shared, &row)),
            }
        }
        for (endpoint_id, receipts) in by_endpoint {
            self.shared.metrics.redriven.increment(receipts.len() as u64);
            self.shared.sink.push(&endpoint_id, receipts);
        }
        Ok(read)
    }

    /// Receipts that were dropped unsettled: once more, or given up after the third time.
    fn take_up_abandoned(&self) {
        let abandoned = std::mem::take(&mut *self.shared.abandoned.lock());
        for Dropped { endpoint_id, customer_id, receipt } in abandoned {
            let abandons = receipt.abandons;
            let receipt = receipt.into_receipt();
            if abandons < ABANDONS_MAX {
                self.shared.sink.push(&endpoint_id, vec![receipt]);
            } else {
                let given_up = GivenUp { receipt, reason: Reason::Internal, attempts: abandons.into(), last: None };
                self.shared.writer.submit([Letter { endpoint_id, customer_id, given_up }]);
            }
        }
    }

    /// Letters of endpoints that are gone are just letters again.
    async fn end_cancelled(&self) -> Result<(), StoreError> {
        let ended: Vec<Arc<Lease>> = std::mem::take(&mut *self.shared.ended.lock());
        if ended.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = ended.iter().map(|lease| lease.id.clone()).collect();
        let done = dead_letters::end_redrive(&self.pool, &ids).await;
        if done.is_err() {
            self.shared.ended.lock().extend(ended);
        }
        done
    }
}

/// What of a page is to be sent.
#[derive(Default)]
struct Choice {
    letters: Vec<Candidate>,
    /// Some wait because their endpoint has enough in flight.
    passed_over: bool,
    /// The rest waits because there is enough in flight.
    full: bool,
}

struct Shared {
    writer: DeadLetterWriter,
    sink: Arc<dyn EndpointSink>,
    owns: Owns,
    in_flight: Mutex<InFlight>,
    /// Redrives that ended without an attempt, to be written down.
    ended: Mutex<Vec<Arc<Lease>>>,
    /// Not handled where they are dropped: that may be under the lock of a queue.
    abandoned: Mutex<Vec<Dropped>>,
    /// A letter has left.
    room: Notify,
    metrics: DeadLetterMetrics,
}

/// A receipt that was dropped unsettled, and whose it is.
struct Dropped {
    endpoint_id: Arc<str>,
    customer_id: Arc<str>,
    receipt: Abandoned,
}

#[derive(Default)]
struct InFlight {
    ids: HashSet<String>,
    endpoints: HashMap<String, usize>,
    bytes: usize,
}

/// A letter's place in flight; given back when the last one who holds it lets go, however that comes.
struct Lease {
    shared: Arc<Shared>,
    id: String,
    endpoint_id: String,
    bytes: usize,
}

impl Lease {
    fn take(shared: &Arc<Shared>, row: &RedriveRow) -> Arc<Lease> {
        let data = [row.record_key.as_deref(), row.record_value.as_deref(), Some(row.record_headers.as_slice())];
        let bytes = data.into_iter().flatten().map(<[u8]>::len).sum();
        let mut in_flight = shared.in_flight.lock();
        in_flight.ids.insert(row.id.clone());
        *in_flight.endpoints.entry(row.endpoint_id.clone()).or_default() += 1;
        in_flight.bytes += bytes;
        let (id, endpoint_id) = (row.id.clone(), row.endpoint_id.clone());
        Arc::new(Lease { shared: Arc::clone(shared), id, endpoint_id, bytes })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut in_flight = self.shared.in_flight.lock();
        in_flight.ids.remove(&self.id);
        in_flight.bytes = in_flight.bytes.saturating_sub(self.bytes);
        if let Some(count) = in_flight.endpoints.get_mut(&self.endpoint_id) {
            *count -= 1;
            if *count == 0 {
                in_flight.endpoints.remove(&self.endpoint_id);
            }
        }
        drop(in_flight);
        self.shared.room.notify_one();
    }
}

/// Where a redriven event comes from: its own letter.
struct RedriveOrigin {
    lease: Arc<Lease>,
    topic: String,
    partition: i32,
    endpoint_id: Arc<str>,
    customer_id: Arc<str>,
    key: LetterKey,
}

impl Origin for RedriveOrigin {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn is_current(&self) -> bool {
        (self.lease.shared.owns)(&self.topic, self.partition)
    }

    fn receipts_settled(&self, how: Settlement, _receipts: usize) {
        let shared = &self.lease.shared;
        match how {
            // Out of the letters, and only then free for another redrive.
            Settlement::Delivered | Settlement::Backlogged => {
                shared.writer.remove(&self.endpoint_id, vec![self.key], Some(self.lease.clone()));
            }
            // The writer has stored it as dead again.
            Settlement::DeadLettered => {}
            Settlement::Cancelled | Settlement::Skipped => shared.ended.lock().push(Arc::clone(&self.lease)),
        }
    }

    fn events_done(&self, _done: &[Done], _how: Settlement) {}

    fn abandoned(&self, receipt: Abandoned) {
        let (endpoint_id, customer_id) = (Arc::clone(&self.endpoint_id), Arc::clone(&self.customer_id));
        self.lease.shared.abandoned.lock().push(Dropped { endpoint_id, customer_id, receipt });
    }
}

impl std::fmt::Debug for RedriveOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedriveOrigin").field("letter", &self.lease.id).finish_non_exhaustive()
    }
}

/// The event that the letter was about, with the same ids, and its receipt.
fn receipt(shared: &Arc<Shared>, row: RedriveRow, key: EndpointKey) -> Option<Receipt> {
    let field = |text: Option<String>| text.map_or(Field::Absent, |text| Field::Owned(text.into()));
    let record =
        record(row.offset, row.record_ms, row.record_key.as_deref(), row.record_value.as_deref(), &row.record_headers);
    let origin = RedriveOrigin {
        lease: Lease::take(shared, &row),
        topic: row.topic,
        partition: row.partition,
        endpoint_id: Arc::from(row.endpoint_id),
        customer_id: Arc::from(row.customer_id),
        key: LetterKey(row.key),
    };
    let fields = Fields {
        tenant: field(row.tenant),
        department: field(row.department),
        kind: field(row.kind),
        id: field(row.event_id),
        occurred_ms: Some(row.occurred_ms),
    };
    let mut event = Event::new(Arc::new(origin), record, fields, clock::now());
    trace::begin(&mut event, Source::Redrive);
    let event = Arc::new(event);
    let mut receipt = None;
    event.open_receipts(&[key], |_, opened| receipt = Some(opened));
    receipt
}

/// Data of letters in flight.
const BYTES_MAX: usize = 32 * 1024 * 1024;
const PAGE_ROWS: i64 = 5_000;
/// Letters that others own are passed over: so many pages a turn.
const PAGES_A_TURN: usize = 10;
const AFTER_FAILURE: Duration = Duration::from_secs(5);
