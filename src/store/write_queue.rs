//! ● A queue of pending writes for a share of the endpoints: each endpoint's in order, the customers in turn, handed out in
//! runs.

mod queue; // ○ who is next

use std::{
    convert::Infallible,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
pub use postrider_core::fair_share::rounds::CustomerOf;
use tokio::sync::Notify;

use self::queue::Queue;
use super::retry::{BACKOFF_BASE, WriterHealth};
use crate::clock;

/// Something to be written.
pub trait WriteOp: Sized {
    /// Entries that are carried out together.
    type Batch: Default;

    fn weight_bytes(&self) -> usize;

    /// True if somebody waits for it. What nobody waits for is left until more has come.
    fn is_urgent(&self) -> bool {
        true
    }

    /// True if it may be carried out together with these, which were handed in before it or for others. Everything fits an
    /// empty run.
    fn fits(&self, run: &Self::Batch) -> bool;

    fn join(self, run: &mut Self::Batch);
}

/// A queue with one writer at its end.
pub struct WriteQueue<W> {
    queue: Mutex<Queue<W>>,
    rows_max: usize,
    /// Handed in and not yet carried out, in the queue or in hand.
    owed: AtomicUsize,
    in_hand: AtomicUsize,
    /// The process ends: everything is as urgent as can be.
    is_hurried: AtomicBool,
    /// There is something.
    some: Notify,
    /// There is something that somebody waits for.
    urgent: Notify,
    /// There is enough for a whole statement.
    enough: Notify,
    /// Something was carried out.
    progress: Notify,
}

/// An endpoint's number, and its customer's: two that share one just wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    customer: u64,
    endpoint: u64,
}

/// Several queues, each with a writer: an endpoint's work is always in the same one, so it stays in order.
pub struct WriteQueues<W> {
    queues: Vec<WriteQueue<W>>,
    customer_of: OnceLock<CustomerOf>,
}

impl<W: WriteOp> WriteQueues<W> {
    #[must_use]
    pub fn new(queues: usize, rows_max: usize) -> Self {
        WriteQueues {
            queues: (0..queues.max(1)).map(|_| WriteQueue::new(rows_max)).collect(),
            customer_of: OnceLock::new(),
        }
    }

    /// From now on customers take turns, and the endpoints of each. Until then all endpoints do.
    pub fn share_by(&self, customer_of: CustomerOf) {
        let _ = self.customer_of.set(customer_of);
    }

    /// An endpoint's queue, and its name in there.
    #[must_use]
    pub fn of(&self, endpoint_id: &str) -> (&WriteQueue<W>, Owner) {
        let customer = self.customer_of.get().and_then(|customer_of| customer_of(endpoint_id));
        let (customer, endpoint) = (number(customer.as_deref().unwrap_or_default()), number(endpoint_id));
        (&self.queues[(endpoint % self.queues.len() as u64) as usize], Owner { customer, endpoint })
    }

    pub fn push(&self, endpoint_id: &str, work: W) {
        let (queue, owner) = self.of(endpoint_id);
        queue.push(owner, work);
    }

    #[must_use]
    pub fn queue(&self, queue: usize) -> &WriteQueue<W> {
        &self.queues[queue]
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.queues.len()
    }

    /// As [`WriteQueue::hurry`], of all.
    pub fn hurry(&self) {
        self.queues.iter().for_each(WriteQueue::hurry);
    }

    /// Returns when nothing is owed.
    pub async fn flushed(&self) {
        for queue in &self.queues {
            queue.flushed().await;
        }
    }
}

fn number(id: &str) -> u64 {
    id.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
}

/// Amount that waits.
enum Waits {
    Nothing,
    /// Nobody waits for it.
    Unhurried,
    Some,
    Enough,
}

impl<W: WriteOp> WriteQueue<W> {
    #[must_use]
    pub fn new(rows_max: usize) -> Self {
        WriteQueue {
            queue: Mutex::default(),
            rows_max: rows_max.max(1),
            owed: AtomicUsize::new(0),
            in_hand: AtomicUsize::new(0),
            is_hurried: AtomicBool::new(false),
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

    /// The next run: entries that are there after `wait`, or a whole statement as soon as there is one. Entries that
    /// nobody waits for wait [`UNHURRIED`] times as long for company.
    pub async fn next(&self, wait: Duration, bytes_max: usize) -> W::Batch {
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
            _ if queue.urgent == 0 && !self.is_hurried.load(Ordering::Acquire) => Waits::Unhurried,
            _ => Waits::Some,
        }
    }

    /// Reports that the entries of [`WriteQueue::next`] were carried out, or that their writer died with them.
    pub fn done(&self) {
        self.owed.fetch_sub(self.in_hand.swap(0, Ordering::AcqRel), Ordering::AcqRel);
        self.progress.notify_waiters();
    }

    /// From now on nothing waits longer than what somebody waits for: the process ends.
    pub fn hurry(&self) {
        self.is_hurried.store(true, Ordering::Release);
        self.urgent.notify_one();
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

    fn take(&self, bytes_max: usize) -> W::Batch {
        let (run, pieces) = self.queue.lock().take(self.rows_max, bytes_max);
        self.in_hand.store(pieces, Ordering::Release);
        run
    }
}

/// Runs a writer for ever, each time with a new one from `writes`. A panic costs what it had in hand nothing: dropped, the
/// receipts are abandoned, and come back.
pub async fn keep_writing<W: WriteOp, F>(
    queue: &WriteQueue<W>,
    what: &str,
    health: &WriterHealth,
    writes: impl Fn() -> F,
) where
    F: Future<Output = Infallible> + Send + 'static,
{
    loop {
        let Err(error) = tokio::spawn(writes()).await;
        if error.is_cancelled() {
            return;
        }
        queue.done();
        health.restarts.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, "the writer of {what} panicked; it is restarted");
        tokio::time::sleep(BACKOFF_BASE).await;
    }
}

/// Factor of the wait for entries that nobody waits for.
const UNHURRIED: u32 = 5;

#[cfg(test)]
mod tests;
