//! ● Dead letters on their way to the endpoint again.
//!
//! Whoever owns a letter's partition sends it: asked for in any instance, marked in Postgres, found here by polling. While its
//! endpoint takes nothing, it waits as the letter that it is.
//! **Invariant:** what is sent again is matched again, against settings that are at least as new as the wish for it.
//! **Invariant:** a letter is in flight at most once in this process, and until what became of it is committed.
//! **Invariant:** a letter in flight is still a letter: whatever ends this process, it waits for its redrive again.

mod in_flight; // letters in flight, and how many more of each customer
mod source; // the source of redriven events

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::{
    in_flight::LettersInFlight,
    source::{Lease, receipt},
};
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
    /// Letters in flight at once, and their data: of all customers together, of which each has a share.
    pub in_flight_max: usize,
    pub bytes_max: usize,
    /// Letters in flight of one endpoint: one that hangs must not hold its customer's others.
    pub endpoint_in_flight_max: usize,
    /// Letters that one statement looks at.
    pub page_rows: i64,
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
        in_flight: Mutex::new(LettersInFlight::new(options.in_flight_max, options.bytes_max)),
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
    /// The last letter looked at. After the oldest letters the next turn goes on behind it, until the end is reached.
    after: String,
}

impl Redrive {
    /// Looks through a bounded number of letters and sends what it may; true when some had to wait for want of room.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        self.follow_assignment();
        self.take_up_abandoned();
        self.end_cancelled().await?;
        let (mut turn, mut after) = (Turn::default(), String::new());
        for _ in 0..PAGES_A_TURN {
            let page = redrives::candidates(&self.pool, &after, self.options.page_rows).await?;
            let Choice { letters, old } = self.choose(&page, &mut turn);
            if !old.is_empty() {
                redrives::give_up_old(&self.pool, &old).await?;
            }
            self.send(letters).await?;
            let last = page.last().filter(|_| page.len() as i64 >= self.options.page_rows);
            let Some(last) = last else {
                self.after.clear();
                return Ok(turn.some_wait);
            };
            // The oldest may all be those of somebody who has its share: what comes behind them is looked at in turn.
            after.clone_from((&last.id).max(&self.after));
        }
        self.after = after;
        Ok(turn.some_wait)
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

    fn choose<'a>(&self, page: &'a [RedriveCandidate], turn: &mut Turn) -> Choice<'a> {
        let surroundings = &self.shared.surroundings;
        let age_max_ms = i64::try_from(self.options.age_max.as_millis()).unwrap_or(i64::MAX);
        let old_before_ms = clock::wall_ms().saturating_sub(age_max_ms);
        let mut in_flight = self.shared.in_flight.lock();
        let (mut places, mut old) = (Vec::new(), Vec::new());
        for letter in page {
            if in_flight.contains(&letter.id) {
                continue;
            }
            let Some(ledger) = self.owner(letter) else { continue };
            if letter.asked_ms < old_before_ms {
                old.push(letter.id.as_str());
                continue;
            }
            // Asked for a moment ago: it is matched against settings that are at least as new.
            if letter.asked_ms >= surroundings.settings_complete_to_store_ms(&letter.topic) {
                continue;
            }
            if !self.endpoint_takes(letter, &in_flight, turn) {
                continue;
            }
            // Behind one that does not fit, none of its customer overtakes it.
            let place = if turn.full.contains(&letter.customer_id) { None } else { in_flight.take(letter) };
            let Some(place) = place else {
                turn.full.insert(letter.customer_id.clone());
                turn.some_wait = true;
                continue;
            };
            if let Some(room) = turn.of_endpoint.get_mut(&letter.endpoint_id) {
                room.left -= 1;
            }
            places.push((place, ledger));
        }
        drop(in_flight);
        let letters = places.into_iter().map(|(place, ledger)| (Lease::of(&self.shared, place), ledger)).collect();
        Choice { letters, old }
    }

    fn endpoint_takes(&self, letter: &RedriveCandidate, in_flight: &LettersInFlight, turn: &mut Turn) -> bool {
        let room = turn.of_endpoint.entry(letter.endpoint_id.clone()).or_insert_with(|| {
            let takes = match self.shared.surroundings.standing(&letter.endpoint_id, clock::now()) {
                EndpointReadiness::Takes(events) | EndpointReadiness::TakesInOrder(events, _) => events,
                EndpointReadiness::Waits => 0,
                EndpointReadiness::Gone => usize::MAX,
            };
            let max = takes.min(self.options.endpoint_in_flight_max);
            EndpointRoom { left: max.saturating_sub(in_flight.of_endpoint(&letter.endpoint_id)), takes: takes > 0 }
        });
        turn.some_wait |= room.left == 0 && room.takes;
        room.left > 0
    }

    async fn send(&self, chosen: Vec<ChosenLetter>) -> Result<(), StoreError> {
        if chosen.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = chosen.iter().map(|(lease, _)| lease.place.id.as_str()).collect();
        // One that was acknowledged meanwhile is missing, and gives its place back.
        let rows = redrives::read(&self.pool, &ids).await?;
        let places: HashMap<&str, &ChosenLetter> =
            chosen.iter().map(|place| (place.0.place.id.as_str(), place)).collect();

        let mut by_endpoint: HashMap<String, Vec<Receipt>> = HashMap::new();
        for row in rows {
            let Some((lease, ledger)) = places.get(row.id.as_str()) else { continue };
            let endpoint_id = row.endpoint_id.clone();
            match self.shared.surroundings.endpoint(&endpoint_id) {
                Some((key, _)) => {
                    let receipt = receipt(Arc::clone(lease), row, Arc::clone(ledger), key);
                    by_endpoint.entry(endpoint_id).or_default().extend(self.shared.wanted(receipt));
                }
                None => self.shared.ended.lock().push(Arc::clone(lease)),
            }
        }
        for (endpoint_id, receipts) in by_endpoint {
            self.shared.surroundings.push(&endpoint_id, receipts);
        }
        Ok(())
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
                let attempts = receipt.attempts_so_far();
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
        let ids: Vec<String> = ended.iter().map(|lease| lease.place.id.clone()).collect();
        let done = dead_letters::end_redrive(&self.pool, &ids).await;
        if done.is_err() {
            self.shared.ended.lock().extend(ended);
        }
        done
    }
}

/// Room as one turn found it.
#[derive(Default)]
struct Turn {
    of_endpoint: HashMap<String, EndpointRoom>,
    /// Customers that have their share.
    full: HashSet<String>,
    /// Letters wait for room.
    some_wait: bool,
}

struct EndpointRoom {
    /// Letters that it may still have in flight.
    left: usize,
    takes: bool,
}

/// A letter with its place in flight, and the owner of its partition.
type ChosenLetter = (Arc<Lease>, Arc<PartitionLedger>);

/// Letters of a page that are to be sent.
struct Choice<'a> {
    letters: Vec<ChosenLetter>,
    /// Letters that have waited for too long.
    old: Vec<&'a str>,
}

struct Shared {
    writer: DeadLetterWriter,
    surroundings: Arc<dyn Surroundings>,
    in_flight: Mutex<LettersInFlight>,
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

/// Letters that others own, or of customers that have their share, are passed over: so many pages a turn.
const PAGES_A_TURN: usize = 10;
const AFTER_FAILURE: Duration = Duration::from_secs(5);
