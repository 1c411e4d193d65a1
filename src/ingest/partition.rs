//! ● The poll thread's side of one assigned partition: the chunk being filled, the gate, and what was stored last.

mod tail; // the end of a log that no event stands at

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Addr, dev::SendError};

pub use self::tail::QueuePosition;
use self::tail::{FetchedTail, RecordsRead};
use super::{
    actor::{Chunk, IngestActor},
    backpressure::{Decision, PartitionGate, PartitionLimits, PartitionLoad},
    ledger::PartitionLedger,
    offsets::{SPAN_MAX, TrackError},
};
use crate::{
    clock,
    model::{
        event::{Record, weight_bytes},
        pause::PauseReason,
        receipt::Settlement,
    },
    telemetry::handles::{PartitionMetrics, SettlementMetrics},
};

/// A short wait for room costs less than a pause, which makes librdkafka throw away what it has fetched already.
const STALL_MAX: Duration = Duration::from_millis(20);

/// Measures how long a partition takes to be delivered again, where something waited in it.
#[derive(Debug, Clone, Copy)]
enum Restore {
    /// Nothing was read since.
    Assigned {
        at: Instant,
        at_ms: i64,
    },
    /// Something that was written before was read, and nothing has settled yet.
    Waiting {
        since: Instant,
    },
    Over,
}

/// Position from which a partition is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reread {
    From(i64),
    /// The log's beginning: nothing was read of it, and where it begins is not known.
    Beginning,
}

impl Reread {
    /// The offset, where it is known.
    #[must_use]
    pub fn offset(self) -> Option<i64> {
        match self {
            Reread::From(offset) => Some(offset),
            Reread::Beginning => None,
        }
    }
}

/// Orders to the poll thread about a partition's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Take nothing from Kafka for a moment: room is expected soon.
    Stall,
    Pause(PauseReason),
    Resume,
}

pub struct Partition {
    pub ledger: Arc<PartitionLedger>,
    ingest: Addr<IngestActor>,
    chunk: Vec<Record>,
    /// Number of the chunk's records that the ledger knows already (a hand-over that found no room is tried again).
    tracked: usize,
    /// The ledger has no room for the next record's offset yet.
    refused: bool,
    gate: PartitionGate,
    limits: PartitionLimits,
    full_since: Option<Instant>,
    /// Events read since the brake was last put on.
    read_on_brake: u64,
    stored: Option<i64>,
    /// Records read, ever.
    read: u64,
    tail: FetchedTail,
    /// The log was cut or recreated: read on from here, with a new ledger.
    restart_at: Option<i64>,
    metrics: PartitionMetrics,
    restore: Restore,
    /// Settlements of the ledger that the metrics have already.
    shown: [u64; Settlement::ALL.len()],
}

impl Partition {
    #[must_use]
    pub fn new(ledger: Arc<PartitionLedger>, ingest: Addr<IngestActor>, limits: PartitionLimits) -> Self {
        let metrics = PartitionMetrics::new(ledger.topic(), ledger.partition());
        Partition {
            ledger,
            ingest,
            chunk: Vec::new(),
            tracked: 0,
            refused: false,
            gate: PartitionGate::new(limits),
            limits,
            full_since: None,
            read_on_brake: 0,
            stored: None,
            read: 0,
            tail: FetchedTail::default(),
            restart_at: None,
            metrics,
            restore: Restore::Assigned { at: clock::now(), at_ms: clock::wall_ms() },
            shown: Default::default(),
        }
    }

    /// Takes a record.
    pub fn receive(&mut self, record: Record) {
        if self.ledger.takes_nothing() {
            return;
        }
        self.read += 1;
        if let Restore::Assigned { at, at_ms } = self.restore {
            let was_waiting = record.timestamp_ms < at_ms;
            self.restore = if was_waiting { Restore::Waiting { since: at } } else { Restore::Over };
        }
        self.read_on_brake += 1;
        self.chunk.push(record);
    }

