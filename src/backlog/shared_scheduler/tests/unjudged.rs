//! ○ Rows of a topic that is held.

use super::*;

#[test]
fn rows_that_nobody_can_judge_are_looked_at_again_after_a_rest_however_many_follow() {
    for by in [None, Some(OrderBy::Partition)] {
        let mut world = World::new(&[ledger(0)]);
        world.record(&row(0, "a", 50));
        let standing = by.map_or(EndpointReadiness::Takes(100), |by| EndpointReadiness::TakesInOrder(100, by));
        let next = |world: &mut World| world.scheduler.next(world.now, |_| standing);
        let read = next(&mut world).expect("something waits");
        world.scheduler.was_read(read, Some((9, 7)), PageEnd::Unjudged, world.now);
        world.now += ms(999);
        assert!(next(&mut world).is_none(), "{by:?}: it is as it was");
        world.now += ms(2);
        assert_eq!(next(&mut world).map(|read| read.after), Some(BEGINNING), "{by:?}");
    }
}

/// A world with a head of 50 rows, and its first read.
fn one_head() -> (World, HeadRead) {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 50));
    let read = world.next(100).expect("something waits");
    (world, read)
}

/// Reads a page in the world's turn, which ends up to this offset.
fn ends(world: &mut World, read: HeadRead, offset: i64, end: PageEnd) {
    world.scheduler.was_read(read, Some((offset, 0)), end, world.now);
}

#[test]
fn a_full_page_that_nobody_can_judge_is_passed_over_until_the_end_and_then_looked_at_again() {
    let (mut world, read) = one_head();
    assert_eq!(read.judged(PageEnd::More, false, true), PageEnd::UnjudgedFull);
    assert_eq!(read.judged(PageEnd::More, false, false), PageEnd::Unjudged, "in a moment it is known");
    assert_eq!(read.judged(PageEnd::Reached, false, true), PageEnd::Unjudged);
    ends(&mut world, read, 9, PageEnd::UnjudgedFull);
    assert!(world.next(100).is_none(), "pages that bring nothing leave time to others");
    assert_eq!(world.scheduler.passes_over_in(world.now), Some(ms(50)), "nothing else wakes the reader for it");
    world.now += ms(50);
    assert_eq!(world.scheduler.passes_over_in(world.now), None);
    let read = world.next(100).expect("wanted rows may follow");
    assert_eq!(read.after, (9, 0));
    assert_eq!(read.judged(PageEnd::More, true, true), PageEnd::More);
    assert_eq!(read.judged(PageEnd::More, true, false), PageEnd::Unjudged, "its topic is held no more");
    ends(&mut world, read, 12, PageEnd::Reached);
    world.now += ms(1_001);
    let read = world.next(100).expect("what was passed over waits");
    assert_eq!((read.after, read.is_behind_unjudged), (BEGINNING, false));
}

#[test]
fn a_head_that_never_ends_is_read_from_its_beginning_again_in_time() {
    let (mut world, read) = one_head();
    ends(&mut world, read, 9, PageEnd::UnjudgedFull);
    for (wait, after) in [(ms(50), (9, 0)), (secs(30), (10, 0)), (ms(0), BEGINNING)] {
        world.now += wait;
        let read = world.next(100).expect("there is always more");
        assert_eq!(read.after, after);
        ends(&mut world, read, 10, PageEnd::More);
    }
}

#[test]
fn in_order_nothing_goes_past_what_nobody_can_judge() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 50));
    let standing = EndpointReadiness::TakesInOrder(100, OrderBy::Key);
    let read = world.scheduler.next(world.now, |_| standing).expect("something waits");
    assert_eq!(read.judged(PageEnd::More, false, true), PageEnd::Unjudged);
}

#[test]
fn an_endpoint_that_becomes_ordered_gets_first_what_was_passed_over() {
    let (mut world, read) = one_head();
    ends(&mut world, read, 9, PageEnd::UnjudgedFull);
    world.now += ms(50);
    let standing = EndpointReadiness::TakesInOrder(100, OrderBy::Partition);
    let read = world.scheduler.next(world.now, |_| standing).expect("something waits");
    assert_eq!((read.after, read.is_behind_unjudged), (BEGINNING, false));
}
