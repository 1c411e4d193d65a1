//! The events that truly happened, and the checks: the audit sees receivers, store and commits from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use postrider::{
    ingest::ledger::{LedgerSnapshot, PartitionLedger},
    model::{
        event::Event,
        receipt::{Receipt, Settlement},
    },
};

use crate::kafka::LogRecord;

/// An event on its way to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub partition: usize,
    pub offset: i64,
    pub endpoint: u32,
}

impl Key {
    pub fn of(event: &Event, endpoint: u32) -> Key {
        Key { partition: usize::try_from(event.partition()).expect("positive"), offset: event.offset(), endpoint }
    }

    pub fn of_receipt(receipt: &Receipt) -> Key {
        Key::of(receipt.event(), receipt.endpoint().0)
    }

    /// A third of the endpoints refuse some events.
    pub fn is_poison(&self) -> bool {
        self.endpoint.is_multiple_of(3) && self.offset % 53 == 7
    }
}

/// What was met with in a run; added up over several.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub produced: u64,
    pub delivered: u64,
    pub duplicates: u64,
    pub parked: u64,
    pub unparked: u64,
    pub dead_lettered: u64,
    pub abandoned: u64,
    pub internal: u64,
    pub stale_settles: u64,
    pub fenced_commits: u64,
    pub crashes: u64,
    pub stops: u64,
    pub pauses: u64,
    pub full_spans: u64,
    pub rereads: u64,
}

impl Totals {
    fn all(&mut self) -> [&mut u64; 15] {
        let Totals { produced, delivered, duplicates, parked, unparked, dead_lettered, abandoned, internal, .. } = self;
        let Totals { stale_settles, fenced_commits, crashes, stops, pauses, full_spans, rereads, .. } = self;
        [
            produced,
            delivered,
            duplicates,
            parked,
            unparked,
            dead_lettered,
            abandoned,
            internal,
            stale_settles,
            fenced_commits,
            crashes,
            stops,
            pauses,
            full_spans,
            rereads,
        ]
    }

    /// A simulation in which something never happens checks less than it says.
    pub fn saw_everything(mut self) -> bool {
        self.all().into_iter().all(|count| *count > 0)
    }
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, mut other: Totals) {
        self.all().into_iter().zip(other.all()).for_each(|(sum, count)| *sum += *count);
    }
}

#[derive(Default)]
pub struct Audit {
    pub totals: Totals,
    accepted: BTreeSet<Key>,
    stored: BTreeSet<Key>,
    /// By assignment (the ledger's address; `ledgers` keeps it from being used again).
    settled: BTreeSet<(usize, Key)>,
    ledgers: Vec<Arc<PartitionLedger>>,
    revoked: Vec<(Arc<PartitionLedger>, LedgerSnapshot)>,
}

impl Audit {
    pub fn opened(&mut self, ledger: &Arc<PartitionLedger>) {
        self.ledgers.push(Arc::clone(ledger));
    }

    /// A receiver has it.
    pub fn accepted(&mut self, key: Key) {
        self.totals.delivered += 1;
        self.totals.duplicates += u64::from(!self.accepted.insert(key));
    }

    /// The store has it, after a COMMIT.
    pub fn stored(&mut self, key: Key) {
        self.stored.insert(key);
    }

    pub fn unstored(&mut self, key: Key) {
        assert!(self.accepted.contains(&key), "{key:?} left the backlog without having been delivered");
        self.totals.unparked += u64::from(self.stored.remove(&key));
    }

    /// I4, and that nobody settles what has not come to that end.
    pub fn settling(&mut self, receipts: &[Receipt], how: Settlement) {
        for receipt in receipts {
            let key = Key::of_receipt(receipt);
            let ledger = Arc::as_ptr(&receipt.event().source).addr();
            assert!(self.settled.insert((ledger, key)), "I4: {key:?} settled twice");
            let has_ended = match how {
                Settlement::Delivered => self.accepted.contains(&key),
                Settlement::Backlogged | Settlement::DeadLettered => self.has_ended(key),
                Settlement::Cancelled => true,
                Settlement::Skipped => false,
            };
            assert!(has_ended, "{key:?} settled as {how:?} and is not");
        }
    }

    /// I1 and I2. `routed` says which endpoints each event matched, and loses what is committed.
    pub fn committing(
        &mut self,
        partition: usize,
        (from, to): (i64, i64),
        log: &[LogRecord],
        routed: &mut BTreeMap<i64, Vec<u32>>,
    ) {
        assert!(from <= to, "I2: partition {partition} was committed to {from}, and now to {to}");
        for LogRecord { offset, .. } in log {
            let endpoints = routed.remove(offset);
            let endpoints =
                endpoints.unwrap_or_else(|| panic!("I1: {partition}/{offset} is committed but was never routed"));
            for endpoint in endpoints {
                let key = Key { partition, offset: *offset, endpoint };
                assert!(self.has_ended(key), "I1: {key:?} is committed and has not ended");
            }
        }
    }

    pub fn revoked(&mut self, ledger: &Arc<PartitionLedger>, now: Instant) {
        ledger.revoke();
        self.revoked.push((Arc::clone(ledger), ledger.snapshot(now)));
    }

    /// I3: nothing moved after the revoke.
    pub fn close(&mut self, now: Instant) {
        for (ledger, at_revoke) in &self.revoked {
            let now = ledger.snapshot(now);
            self.totals.stale_settles += now.stale_settles - at_revoke.stale_settles;
            assert_eq!((now.committable, ledger.is_current()), (None, false), "I3");
            assert_eq!(now.settled, at_revoke.settled, "I3: a stale settle was counted");
            assert_eq!(
                (now.outstanding_events, now.outstanding_bytes, now.span),
                (at_revoke.outstanding_events, at_revoke.outstanding_bytes, at_revoke.span),
                "I3: a stale settle moved something"
            );
        }
    }

    fn has_ended(&self, key: Key) -> bool {
        self.accepted.contains(&key) || self.stored.contains(&key)
    }
}
