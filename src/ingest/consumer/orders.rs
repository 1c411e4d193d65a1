//! ○ Orders to the poll thread, from those who ask Kafka about the logs of its partitions.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;

use crate::ingest::begin::Begin;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollerOrder {
    /// Behind the topic's name is the log of this id now.
    MadeAgain { topic: Arc<str>, topic_id: Arc<str> },
    /// The assignment of this epoch waited for its beginning.
    Begin { topic: Arc<str>, partition: i32, epoch: u64, begin: Begin },
    /// The log does not reach as far as the assignment of this epoch has read: it goes on here.
    GoBack { topic: Arc<str>, partition: i32, epoch: u64, offset: i64 },
}

/// Orders that are not carried out yet. Not bounded by itself: the one who gives them does so once in seconds.
#[derive(Debug, Default)]
pub struct Orders {
    waiting: Mutex<Vec<PollerOrder>>,
    some: AtomicBool,
}

impl Orders {
    /// The same order twice is one.
    pub fn give(&self, order: PollerOrder) {
        let mut waiting = self.waiting.lock();
        if !waiting.contains(&order) {
            waiting.push(order);
        }
        self.some.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn take(&self) -> Vec<PollerOrder> {
        if !self.some.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.some.store(false, Ordering::Release);
        mem::take(&mut *self.waiting.lock())
    }
}
