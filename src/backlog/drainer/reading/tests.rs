//! ○ Rows of several keys in memory, and one key that leaves it.

use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::{
    backlog::{amount::Amount, blocked_keys::BlockedKeys, head::HeadEvents},
    endpoint::delivery::testing::{FAILED, World, secs, stream},
    ingest::ledger::PartitionLedger,
    model::{
        outcome::Outcome,
        receipt::Abandoned,
        settings::{OnFailure, Ordering, Schedule},
        source::SourceBacklog as _,
    },
    store::backlog::RowKey,
};

struct Nobody;

impl HeadEvents for Nobody {
    fn take_out(&self, head: Arc<BacklogHead>, keys: Vec<RowKey>) {
        head.release(keys.iter().map(|key| key.offset));
    }
    fn released(&self) {}
    fn left(&self, _: Settlement, _: usize) {}
    fn abandoned(&self, _: &Arc<str>, _: Abandoned) {}
}

fn head() -> Arc<BacklogHead> {
    let ledger = Arc::new(PartitionLedger::new("orders".into(), 0, 1, None, unbounded_channel().0));
    let events: Arc<dyn HeadEvents> = Arc::new(Nobody);
    let head = BacklogHead::begin(&ledger, "ep_test".into(), Arc::<Amount>::default(), Arc::default(), &events);
    assert!(head.read_by_key(true));
    head.keep_order(true);
    head
}

/// An endpoint that is ordered by key, and waits for a minute after a failure.
fn endpoint() -> World {
    let mut settings = stream();
    settings.delivery.ordering = Some(Ordering { by: OrderBy::Key, on_failure: OnFailure::Block });
    settings.delivery.retry.schedule = Schedule::Explicit(vec![secs(60)]);
    World::new(settings)
}

/// Reads these rows behind what was read before; returns what was sent on.
fn read(world: &mut World, head: &Arc<BacklogHead>, passed_over: &mut BlockedKeys, rows: &[(i64, &str)]) -> Vec<i64> {
    let page = rows.iter().map(|(offset, key)| BacklogRow::of(*offset, key, 0, 0)).collect();
    let at = PageTime { now: world.now, wall_ms: 1, up_to: 100, log_end: None };
    let sendable = passed_over.sendable(page, OrderBy::Key, at, |key| head.is_leaving(key));
    let hold = |row: &BacklogRow| head.hold(row.offset, 0, row.weight());
    let receipts: Vec<_> =
        take_in((head, hold), sendable.rows, Some(OrderBy::Key), Some(EndpointKey(1)), world.now).collect();
    let offsets = receipts.iter().map(|receipt| receipt.event().offset()).collect();
    world.delivery.handle_stored(receipts, world.now);
    world.poll();
    offsets
}

#[test]
fn a_key_that_leaves_memory_takes_no_other_along_and_is_read_again_only_from_the_beginning() {
    let (head, mut world, mut passed_over) = (head(), endpoint(), BlockedKeys::default());
    let rows = [(1, "bad"), (2, "good"), (3, "bad"), (4, "good"), (5, "bad")];
    assert_eq!(read(&mut world, &head, &mut passed_over, &rows), [1, 2, 3, 4, 5]);
    assert_eq!(world.under_way(), [[1], [2]]);
    world.answer(FAILED);
    assert_eq!(world.parked_offsets(), [1, 3, 5], "its key alone");
    assert_eq!(
        read(&mut world, &head, &mut passed_over, &[(6, "bad"), (7, "good")]),
        [7],
        "nothing behind what leaves"
    );
    assert!(!head.has_key_left(), "it is on its way");
    Receipt::settle_all(world.parked.drain(..).map(|parked| parked.receipt), Settlement::Backlogged);
    assert!(head.has_key_left() && !head.is_closing(), "the head goes on");
    assert_eq!(read(&mut world, &head, &mut passed_over, &[(8, "bad"), (9, "new")]), [9], "its first row is behind us");

    (0..4).for_each(|_| drop(world.answer(Outcome::Delivered)));
    assert_eq!(world.delivered, [2, 9, 4, 7]);
    head.restart();
    let left = [(1, "bad"), (3, "bad"), (5, "bad"), (6, "bad"), (8, "bad")];
    assert_eq!(read(&mut world, &head, &mut BlockedKeys::default(), &left), [1, 3, 5, 6, 8]);
}

#[test]
fn an_attempt_of_a_key_that_leaves_goes_on_and_the_key_has_left_only_after_it() {
    let (head, mut world, mut passed_over) = (head(), endpoint(), BlockedKeys::default());
    read(&mut world, &head, &mut passed_over, &[(1, "a"), (2, "a")]);
    let lane = head.lane(Some(b"a")).expect("it is in memory");
    lane.parking(&head.endpoint_id, None);
    drop(lane);
    assert_eq!(read(&mut world, &head, &mut passed_over, &[(3, "a")]), [0; 0]);
    assert!(!head.has_key_left(), "one of it is under way, and one behind it");
    world.answer(Outcome::Delivered);
    assert_eq!(world.under_way(), [[2]]);
    world.answer(Outcome::Delivered);
    assert!(head.has_key_left());
}

#[test]
fn what_was_read_in_another_way_leaves_memory_before_the_lanes_change() {
    let (head, mut world, mut passed_over) = (head(), endpoint(), BlockedKeys::default());
    read(&mut world, &head, &mut passed_over, &[(1, "a")]);
    assert!(!head.read_by_key(false) && head.read_by_key(true));
    world.answer(Outcome::Delivered);
    assert!(head.read_by_key(false));
}
