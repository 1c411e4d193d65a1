//! ○ Heads of endpoints that are ordered by key.

use super::*;
use crate::{backlog::blocked_keys::PageTime, store::backlog_read::BacklogRow};

fn by_key(_: &str) -> EndpointReadiness {
    EndpointReadiness::TakesInOrder(100, OrderBy::Key)
}

#[test]
fn a_head_with_a_key_that_waits_goes_on_behind_it_and_begins_anew_when_that_one_is_due() {
    let ledger = ledger(0);
    let version = ledger.backlog.lock().version();
    ledger.backlog.lock().all_rows(version, [("ep_1", 5)].into_iter());
    let mut world = World::new(&[Arc::clone(&ledger)]);
    world.record(&row(0, "ep_1", 5));
    let mut read = world.scheduler.next(world.now, by_key).expect("a head to be read");
    let at = PageTime { now: world.now, wall_ms: 0, up_to: 100, log_end: None };
    let sendable = read.sendable(vec![BacklogRow::of(7, "a", 1, 2_000)], at, |_| false);
    assert_eq!((sendable.rows.len(), sendable.end), (0, PageEnd::Reached));
    assert!(world.scheduler.was_read(read, sendable.last, sendable.end, world.now), "it is held up since now");
    assert_eq!(ledger.backlog.lock().ahead("ep_1"), Some(u64::MAX));
    assert!(world.scheduler.next(world.now + ms(19), by_key).is_none(), "it rests");

    world.now += ms(300);
    let read = world.scheduler.next(world.now, by_key).expect("what came meanwhile");
    assert_eq!(read.after, (7, 0));
    assert!(!world.scheduler.was_read(read, None, PageEnd::Reached, world.now), "that is known");
    world.now += ms(30);
    assert!(world.scheduler.next(world.now, by_key).is_none());
    world.record(&row(0, "ep_1", 6));
    let read = world.scheduler.next(world.now, by_key).expect("another row ends its rest");
    assert!(!world.scheduler.was_read(read, None, PageEnd::Reached, world.now));

    world.now += ms(1_700);
    let read = world.scheduler.next(world.now, by_key).expect("it is due");
    assert_eq!((read.after, read.passed_over.is_empty()), (BEGINNING, true));
    world.scheduler.was_read(read, None, PageEnd::Reached, world.now);
    assert_eq!(ledger.backlog.lock().ahead("ep_1"), Some(5), "nothing holds it up");
}

#[test]
fn a_key_that_has_left_memory_makes_its_head_restart_and_the_others_stay() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "ep_1", 5));
    let read = world.scheduler.next(world.now, by_key).expect("a head to be read");
    let head = Arc::clone(&read.head);
    let (bad, good) = (head.lane(Some(b"bad")).expect("a lane"), head.lane(Some(b"good")).expect("a lane"));
    assert!(head.hold(1, 0, 100) && head.hold(2, 0, 100));
    world.scheduler.was_read(read, Some((2, 0)), PageEnd::Reached, world.now);
    bad.parking(&Arc::from("ep_1"), None);
    bad.settled(Settlement::Backlogged, 1, &done(1..2));
    world.now += secs(1);
    let read = world.scheduler.next(world.now, by_key).expect("there is more");
    assert_eq!(read.after, (2, 0), "something of the key is in memory still");
    world.scheduler.was_read(read, None, PageEnd::Reached, world.now);
    drop(bad);
    world.now += secs(1);
    let read = world.scheduler.next(world.now, by_key).expect("the key is to be found again");
    assert_eq!(read.after, BEGINNING);
    assert!(Arc::ptr_eq(&read.head, &head) && good.claim() == Claim::Current && head.holds(2), "nothing else left");
    assert!(head.lane(Some(b"bad")).is_some());
}
