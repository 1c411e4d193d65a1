//! ● Ordered endpoints that were suspended get what they missed, before anything that came later.
//!
//! The owner of a partition makes the replays, for it alone decides what else goes to the endpoint meanwhile
//! (`ingest/missed.rs`).

use std::sync::Arc;

use crate::{
    backlog::drainer::Surroundings,
    ingest::{
        ledger::PartitionLedger,
        missed::{CatchUpStep, CatchesUp},
    },
    model::gap::GapState,
    store::{
        Pool, StoreError,
        skipped_ranges::{self, GapKey, OpenGap},
    },
};

/// One step for each endpoint that has not caught up; true while events wait in memory for the next.
pub(super) async fn turn(
    pool: &Pool,
    ledgers: &[Arc<PartitionLedger>],
    surroundings: &dyn Surroundings,
) -> Result<bool, StoreError> {
    let behind: Vec<(&Arc<PartitionLedger>, Arc<str>)> = ledgers
        .iter()
        .filter(|ledger| ledger.missed.lock().is_known() && ledger.is_current())
        .flat_map(|ledger| ledger.missed.lock().endpoints().into_iter().map(move |endpoint_id| (ledger, endpoint_id)))
        .collect();
    if behind.is_empty() {
        return Ok(false);
    }
    let names: Vec<_> = behind.iter().map(|(ledger, _)| ledger.topic_name()).collect();
    let topics: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let partitions: Vec<i32> = behind.iter().map(|(ledger, _)| ledger.partition()).collect();
    let open = skipped_ranges::of_partitions(pool, &topics, &partitions).await?;
    let (mut to_replay, mut is_held) = (Vec::new(), false);
    for (ledger, endpoint_id) in behind {
        let catches_up = surroundings.catches_up(&endpoint_id);
        match catches_up {
            CatchesUp::Never => ledger.missed.lock().forget(&endpoint_id),
            CatchesUp::Later => {}
            CatchesUp::InOrder | CatchesUp::InAnyOrder => {
                let stored = stored(&open, ledger, &endpoint_id);
                let step = ledger.missed.lock().next_step(&endpoint_id, stored);
                is_held |= catches_up == CatchesUp::InOrder && ledger.missed.lock().is_held(&endpoint_id);
                match step {
                    CatchUpStep::Replay { .. } if catches_up == CatchesUp::InOrder => to_replay.push(GapKey {
                        endpoint_id: endpoint_id.to_string(),
                        topic: ledger.topic().to_owned(),
                        partition: ledger.partition(),
                    }),
                    CatchUpStep::Over => surroundings.wake(&endpoint_id),
                    CatchUpStep::Replay { .. } | CatchUpStep::Hold | CatchUpStep::Wait => {}
                }
            }
        }
    }
    if !to_replay.is_empty() {
        skipped_ranges::close_these(pool, &to_replay).await?;
    }
    Ok(is_held)
}

fn stored(open: &[OpenGap], ledger: &PartitionLedger, endpoint_id: &str) -> GapState {
    let is_it = |gap: &&OpenGap| {
        gap.key.endpoint_id == endpoint_id && gap.key.partition == ledger.partition() && gap.key.topic == ledger.topic()
    };
    open.iter().find(is_it).map(|gap| gap.stored).unwrap_or_default()
}
