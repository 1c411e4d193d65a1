//! ● Letters that wait to be stored, by customer. A customer that has its share of the limit sends nothing more until some
//! of its letters are stored, so while Postgres is away nobody else's partitions pause for it. The operator's letters (of
//! records that no endpoint could be found for) have a share as well: beyond it, the partitions that they come from pause.
//!
//! **Invariant:** more than the limit, and the eighth of it at which partitions pause, waits only of what was under way
//! when somebody came to its share: the events in its requests, the records read of such a partition, and what the backlog,
//! replays and redrives have in memory, each within the limit of its own.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::letter::Letter;
use crate::{
    clock,
    fair_share::{charged::ChargedShares, shares::Refused},
    telemetry::handles::DeadLetterMetrics,
};

/// See the module's page.
pub(super) struct QueuedLetters {
    state: Mutex<State>,
    letters: AtomicUsize,
    bytes: AtomicUsize,
    /// Customers that are beyond their share, the operator included: whoever sends asks here in each turn, and takes no lock.
    beyond: ArcSwap<HashSet<Arc<str>>>,
    is_full: AtomicBool,
    /// Somebody has room again.
    room: Notify,
    metrics: DeadLetterMetrics,
}

struct State {
    shares: ChargedShares,
    /// For each topic and partition, the operator's letters.
    of_records: HashMap<Box<str>, HashMap<i32, usize>>,
    /// Time at which the log was told of a customer.
    told: HashMap<Arc<str>, Instant>,
}

/// Letters that a writer has in hand: counted off when this is dropped, so after a panic as well.
pub(super) struct InHand<'a> {
    queued: &'a QueuedLetters,
    letters: usize,
    /// Bytes, by customer.
    bytes: HashMap<Arc<str>, usize>,
    of_records: Vec<(Box<str>, i32)>,
}

impl QueuedLetters {
    pub(super) fn new(bytes_max: usize, metrics: DeadLetterMetrics) -> Self {
        let state = State { shares: ChargedShares::new(bytes_max), of_records: HashMap::new(), told: HashMap::new() };
        QueuedLetters {
            state: Mutex::new(state),
            letters: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            beyond: ArcSwap::default(),
            is_full: AtomicBool::new(false),
            room: Notify::new(),
            metrics,
        }
    }

    /// Counts one that weighs nothing: it is a letter already.
    pub(super) fn known(&self) {
        self.letters.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn came(&self, letter: &Letter) {
        self.letters.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        if letter.is_of_record() {
            let (topic, partition) = place(letter);
            let partitions = match state.of_records.get_mut(topic) {
                Some(partitions) => partitions,
                None => state.of_records.entry(topic.into()).or_default(),
            };
            *partitions.entry(partition).or_default() += 1;
        }
        let refused = state.shares.charge(&letter.customer_id, letter.weight_bytes());
        self.show(&state);
        let Some(refused) = refused else { return };
        self.show_beyond(&state);
        let is_told = state.is_to_be_told(&letter.customer_id);
        let bytes = state.shares.charged();
        drop(state);
        self.refused(&letter.customer_id, refused, is_told.then_some(bytes));
    }

    /// Letters in hand that weigh nothing.
    pub(super) fn known_in_hand(&self, letters: usize) -> InHand<'_> {
        InHand { queued: self, letters, bytes: HashMap::new(), of_records: Vec::new() }
    }

    pub(super) fn in_hand(&self, letters: &[Letter]) -> InHand<'_> {
        let mut in_hand = self.known_in_hand(letters.len());
        for letter in letters {
            match in_hand.bytes.get_mut(&letter.customer_id) {
                Some(bytes) => *bytes += letter.weight_bytes(),
                None => drop(in_hand.bytes.insert(Arc::clone(&letter.customer_id), letter.weight_bytes())),
            }
            if letter.is_of_record() {
                let (topic, partition) = place(letter);
                in_hand.of_records.push((topic.into(), partition));
            }
        }
        in_hand
    }

    pub(super) fn letters(&self) -> usize {
        self.letters.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub(super) fn is_beyond_share(&self, customer_id: &Arc<str>) -> bool {
        self.beyond.load().contains(customer_id)
    }

    /// Returns when the customer is not beyond its share.
    pub(super) async fn room(&self, customer_id: &Arc<str>) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // From here on none is missed.
            room.as_mut().enable();
            if !self.is_beyond_share(customer_id) {
                return;
            }
            room.await;
        }
    }

    pub(super) fn holds_up(&self, topic: &str, partition: i32) -> bool {
        self.beyond.load().contains(OPERATOR)
            && self.state.lock().of_records.get(topic).is_some_and(|partitions| partitions.contains_key(&partition))
    }

    /// The customers beyond their share are others now.
    fn show_beyond(&self, state: &State) {
        let beyond: HashSet<Arc<str>> = state.shares.beyond().cloned().collect();
        self.metrics.customers_beyond.set(beyond.len() as f64);
        self.beyond.store(Arc::new(beyond));
    }

    fn show(&self, state: &State) {
        let bytes = state.shares.charged();
        self.bytes.store(bytes, Ordering::Relaxed);
        self.is_full.store(state.shares.is_full(), Ordering::Relaxed);
        self.metrics.queue_bytes.set(bytes as f64);
    }

    /// `told_bytes` is what waits in all, if the log is to be told.
    fn refused(&self, customer_id: &Arc<str>, refused: Refused, told_bytes: Option<usize>) {
        self.metrics.beyond_share(refused.as_str());
        let (Some(bytes), reason) = (told_bytes, refused.as_str()) else { return };
        let consequence = match &**customer_id {
            OPERATOR => "the partitions of these records pause until some are stored",
            _ => "the customer's endpoints send nothing until some are stored",
        };
        tracing::warn!(customer = &**customer_id, bytes, reason, consequence, "dead letters wait beyond a share");
    }

    fn gone(&self, in_hand: &InHand<'_>) {
        self.letters.fetch_sub(in_hand.letters, Ordering::Relaxed);
        if in_hand.bytes.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        for (topic, partition) in &in_hand.of_records {
            state.forget_record(topic, *partition);
        }
        for (customer, bytes) in &in_hand.bytes {
            state.shares.give_back(customer, *bytes);
        }
        let some_go_on = state.shares.release();
        if some_go_on {
            self.show_beyond(&state);
        }
        self.show(&state);
        drop(state);
        if some_go_on {
            self.room.notify_waiters();
        }
    }
}

impl State {
    /// True if the log was not told of this customer lately; it is now.
    fn is_to_be_told(&mut self, customer_id: &Arc<str>) -> bool {
        let now = clock::now();
        self.told.retain(|_, told| now.saturating_duration_since(*told) < TOLD_EVERY);
        self.told.insert(Arc::clone(customer_id), now).is_none()
    }

    fn forget_record(&mut self, topic: &str, partition: i32) {
        let Some(partitions) = self.of_records.get_mut(topic) else { return };
        if let Some(letters) = partitions.get_mut(&partition) {
            *letters -= 1;
            if *letters == 0 {
                partitions.remove(&partition);
            }
        }
        if partitions.is_empty() {
            self.of_records.remove(topic);
        }
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.queued.gone(self);
    }
}

fn place(letter: &Letter) -> (&str, i32) {
    let event = letter.given_up.receipt.event();
    (event.topic(), event.partition())
}

/// The customer of letters that belong to none.
const OPERATOR: &str = "";
/// A customer that comes to its share again and again is in the log this often.
const TOLD_EVERY: Duration = Duration::from_secs(60);
