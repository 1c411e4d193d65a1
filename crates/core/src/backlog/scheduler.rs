//! ○ Scheduler of the backlog: all heads of the partitions this instance owns, and whose turn it is to be read.
//!
//! **Invariant:** a head is read by one at a time, and belongs to the present assignment of its partition.

mod heads; // of one endpoint
mod totals; // how much waits

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use self::heads::{Entry, HeadsInTurn, ORDERED_IDLE_REST, ORDERED_REST, Rest};
pub use self::totals::BacklogTotals;
use super::{
    amount::Amount,
    blocked_keys::BlockedKeys,
    page_read::{BEGINNING, EndpointReadiness, MemoryLimits, PageEnd, PageRead},
    rows::{HeadRow, RowKey},
    shard::{Assignment, Shard},
};
use crate::fair_share::rounds::{CustomerOf, Rounds};

type Key = (Arc<str>, i32);

/// See the module's page.
pub struct Scheduler<S: Shard> {
    room: MemoryLimits,
    of_all: Arc<Amount>,
    assignments: HashMap<Key, Arc<S::Assignment>>,
    endpoints: HashMap<Arc<str>, OfEndpoint<S>>,
    /// Endpoints that have a head in a partition, or had one since it was last looked at.
    by_partition: HashMap<Key, HashSet<Arc<str>>>,
    /// Customers in turn, and the endpoints of each.
    turns: Rounds<Arc<str>, Arc<str>>,
    customer_of: Option<CustomerOf>,
    /// Rows that came for heads that are sent in order: live events, which pass through here only for their order.
    came_in_order: usize,
    /// End of the last rest of a head whose rows were only passed over.
    passes_over_at: Option<Instant>,
    /// Grows with every note.
    notes: u64,
}

struct OfEndpoint<S> {
    held: Arc<Amount>,
    heads: HeadsInTurn<S>,
}

/// In memory of one endpoint's backlog, rows that are to be taken out included: several pages ahead of what a stream sends.
pub const EVENTS_MAX: usize = 1_000;

impl<S: Shard> Scheduler<S> {
    #[must_use]
    pub fn new(room: MemoryLimits) -> Self {
        Scheduler {
            room,
            of_all: Arc::default(),
            assignments: HashMap::new(),
            endpoints: HashMap::new(),
            by_partition: HashMap::new(),
            turns: Rounds::default(),
            customer_of: None,
            came_in_order: 0,
            passes_over_at: None,
            notes: 0,
        }
    }

    /// From now on customers take turns, and the endpoints of each. Until then all endpoints do.
    pub fn share_by(&mut self, customer_of: CustomerOf) {
        self.customer_of = Some(customer_of);
    }

    /// These partitions are ours now. Returns those that are new: their heads are to be read.
    pub fn assign(&mut self, ledgers: &[Arc<S::Assignment>]) -> Vec<Arc<S::Assignment>> {
        let current = |ledger: &&Arc<S::Assignment>| ledger.is_current();
        let now: HashMap<Key, Arc<S::Assignment>> =
            ledgers.iter().filter(current).map(|ledger| (key(&**ledger), Arc::clone(ledger))).collect();
        let is_same = |ledger: &Arc<S::Assignment>, known: &HashMap<Key, Arc<S::Assignment>>| {
            known.get(&key(&**ledger)).is_some_and(|known| Arc::ptr_eq(known, ledger))
        };
        let new = now.values().filter(|ledger| !is_same(ledger, &self.assignments)).cloned().collect();
        for endpoint in self.endpoints.values_mut() {
            endpoint.heads.retain(|partition, entry| now.get(partition).is_some_and(|ledger| entry.head.is_of(ledger)));
        }
        self.by_partition.retain(|partition, _| now.contains_key(partition));
        self.assignments = now;
        new
    }

    /// A statement left so many rows of a head: for those who must not pass them.
    pub fn count(&self, row: &HeadRow) {
        let topic: Arc<str> = Arc::from(row.topic.as_str());
        if let Some(ledger) = self.assignments.get(&(topic, row.partition)) {
            ledger.count_rows(&row.endpoint_id, u64::try_from(row.events).unwrap_or(0));
        }
    }

