//! ● Replays follow the partitions: whoever owns one runs its parts, and writes down how far they have come.
//!
//! **Invariant:** what is written down as done is settled; whatever ends this process, a part goes on from there.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::{
    catch_up,
    progress::{ReplayCounts, ReplayProgress},
    range::Times,
    replay_partition::{ReplayPart, ReplayPartName},
    selection::{self, ReplayCandidate, ReplayOutlook},
};
use crate::{
    backlog::{amount::Amount, drainer::Surroundings, page_read::EndpointReadiness},
    clock,
    dead_letter::{letter::Letter, writer::DeadLetterWriter},
    ingest::ledger::PartitionLedger,
    model::{
        disposition::{GivenUp, Reason},
        receipt::{ABANDONS_MAX, Receipt, Settlement},
    },
    store::{
        Pool, StoreError,
        replays::{self, OpenLimits, OpenShare, ShareProgress, ShareRow},
    },
    telemetry::handles::ReplayMetrics,
};

/// State that runner and reader share.
pub struct ReplayShared {
    /// Parts that this instance replays.
    parts: ArcSwap<Vec<Arc<ReplayPart>>>,
    /// Read no more: the process stops.
    quiet: AtomicBool,
    pub metrics: ReplayMetrics,
    /// Amount on its way of all replays.
    under_way: Arc<Amount>,
    written: Mutex<HashMap<Key, (i64, ReplayCounts)>>,
}

type Key = (Arc<str>, i32);

impl ReplayShared {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(ReplayShared {
            parts: ArcSwap::default(),
            quiet: AtomicBool::new(false),
            metrics: ReplayMetrics::new(),
            under_way: Arc::default(),
            written: Mutex::default(),
        })
    }

    #[must_use]
    pub fn parts(&self) -> Arc<Vec<Arc<ReplayPart>>> {
        self.parts.load_full()
    }

    /// Bytes of events on their way, of all replays.
    #[must_use]
    pub fn under_way_bytes(&self) -> usize {
        self.under_way.bytes()
    }

    pub fn be_quiet(&self) {
        self.quiet.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Acquire)
    }

    /// Writes down what has changed since it was last written.
    ///
    /// # Errors
    /// When Postgres is away; then it is written the next time.
    pub async fn save(&self, pool: &Pool) -> Result<(), StoreError> {
        let parts = self.parts();
        let now: Vec<(Key, (i64, ReplayCounts))> = parts.iter().map(|part| (key(part), part.standing())).collect();
        let changed: Vec<_> = {
            let written = self.written.lock();
            now.into_iter().filter(|(key, standing)| written.get(key) != Some(standing)).collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        let rows: Vec<ShareProgress> = changed.iter().map(|(key, standing)| row(key, standing)).collect();
        replays::save(pool, &rows).await?;
        self.written.lock().extend(changed);
        Ok(())
    }
}

#[derive(Debug, Clone)]
pub struct RunnerOptions {
    pub poll: Duration,
    /// Parts at work at once; the others wait until one is done.
    pub partitions_max: usize,
}

/// Follows assignments and requests for ever. To be run on the runtime of the store.
pub async fn run(
    pool: Pool,
    options: RunnerOptions,
    shared: Arc<ReplayShared>,
    dead_letters: DeadLetterWriter,
    surroundings: Arc<dyn Surroundings>,
) -> Infallible {
    let mut runner = Runner { pool, options, shared, dead_letters, surroundings, of_endpoints: HashMap::new() };
    loop {
        let is_held = runner.turn().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "replays cannot be read or stored; it is tried again");
            false
        });
        tokio::time::sleep(if is_held { runner.options.poll.min(POLL_HELD) } else { runner.options.poll }).await;
    }
}

struct Runner {
    pool: Pool,
    options: RunnerOptions,
    shared: Arc<ReplayShared>,
    dead_letters: DeadLetterWriter,
    surroundings: Arc<dyn Surroundings>,
    of_endpoints: HashMap<String, Weak<Amount>>,
}

