//! ○ A read by the ageing beside those of the drainer.

use super::*;

#[test]
fn a_read_by_the_ageing_takes_in_nothing_that_was_released_since_it_began() {
    let mut world = World::new(&[ledger(0)]);
    world.record(&row(0, "a", 50));
    let read = world.next(100).expect("something waits");
    let head = Arc::clone(&read.head);
    assert!(head.hold(1, 0, 100) && head.hold(2, 0, 100));
    world.scheduler.was_read(read, Some((2, 0)), PageEnd::More, world.now);
    let ageing = head.ageing_read();
    head.release([1]);
    let read = world.next(100).expect("it is read meanwhile");
    assert!(!ageing.hold(1, 0, 100), "what it sees may be older than that");
    assert!(read.head.hold(1, 0, 100), "a read that began later may take it in");
    head.release([1]);
    world.scheduler.was_read(read, None, PageEnd::Reached, world.now);
    assert!(!ageing.hold(1, 0, 100), "the end of a read is not that of the other");
    drop(ageing);
    let ageing = head.ageing_read();
    assert!(ageing.hold(1, 0, 100) && !ageing.hold(2, 0, 100));
}
