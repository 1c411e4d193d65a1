//! ○ What one may ask of a run: `cargo bench --bench end_to_end -- --only latency --rounds 5`.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::sender::Who;

/// Measures Postrider end to end, on the Kafka and PostgreSQL named by KAFKA_BOOTSTRAP and PG_URL.
#[derive(Debug, Parser)]
#[command(name = "end_to_end")]
pub struct Options {
    /// Only these, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<Name>,
    /// How often Postrider and the bare loop take turns; the medians are shown. 2 without, and 1 for what takes minutes.
    #[arg(long)]
    rounds: Option<usize>,
    /// Events in a drained topic, four times as many in batches: 200,000 without, and more for what is about many.
    #[arg(long)]
    events: Option<u64>,
    /// Partitions of the topics that are caught up with, one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 512])]
    pub partitions: Vec<i32>,
    /// Endpoints where there are many, at most 60,000; ten times as many where they do little.
    #[arg(long, default_value_t = 1_000)]
    pub endpoints: usize,
    /// For how long latencies are measured, after a warm-up, or a spike lasts. Each scenario has its own.
    #[arg(long)]
    seconds: Option<u64>,
    /// Events a second where latencies are measured.
    #[arg(long, default_value_t = 5_000)]
    pub rate: u32,
    /// Threads that deliver; one per core without.
    #[arg(long)]
    pub cores: Option<usize>,
    /// Only the bare loop: what the machine gives at most.
    #[arg(long)]
    pub bare: bool,
    /// cargo adds it.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Name {
    /// A POST per event, to one endpoint.
    Stream,
    /// A POST per event, each tenant's to its own endpoint.
    Many,
    /// A POST per 1,000 events.
    Batch,
    /// The events as they are, to four endpoints.
    Raw,
    /// A topic of one partition, beside one of eight.
    Partition,
    /// From produce to receipt.
    Latency,
    /// The same while one endpoint in ten never answers.
    Isolation,
    /// Into the backlog, and out of it.
    Parking,
    /// Millions of events that are there already, to many endpoints that answer at once.
    CatchUp,
    /// The same where all of them together answer only so often.
    CatchUpSlow,
    /// Twice what the machine can do, for a while.
    Spike,
    /// One endpoint in ten takes a tenth of what it is offered.
    SlowTenth,
    /// A large backlog whose endpoints answer again, alone and beside live events.
    Drain,
    /// Hundreds of topics with nothing to do.
    Topics,
    /// Thousands of endpoints with nothing to do.
    Idle,
    /// HTTPS beside HTTP.
    Tls,
    /// HTTP/2 beside HTTP/1.1, over TLS.
    Http2,
    /// HTTPS to ten thousand endpoints that are far away.
    Wan,
    /// A million subscription entries beside a thousand.
    Subscriptions,
    /// A few tenants have most of the events.
    Skew,
    /// Instances that join, stop and are killed.
    Fleet,
    /// Ten thousand endpoints and a million subscription entries, over REST.
    Settings,
}

impl Options {
    pub fn wants(&self, name: Name) -> bool {
        let has_bare = matches!(
            name,
            Name::Stream
                | Name::Many
                | Name::Raw
                | Name::Partition
                | Name::Batch
                | Name::Latency
                | Name::Topics
                | Name::Tls
        );
        if self.bare && !has_bare {
            return false;
        }
        self.only.is_empty() || self.only.contains(&name)
    }

    /// Those who take turns.
    pub fn both(&self) -> Vec<Who> {
        if self.bare { vec![Who::Bare] } else { vec![Who::Bare, Who::Postrider] }
    }

    pub fn cores(&self) -> usize {
        self.cores.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
    }

    /// As asked for, or so many.
    pub fn rounds_or(&self, rounds: usize) -> usize {
        self.rounds.unwrap_or(rounds)
    }

    /// As asked for, or so many.
    pub fn events_or(&self, events: u64) -> u64 {
        self.events.unwrap_or(events)
    }

    /// As asked for, or so long.
    pub fn seconds_or(&self, seconds: u64) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(seconds))
    }
}
