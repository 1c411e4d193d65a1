//! ○ The next head in turn.

mod by_key;
mod unjudged;
mod ageing_read;

use std::{
    collections::{HashMap, VecDeque},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use parking_lot::Mutex;
use postrider_core::backlog::page_read::{BEGINNING, EndpointReadiness, MemoryLimits, PageEnd};
use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::{
    backlog::{
        head::{HeadEvents, HeadRead},
        shard::Shard as _,
    },
    endpoint::delivery::testing::{ms, secs},
    model::{
        receipt::{Abandoned, Done, Settlement},
        settings::OrderBy,
        source::{Claim, EventSource as _, SourceBacklog as _},
    },
    store::backlog::{HeadRow, RowKey},
};

#[derive(Default)]
struct Seen {
    released: AtomicUsize,
    taken_out: Mutex<Vec<RowKey>>,
}

impl HeadEvents for Seen {
    fn take_out(&self, _: Arc<BacklogHead>, keys: Vec<RowKey>) {
        self.taken_out.lock().extend(keys);
    }
    fn released(&self) {
        self.released.fetch_add(1, Ordering::Relaxed);
    }
    fn left(&self, _: Settlement, _: usize) {}
    fn abandoned(&self, _: &Arc<str>, _: Abandoned) {}
}

struct World {
    scheduler: HeadScheduler,
    seen: Arc<Seen>,
    events: Arc<dyn HeadEvents>,
    now: Instant,
}

fn ledger(partition: i32) -> Arc<PartitionLedger> {
    let (abandoned, _) = unbounded_channel();
    Arc::new(PartitionLedger::new("orders".into(), partition, 1, None, abandoned))
}

fn row(partition: i32, endpoint_id: &str, events: i64) -> HeadRow {
    HeadRow {
        topic: "orders".into(),
        partition,
        endpoint_id: endpoint_id.into(),
        events,
        bytes: events * 700,
        oldest_ms: 1_000,
    }
}

fn takes(events_max: usize) -> impl Fn(&str) -> EndpointReadiness {
    move |_| EndpointReadiness::Takes(events_max)
}

impl World {
    /// Owns these partitions.
    fn new(ledgers: &[Arc<PartitionLedger>]) -> Self {
        let room = MemoryLimits { endpoint_bytes_max: 10_000, bytes_max: 20_000, page_rows_max: 10, rest: secs(1) };
        let seen = Arc::new(Seen::default());
        let events: Arc<dyn HeadEvents> = Arc::clone(&seen) as _;
        let mut world = World { scheduler: HeadScheduler::new(room), seen, events, now: Instant::now() };
        assert_eq!(world.scheduler.assign(ledgers).len(), ledgers.len());
        world
    }

    fn record(&mut self, row: &HeadRow) {
        self.scheduler.record(row, &self.events);
    }

    fn next(&mut self, events_max: usize) -> Option<HeadRead> {
        self.scheduler.next(self.now, takes(events_max))
    }

    /// Reads a head to its end, holding so many rows of 100 bytes.
    fn read(&mut self, read: HeadRead, rows: std::ops::Range<i64>) {
        rows.clone().for_each(|offset| assert!(read.head.hold(offset, 0, 100)));
        self.scheduler.was_read(read, Some((rows.end - 1, 0)), PageEnd::Reached, self.now);
    }
}

fn done(offsets: std::ops::Range<i64>) -> Vec<Done> {
    offsets.map(|offset| Done { offset, weight_bytes: 100 }).collect()
}

#[test]
fn endpoints_take_turns_and_so_do_their_heads() {
    let mut world = World::new(&[ledger(0), ledger(1)]);
    [row(0, "a", 50), row(1, "a", 50), row(0, "b", 50)].iter().for_each(|row| world.record(row));
    let reads: Vec<_> = std::iter::from_fn(|| world.next(100))
        .map(|read| (read.head.endpoint_id.to_string(), read.head.name.partition))
        .collect();
    assert_eq!(reads, [("a".into(), 0), ("b".into(), 0), ("a".into(), 1)]);
}

#[test]
fn a_customer_with_many_endpoints_is_read_no_more_often_than_one_with_one() {
    let mut world = World::new(&[ledger(0), ledger(1), ledger(2)]);
    world.scheduler.share_by(Box::new(|endpoint_id| Some(Arc::from(&endpoint_id[..1]))));
    ["a1", "a2", "a3"].iter().for_each(|endpoint_id| world.record(&row(0, endpoint_id, 50)));
    (0..3).for_each(|partition| world.record(&row(partition, "b1", 50)));
    let reads: Vec<_> = std::iter::from_fn(|| world.next(100)).map(|read| read.head.endpoint_id.to_string()).collect();
    assert_eq!(reads, ["a1", "b1", "a2", "b1", "a3", "b1"]);
}

#[test]
fn a_head_is_read_by_one_at_a_time_and_rests_at_its_end() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 50));
    let read = world.next(100).expect("something waits");
    assert!(world.next(100).is_none(), "it is being read");
    world.read(read, 0..5);
    assert!(world.next(100).is_none(), "what it has left was not due");
    world.now += ms(1_001);
    assert_eq!(world.next(100).map(|read| read.after), Some(BEGINNING), "from its beginning again");
}

