//! ● What waits to be written for some of the endpoints: in order, handed out in runs of one kind.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::letter::{Letter, LetterKey};

/// What is to be done.
pub enum Work {
    Store(Letter),
    /// `kept` is held until they are gone.
    Remove {
        keys: Vec<LetterKey>,
        kept: Option<Arc<dyn Send + Sync>>,
    },
}

impl Work {
    fn weight_bytes(&self) -> usize {
        match self {
            Work::Store(letter) => letter.weight_bytes(),
            Work::Remove { keys, .. } => size_of_val(keys.as_slice()),
        }
    }

    fn is_like(&self, other: &Work) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A queue with one writer at its end.
pub struct Lane {
    queue: Mutex<VecDeque<Work>>,
    rows_max: usize,
    /// Handed in and not yet carried out, in the queue or in hand.
    owed: AtomicUsize,
    in_hand: AtomicUsize,
    /// There is something.
    some: Notify,
    /// There is enough for a whole statement.
    enough: Notify,
    /// Something was carried out.
    progress: Notify,
}

impl Lane {
    #[must_use]
    pub fn new(rows_max: usize) -> Self {
        Lane {
            queue: Mutex::default(),
            rows_max: rows_max.max(1),
            owed: AtomicUsize::new(0),
            in_hand: AtomicUsize::new(0),
            some: Notify::new(),
            enough: Notify::new(),
            progress: Notify::new(),
        }
    }

    pub fn push(&self, work: Work) {
        self.owed.fetch_add(1, Ordering::AcqRel);
        let waiting = {
            let mut queue = self.queue.lock();
            queue.push_back(work);
            queue.len()
        };
        if waiting == 1 {
            self.some.notify_one();
        }
        if waiting == self.rows_max {
            self.enough.notify_one();
        }
    }

    /// The next run of one kind: what is there after `wait`, or a whole statement as soon as there is one.
    pub async fn next(&self, wait: Duration, bytes_max: usize) -> Vec<Work> {
        loop {
            let waiting = self.queue.lock().len();
            if waiting == 0 {
                self.some.notified().await;
                continue;
            }
            if waiting < self.rows_max {
                // A permit left from an earlier burst ends this wait early, which costs a smaller statement once.
                let _ = tokio::time::timeout(wait, self.enough.notified()).await;
            }
            let run = self.take(bytes_max);
            self.in_hand.store(run.len(), Ordering::Release);
            return run;
        }
    }

    /// So many pieces of work were carried out.
    pub fn done(&self, pieces: usize) {
        self.in_hand.store(0, Ordering::Release);
        self.owed.fetch_sub(pieces, Ordering::AcqRel);
        self.progress.notify_waiters();
    }

    /// The writer died with work in its hand.
    pub fn forget_in_hand(&self) {
        self.done(self.in_hand.load(Ordering::Acquire));
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

    fn take(&self, bytes_max: usize) -> Vec<Work> {
        let mut queue = self.queue.lock();
        let mut run: Vec<Work> = Vec::with_capacity(queue.len().min(self.rows_max));
        let mut bytes = 0;
        while let Some(work) = queue.front() {
            bytes += work.weight_bytes();
            let fits = run.first().is_none_or(|first| first.is_like(work) && bytes <= bytes_max);
            if !fits || run.len() == self.rows_max {
                break;
            }
            run.extend(queue.pop_front());
        }
        run
    }
}
