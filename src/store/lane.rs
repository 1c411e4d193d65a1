//! ● What waits to be written for some of the endpoints: in order, handed out in runs.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::patience::{BACKOFF_BASE, WriterHealth};
use crate::clock;

/// Something to be written.
pub trait Work: Sized {
    /// What is carried out together.
    type Run: Default;

    fn weight_bytes(&self) -> usize;

    /// Whether somebody waits for it. What nobody waits for is left until more has come.
    fn is_urgent(&self) -> bool {
        true
    }

    /// Whether it may be carried out together with these, which were handed in before it. Everything fits an empty run.
    fn fits(&self, run: &Self::Run) -> bool;

    fn join(self, run: &mut Self::Run);
}

/// A queue with one writer at its end.
pub struct Lane<W> {
    queue: Mutex<Queue<W>>,
    rows_max: usize,
    /// Handed in and not yet carried out, in the queue or in hand.
    owed: AtomicUsize,
    in_hand: AtomicUsize,
    /// There is something.
    some: Notify,
    /// There is something that somebody waits for.
    urgent: Notify,
    /// There is enough for a whole statement.
    enough: Notify,
    /// Something was carried out.
    progress: Notify,
}

struct Queue<W> {
    /// Each with whether somebody waited for it when it came.
    waiting: VecDeque<(W, bool)>,
    urgent: usize,
}

/// How much waits.
enum Waits {
    Nothing,
    /// Nobody waits for it.
    Unhurried,
    Some,
    Enough,
}

impl<W: Work> Lane<W> {
    #[must_use]
    pub fn new(rows_max: usize) -> Self {
        Lane {
            queue: Mutex::new(Queue { waiting: VecDeque::new(), urgent: 0 }),
            rows_max: rows_max.max(1),
            owed: AtomicUsize::new(0),
            in_hand: AtomicUsize::new(0),
            some: Notify::new(),
            urgent: Notify::new(),
            enough: Notify::new(),
            progress: Notify::new(),
        }
    }

    pub fn push(&self, work: W) {
        self.owed.fetch_add(1, Ordering::AcqRel);
        let is_urgent = work.is_urgent();
        let (waiting, urgent) = {
            let mut queue = self.queue.lock();
            queue.urgent += usize::from(is_urgent);
            queue.waiting.push_back((work, is_urgent));
            (queue.waiting.len(), queue.urgent)
        };
        if waiting == 1 {
            self.some.notify_one();
        }
        if is_urgent && urgent == 1 {
            self.urgent.notify_one();
        }
        if waiting == self.rows_max {
            self.enough.notify_one();
        }
    }

    /// What is carried out next: what is there after `wait`, or a whole statement as soon as there is one. What nobody
    /// waits for waits [`UNHURRIED`] times as long for company.
    pub async fn next(&self, wait: Duration, bytes_max: usize) -> W::Run {
        let mut unhurried_until = None;
        loop {
            match self.waits() {
                Waits::Nothing => self.some.notified().await,
                Waits::Unhurried => {
                    let until = *unhurried_until.get_or_insert_with(|| clock::now() + wait * UNHURRIED);
                    tokio::select! {
                        () = self.urgent.notified() => {}
                        () = self.enough.notified() => {}
                        () = tokio::time::sleep_until(until.into()) => return self.take(bytes_max),
                    }
                }
                Waits::Some => {
                    // A permit left from an earlier burst ends this wait early, which costs a smaller statement once.
                    let _ = tokio::time::timeout(wait, self.enough.notified()).await;
                    return self.take(bytes_max);
                }
                Waits::Enough => return self.take(bytes_max),
            }
        }
    }

    fn waits(&self) -> Waits {
        let queue = self.queue.lock();
        match queue.waiting.len() {
            0 => Waits::Nothing,
            waiting if waiting >= self.rows_max => Waits::Enough,
            _ if queue.urgent == 0 => Waits::Unhurried,
            _ => Waits::Some,
        }
    }

    /// What [`Lane::next`] handed out was carried out, or its writer died with it.
    pub fn done(&self) {
        self.owed.fetch_sub(self.in_hand.swap(0, Ordering::AcqRel), Ordering::AcqRel);
        self.progress.notify_waiters();
    }