#[test]
fn rows_of_what_was_delivered_take_no_room_from_what_is_to_be_delivered() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 50));
    let read = world.next(8).expect("something waits");
    let head = Arc::clone(&read.head);
    world.read(read, 0..8);
    world.now += ms(1_001);
    assert!(world.next(8).is_none(), "eight are to be delivered");
    head.rows_done(&done(0..6), Settlement::Delivered);
    head.rows_done(&done(0..6), Settlement::Delivered);
    let read = world.next(8).expect("six were delivered");
    assert_eq!((read.rows_max, head.held_events()), (6, 8), "their rows are not gone yet");
    world.read(read, 8..14);
    head.release(0..6);
    world.now += ms(1_001);
    assert!(world.next(8).is_none(), "eight are to be delivered again");
}

#[test]
fn the_next_page_begins_behind_the_last_one() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 50));
    let read = world.next(100).expect("something waits");
    world.scheduler.was_read(read, Some((9, 7)), PageEnd::More, world.now);
    assert_eq!(world.next(100).map(|read| read.after), Some((9, 7)));
}

#[test]
fn what_is_in_memory_leaves_less_room_and_what_is_released_gives_it_back() {
    let mut world = World::new(&[ledger(0), ledger(1)]);
    world.record(&row(0, "a", 8));
    world.record(&row(1, "a", 50));
    let first = world.next(8).expect("something waits");
    assert_eq!(first.rows_max, 8);
    let head = Arc::clone(&first.head);
    world.read(first, 0..8);
    assert!(world.next(8).is_none(), "the endpoint has what it may");
    head.settled(Settlement::Backlogged, 8, &done(0..8));
    assert_eq!(world.seen.released.load(Ordering::Relaxed), 1);
    assert_eq!(world.next(8).map(|read| read.head.name.partition), Some(1));
}

#[test]
fn a_read_counts_as_many_rows_as_wait_not_as_many_as_it_may_find() {
    let mut world = World::new(&[ledger(0), ledger(1)]);
    [row(0, "a", 3), row(1, "a", 50)].iter().for_each(|row| world.record(row));
    let mut small = world.next(100).expect("something waits");
    assert_eq!((small.limit(8), small.rows_max), (3, 8), "three wait, and a fourth would be found");
    let mut large = world.next(100).expect("something waits");
    assert_eq!((large.limit(8), large.rows_max), (8, 8));
}

#[test]
fn bytes_bound_an_endpoint_and_all_of_them_together() {
    let mut world = World::new(&[ledger(0)]);
    ["a", "b", "c"].iter().for_each(|id| world.record(&row(0, id, 500)));
    let read = world.next(1_000).expect("something waits");
    assert!(read.head.hold(1, 0, 9_000));
    world.scheduler.was_read(read, Some((1, 0)), PageEnd::More, world.now);
    let other = world.next(1_000).expect("another endpoint has room");
    assert!(other.head.hold(1, 0, 11_000));
    world.scheduler.was_read(other, Some((1, 0)), PageEnd::More, world.now);
    assert!(world.next(1_000).is_none(), "all together hold what they may");
}

