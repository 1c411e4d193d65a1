//! The next endpoint in turn, and the entries that go together.

use std::sync::Arc;

use super::*;

/// A number; an odd one is waited for.
impl WriteOp for u32 {
    type Batch = Vec<u32>;

    fn weight_bytes(&self) -> usize {
        10
    }

    fn is_urgent(&self) -> bool {
        self % 2 == 1
    }

    /// Only behind smaller ones.
    fn fits(&self, run: &Vec<u32>) -> bool {
        run.last().is_none_or(|last| last < self)
    }

    fn join(self, run: &mut Vec<u32>) {
        run.push(self);
    }
}

fn queue(work: &[u32]) -> WriteQueue<u32> {
    let queue = WriteQueue::new(4);
    work.iter().for_each(|work| queue.push(ONE, *work));
    queue
}

const ONE: Owner = Owner { customer: 1, endpoint: 1 };
const TWO: Owner = Owner { customer: 2, endpoint: 2 };
const THREE: Owner = Owner { customer: 3, endpoint: 3 };

#[test]
fn endpoints_are_written_for_in_turn_and_each_in_its_order() {
    let queue = WriteQueue::new(8);
    [1, 2, 3, 4, 5, 6, 7, 8, 9].into_iter().for_each(|work| queue.push(ONE, work));
    [20, 21].into_iter().for_each(|work| queue.push(TWO, work));
    queue.push(THREE, 30);
    assert_eq!(queue.take(1_000), [1, 20, 30], "nothing smaller fits behind it");
    assert_eq!(queue.take(1_000), [2, 21]);
    assert_eq!(queue.take(1_000), [3, 4, 5, 6, 7, 8, 9]);
    assert!(matches!(queue.waits(), Waits::Nothing));
}

#[test]
fn what_must_come_later_ends_a_run_and_begins_the_next() {
    let queue = queue(&[1, 2, 2, 3]);
    assert_eq!([queue.take(1_000), queue.take(1_000), queue.take(1_000)], [vec![1, 2], vec![2, 3], vec![]]);
}

#[test]
fn a_run_has_as_many_and_weighs_as_much_as_a_statement_may() {
    let queue = queue(&[1, 2, 3, 4, 5, 6]);
    assert_eq!([queue.take(1_000), queue.take(19)], [vec![1, 2, 3, 4], vec![5]]);
    assert_eq!(queue.take(1), [6], "one goes, however large");
}

#[test]
fn what_nobody_waits_for_is_left_alone_until_something_else_comes() {
    let queue = queue(&[2, 4]);
    assert!(matches!(queue.waits(), Waits::Unhurried));
    queue.push(ONE, 5);
    assert!(matches!(queue.waits(), Waits::Some));
    queue.push(ONE, 6);
    assert!(matches!(queue.waits(), Waits::Enough));
    queue.take(1_000);
    assert!(matches!(queue.waits(), Waits::Nothing));
    queue.push(ONE, 8);
    assert!(matches!(queue.waits(), Waits::Unhurried), "what was waited for is gone");
}

#[tokio::test]
async fn an_unhurried_run_goes_as_soon_as_somebody_waits_for_it() {
    let queue = queue(&[2]);
    // It would be left alone for an hour, and the urgent one for not even a moment.
    let hour = Duration::from_secs(3_600) / UNHURRIED;
    let (run, ()) = futures_util::join!(queue.next(hour, 1_000), async {
        tokio::task::yield_now().await;
        [3, 4, 6].into_iter().for_each(|work| queue.push(ONE, work));
    });
    assert_eq!(run, [2, 3, 4, 6]);
    assert_eq!(queue.owed.load(Ordering::Relaxed), 4);
    queue.done();
    queue.flushed().await;
}

#[test]
fn while_the_process_ends_nothing_waits_for_company() {
    let queue = queue(&[2]);
    assert!(matches!(queue.waits(), Waits::Unhurried));
    queue.hurry();
    assert!(matches!(queue.waits(), Waits::Some));
}

#[test]
fn a_customer_with_a_thousand_endpoints_does_not_delay_the_rows_of_another() {
    let queue = WriteQueue::new(8);
    for endpoint in 100..1_100 {
        queue.push(Owner { customer: 1, endpoint }, 1);
    }
    queue.push(TWO, 2);
    queue.push(Owner { customer: 2, endpoint: 3 }, 3);
    let runs: Vec<Vec<u32>> = (0..2).map(|_| queue.take(1_000)).collect();
    assert_eq!(runs, [vec![1, 2, 3], vec![1]], "nothing smaller fits behind the other customer's");
}

#[test]
fn what_comes_for_an_endpoint_that_waits_stays_behind_it_whoever_it_is_said_to_belong_to() {
    let queue = WriteQueue::new(8);
    queue.push(ONE, 1);
    queue.push(TWO, 2);
    queue.push(Owner { customer: 7, ..ONE }, 3);
    assert_eq!(queue.take(1_000), [1, 2, 3]);
    assert!(matches!(queue.waits(), Waits::Nothing));
}

#[test]
fn an_endpoint_belongs_to_the_customer_that_is_found_and_always_has_the_same_lane() {
    let queues: WriteQueues<u32> = WriteQueues::new(4, 8);
    let before = queues.of("ep_1").1;
    assert_eq!(before.customer, queues.of("ep_2").1.customer, "nobody knows whose they are");
    queues.share_by(Box::new(|endpoint_id| Some(Arc::from(if endpoint_id == "ep_1" { "cus_1" } else { "cus_2" }))));
    let after = queues.of("ep_1").1;
    assert_ne!(after.customer, queues.of("ep_2").1.customer);
    assert_eq!(after.endpoint, before.endpoint);
    assert!(std::ptr::eq(queues.of("ep_1").0, queues.of("ep_1").0));
}
