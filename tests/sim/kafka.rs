//! A Kafka of the simulation: logs with gaps, and a group that fences whoever commits for an assignment that is over.

use rand::{Rng, rngs::SmallRng};

pub const TOPICS: [&str; 3] = ["orders", "invoices", "shipments"];
pub const PARTITIONS: usize = 6;
pub const TENANTS: [&str; 6] = ["1", "2", "3", "4", "5", "a tenant with a long name"];
pub const DEPARTMENTS: [&str; 4] = ["100", "200", "300", "400"];

#[derive(Clone, Debug)]
pub struct LogRecord {
    pub offset: i64,
    pub tenant: Option<&'static str>,
    pub department: Option<&'static str>,
    /// Its tenant is not UTF-8.
    pub is_broken: bool,
}

pub struct Partition {
    pub topic: &'static str,
    pub log: Vec<LogRecord>,
    next: i64,
    pub committed: i64,
    pub owner: Option<usize>,
    /// Grows with every assignment.
    pub generation: u64,
}

pub struct Kafka {
    pub partitions: Vec<Partition>,
}

impl Kafka {
    pub fn new() -> Self {
        let partition = |number| Partition {
            topic: TOPICS[number % TOPICS.len()],
            log: Vec::new(),
            next: 0,
            committed: 0,
            owner: None,
            generation: 0,
        };
        Kafka { partitions: (0..PARTITIONS).map(partition).collect() }
    }

    /// Half of all events belong to one partition.
    pub fn produce(&mut self, rng: &mut SmallRng) {
        let number = if rng.random_bool(0.4) { 0 } else { rng.random_range(0..PARTITIONS) };
        let partition = &mut self.partitions[number];
        partition.next += match rng.random_range(0..2_000) {
            0..60 => rng.random_range(1..90),
            60 => 700_000,
            _ => 0,
        };
        let record = LogRecord {
            offset: partition.next,
            tenant: rng.random_bool(0.9).then(|| TENANTS[rng.random_range(0..TENANTS.len())]),
            department: rng.random_bool(0.6).then(|| DEPARTMENTS[rng.random_range(0..DEPARTMENTS.len())]),
            is_broken: rng.random_bool(0.005),
        };
        partition.log.push(record);
        partition.next += 1;
    }

    pub fn fetch(&self, number: usize, from: i64, max: usize) -> &[LogRecord] {
        let log = &self.partitions[number].log;
        let start = log.partition_point(|record| record.offset < from);
        &log[start..log.len().min(start + max)]
    }

    /// The records between two offsets, the second not counted.
    pub fn between(&self, number: usize, from: i64, to: i64) -> &[LogRecord] {
        let records = self.fetch(number, from, usize::MAX >> 1);
        &records[..records.partition_point(|record| record.offset < to)]
    }

    /// False when the assignment is over.
    pub fn commit(&mut self, number: usize, generation: u64, offset: i64) -> bool {
        let partition = &mut self.partitions[number];
        if partition.generation != generation {
            return false;
        }
        partition.committed = offset;
        true
    }

    /// The new generation, and where it begins to read.
    pub fn assign(&mut self, number: usize, instance: usize) -> (u64, i64) {
        let partition = &mut self.partitions[number];
        partition.owner = Some(instance);
        partition.generation += 1;
        (partition.generation, partition.committed)
    }

    pub fn give_up(&mut self, number: usize, generation: u64) {
        let partition = &mut self.partitions[number];
        if partition.generation == generation {
            partition.owner = None;
            partition.generation += 1;
        }
    }

    pub fn is_done(&self) -> bool {
        self.partitions
            .iter()
            .all(|partition| partition.log.last().is_none_or(|last| last.offset < partition.committed))
    }
}
