//! ● The poll thread's loop: poll, hand on, hold back, store what is settled.

mod client_queue; // what waits to be polled
mod commits; // what goes to the group
mod hold_back; // which partitions pause
mod holds; // topics that are not read for now
mod intake; // how much may be read
mod restart; // partitions that are read again, from elsewhere
mod slots; // where in the list they are
mod gauges; // what is counted of it

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};

use smallvec::SmallVec;

use self::{
    intake::IntakeControl,
    slots::{SlotSet, SlotsByName},
};
use super::{ConsumerSettings, ConsumerState};
use crate::{
    clock,
    ingest::{
        backpressure::{MemoryBudget, PartitionLimits, ReadThrottle, StorePressure},
        ledger::PartitionLedger,
        partition::Partition,
        rebalance::{Assigned, PollContext},
        rejoin::Rejoin,
        topic_holds::TopicHolds,
    },
    model::{
        event::{Record, weight_bytes},
        record::RecordParts,
    },
    telemetry::handles::SettlementMetrics,
};

/// Messages taken from librdkafka before the housekeeping gets its turn.
const POLL_BURST: usize = 2_048;
/// The same while each message brings a partition nearer to a pause.
const POLL_BURST_BRAKED: usize = 64;
/// The longest that one poll may block while something is to be committed.
const POLL_WAIT: Duration = Duration::from_millis(20);
/// The same while nothing was read that is to be committed.
const POLL_WAIT_QUIET: Duration = Duration::from_millis(50);
/// The same while something is paused or waits to be handed on: it resumes this soon.
const POLL_WAIT_BUSY: Duration = Duration::from_millis(1);

/// Pause between looks at all partitions, whether or not something was read of them.
const ALL_EVERY: Duration = Duration::from_secs(5);

/// A pause of the thread while room is expected soon.
const STALL: Duration = Duration::from_micros(500);

pub(super) struct Poller {
    consumer: BaseConsumer<PollContext>,
    state: Arc<ConsumerState>,
    assigned: Box<dyn Assigned>,
    limits: PartitionLimits,
    chunk_events_max: usize,
    memory: MemoryBudget,
    intake: IntakeControl,
    /// Events that may be read in this round.
    room_events: usize,
    store: Arc<dyn StorePressure>,
    brake: Arc<ReadThrottle>,
    holds: Arc<TopicHolds>,
    /// Partitions that are held now.
    held: Arc<HashSet<Arc<str>>>,
    /// Time at which partitions are released that could not be.
    release_at: Option<Instant>,
    /// The brake was on in the last round.
    is_braked: bool,
    commit_interval: Duration,
    partitions: Vec<Partition>,
    by_name: SlotsByName,
    /// The partition of the newest message: runs of one partition are the rule.
    last: usize,
    /// Partitions that hold or owe something; of thousands most are quiet, and cost nothing here.
    active: SlotSet,
    /// Partitions that were active since the last look at what may be committed and is shown.
    stirred: SlotSet,
    all_at: Instant,
    commit_at: Instant,
    rejoin: Rejoin,
    reread_at: Instant,
    /// Records that were taken out of the client's queue, ever.
    queue_taken: u64,
    settled: SettlementMetrics,
}

impl Poller {
    pub(super) fn new(
        consumer: BaseConsumer<PollContext>,
        settings: &ConsumerSettings,
        state: Arc<ConsumerState>,
        assigned: Box<dyn Assigned>,
    ) -> Self {
        Poller {
            consumer,
            state,
            assigned,
            limits: settings.limits,
            chunk_events_max: settings.chunk_events_max,
            memory: MemoryBudget::new(settings.memory_bytes_max),
            intake: IntakeControl::new(settings.window, &settings.flow, &settings.store, clock::now()),
            room_events: 0,
            store: Arc::clone(&settings.store),
            brake: Arc::clone(&settings.brake),
            holds: Arc::clone(&settings.holds),
            held: settings.holds.now(),
            release_at: None,
            is_braked: false,
            commit_interval: settings.commit_interval,
            partitions: Vec::new(),
            by_name: SlotsByName::default(),
            last: 0,
            active: SlotSet::default(),
            stirred: SlotSet::default(),
            all_at: clock::now(),
            commit_at: clock::now() + settings.commit_interval,
            rejoin: Rejoin::default(),
            reread_at: clock::now(),
            queue_taken: 0,
            settled: SettlementMetrics::new(),
        }
    }