    /// Returns when nothing is owed.
    pub async fn flushed(&self) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            // From here on no progress is missed.
            progress.as_mut().enable();
            if self.owed.load(Ordering::Acquire) == 0 {
                return;
            }
            progress.await;
        }
    }

    fn take(&self, bytes_max: usize) -> W::Run {
        let mut queue = self.queue.lock();
        let (mut run, mut pieces, mut bytes) = (W::Run::default(), 0, 0);
        while let Some((work, is_urgent)) = queue.waiting.front() {
            let is_urgent = usize::from(*is_urgent);
            bytes += work.weight_bytes();
            if pieces == self.rows_max || pieces > 0 && (bytes > bytes_max || !work.fits(&run)) {
                break;
            }
            if let Some((work, _)) = queue.waiting.pop_front() {
                work.join(&mut run);
            }
            queue.urgent -= is_urgent;
            pieces += 1;
        }
        self.in_hand.store(pieces, Ordering::Release);
        run
    }
}

/// An endpoint's lane among `lanes`: always the same one, so its work stays in order.
#[must_use]
pub fn lane_of(endpoint_id: &str, lanes: usize) -> usize {
    endpoint_id.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % lanes.max(1)
}

/// Runs a writer for ever, each time with a new one from `writes`. A panic costs what it had in hand nothing: dropped, the
/// receipts are abandoned, and come back.
pub async fn keep_writing<W: Work, F>(lane: &Lane<W>, what: &str, health: &WriterHealth, writes: impl Fn() -> F)
where
    F: Future<Output = Infallible> + Send + 'static,
{
    loop {
        let Err(error) = tokio::spawn(writes()).await;
        if error.is_cancelled() {
            return;
        }
        lane.done();
        health.restarts.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, "writing {what} panicked and begins anew");
        tokio::time::sleep(BACKOFF_BASE).await;
    }
}

/// How many times as long what nobody waits for is left alone.
const UNHURRIED: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// A number; an odd one is waited for.
    impl Work for u32 {
        type Run = Vec<u32>;

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

    fn lane(work: &[u32]) -> Lane<u32> {
        let lane = Lane::new(4);
        work.iter().for_each(|work| lane.push(*work));
        lane
    }

    #[test]
    fn what_must_come_later_ends_a_run_and_begins_the_next() {
        let lane = lane(&[1, 2, 2, 3]);
        assert_eq!([lane.take(1_000), lane.take(1_000), lane.take(1_000)], [vec![1, 2], vec![2, 3], vec![]]);
    }

    #[test]
    fn a_run_has_as_many_and_weighs_as_much_as_a_statement_may() {
        let lane = lane(&[1, 2, 3, 4, 5, 6]);
        assert_eq!([lane.take(1_000), lane.take(19)], [vec![1, 2, 3, 4], vec![5]]);
        assert_eq!(lane.take(1), [6], "one goes, however large");
    }

    #[test]
    fn what_nobody_waits_for_is_left_alone_until_something_else_comes() {
        let lane = lane(&[2, 4]);
        assert!(matches!(lane.waits(), Waits::Unhurried));
        lane.push(5);
        assert!(matches!(lane.waits(), Waits::Some));
        lane.push(6);
        assert!(matches!(lane.waits(), Waits::Enough));
        lane.take(1_000);
        assert!(matches!(lane.waits(), Waits::Nothing));
        lane.push(8);
        assert!(matches!(lane.waits(), Waits::Unhurried), "what was waited for is gone");
    }

    #[tokio::test]
    async fn an_unhurried_run_goes_as_soon_as_somebody_waits_for_it() {
        let lane = lane(&[2]);
        // It would be left alone for an hour, and the urgent one for not even a moment.
        let hour = Duration::from_secs(3_600) / UNHURRIED;
        let (run, ()) = futures_util::join!(lane.next(hour, 1_000), async {
            tokio::task::yield_now().await;
            [3, 4, 6].into_iter().for_each(|work| lane.push(work));
        });
        assert_eq!(run, [2, 3, 4, 6]);
        assert_eq!(lane.owed.load(Ordering::Relaxed), 4);
        lane.done();
        lane.flushed().await;
    }
}