/// Everybody reads as much as there is room for; returns the bytes of the quick one's first page.
fn read_all(world: &mut World, held: &mut HashMap<String, (Arc<BacklogHead>, VecDeque<i64>)>, next: &mut i64) -> usize {
    let mut quick = 0;
    while let Some(read) = world.next(1_000_000) {
        let rows = i64::try_from(read.rows_max.min(read.bytes_max / 100).max(1)).expect("a few");
        let id = read.head.endpoint_id.to_string();
        if id == "quick" && quick == 0 {
            quick = read.bytes_max;
        }
        let (head, offsets) = held.entry(id).or_insert_with(|| (Arc::clone(&read.head), VecDeque::new()));
        for offset in *next..*next + rows {
            assert!(head.hold(offset, 0, 100));
            offsets.push_back(offset);
        }
        *next += rows;
        world.scheduler.was_read(read, Some((*next, 0)), PageEnd::More, world.now);
    }
    quick
}

#[test]
fn however_many_are_slow_whoever_comes_finds_room_and_soon_as_much_as_each_of_them_has() {
    let mut world = World::new(&[ledger(0)]);
    let (mut held, mut next) = (HashMap::new(), 0);
    (0..5).for_each(|n| world.record(&row(0, &format!("slow-{n}"), 500)));
    read_all(&mut world, &mut held, &mut next);
    world.record(&row(0, "quick", 500));
    let mut quick = read_all(&mut world, &mut held, &mut next);
    assert!(quick > 0, "there is room for it at once");
    for _ in 0..200 {
        for (id, (head, offsets)) in &mut held {
            let rows = if id == "quick" { offsets.len() } else { 1 };
            let gone: Vec<i64> = offsets.drain(..rows.min(offsets.len())).collect();
            head.release(gone);
        }
        quick = read_all(&mut world, &mut held, &mut next);
    }
    let most = held.values().map(|(_, offsets)| offsets.len() * 100).max().expect("some");
    assert!(2 * quick >= most, "{quick} bytes for it, and {most} for another");
    assert!(world.scheduler.in_memory().1 <= 20_000);
}

#[test]
fn what_was_delivered_stays_in_memory_until_its_row_is_gone() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 5));
    let read = world.next(100).expect("something waits");
    let head = Arc::clone(&read.head);
    world.read(read, 0..5);
    head.settled(Settlement::Delivered, 5, &done(0..5));
    assert_eq!(world.seen.taken_out.lock().len(), 5);
    assert!(!head.hold(3, 0, 100), "its row may still be there");
    head.release(0..5);
    assert!(head.hold(3, 0, 100));
}

#[test]
fn a_head_whose_rows_are_all_in_memory_is_not_read() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 5));
    let read = world.next(100).expect("something waits");
    world.read(read, 0..5);
    world.now += secs(2);
    assert!(world.next(100).is_none(), "there is nothing to be found");
    world.record(&row(0, "a", 6));
    assert!(world.next(100).is_some());
}

#[test]
fn what_was_released_while_its_head_was_read_is_not_taken_in_again() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 50));
    let read = world.next(100).expect("something waits");
    let head = Arc::clone(&read.head);
    assert!(head.hold(1, 0, 100));
    head.release([1]);
    assert!(!head.hold(1, 0, 100), "the page may be older than that");
    world.scheduler.was_read(read, None, PageEnd::Reached, world.now);
    world.now += secs(2);
    let again = world.next(100).expect("it is read again");
    assert!(again.head.hold(1, 0, 100), "it is there after all");
}

#[test]
fn a_row_that_goes_back_closes_a_head_that_is_sent_in_order() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 5));
    let head = world.next(100).expect("something waits").head;
    assert!(head.hold(1, 0, 100) && head.hold(2, 0, 100));
    head.settled(Settlement::Backlogged, 1, &done(1..2));
    assert_eq!(head.claim(), Claim::Current, "in any order, the others go on");
    head.keep_order(true);
    head.settled(Settlement::Backlogged, 1, &done(2..3));
    assert_eq!(head.claim(), Claim::Owned, "nothing behind it is sent");
}

