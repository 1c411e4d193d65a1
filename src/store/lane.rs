//! ● A queue of pending writes for a share of the endpoints: each endpoint's in order, the endpoints in turn, handed out in runs.

use std::{
    collections::{HashMap, VecDeque},
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

    /// Whether it may be carried out together with these, which were handed in before it or for others. Everything fits an
    /// empty run.
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
    /// For each endpoint, what waits: each with whether somebody waited for it when it came.
    of: HashMap<Owner, VecDeque<(W, bool)>>,
    /// Endpoints with something to write, in the order of their turns.
    turns: VecDeque<Owner>,
    waiting: usize,
    urgent: usize,
}

/// An endpoint's number: two that share one just wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(u64);

impl Owner {
    #[must_use]
    pub fn of(endpoint_id: &str) -> Self {
        Owner(endpoint_id.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())))
    }

    /// Its lane among `lanes`: always the same one, so its work stays in order.
    #[must_use]
    pub fn lane(self, lanes: usize) -> usize {
        (self.0 % lanes.max(1) as u64) as usize
    }
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
            queue: Mutex::new(Queue { of: HashMap::new(), turns: VecDeque::new(), waiting: 0, urgent: 0 }),
            rows_max: rows_max.max(1),
            owed: AtomicUsize::new(0),
            in_hand: AtomicUsize::new(0),
            some: Notify::new(),
            urgent: Notify::new(),
            enough: Notify::new(),
            progress: Notify::new(),
        }
    }

    pub fn push(&self, owner: Owner, work: W) {
        self.owed.fetch_add(1, Ordering::AcqRel);
        let is_urgent = work.is_urgent();
        let (waiting, urgent) = {
            let mut queue = self.queue.lock();
            queue.urgent += usize::from(is_urgent);
            queue.waiting += 1;
            queue.push(owner, (work, is_urgent));
            (queue.waiting, queue.urgent)
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
        match queue.waiting {
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

    /// Some of each endpoint in turn, so that one with a long queue makes no other wait for all of it.
    fn take(&self, bytes_max: usize) -> W::Run {
        let mut queue = self.queue.lock();
        let (mut taken, share) =
            (Taken { run: W::Run::default(), pieces: 0, bytes: 0 }, self.rows_max.div_ceil(SHARES));
        let mut passed_over = Vec::new();
        while taken.pieces < self.rows_max
            && let Some(owner) = queue.turns.pop_front()
        {
            let pieces_max = self.rows_max.min(taken.pieces + share);
            let Some(waiting) = queue.of.get_mut(&owner) else { continue };
            let (before, urgent, end) = (taken.pieces, taken.fill(waiting, pieces_max, bytes_max), waiting.is_empty());
            let (urgent, stopped) = urgent;
            queue.urgent -= urgent;
            queue.waiting -= taken.pieces - before;
            match (end, stopped) {
                (true, _) => drop(queue.of.remove(&owner)),
                (false, None) => queue.turns.push_back(owner),
                (false, Some(_)) => passed_over.push(owner),
            }
            if stopped == Some(Stop::Full) {
                break;
            }
        }
        // They come first the next time.
        passed_over.into_iter().rev().for_each(|owner| queue.turns.push_front(owner));
        self.in_hand.store(taken.pieces, Ordering::Release);
        taken.run
    }
}

impl<W> Queue<W> {
    fn push(&mut self, owner: Owner, work: (W, bool)) {
        let waiting = self.of.entry(owner).or_insert_with(|| {
            self.turns.push_back(owner);
            VecDeque::new()
        });
        waiting.push_back(work);
    }
}

/// A run that is being put together.
struct Taken<R> {
    run: R,
    pieces: usize,
    bytes: usize,
}

/// Why nothing more of an endpoint is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Full,
    DoesNotFit,
}

impl<R> Taken<R> {
    /// Takes what an endpoint has next; how much of it was urgent, and why there was no more before `pieces_max`.
    fn fill<W: Work<Run = R>>(
        &mut self,
        waiting: &mut VecDeque<(W, bool)>,
        pieces_max: usize,
        bytes_max: usize,
    ) -> (usize, Option<Stop>) {
        let mut urgent = 0;
        while self.pieces < pieces_max
            && let Some((work, _)) = waiting.front()
        {
            let bytes = self.bytes + work.weight_bytes();
            if self.pieces > 0 && bytes > bytes_max {
                return (urgent, Some(Stop::Full));
            }
            if self.pieces > 0 && !work.fits(&self.run) {
                return (urgent, Some(Stop::DoesNotFit));
            }
            let Some((work, is_urgent)) = waiting.pop_front() else { break };
            work.join(&mut self.run);
            urgent += usize::from(is_urgent);
            (self.pieces, self.bytes) = (self.pieces + 1, bytes);
        }
        (urgent, None)
    }
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
/// A statement has room for so many endpoints, where that many have something to write.
const SHARES: usize = 8;

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
        work.iter().for_each(|work| lane.push(ONE, *work));
        lane
    }

    const ONE: Owner = Owner(1);

    #[test]
    fn endpoints_are_written_for_in_turn_and_each_in_its_order() {
        let lane = Lane::new(8);
        [1, 2, 3, 4, 5, 6, 7, 8, 9].into_iter().for_each(|work| lane.push(ONE, work));
        [20, 21].into_iter().for_each(|work| lane.push(Owner(2), work));
        lane.push(Owner(3), 30);
        assert_eq!(lane.take(1_000), [1, 20, 30], "nothing smaller fits behind it");
        assert_eq!(lane.take(1_000), [2, 21]);
        assert_eq!(lane.take(1_000), [3, 4, 5, 6, 7, 8, 9]);
        assert!(matches!(lane.waits(), Waits::Nothing));
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
        lane.push(ONE, 5);
        assert!(matches!(lane.waits(), Waits::Some));
        lane.push(ONE, 6);
        assert!(matches!(lane.waits(), Waits::Enough));
        lane.take(1_000);
        assert!(matches!(lane.waits(), Waits::Nothing));
        lane.push(ONE, 8);
        assert!(matches!(lane.waits(), Waits::Unhurried), "what was waited for is gone");
    }

    #[tokio::test]
    async fn an_unhurried_run_goes_as_soon_as_somebody_waits_for_it() {
        let lane = lane(&[2]);
        // It would be left alone for an hour, and the urgent one for not even a moment.
        let hour = Duration::from_secs(3_600) / UNHURRIED;
        let (run, ()) = futures_util::join!(lane.next(hour, 1_000), async {
            tokio::task::yield_now().await;
            [3, 4, 6].into_iter().for_each(|work| lane.push(ONE, work));
        });
        assert_eq!(run, [2, 3, 4, 6]);
        assert_eq!(lane.owed.load(Ordering::Relaxed), 4);
        lane.done();
        lane.flushed().await;
    }
}