impl Runner {
    /// True when events wait in memory for what is replayed.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        self.take_up_abandoned();
        self.shared.save(&self.pool).await?;
        let ledgers = self.surroundings.ledgers();
        let is_held = catch_up::turn(&self.pool, &ledgers, &*self.surroundings).await?;
        let names: Vec<_> = ledgers.iter().map(|ledger| ledger.topic_name()).collect();
        let topics: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let partitions: Vec<i32> = ledgers.iter().map(|ledger| ledger.partition()).collect();
        let limits =
            OpenLimits { endpoint_max: selection::of_endpoint_max(self.options.partitions_max), all_max: ROWS_MAX };
        let open = replays::open(&self.pool, &topics, &partitions, limits).await?;
        let (mut candidates, mut gone) = (Vec::new(), Vec::new());
        for open in open {
            match self.outlook(&open, &ledgers) {
                ReplayOutlook::Waits => {}
                ReplayOutlook::Candidate => candidates.push(open),
                ReplayOutlook::EndpointGone => gone.push(open),
            }
        }
        let chosen = self.choose(candidates);
        self.adopt(&ledgers, chosen);
        for open in gone {
            let id = &open.share.replay_id;
            tracing::info!(replay.id = %id, endpoint.id = %open.endpoint_id, "a replay ends with its endpoint");
            replays::cancel(&self.pool, id, "the endpoint is gone").await?;
        }
        Ok(is_held)
    }

    fn outlook(&self, open: &OpenShare, ledgers: &[Arc<PartitionLedger>]) -> ReplayOutlook {
        let (surroundings, topic) = (&self.surroundings, &open.share.topic);
        let (since_ms, complete_to_ms) = if open.of_gap {
            // Matched when it was skipped: by this assignment, whose settings only become newer, or before it.
            let Some(ledger) = ledger_of(ledgers, &open.share) else { return ReplayOutlook::Waits };
            (ledger.assigned_ms(), surroundings.settings_complete_to_ms(topic))
        } else {
            (open.asked_ms, surroundings.settings_complete_to_store_ms(topic))
        };
        selection::outlook(since_ms, complete_to_ms, || surroundings.endpoint(&open.endpoint_id).is_some())
    }

    fn choose(&self, open: Vec<OpenShare>) -> Vec<OpenShare> {
        let (now, parts) = (clock::now(), self.shared.parts());
        let is_busy = |open: &OpenShare| {
            let share = &open.share;
            let is_it = |part: &&Arc<ReplayPart>| {
                part.partition() == share.partition && *part.name.replay_id == *share.replay_id
            };
            parts.iter().find(is_it).is_some_and(|part| part.progress().unsettled() > 0)
        };
        let is_idle = |open: &OpenShare| {
            matches!(self.surroundings.standing(&open.endpoint_id, now), EndpointReadiness::Waits) && !is_busy(open)
        };
        let candidates: Vec<_> = open
            .iter()
            .map(|open| ReplayCandidate { endpoint_id: &open.endpoint_id, is_idle: is_idle(open) })
            .collect();
        let chosen = selection::choose(&candidates, self.options.partitions_max);
        let is_chosen = |place: &usize| chosen.binary_search(place).is_ok();
        open.into_iter().enumerate().filter(|(place, _)| is_chosen(place)).map(|(_, open)| open).collect()
    }

    /// From now on, these are the parts at work.
    fn adopt(&mut self, ledgers: &[Arc<PartitionLedger>], open: Vec<OpenShare>) {
        let before = self.shared.parts();
        let mut parts: Vec<Arc<ReplayPart>> = Vec::with_capacity(open.len());
        for open in open {
            let share = &open.share;
            let Some(ledger) = ledger_of(ledgers, share) else { continue };
            let known = before.iter().find(|part| {
                part.is_of(ledger) && part.partition() == share.partition && *part.name.replay_id == *share.replay_id
            });
            parts.push(known.cloned().unwrap_or_else(|| self.part(ledger, &open)));
        }
        for part in before.iter().filter(|part| !parts.iter().any(|kept| Arc::ptr_eq(kept, part))) {
            // At its end, cancelled, or somebody else's.
            part.cancel();
        }
        let unchanged = parts.len() == before.len() && parts.iter().zip(&*before).all(|(a, b)| Arc::ptr_eq(a, b));
        if !unchanged {
            self.shared.written.lock().retain(|key, _| parts.iter().any(|part| key_is_of(key, part)));
            let running: std::collections::HashSet<&str> = parts.iter().map(|part| &*part.name.replay_id).collect();
            self.shared.metrics.running.set(running.len() as f64);
            self.shared.parts.store(Arc::new(parts));
        }
        self.of_endpoints.retain(|_, under_way| under_way.strong_count() > 0);
    }

    fn part(&mut self, ledger: &Arc<PartitionLedger>, open: &OpenShare) -> Arc<ReplayPart> {
        let share = &open.share;
        let counts = ReplayCounts {
            delivered: share.delivered,
            backlogged: share.backlogged,
            dead_lettered: share.dead_lettered,
            gap_offsets: share.gap_offsets,
        };
        let name = ReplayPartName {
            replay_id: share.replay_id.as_str().into(),
            endpoint_id: open.endpoint_id.as_str().into(),
            times: open.times.map(|(from_ms, to_ms)| Times { from_ms, to_ms }),
        };
        tracing::info!(
            replay.id = %name.replay_id, endpoint.id = %name.endpoint_id, topic = %share.topic,
            partition = share.partition, next = share.next, end = share.end, "a replay goes on here"
        );
        let of_endpoint = self.of_endpoints.get(&open.endpoint_id).and_then(Weak::upgrade).unwrap_or_default();
        self.of_endpoints.insert(open.endpoint_id.clone(), Arc::downgrade(&of_endpoint));
        let progress = ReplayProgress::new(share.next, share.end, counts);
        ReplayPart::new(name, Arc::clone(ledger), progress, (of_endpoint, Arc::clone(&self.shared.under_way)))
    }

    /// Receipts that were dropped unsettled: again, or given up after the third time.
    fn take_up_abandoned(&self) {
        for part in self.shared.parts().iter() {
            for abandoned in part.take_abandoned() {
                let abandons = abandoned.abandons;
                let receipt = abandoned.into_receipt();
                let endpoint_id = &part.name.endpoint_id;
                match self.surroundings.endpoint(endpoint_id) {
                    None => receipt.settle(Settlement::Cancelled),
                    Some(_) if abandons < ABANDONS_MAX => self.surroundings.push(endpoint_id, vec![receipt]),
                    Some((_, customer_id)) => self.give_up(endpoint_id, customer_id, receipt),
                }
            }
        }
    }

    fn give_up(&self, endpoint_id: &Arc<str>, customer_id: Arc<str>, receipt: Receipt) {
        let attempts = receipt.attempts_so_far();
        let given_up = GivenUp { receipt, reason: Reason::Internal, attempts, last: None };
        self.dead_letters.submit([Letter { endpoint_id: Arc::clone(endpoint_id), customer_id, given_up }]);
    }
}

fn ledger_of<'a>(ledgers: &'a [Arc<PartitionLedger>], share: &ShareRow) -> Option<&'a Arc<PartitionLedger>> {
    ledgers
        .iter()
        .find(|ledger| ledger.partition() == share.partition && ledger.topic() == share.topic && ledger.is_current())
}

fn key(part: &ReplayPart) -> Key {
    (Arc::clone(&part.name.replay_id), part.partition())
}

fn key_is_of((replay_id, partition): &Key, part: &ReplayPart) -> bool {
    *replay_id == part.name.replay_id && *partition == part.partition()
}

fn row((replay_id, partition): &Key, (next, counts): &(i64, ReplayCounts)) -> ShareProgress {
    ShareProgress {
        replay_id: replay_id.to_string(),
        partition: *partition,
        next: *next,
        delivered: counts.delivered,
        backlogged: counts.backlogged,
        dead_lettered: counts.dead_lettered,
        gap_offsets: counts.gap_offsets,
    }
}

/// Between two turns while events wait in memory for the end of a replay.
const POLL_HELD: Duration = Duration::from_millis(50);
/// Rows read of what is still to be done; the others are seen once these are done.
const ROWS_MAX: usize = 10_000;
