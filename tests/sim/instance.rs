//! One process of the simulation: what `serve` is made of, without its threads, actors and sockets.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use postrider::{
    dead_letter::letter::NO_ENDPOINT,
    ingest::{
        backpressure::{Decision, MemoryBudget, PartitionGate, PartitionLimits, PartitionLoad},
        decode::{Decoder, FieldSource, FieldSources},
        ledger::PartitionLedger,
    },
    model::{
        disposition::{GivenUp, Reason},
        event::{EndpointKey, Event, Record, weight_bytes},
        pause::PauseReason,
        receipt::{ABANDONS_MAX, Abandoned, Done, Receipt, Settlement},
        record::RecordParts,
        source::EventSource,
    },
    router::{
        index::{IndexWriter, Matches, SubscriptionChange},
        subscription::Subscription,
    },
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    audit::Audit,
    endpoint::{ENDPOINTS, Machine},
    kafka::{Kafka, LogRecord},
    store::Lane,
};

pub const CHUNK_MAX: usize = 24;
pub const EVENTS_MAX: u64 = 200;
const MEMORY_MAX: u64 = 120_000;
/// A record of the simulation weighs less.
const WEIGHT_MAX: u64 = 400;
pub struct Instance {
    /// Grows with every start; what was meant for the process before does not reach this one.
    pub incarnation: u64,
    pub is_running: bool,
    /// A graceful stop has begun: nothing more is read.
    pub is_stopping: bool,
    pub assigned: BTreeMap<usize, Assigned>,
    pub machines: Vec<Machine>,
    pub lane: Lane,
    memory: MemoryBudget,
    decoder: Decoder,
    index: IndexWriter,
    subscriptions: BTreeMap<String, Subscription>,
    pub changes_seen: usize,
    abandoned: (UnboundedSender<Abandoned>, UnboundedReceiver<Abandoned>),
}

pub struct Assigned {
    pub ledger: Arc<PartitionLedger>,
    pub generation: u64,
    pub committed: i64,
    position: i64,
    gate: PartitionGate,
    /// The endpoints that each event matched, until it is committed.
    pub routed: BTreeMap<i64, Vec<u32>>,
}

impl Instance {
    /// One that does not run yet, or no more.
    pub fn new(incarnation: u64) -> Self {
        let tenant = FieldSource::parse("header:tenant").expect("a place");
        let department = FieldSource::parse("header:department").expect("a place");
        Instance {
            incarnation,
            is_running: false,
            is_stopping: false,
            assigned: BTreeMap::new(),
            machines: Vec::new(),
            lane: Lane::default(),
            memory: MemoryBudget::new(MEMORY_MAX),
            decoder: Decoder::new(&FieldSources { tenant, department, ..FieldSources::default() }),
            index: IndexWriter::default(),
            subscriptions: BTreeMap::new(),
            changes_seen: 0,
            abandoned: unbounded_channel(),
        }
    }

    pub fn start(&mut self, now: Instant) {
        let incarnation = self.incarnation + 1;
        let machines = (0..ENDPOINTS).map(|endpoint| Machine::new(endpoint, incarnation << 20, now)).collect();
        *self = Instance { is_running: true, machines, ..Instance::new(incarnation) };
    }

    pub fn see_changes(&mut self, changes: &[SubscriptionChange]) {
        let new = &changes[self.changes_seen..];
        self.changes_seen = changes.len();
        for change in new {
            match change.clone() {
                SubscriptionChange::Put(subscription) => {
                    drop(self.subscriptions.insert(subscription.id.clone(), subscription))
                }
                SubscriptionChange::Remove { id } => drop(self.subscriptions.remove(&id)),
            }
        }
        self.index.apply(new.iter().cloned());
    }

    pub fn assign(&mut self, number: usize, topic: &str, (generation, start): (u64, i64), audit: &mut Audit) {
        let ledger = Arc::new(PartitionLedger::new(
            topic.into(),
            i32::try_from(number).expect("few"),
            generation,
            Some(start),
            self.abandoned.0.clone(),
        ));
        audit.opened(&ledger);
        let limits = PartitionLimits::new(EVENTS_MAX, u64::MAX);
        let assigned = Assigned {
            ledger,
            generation,
            committed: start,
            position: start,
            gate: PartitionGate::new(limits),
            routed: BTreeMap::new(),
        };
        self.assigned.insert(number, assigned);
    }

    /// Reads a chunk of each partition that is not paused.
    pub fn poll(&mut self, kafka: &Kafka, now: Instant, audit: &mut Audit) {
        let outstanding: u64 = self.assigned.values().map(|assigned| assigned.ledger.outstanding().1).sum();
        let slack = self.assigned.len() as u64 * CHUNK_MAX as u64 * WEIGHT_MAX;
        assert!(outstanding <= MEMORY_MAX + slack, "I5: {outstanding} bytes are outstanding");
        let memory_full = self.memory.decide(outstanding);
        for number in self.assigned.keys().copied().collect::<Vec<_>>() {
            self.poll_partition(number, kafka, memory_full, now, audit);
        }
        self.take_up_abandoned(now, audit);
    }

