//! ● Dead letters on their way to the endpoint again.
//!
//! Whoever owns a letter's partition sends it: asked for in any instance, marked in Postgres, found here by polling. While its
//! endpoint takes nothing, it waits as the letter that it is.
//! **Invariant:** what is sent again is matched again, against settings that are at least as new as the wish for it.
//! **Invariant:** a letter is in flight at most once in this process, and until what became of it is committed.
//! **Invariant:** a letter in flight is still a letter: whatever ends this process, it waits for its redrive again.

mod source; // the source of redriven events

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::source::{Lease, receipt};
use crate::{
    backlog::{drainer::Surroundings, page_read::EndpointReadiness},
    clock,
    dead_letter::{letter::Letter, writer::DeadLetterWriter},
    ingest::ledger::PartitionLedger,
    model::{
        disposition::{GivenUp, Reason},
        receipt::{ABANDONS_MAX, Abandoned, Receipt, Settlement},
    },
    store::{
        Pool, StoreError, dead_letters,
        redrives::{self, RedriveCandidate},
    },
    telemetry::handles::DeadLetterMetrics,
};

#[derive(Debug, Clone)]
pub struct RedriveOptions {
    pub poll: Duration,
    /// Letters in flight at once, all endpoints together and of one endpoint: one that hangs must not hold the others'.
    pub in_flight_max: usize,
    pub endpoint_in_flight_max: usize,
    /// The age after which a letter that waits for its endpoint is given up again.
    pub age_max: Duration,
}

/// Sends what is asked for again, for ever. To be run on the runtime of the store.
pub async fn run(
    pool: Pool,
    options: RedriveOptions,
    writer: DeadLetterWriter,
    surroundings: Arc<dyn Surroundings>,
) -> Infallible {
    let shared = Arc::new(Shared {
        writer,
        surroundings,
        in_flight: Mutex::default(),
        ended: Mutex::default(),
        abandoned: Mutex::default(),
        room: Notify::new(),
        metrics: DeadLetterMetrics::new(),
    });
    let mut redrive =
        Redrive { pool, options, shared, owned: HashMap::new(), seen: Arc::default(), after: String::new() };
    loop {
        match redrive.turn().await {
            // Full, with more to come: as soon as there is room, and then some company for whoever made it.
            Ok(true) => {
                let _ = tokio::time::timeout(redrive.options.poll, redrive.shared.room.notified()).await;
                tokio::time::sleep(redrive.options.poll / 10).await;
            }
            Ok(false) => tokio::time::sleep(redrive.options.poll).await,
            Err(error) => {
                tracing::warn!(%error, "dead letters cannot be redriven; it is tried again");
                tokio::time::sleep(redrive.options.poll.max(AFTER_FAILURE)).await;
            }
        }
    }
}

struct Redrive {
    pool: Pool,
    options: RedriveOptions,
    shared: Arc<Shared>,
    /// The partitions of this instance.
    owned: HashMap<(Arc<str>, i32), Arc<PartitionLedger>>,
    seen: Arc<Vec<Arc<PartitionLedger>>>,
    /// The last letter looked at; the next turn goes on behind it, and starts again at the end.
    after: String,
}

impl Redrive {
    /// Looks through a bounded number of letters and sends what it may; true when some had to wait for want of room.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        self.follow_assignment();
        self.take_up_abandoned();
        self.end_cancelled().await?;
        let mut waiting = false;
        for _ in 0..PAGES_A_TURN {
            let page = redrives::candidates(&self.pool, &self.after, PAGE_ROWS).await?;
            let last_page = (page.len() as i64) < PAGE_ROWS;
            let Choice { letters, old, passed_over, full } = self.choose(&page);
            waiting |= passed_over;
            if !old.is_empty() {
                redrives::give_up_old(&self.pool, &old).await?;
            }
            let chosen = letters.len();
            let sent = self.send(letters).await?;
            if full || sent < chosen {
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

    fn follow_assignment(&mut self) {
        let ledgers = self.shared.surroundings.ledgers();
        if !Arc::ptr_eq(&ledgers, &self.seen) {
            let key = |ledger: &Arc<PartitionLedger>| ((ledger.topic_name(), ledger.partition()), Arc::clone(ledger));
            self.owned = ledgers.iter().map(key).collect();
            self.seen = ledgers;
        }
    }

    fn owner(&self, letter: &RedriveCandidate) -> Option<Arc<PartitionLedger>> {
        let ledger = self.owned.get(&(Arc::from(letter.topic.as_str()), letter.partition));
        ledger.filter(|ledger| ledger.is_current()).cloned()
    }

    fn choose<'a>(&self, page: &'a [RedriveCandidate]) -> Choice<'a> {
        let surroundings = &self.shared.surroundings;
        let now = clock::now();
        let age_max_ms = i64::try_from(self.options.age_max.as_millis()).unwrap_or(i64::MAX);
        let old_before_ms = clock::wall_ms().saturating_sub(age_max_ms);
        let in_flight = self.shared.in_flight.lock();
        let mut room = self.options.in_flight_max.saturating_sub(in_flight.ids.len());
        // How many more each endpoint takes, and whether it takes any at all.
        let mut of_endpoint: HashMap<&str, (usize, bool)> = HashMap::new();
        let mut choice = Choice::default();
        for letter in page {
            if in_flight.ids.contains(&letter.id) {
                continue;
            }
            let Some(ledger) = self.owner(letter) else { continue };
            if letter.asked_ms < old_before_ms {
                choice.old.push(&letter.id);
                continue;
            }
            // Asked for a moment ago: it is matched against settings that are at least as new.
            if letter.asked_ms >= surroundings.settings_complete_to_store_ms(&letter.topic) {
                continue;
            }
            if room == 0 {
                choice.full = true;
                break;
            }
            let (left, takes) = of_endpoint.entry(&letter.endpoint_id).or_insert_with(|| {
                let in_flight = in_flight.endpoints.get(&letter.endpoint_id).copied().unwrap_or(0);
                let takes = match surroundings.standing(&letter.endpoint_id, now) {
                    EndpointReadiness::Takes(events) | EndpointReadiness::TakesInOrder(events, _) => events,
                    EndpointReadiness::Waits => 0,
                    EndpointReadiness::Gone => usize::MAX,
                };
                (takes.min(self.options.endpoint_in_flight_max).saturating_sub(in_flight), takes > 0)
            });
            if *left > 0 {
                *left -= 1;
                room -= 1;
                choice.letters.push((letter, ledger));
            } else {
                choice.passed_over |= *takes;
            }
        }
        choice
    }