    /// Until it is told to stop; then commits what is settled and leaves the group.
    pub(super) fn run(mut self) {
        while !self.state.stop.load(Ordering::Acquire) {
            let stalled = self.hold_back(clock::now());
            if stalled {
                std::thread::park_timeout(STALL);
            } else {
                self.poll_burst();
            }
            for slot in self.active.as_slice() {
                self.partitions[*slot].hand_on(clock::now());
            }
            self.follow_holds(clock::now());
            self.carry_out_orders();
            self.reread_failed();
            let now = clock::now();
            self.rejoin.ask(self.consumer.client(), now);
            if now >= self.commit_at {
                self.stir_all_if_due(now);
                self.commit_settled();
                self.publish_metrics(now);
                self.stirred.retain(|slot| self.active.contains(slot));
                self.commit_at = now + self.commit_interval;
            }
            self.state.polled(now);
        }
        self.stirred = SlotSet::all(self.partitions.len());
        self.store_settled();
        // Dropping the consumer leaves the group at once and commits what was stored; `unsubscribe` first would make
        // the others wait for the session timeout. No partition list may be alive here, or the drop hangs.
        drop(self.consumer);
    }

    /// The client's reports tell of ends of partitions that nothing was read of.
    fn stir_all_if_due(&mut self, now: Instant) {
        if self.consumer.context().take_reported() || now >= self.all_at {
            self.all_at = now + ALL_EVERY;
            self.stirred = SlotSet::all(self.partitions.len());
        }
    }

    /// Takes what librdkafka has, until it has nothing more or the housekeeping is due.
    fn poll_burst(&mut self) {
        let mut wait = self.poll_wait();
        let burst = if self.is_braked { POLL_BURST_BRAKED } else { POLL_BURST };
        for _ in 0..burst.min(self.room_events) {
            let polled = self.consumer.poll(wait);
            // Rebalances happen inside of poll, so what came with one belongs to the new assignment.
            let changed = self.consumer.context().take_changed();
            self.queue_taken += u64::from(matches!(polled, Some(Ok(_))));
            let received = match polled {
                None => None,
                Some(Ok(message)) => Some((record_of(&message), self.slot_of(&message, changed))),
                Some(Err(_)) => None, // the context was told, in the client's own words
            };
            if changed {
                return self.adopt_assignment(received);
            }
            let Some((record, Slot::Known(slot))) = received else {
                if received.is_none() {
                    return;
                }
                continue; // revoked while it was on its way: the new owner has it
            };
            self.last = slot;
            let chunk_events_max = self.chunk_events_max;
            let partition = self.receive(slot, record);
            // A full partition is left alone at once: a whole burst beyond its limit would take longer to settle than
            // the stall before a pause.
            if partition.waiting() >= chunk_events_max && (!partition.hand_on(clock::now()) || partition.is_over()) {
                return;
            }
            wait = Duration::ZERO;
        }
    }

    fn poll_wait(&self) -> Duration {
        let is_busy = |slot: &usize| self.partitions[*slot].is_busy();
        match self.stirred.as_slice() {
            [] => POLL_WAIT_QUIET,
            _ if self.active.as_slice().iter().any(is_busy) => POLL_WAIT_BUSY,
            _ => POLL_WAIT,
        }
    }

    fn receive(&mut self, slot: usize, record: Record) -> &mut Partition {
        self.active.insert(slot);
        self.stirred.insert(slot);
        self.intake.received(weight_bytes(record.bytes.len()));
        let partition = &mut self.partitions[slot];
        partition.receive(record);
        partition
    }