    #[must_use]
    pub fn waiting(&self) -> usize {
        self.chunk.len()
    }

    /// Gives the chunk to the ingest actor; false when it has no room, and the chunk waits here.
    pub fn hand_on(&mut self, now: Instant) -> bool {
        if self.chunk.is_empty() {
            return true;
        }
        if self.restart_at.is_some() || self.ledger.has_failed() {
            return false; // it is read again in a moment
        }
        if !self.track(now) && self.tracked == 0 {
            return false;
        }
        // What the ledger refused (its span is full) stays; the rest must go, or nothing could ever settle.
        let rest = self.chunk.split_off(self.tracked);
        let chunk = Chunk { records: std::mem::replace(&mut self.chunk, rest), received_at: now };
        match self.ingest.try_send(chunk) {
            Ok(()) => {
                self.tracked = 0;
                self.chunk.is_empty()
            }
            Err(SendError::Full(mut chunk)) => {
                chunk.records.append(&mut self.chunk);
                self.chunk = chunk.records;
                false
            }
            Err(SendError::Closed(_)) => {
                self.tracked = 0;
                self.ledger.fail();
                false
            }
        }
    }

    /// Tells the ledger of every record before anyone else sees it.
    fn track(&mut self, now: Instant) -> bool {
        let new = &self.chunk[self.tracked..];
        if new.is_empty() {
            return true;
        }
        let offsets: Vec<i64> = new.iter().map(|record| record.offset).collect();
        let bytes: usize = new.iter().map(|record| weight_bytes(record.bytes.len())).sum();
        match self.ledger.track_chunk(&offsets, now) {
            Ok(()) => {
                self.refused = false;
                self.ledger.received(new.len() as u64, bytes as u64);
                self.metrics.consumed(new.len(), bytes);
                self.tracked = self.chunk.len();
                true
            }
            Err(refused) => {
                match refused.error {
                    // Room comes as the oldest events settle; the gate holds the partition until then.
                    TrackError::SpanFull { .. } => {
                        self.refused = true;
                        self.count_tracked(refused.tracked);
                    }
                    TrackError::Backwards { offset, .. } => self.restart_at = Some(offset),
                }
                false
            }
        }
    }

    fn count_tracked(&mut self, tracked: usize) {
        let new = &self.chunk[self.tracked..self.tracked + tracked];
        let bytes: usize = new.iter().map(|record| weight_bytes(record.bytes.len())).sum();
        self.ledger.received(tracked as u64, bytes as u64);
        self.metrics.consumed(tracked, bytes);
        self.tracked += tracked;
    }

    /// The brake was put on.
    pub fn count_from_here(&mut self) {
        self.read_on_brake = 0;
    }

    /// Decides by the partition's load. `beyond` is a reason to pause that all partitions share; `brake` is how many
    /// events it may read since the brake was put on.
    pub fn hold_back(&mut self, beyond: Option<PauseReason>, brake: Option<u64>, now: Instant) -> Option<Move> {
        let (events, bytes) = self.ledger.outstanding();
        if let Restore::Waiting { since } = self.restore
            && events < self.ledger.received_events()
        {
            self.restore = Restore::Over;
            self.metrics.restored(now.saturating_duration_since(since));
        }
        // The span costs a lock, so it is read only where it can matter: it cannot be full while nothing is owed.
        let span = match (self.refused, events) {
            (true, _) => SPAN_MAX,
            (false, 0) => 0,
            (false, _) => self.ledger.span(),
        };
        let load = PartitionLoad { events, bytes, span };
        let braked = brake.is_some_and(|events_max| self.read_on_brake >= events_max);
        let beyond = beyond.or(braked.then_some(PauseReason::LocalOutage));
        if self.gate.paused().is_none() && beyond.is_none() && self.is_full(load) {
            let since = *self.full_since.get_or_insert(now);
            if now.duration_since(since) < STALL_MAX {
                return Some(Move::Stall);
            }
        } else {
            self.full_since = None;
        }
        let decision = self.gate.decide(load, beyond)?;
        self.tail.disturbed();
        self.ledger.show_paused(self.gate.paused());
        match decision {
            Decision::Pause(reason) => Some(Move::Pause(reason)),
            Decision::Resume => Some(Move::Resume),
        }
    }