/// An ordered head of which a row was to leave memory, and ended in this way.
fn ends_while_it_is_parked(how: Settlement) {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 5));
    let in_order = |_: &str| EndpointReadiness::TakesInOrder(100, OrderBy::Partition);
    let read = world.scheduler.next(world.now, in_order).expect("something waits");
    let head = Arc::clone(&read.head);
    assert!(head.hold(1, 0, 100));
    world.scheduler.was_read(read, Some((1, 0)), PageEnd::Reached, world.now);
    head.parking(&Arc::from("a"), None);
    head.settled(how, 1, &done(1..2));
    world.now += secs(1);
    assert!(world.scheduler.next(world.now, |_| EndpointReadiness::Gone).is_none(), "somebody has it still");
    head.release([1]);
    drop(head);
    let again = world.scheduler.next(world.now, |_| EndpointReadiness::Gone);
    assert!(again.is_some_and(|read| read.after == BEGINNING && !read.head.is_closing()), "{how:?}");
}

#[test]
fn however_what_leaves_memory_ends_the_rest_of_an_ordered_head_is_read_again() {
    [Settlement::Cancelled, Settlement::DeadLettered, Settlement::Backlogged]
        .into_iter()
        .for_each(ends_while_it_is_parked);
}

#[test]
fn an_endpoint_that_takes_nothing_is_passed_over_and_one_that_is_gone_is_read_to_be_cancelled() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 5));
    assert!(world.scheduler.next(world.now, |_| EndpointReadiness::Waits).is_none());
    assert!(world.scheduler.next(world.now, |_| EndpointReadiness::Gone).is_some_and(|read| read.is_gone));
}

#[test]
fn a_partition_that_is_given_back_takes_its_heads_along_and_comes_back_with_new_ones() {
    let (kept, lost) = (ledger(0), ledger(1));
    let mut world = World::new(&[Arc::clone(&kept), Arc::clone(&lost)]);
    world.record(&row(0, "a", 5));
    world.record(&row(1, "a", 5));
    lost.revoke();
    assert!(world.scheduler.assign(&[Arc::clone(&kept), Arc::clone(&lost)]).is_empty());
    assert_eq!(world.scheduler.totals().events, 5);
    world.record(&row(1, "a", 7));
    assert_eq!(world.scheduler.totals().events, 5, "another instance's is not kept");
    let again = ledger(1);
    assert_eq!(world.scheduler.assign(&[kept, Arc::clone(&again)]).len(), 1);
    world.record(&row(1, "a", 7));
    assert_eq!(world.scheduler.totals().events, 12);
}

#[test]
fn an_empty_head_is_forgotten() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 5));
    world.record(&row(0, "a", 0));
    assert!(world.next(100).is_none());
    assert_eq!(world.scheduler.of_endpoint("a"), (0, 0));
}

#[test]
fn rows_that_come_for_a_head_that_is_sent_in_order_are_counted_once() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "ep_1", 10));
    assert_eq!(world.scheduler.take_came_in_order(), 0, "nobody has read it yet");
    let in_order = |_: &str| EndpointReadiness::TakesInOrder(100, OrderBy::Key);
    world.scheduler.next(world.now, in_order).expect("a head to be read");
    world.record(&row(0, "ep_1", 13));
    world.record(&row(0, "ep_1", 7));
    assert_eq!(world.scheduler.take_came_in_order(), 3);
    assert_eq!(world.scheduler.take_came_in_order(), 0);
}

#[test]
fn a_head_whose_rows_someone_else_took_out_is_forgotten_unless_it_was_noted_meanwhile() {
    let ledger = ledger(0);
    let mut world = World::new(&[Arc::clone(&ledger)]);
    ["gone", "there", "noted"].iter().for_each(|id| world.record(&row(0, id, 3)));
    let notes = world.scheduler.notes();
    world.record(&row(0, "noted", 4));
    world.scheduler.forget_gone(&[ledger], &[row(0, "there", 3)], notes);
    assert_eq!(["gone", "there", "noted"].map(|id| world.scheduler.of_endpoint(id).0), [0, 3, 4]);
    assert_eq!(world.scheduler.totals().events, 7);
}
