//! Costs of the backlog's heads in a large fleet: a note of one, another look at a sixteenth of all partitions, and a turn in
//! which nothing may be read. A note and a look must not cost more for each head when there are ten times as many.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput};
use postrider::{
    backlog::{
        head::{BacklogHead, HeadEvents},
        page_read::{EndpointReadiness, MemoryLimits},
        shared_scheduler::HeadScheduler,
    },
    clock,
    ingest::ledger::PartitionLedger,
    model::receipt::{Abandoned, Settlement},
    store::backlog::{HeadRow, RowKey},
};
use tokio::sync::mpsc::unbounded_channel;

pub(super) fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("heads_of_2000_partitions");
    for endpoints in [10, 100] {
        let mut fleet = Fleet::new(endpoints);
        let of_id = |what: &str| BenchmarkId::new(what, endpoints);
        group.throughput(Throughput::Elements(1));
        group.bench_function(of_id("note"), |b| b.iter(|| fleet.note()));
        group.throughput(Throughput::Elements((LOOKED_AT * endpoints) as u64));
        group.bench_function(of_id("look_at_125"), |b| b.iter(|| fleet.look()));
        group.throughput(Throughput::Elements(endpoints as u64));
        group.bench_function(of_id("turn_for_nothing"), |b| b.iter(|| fleet.turn()));
    }
    group.finish();
}

/// Each of the endpoints has rows in each partition.
struct Fleet {
    scheduler: HeadScheduler,
    ledgers: Vec<Arc<PartitionLedger>>,
    events: Arc<dyn HeadEvents>,
    looked_at: Vec<HeadRow>,
    now: Instant,
}

impl Fleet {
    fn new(endpoints: usize) -> Self {
        let ledger = |partition| {
            let (abandoned, _) = unbounded_channel();
            Arc::new(PartitionLedger::new("orders".into(), partition, 1, None, abandoned))
        };
        let ledgers: Vec<Arc<PartitionLedger>> = (0..PARTITIONS).map(ledger).collect();
        let mut scheduler = HeadScheduler::new(MemoryLimits {
            endpoint_bytes_max: 1 << 20,
            bytes_max: 64 << 20,
            page_rows_max: 500,
            rest: Duration::from_secs(1),
        });
        scheduler.assign(&ledgers);
        let rows = |partition| (0..endpoints).map(move |endpoint| row(partition, endpoint));
        let events: Arc<dyn HeadEvents> = Arc::new(Nothing);
        (0..PARTITIONS).flat_map(rows).for_each(|row| scheduler.record(&row, &events));
        let looked_at = (0..LOOKED_AT as i32).flat_map(rows).collect();
        Fleet { scheduler, ledgers, events, looked_at, now: clock::now() }
    }

    fn note(&mut self) {
        self.scheduler.record(&self.looked_at[0], &self.events);
    }

    fn look(&mut self) {
        let notes = self.scheduler.notes();
        self.looked_at.iter().for_each(|row| self.scheduler.record(row, &self.events));
        self.scheduler.forget_gone(&self.ledgers[..LOOKED_AT], &self.looked_at, notes);
    }

    fn turn(&mut self) {
        assert!(self.scheduler.next(self.now, |_| EndpointReadiness::Waits).is_none());
    }
}

fn row(partition: i32, endpoint: usize) -> HeadRow {
    let (topic, endpoint_id) = ("orders".to_owned(), format!("ep_{endpoint}"));
    HeadRow { topic, partition, endpoint_id, events: 10, bytes: 5_000, oldest_ms: 1_700_000_000_000 }
}

/// Hears of nothing: no row is in memory.
struct Nothing;

impl HeadEvents for Nothing {
    fn take_out(&self, _: Arc<BacklogHead>, _: Vec<RowKey>) {}
    fn released(&self) {}
    fn left(&self, _: Settlement, _: usize) {}
    fn abandoned(&self, _: &Arc<str>, _: Abandoned) {}
}

const PARTITIONS: i32 = 2_000;
const LOOKED_AT: usize = 125;