    fn start_partition(&self, ledger: Arc<PartitionLedger>) -> Partition {
        self.hold_new(&ledger);
        let ingest = self.assigned.start_ingest(Arc::clone(&ledger));
        Partition::new(ledger, ingest, self.limits)
    }

    /// Follows what the rebalance callbacks did, then takes the message that came with them.
    fn adopt_assignment(&mut self, received: Option<(Record, Slot)>) {
        let now = clock::now();
        self.rejoin.round_ended(now);
        self.state.membership.round_ended(now);
        let ledgers = self.consumer.context().ledgers();
        let mut kept: HashMap<(Arc<str>, i32), Partition> =
            self.partitions.drain(..).map(|partition| (name_of(&partition.ledger), partition)).collect();
        for ledger in ledgers {
            let partition = match kept.remove(&name_of(&ledger)) {
                Some(mut partition) if Arc::ptr_eq(&partition.ledger, &ledger) => {
                    // Its client pauses all partitions for a rebalance, and throws away what waited.
                    partition.disturbed();
                    partition
                }
                _ => self.start_partition(ledger),
            };
            self.partitions.push(partition);
        }
        self.by_name = SlotsByName::of(self.partitions.iter().map(|partition| name_of(&partition.ledger)));
        self.last = 0;
        // Everything counts as active once; what has nothing to do drops out in the next round.
        self.active = SlotSet::all(self.partitions.len());
        self.stirred = SlotSet::all(self.partitions.len());
        self.publish_assigned();
        if let Some((record, Slot::Named(topic, number))) = received
            && let Some(slot) = self.by_name.get(&topic, number)
        {
            self.receive(slot, record);
        }
    }

    /// The partition that a message belongs to; by name when the assignment has just changed.
    fn slot_of(&self, message: &BorrowedMessage<'_>, changed: bool) -> Slot {
        let (topic, number) = (message.topic(), message.partition());
        if changed {
            return Slot::Named(Arc::from(topic), number);
        }
        if let Some(partition) = self.partitions.get(self.last)
            && partition.ledger.partition() == number
            && partition.ledger.topic() == topic
        {
            return Slot::Known(self.last);
        }
        self.by_name.get(topic, number).map_or(Slot::Unknown, Slot::Known)
    }

    fn publish_assigned(&self) {
        let ledgers: Vec<_> = self.partitions.iter().map(|partition| Arc::clone(&partition.ledger)).collect();
        self.consumer.context().metrics.partitions_assigned.set(ledgers.len() as f64);
        self.state.assigned.store(Arc::new(ledgers));
    }
}

enum Slot {
    Known(usize),
    Named(Arc<str>, i32),
    /// Not ours any more.
    Unknown,
}

fn name_of(ledger: &PartitionLedger) -> (Arc<str>, i32) {
    (ledger.topic_name(), ledger.partition())
}

/// A header's name and value.
type HeaderPair<'a> = (&'a str, Option<&'a [u8]>);

/// Copies a message out of librdkafka's fetch buffer, which it would pin as a whole.
pub(crate) fn record_of(message: &BorrowedMessage<'_>) -> Record {
    let parts = RecordParts {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key(),
        value: message.payload(),
    };
    let mut headers: SmallVec<[HeaderPair<'_>; 8]> = SmallVec::new();
    if let Some(all) = message.headers() {
        // rdkafka panics on a header whose name is not UTF-8. No configured place can have such a name, so it is left out.
        let read = |index| catch_unwind(AssertUnwindSafe(|| all.get(index))).ok();
        headers.extend((0..all.count()).filter_map(read).map(|header| (header.key, header.value)));
    }
    Record::copy_from(parts, headers.iter().copied())
}

fn warn_on_error(what: &str, result: Result<(), KafkaError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "partitions could not be {what}d; it is tried again");
    }
}