    fn poll_partition(&mut self, number: usize, kafka: &Kafka, memory_full: bool, now: Instant, audit: &mut Audit) {
        let assigned = self.assigned.get_mut(&number).expect("assigned");
        let (events, bytes) = assigned.ledger.outstanding();
        assert!(events <= EVENTS_MAX + CHUNK_MAX as u64, "I5: {events} events of a partition are outstanding");
        let load = PartitionLoad { events, bytes, span: assigned.ledger.span() };
        let decision = assigned.gate.decide(load, memory_full.then_some(PauseReason::Memory));
        audit.totals.pauses += u64::from(matches!(decision, Some(Decision::Pause(_))));
        if assigned.gate.paused().is_some() {
            return;
        }
        let chunk = kafka.fetch(number, assigned.position, CHUNK_MAX);
        let offsets: Vec<_> = chunk.iter().map(|record| record.offset).collect();
        let tracked = match assigned.ledger.track_chunk(&offsets, now) {
            Ok(()) => offsets.len(),
            Err(refused) => {
                audit.totals.full_spans += 1;
                refused.tracked
            }
        };
        assigned.position = offsets[..tracked].last().map_or(assigned.position, |last| last + 1);
        let records: Vec<_> = chunk[..tracked].iter().map(copied).collect();
        let bytes = records.iter().map(|record| weight_bytes(record.bytes.len()) as u64).sum();
        assigned.ledger.received(records.len() as u64, bytes);
        self.route(number, records, now, audit);
    }

    /// Decodes, matches, and hands the receipts to the endpoints' machines.
    fn route(&mut self, number: usize, records: Vec<Record>, now: Instant, audit: &mut Audit) {
        let assigned = self.assigned.get_mut(&number).expect("assigned");
        let snapshot = self.index.snapshot();
        let topic = snapshot.topic(assigned.ledger.topic());
        let mut of_endpoints: BTreeMap<u32, Vec<Receipt>> = BTreeMap::new();
        let mut matches = Matches::new();
        for record in records {
            let decoded = self.decoder.decode(&record);
            let is_broken = decoded.is_err();
            let source = Arc::clone(&assigned.ledger) as Arc<dyn EventSource>;
            let event = Arc::new(Event::new(source, record, decoded.unwrap_or_default(), now));
            matches.clear();
            if is_broken {
                matches.push(NO_ENDPOINT);
            } else if let Some(topic) = topic {
                topic.matches(event.tenant(), event.department(), &mut matches);
            }
            if !is_broken {
                assert_eq!(
                    matches.to_vec(),
                    expected(&self.subscriptions, &event),
                    "the index agrees with a plain look"
                );
            }
            assigned.routed.insert(event.offset(), matches.iter().map(|key| key.0).collect());
            if matches.is_empty() {
                let done = Done { offset: event.offset(), weight_bytes: event.weight_bytes() };
                event.source.settled(Settlement::Cancelled, 0, &[done]);
            }
            event.open_receipts(&matches, |key, receipt| of_endpoints.entry(key.0).or_default().push(receipt));
        }
        for (endpoint, receipts) in of_endpoints {
            match self.machines.get_mut(endpoint as usize) {
                Some(machine) => machine.delivery.handle_events(receipts, now),
                None => {
                    self.lane.give_up(receipts.into_iter().map(|r| given_up(r, Reason::Undecodable)).collect(), audit)
                }
            }
        }
    }

    fn take_up_abandoned(&mut self, now: Instant, audit: &mut Audit) {
        while let Ok(abandoned) = self.abandoned.1.try_recv() {
            audit.totals.abandoned += 1;
            let is_last = abandoned.abandons >= ABANDONS_MAX;
            let receipt = abandoned.into_receipt();
            if is_last {
                self.lane.give_up(vec![given_up(receipt, Reason::Internal)], audit);
            } else {
                let endpoint = receipt.endpoint().0 as usize;
                self.machines[endpoint].delivery.handle_events(vec![receipt], now);
            }
        }
    }

    /// A panic in an endpoint actor: everything it held is dropped, and it is rebuilt from its settings.
    pub fn rebuild(&mut self, endpoint: u32, now: Instant) {
        let machine = &mut self.machines[endpoint as usize];
        *machine = Machine::new(endpoint, machine.version + 1, now);
    }

    /// Commits what may be committed; false when the partition belongs to another one by now.
    pub fn commit(&mut self, number: usize, kafka: &mut Kafka, audit: &mut Audit) -> bool {
        let Some(assigned) = self.assigned.get_mut(&number) else { return true };
        let Some(committable) = assigned.ledger.committable() else { return true };
        // Whoever commits for an assignment that is over must be refused.
        if kafka.partitions[number].generation != assigned.generation {
            audit.totals.fenced_commits += 1;
            assert!(!kafka.commit(number, assigned.generation, committable));
            return false;
        }
        let log = kafka.between(number, assigned.committed, committable);
        audit.committing(number, (assigned.committed, committable), log, &mut assigned.routed);
        assigned.committed = committable;
        kafka.commit(number, assigned.generation, committable)
    }

    pub fn revoke(&mut self, number: usize, now: Instant, audit: &mut Audit) -> Option<u64> {
        let assigned = self.assigned.remove(&number)?;
        audit.revoked(&assigned.ledger, now);
        Some(assigned.generation)
    }
}

fn given_up(receipt: Receipt, reason: Reason) -> GivenUp {
    GivenUp { receipt, reason, attempts: 0, last: None }
}

fn copied(record: &LogRecord) -> Record {
    let tenant = if record.is_broken { Some(&b"\xff"[..]) } else { record.tenant.map(str::as_bytes) };
    let headers = [("tenant", tenant), ("department", record.department.map(str::as_bytes))];
    let parts = RecordParts { offset: record.offset, timestamp_ms: 0, key: None, value: Some(b"{}") };
    Record::copy_from(parts, headers.into_iter())
}

fn expected(subscriptions: &BTreeMap<String, Subscription>, event: &Event) -> Vec<EndpointKey> {
    let of_topic = subscriptions.values().filter(|subscription| subscription.topic == event.topic());
    let mut endpoints: Vec<_> =
        of_topic.filter(|s| s.scope.covers(event.tenant(), event.department())).map(|s| s.endpoint).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    endpoints
}