    /// Takes over the state of a head. One of a partition that is not ours is not kept.
    pub fn record(&mut self, row: &HeadRow, events: &S::Events) {
        let partition: Key = (Arc::from(row.topic.as_str()), row.partition);
        let Some((partition, ledger)) = self.assignments.get_key_value(&partition) else { return };
        self.notes += 1;
        let endpoint_id: Arc<str> = match self.endpoints.get_key_value(row.endpoint_id.as_str()) {
            Some((id, _)) => Arc::clone(id),
            None if row.events <= 0 => return,
            None => Arc::from(row.endpoint_id.as_str()),
        };
        let of_endpoint = self.endpoints.entry(Arc::clone(&endpoint_id)).or_insert_with(|| {
            let customer = self.customer_of.as_ref().and_then(|customer_of| customer_of(&endpoint_id));
            self.turns.push_back(customer.unwrap_or_default(), Arc::clone(&endpoint_id));
            OfEndpoint { held: Arc::default(), heads: HeadsInTurn::default() }
        });
        if let Some(entry) = of_endpoint.heads.of(partition) {
            if entry.head.keeps_order() {
                self.came_in_order += usize::try_from(row.events - entry.events).unwrap_or(0);
            }
            entry.grew |= row.events > entry.events;
            entry.noted = self.notes;
            (entry.events, entry.bytes, entry.oldest_ms) = (row.events, row.bytes, row.oldest_ms);
            return;
        }
        if row.events > 0 {
            let (held, all) = (Arc::clone(&of_endpoint.held), Arc::clone(&self.of_all));
            self.by_partition.entry(partition.clone()).or_default().insert(Arc::clone(&endpoint_id));
            let entry = Entry {
                head: S::begin(ledger, endpoint_id, held, all, events),
                events: row.events,
                bytes: row.bytes,
                oldest_ms: row.oldest_ms,
                after: BEGINNING,
                rests: None,
                noted: self.notes,
                grew: false,
                passed_over: BlockedKeys::default(),
                behind_unjudged_since: None,
                is_being_read: false,
                gone: Vec::new(),
            };
            of_endpoint.heads.add(partition.clone(), entry);
        }
    }

    /// These rows are gone without having been in memory: their attempts were under way when they were parked, and brought a
    /// 2xx. What was passed over for one of them may go now.
    pub fn gone(&mut self, keys: &[RowKey]) {
        for key in keys {
            let Some(endpoint) = self.endpoints.get_mut(&key.endpoint_id) else { continue };
            let Some(entry) = endpoint.heads.of(&(Arc::clone(&key.topic), key.partition)) else { continue };
            entry.passed_over.gone(key.offset);
            if entry.is_being_read {
                entry.gone.push(key.offset);
            }
        }
    }

    /// Count to give to [`Scheduler::forget_gone`] after a look at the table that begins now.
    #[must_use]
    pub fn notes(&self) -> u64 {
        self.notes
    }

    /// These are all heads of the partitions that were looked at, as the table was at some moment since `notes`: others of
    /// these partitions that were not noted since then have nothing that waits.
    pub fn forget_gone(&mut self, looked_at: &[Arc<S::Assignment>], present: &[HeadRow], notes: u64) {
        let present: HashSet<(&str, i32, &str)> =
            present.iter().map(|row| (row.topic.as_str(), row.partition, row.endpoint_id.as_str())).collect();
        let endpoints = &mut self.endpoints;
        for partition in looked_at.iter().map(|ledger| key(&**ledger)) {
            let Some(of_partition) = self.by_partition.get_mut(&partition) else { continue };
            of_partition.retain(|endpoint_id| {
                let entry = endpoints.get_mut(endpoint_id).and_then(|endpoint| endpoint.heads.of(&partition));
                let Some(entry) = entry else { return false };
                if entry.noted <= notes && !present.contains(&(&partition.0, partition.1, endpoint_id)) {
                    (entry.events, entry.bytes) = (0, 0);
                }
                true
            });
        }
    }

    /// The next head to be read, in turn; `None` when all are read, full, resting or waiting.
    pub fn next(&mut self, now: Instant, standing: impl Fn(&str) -> EndpointReadiness) -> Option<PageRead<Arc<S>>> {
        let bytes_left = self.room.bytes_max.saturating_sub(self.of_all.bytes());
        if bytes_left == 0 {
            return None;
        }
        for _ in 0..self.turns.customers() {
            let customer = self.turns.next_customer()?;
            if let Some(read) = self.next_of(&customer, now, &standing, bytes_left) {
                return Some(read);
            }
        }
        None
    }

