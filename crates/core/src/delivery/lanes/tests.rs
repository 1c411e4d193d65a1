//! ○ Lanes side by side, each in its order.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    delivery::machine::testing::{TestSource, keyed},
    model::{receipt::Settlement, settings::Format},
};

const STREAM: BatchLimits = BatchLimits {
    events_max: 1,
    bytes_max: usize::MAX,
    format: Format::Envelope,
    wait: Duration::ZERO,
    alone_after: 5,
};
const TEN: BatchLimits = BatchLimits {
    events_max: 10,
    bytes_max: usize::MAX,
    format: Format::Envelope,
    wait: Duration::from_secs(1),
    alone_after: 5,
};

struct World {
    lanes: Lanes,
    source: Arc<TestSource>,
    now: Instant,
    next: i64,
    out: Vec<Batch>,
}

impl World {
    fn new(by: OrderBy) -> Self {
        World { lanes: Lanes::new(by), source: TestSource::new(), now: Instant::now(), next: 0, out: Vec::new() }
    }

    /// An event for each of these keys.
    fn push(&mut self, keys: &[&str]) {
        for key in keys {
            self.lanes.push(keyed(&self.source, self.next, key, self.now));
            self.next += 1;
        }
    }

    fn take(&mut self, limits: &BatchLimits) -> Vec<i64> {
        let Some(batch) = self.lanes.take(limits) else { return Vec::new() };
        let offsets = batch.events().map(|event| event.offset()).collect();
        self.out.push(batch);
        offsets
    }

    fn end(&mut self, nth: usize) {
        let mut batch = self.out.remove(nth);
        batch.members.iter().for_each(|receipt| self.lanes.ended(receipt.event()));
        Receipt::settle_all(std::mem::take(&mut batch.members), Settlement::Delivered);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.source.current.store(false, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_lane_has_one_under_way_and_others_go_beside_it() {
    let mut world = World::new(OrderBy::Key);
    world.push(&["a", "a", "b"]);
    assert_eq!((world.take(&STREAM), world.take(&STREAM), world.take(&STREAM)), (vec![0], vec![2], vec![]));
    assert_eq!(world.lanes.due_at(&STREAM), None, "every lane has something under way");
    world.push(&["a"]);
    assert_eq!(world.lanes.next_len(&TEN), 0, "what comes for a lane that is out waits for it, and makes no batch");
    world.end(0);
    assert_eq!(world.take(&STREAM), [1]);
}

#[test]
fn a_batch_is_due_for_the_oldest_event_of_a_lane_that_is_ready_whenever_that_became_so() {
    let mut world = World::new(OrderBy::Key);
    let start = world.now;
    world.push(&["a", "a"]);
    world.take(&BatchLimits { events_max: 1, ..TEN });
    world.now += Duration::from_millis(900);
    world.push(&["b"]);
    assert_eq!(world.lanes.due_at(&TEN), Some(world.now + TEN.wait), "the older one waits for its lane");
    world.end(0);
    assert_eq!(world.lanes.due_at(&TEN), Some(start + TEN.wait));
    assert_eq!(world.take(&TEN), [2, 1]);
    assert_eq!(world.lanes.due_at(&TEN), None);
    world.push(&["c"]);
    world.lanes.push(keyed(&world.source, -1, "c", start));
    assert_eq!(world.lanes.due_at(&TEN), Some(start + TEN.wait), "what comes back stands before what came later");
    assert_eq!(world.take(&TEN), [-1, 3]);
    assert_eq!(world.lanes.due_at(&TEN), None);
}

#[test]
fn by_partition_every_key_is_in_one_lane() {
    let mut world = World::new(OrderBy::Partition);
    world.push(&["a", "b"]);
    assert_eq!((world.take(&STREAM), world.take(&STREAM)), (vec![0], vec![]));
}

#[test]
fn a_batch_takes_many_of_a_lane_in_order_and_fills_up_with_others() {
    let mut world = World::new(OrderBy::Key);
    world.push(&["a", "b", "a", "b", "a"]);
    assert_eq!(world.take(&TEN), [0, 2, 4, 1, 3]);
    world.push(&["a", "c"]);
    assert_eq!(world.take(&TEN), [6], "the first batch holds lane a");
}

#[test]
fn a_lane_waits_for_the_end_of_all_that_was_taken_of_it() {
    let mut world = World::new(OrderBy::Partition);
    world.push(&["a", "a", "a", "a"]);
    assert_eq!(world.take(&BatchLimits { events_max: 3, ..TEN }), [0, 1, 2]);
    let mut batch = world.out.pop().expect("a batch");
    for (ended, receipt) in batch.members.iter().enumerate() {
        assert!(world.take(&TEN).is_empty(), "{ended} of three have ended");
        world.lanes.ended(receipt.event());
    }
    Receipt::settle_all(std::mem::take(&mut batch.members), Settlement::Delivered);
    assert_eq!(world.take(&TEN), [3]);
}

#[test]
fn what_another_instance_owns_is_dropped_and_its_lane_forgotten() {
    let mut world = World::new(OrderBy::Key);
    world.push(&["a", "b"]);
    world.source.current.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(world.take(&TEN).is_empty());
    assert!(world.lanes.is_empty() && world.lanes.lanes.is_empty());
}

proptest! {
    #[test]
    fn of_each_lane_the_order_holds_and_nothing_is_lost(
        keys in prop::collection::vec(0_usize..4, 1..60),
        steps in prop::collection::vec((0_usize..3, 0_usize..8, 1_usize..6), 1..200),
    ) {
        let names = ["a", "b", "c", "d"];
        let mut world = World::new(OrderBy::Key);
        let mut sent: Vec<i64> = Vec::new();
        let mut pushed = 0;
        for (step, nth, events_max) in steps {
            match step {
                0 if pushed < keys.len() => {
                    world.push(&[names[keys[pushed]]]);
                    pushed += 1;
                }
                1 if !world.out.is_empty() => world.end(nth % world.out.len()),
                _ => sent.extend(world.take(&BatchLimits { events_max, ..TEN })),
            }
            world.now += Duration::from_millis(1);
            let ready = world.lanes.lanes.values().filter(|lane| lane.is_ready());
            let oldest = ready.filter_map(Lane::first_received_at).min();
            prop_assert_eq!(world.lanes.due_at(&BatchLimits { events_max: 99, ..TEN }), oldest.map(|at| at + TEN.wait));
            let under_way: Vec<usize> = world.out.iter().flat_map(|batch| {
                let mut of: Vec<usize> = batch.events().map(|event| keys[event.offset() as usize]).collect();
                of.sort_unstable();
                of.dedup();
                of
            }).collect();
            let mut once = under_way.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), under_way.len(), "a lane is in one batch at a time");
        }
        world.push(&keys[pushed..].iter().map(|key| names[*key]).collect::<Vec<_>>());
        while !(world.out.is_empty() && world.lanes.is_empty()) {
            while !world.out.is_empty() { world.end(0); }
            sent.extend(world.take(&TEN));
        }
        prop_assert_eq!(sent.len(), keys.len());
        for key in 0..names.len() {
            let of_key: Vec<i64> = sent.iter().copied().filter(|offset| keys[*offset as usize] == key).collect();
            prop_assert!(of_key.is_sorted(), "{:?}", of_key);
        }
        prop_assert_eq!((world.lanes.len(), world.lanes.bytes(), world.lanes.lanes.len()), (0, 0, 0));
    }
}