    fn is_full(&self, load: PartitionLoad) -> bool {
        load.events >= self.limits.events_max
            || load.bytes >= self.limits.bytes_max
            || load.span >= self.limits.span_max
    }

    /// Owes as many events or bytes as it may.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let (events, bytes) = self.ledger.outstanding();
        events >= self.limits.events_max || bytes >= self.limits.bytes_max
    }

    /// Holds or owes something.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.is_busy() || self.ledger.outstanding().0 > 0
    }

    /// Needs a look again soon: paused, or records wait for room.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.gate.paused().is_some() || !self.chunk.is_empty()
    }

    #[must_use]
    pub fn paused(&self) -> Option<PauseReason> {
        self.gate.paused()
    }

    /// Tells the metrics what changed, and returns the events and bytes outstanding.
    pub fn publish_metrics(&mut self, settled: &SettlementMetrics, now: Instant) -> (u64, u64) {
        let ledger = self.ledger.snapshot(now);
        for how in Settlement::ALL {
            let new = ledger.settled[how as usize] - self.shown[how as usize];
            if new > 0 {
                settled.settled(how, new as usize);
            }
        }
        self.shown = ledger.settled;
        self.metrics.uncommitted_age(ledger.uncommitted_age);
        if let Some(lag) = self.ledger.lag() {
            self.metrics.lag(lag);
        }
        (ledger.outstanding_events, ledger.outstanding_bytes)
    }

    /// Records that waited in the client's queue may have been thrown away, to be fetched again.
    pub fn disturbed(&mut self) {
        self.tail.disturbed();
    }

    /// The settled prefix, if it moved since it was last asked for.
    pub fn newly_committable(&mut self, queue: QueuePosition) -> Option<i64> {
        let read = RecordsRead { records: self.read, queue };
        if let Some(to) = self.tail.observe(self.ledger.fetched(), read, self.is_idle()) {
            self.ledger.skip_to(to);
        }
        if self.ledger.takes_nothing() {
            self.tail.disturbed();
        }
        let committable = self.ledger.committable()?;
        let moved = self.stored.is_none_or(|stored| stored < committable);
        moved.then(|| {
            self.stored = Some(committable);
            committable
        })
    }

    /// Nothing is owed, no record waits, and none that comes would be passed over.
    fn is_idle(&self) -> bool {
        let owes = !self.chunk.is_empty() || self.ledger.outstanding().0 > 0;
        !owes && self.gate.paused().is_none() && !self.ledger.takes_nothing()
    }

    /// The log was cut: it was read up to here, and goes on below.
    #[must_use]
    pub fn was_cut_at(&self) -> Option<i64> {
        self.restart_at.and_then(|_| self.ledger.next_offset())
    }

    /// Offers again an offset that could not be stored.
    pub fn not_stored(&mut self) {
        self.stored = None;
    }

    /// The position from which the partition must be read again, when something behind the poll thread lost its events or
    /// the log was cut.
    #[must_use]
    pub fn must_reread_from(&self) -> Option<Reread> {
        match (self.restart_at, self.ledger.has_failed()) {
            (None, false) => None,
            (Some(cut), _) => Some(Reread::From(self.ledger.goes_on_below(cut))),
            // Another instance's by now. And nothing is taken before the beginning is known, and it is sought then.
            (None, true) if !self.ledger.is_current() || self.ledger.held().is_some() => None,
            // Nothing may have been read of it yet.
            (None, true) => Some(self.ledger.unsettled_from().map_or(Reread::Beginning, Reread::From)),
        }
    }
}

#[cfg(test)]
mod tests;