    fn next_of(
        &mut self,
        customer: &Arc<str>,
        now: Instant,
        standing: impl Fn(&str) -> EndpointReadiness,
        bytes_left: usize,
    ) -> Option<PageRead<Arc<S>>> {
        for _ in 0..self.turns.members(customer) {
            let id = self.turns.next_member(customer)?;
            let Some(endpoint) = self.endpoints.get_mut(&id) else { continue };
            if endpoint.heads.is_empty() && endpoint.held.events() == 0 {
                self.endpoints.remove(&id);
                continue;
            }
            self.turns.push_back(Arc::clone(customer), Arc::clone(&id));
            let standing = standing(&id);
            let rows = match standing {
                EndpointReadiness::Waits => continue,
                EndpointReadiness::Takes(events_max) | EndpointReadiness::TakesInOrder(events_max, _) => {
                    // Rows that are only to be taken out make room, within what anybody may have.
                    let room = events_max.max(EVENTS_MAX).saturating_sub(endpoint.held.events());
                    let rows = events_max.saturating_sub(endpoint.held.unended_events()).min(room);
                    // Many small reads would cost more than a little patience.
                    if rows * 4 < events_max { 0 } else { rows }
                }
                EndpointReadiness::Gone => self.room.page_rows_max,
            };
            let bytes = self.room.bytes_for(endpoint.held.bytes(), bytes_left);
            if let Some(read) = endpoint.heads.next(now, rows.min(self.room.page_rows_max), bytes, standing) {
                return Some(read);
            }
        }
        None
    }

    /// A head was read up to `last`. True when it is held up since now, by one of its own events: nobody should wait for it.
    pub fn was_read(&mut self, read: PageRead<Arc<S>>, last: Option<(i64, i64)>, end: PageEnd, now: Instant) -> bool {
        let is_ordered = read.order.is_some();
        // What is sent now makes room for the next; where nothing could be sent, time must pass.
        let long = match (is_ordered, last) {
            _ if end == PageEnd::Unjudged => self.room.rest,
            (true, None) if end != PageEnd::Ahead => self.room.rest.min(ORDERED_IDLE_REST),
            (true, _) => self.room.rest.min(ORDERED_REST),
            (false, _) => self.room.rest,
        };
        let Some(entry) = self.entry(&read.head) else { return false };
        entry.is_being_read = false;
        entry.head.is_read(false);
        entry.passed_over = read.passed_over;
        std::mem::take(&mut entry.gone).into_iter().for_each(|offset| entry.passed_over.gone(offset));
        if let Some(last) = last {
            entry.after = last;
        }
        if matches!(end, PageEnd::More | PageEnd::UnjudgedFull) {
            let next_at = entry.goes_on(end, now);
            self.passes_over_at = next_at.or(self.passes_over_at);
            return false;
        }
        entry.rests = Some(Rest { from: now, long });
        let passes_over = !entry.passed_over.is_empty();
        // In order nothing that was left out comes behind what was sent, but for a redrive and for the keys passed over.
        if !is_ordered || end == PageEnd::Unjudged || (last.is_none() && !passes_over) {
            entry.begin_again();
        }
        entry.head.hold_up(passes_over) && passes_over
    }

    /// Forgets all reads: the reader is no more.
    pub fn restart(&mut self) {
        self.endpoints.values_mut().for_each(|endpoint| endpoint.heads.restart());
    }

    /// Time until the next page may be read of a head whose rows are only passed over; `None` where none rests for that.
    #[must_use]
    pub fn passes_over_in(&self, now: Instant) -> Option<Duration> {
        self.passes_over_at.map(|at| at.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Number of rows that came since the last call, for endpoints that are sent their backlog in order.
    pub fn take_came_in_order(&mut self) -> usize {
        std::mem::take(&mut self.came_in_order)
    }

    fn entry(&mut self, head: &Arc<S>) -> Option<&mut Entry<S>> {
        let heads = &mut self.endpoints.get_mut(head.endpoint_id())?.heads;
        heads.of(&(Arc::clone(head.topic()), head.partition())).filter(|entry| Arc::ptr_eq(&entry.head, head))
    }
}

fn key(assignment: &impl Assignment) -> Key {
    (assignment.topic_name(), assignment.partition())
}