    /// Returns how many were read: fewer when their data is too large to be in memory at once.
    async fn send(&self, chosen: Vec<(&RedriveCandidate, Arc<PartitionLedger>)>) -> Result<usize, StoreError> {
        if chosen.is_empty() {
            return Ok(0);
        }
        let ids: Vec<&str> = chosen.iter().map(|(letter, _)| letter.id.as_str()).collect();
        let room = BYTES_MAX.saturating_sub(self.shared.in_flight.lock().bytes);
        if room == 0 {
            return Ok(0);
        }
        let rows = redrives::read(&self.pool, &ids, i64::try_from(room).unwrap_or(i64::MAX)).await?;
        let found: HashSet<String> = rows.iter().map(|row| row.id.clone()).collect();
        // A letter that was acknowledged meanwhile counts as read; one behind the last that fitted does not.
        let last = rows.last().map(|row| row.id.clone());
        let is_read = |id: &str| found.contains(id) || last.as_deref().is_some_and(|last| id < last);
        let read = if rows.is_empty() { ids.len() } else { ids.iter().take_while(|id| is_read(id)).count() };
        let owners: HashMap<&str, &Arc<PartitionLedger>> =
            chosen.iter().map(|(letter, ledger)| (letter.id.as_str(), ledger)).collect();

        let mut by_endpoint: HashMap<String, Vec<Receipt>> = HashMap::new();
        for row in rows {
            let Some(ledger) = owners.get(row.id.as_str()) else { continue };
            let endpoint_id = row.endpoint_id.clone();
            match self.shared.surroundings.endpoint(&endpoint_id) {
                Some((key, _)) => {
                    let receipt = receipt(&self.shared, row, Arc::clone(ledger), key);
                    by_endpoint.entry(endpoint_id).or_default().extend(self.shared.wanted(receipt));
                }
                None => self.shared.ended.lock().push(Lease::take(&self.shared, &row)),
            }
        }
        for (endpoint_id, receipts) in by_endpoint {
            self.shared.surroundings.push(&endpoint_id, receipts);
        }
        Ok(read)
    }

    /// Receipts that were dropped unsettled: again, or given up after the third time.
    fn take_up_abandoned(&self) {
        let abandoned = std::mem::take(&mut *self.shared.abandoned.lock());
        for Dropped { endpoint_id, customer_id, receipt } in abandoned {
            let abandons = receipt.abandons;
            let receipt = receipt.into_receipt();
            if abandons < ABANDONS_MAX {
                self.shared.surroundings.push(&endpoint_id, vec![receipt]);
            } else {
                let attempts = receipt.attempts() + u32::from(abandons);
                let given_up = GivenUp { receipt, reason: Reason::Internal, attempts, last: None };
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

/// Letters of a page that are to be sent.
#[derive(Default)]
struct Choice<'a> {
    letters: Vec<(&'a RedriveCandidate, Arc<PartitionLedger>)>,
    /// Letters that have waited for too long.
    old: Vec<&'a str>,
    /// Some wait because their endpoint has enough in flight.
    passed_over: bool,
    /// The rest waits because there is enough in flight.
    full: bool,
}

struct Shared {
    writer: DeadLetterWriter,
    surroundings: Arc<dyn Surroundings>,
    in_flight: Mutex<InFlight>,
    /// Redrives that ended without an attempt, to be written down.
    ended: Mutex<Vec<Arc<Lease>>>,
    /// Not handled where they are dropped: that may be under the lock of a queue.
    abandoned: Mutex<Vec<Dropped>>,
    /// A letter has left.
    room: Notify,
    metrics: DeadLetterMetrics,
}

impl Shared {
    /// The receipt of a letter, unless its endpoint no longer subscribes to the event: then it is just a letter again. While
    /// its topic is held nobody knows, and it stays on its redrive.
    fn wanted(&self, receipt: Receipt) -> Option<Receipt> {
        if self.surroundings.matches(receipt.event(), receipt.endpoint()) {
            return Some(receipt);
        }
        let is_held = self.surroundings.is_held(receipt.event().topic());
        receipt.settle(if is_held { Settlement::Backlogged } else { Settlement::Cancelled });
        None
    }
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

/// Data of letters in flight.
const BYTES_MAX: usize = 32 * 1024 * 1024;
const PAGE_ROWS: i64 = 5_000;
/// Letters that others own are passed over: so many pages a turn.
const PAGES_A_TURN: usize = 10;
const AFTER_FAILURE: Duration = Duration::from_secs(5);
