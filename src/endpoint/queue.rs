//! ○ Events that wait for an endpoint actor, and the state of it. They live outside the actor, so a panic costs
//! nothing.
//!
//! **Invariant:** whoever puts something into an empty queue either wakes the actor or asks for one; the lock that
//! guards the events guards that decision too, so no wake is lost between a push and a retiring actor.

mod narrowed; // what was matched by older subscriptions

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use self::narrowed::{MATCHED_LONG_AGO, Subscriptions};
use super::{stats::EndpointStats, subscribed::Subscribed};
use crate::{
    flow::counters::FlowCounters,
    model::{
        event::EndpointKey,
        parking::RowCount,
        receipt::{Receipt, Settlement},
        settings::{EndpointState, Settings},
    },
};

/// Wakes the actor of a queue; an actor's mailbox carries only such wakes, never events.
pub trait Wake: Send + Sync {
    fn wake(&self);
    /// The process stops.
    fn drain(&self, drain: Drain);
}

/// The order to an actor when the process stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// Send what is there without waiting for more.
    Send,
    /// Events that were not sent by now are parked, attempts under way included.
    Park,
}

/// Request of a push to its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an endpoint without an actor needs one started"]
pub enum Pushed {
    /// The actor knows, or was just woken.
    Awake,
    /// No actor runs for this endpoint: ask the supervisor for one. Said once until an actor has taken the queue.
    NeedsActor,
}

/// The part of its backlog that an endpoint takes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredTake {
    Nothing,
    /// Number of events in memory at once: enough for a probe, or for what a lagging endpoint takes soon.
    UpTo(usize),
    Many,
}

/// The queue of one endpoint. Its bound is upstream: every event in it is outstanding in its partition's budget.
pub struct EndpointQueue {
    pub key: EndpointKey,
    pub id: Arc<str>,
    settings: ArcSwap<Settings>,
    inner: Mutex<Inner>,
    pub health: EndpointStats,
    /// Bytes that wait here, not yet with the actor.
    waiting_bytes: AtomicUsize,
    flow: Arc<FlowCounters>,
    /// It cannot keep up: what comes goes to the backlog until the backlog is gone.
    lagging: AtomicBool,
    /// Rows that wait in the backlog, as was said last; none once the actor knows.
    backlog_rows: Mutex<Option<RowCount>>,
    subscriptions: Arc<dyn Subscriptions>,
}

#[derive(Default)]
struct Inner {
    waiting: Vec<Receipt>,
    /// Read from the backlog, which bounds how much.
    stored: Vec<Receipt>,
    waker: Option<Arc<dyn Wake>>,
    /// The actor has been told (or asked for) and has not looked yet.
    woken: bool,
    /// Subscriptions became narrower since the actor looked last.
    is_narrowed: bool,
    /// Its actor died, and no other has come yet.
    is_dead: bool,
    /// The endpoint was deleted: what comes now is cancelled.
    closed: bool,
}

/// The rest that an actor takes, beside the events of Kafka.
#[derive(Debug, Default)]
pub struct TakenFromQueue {
    /// Read from the backlog.
    pub stored: Vec<Receipt>,
    /// Subscriptions that became narrower since what was taken, and what the actor has, was matched.
    pub narrowed: Option<Arc<Subscribed>>,
}

impl EndpointQueue {
    #[must_use]
    pub fn new(
        key: EndpointKey,
        settings: Arc<Settings>,
        flow: Arc<FlowCounters>,
        subscriptions: Arc<dyn Subscriptions>,
    ) -> Self {
        EndpointQueue {
            key,
            id: Arc::clone(&settings.id),
            settings: ArcSwap::new(settings),
            inner: Mutex::default(),
            health: EndpointStats::default(),
            waiting_bytes: AtomicUsize::new(0),
            flow,
            lagging: AtomicBool::new(false),
            backlog_rows: Mutex::default(),
            subscriptions,
        }
    }

    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Takes effect at the actor's next turn: in-flight requests end with the old settings, retries use the new.
    pub fn replace_settings(&self, settings: Arc<Settings>) {
        let before = self.settings.swap(settings);
        if before.state != self.settings.load().state {
            self.health.failing_since_ms.store(0, Ordering::Relaxed);
        }
        let mut inner = self.inner.lock();
        inner.wake_if_running();
    }

    /// Puts receipts at the end of the queue, of events that were matched when the subscriptions had become narrower so often.
    pub fn push(&self, receipts: impl IntoIterator<Item = Receipt>, narrowings: u64) -> Pushed {
        let mut receipts = receipts.into_iter();
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            Receipt::settle_all(receipts.by_ref(), Settlement::Cancelled);
            return Pushed::Awake;
        }
        let (mut bytes, before) = (0, inner.waiting.len());
        inner.waiting.extend(receipts.inspect(|receipt| bytes += receipt.event().weight_bytes()));
        self.count(&inner, (inner.waiting.len() - before) as i64);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.note_matched(&mut inner, narrowings);
        inner.wake()
    }

    /// Events that were read from the backlog; the same.
    pub fn push_stored(&self, receipts: Vec<Receipt>, narrowings: u64) -> Pushed {
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            Receipt::settle_all(receipts, Settlement::Cancelled);
            return Pushed::Awake;
        }
        inner.stored.extend(receipts);
        self.note_matched(&mut inner, narrowings);
        inner.wake()
    }

    /// Moves everything that waits into `taken` (which must be empty; its memory becomes the queue's), and lets the
    /// next push wake again.
    pub fn take(&self, taken: &mut Vec<Receipt>) -> TakenFromQueue {
        debug_assert!(taken.is_empty(), "what was taken before has been handled");
        let mut inner = self.inner.lock();
        std::mem::swap(&mut inner.waiting, taken);
        self.flow.queued(-(taken.len() as i64));
        self.waiting_bytes.store(0, Ordering::Relaxed);
        inner.woken = false;
        let narrowed = self.newest_if_narrowed(&inner);
        inner.is_narrowed = false;
        TakenFromQueue { stored: std::mem::take(&mut inner.stored), narrowed }
    }

    /// Takes all that waits of a queue whose actor died, once the first of it was received before that. The next actor is
    /// on its way, so nothing is woken.
    #[must_use]
    pub fn take_what_waits_since(&self, before: Instant) -> Vec<Receipt> {
        let mut inner = self.inner.lock();
        let is_old = inner.waiting.iter().any(|receipt| receipt.event().received_at <= before);
        if inner.waker.is_some() || !is_old {
            return Vec::new();
        }
        self.empty(&mut inner)
    }

    /// Takes out what waits, and counts it off.
    fn empty(&self, inner: &mut Inner) -> Vec<Receipt> {
        self.waiting_bytes.store(0, Ordering::Relaxed);
        self.count(inner, -(inner.waiting.len() as i64));
        std::mem::take(&mut inner.waiting)
    }

    /// An actor starts: from now on it is the one to be woken. It must take the queue next.
    pub fn attach(&self, waker: Arc<dyn Wake>) {
        let mut inner = self.inner.lock();
        if std::mem::take(&mut inner.is_dead) {
            self.count(&inner, inner.waiting.len() as i64);
        }
        inner.waker = Some(waker);
        inner.woken = true;
    }

    /// The events that wait here have changed by this many. While the actor is dead they are the endpoint's own trouble, and
    /// hold up nobody's reading.
    fn count(&self, inner: &Inner, change: i64) {
        if !inner.is_dead {
            self.flow.queued(change);
        }
    }

    /// An idle actor wants to retire: true when nothing came in between, and then it is no longer woken.
    pub fn try_detach(&self) -> bool {
        let mut inner = self.inner.lock();
        if !inner.waiting.is_empty() || !inner.stored.is_empty() || inner.woken {
            return false;
        }
        inner.waker = None;
        true
    }

    /// The actor died. Nothing is woken until a new one attaches; the supervisor starts it.
    pub fn detach_dead(&self) {
        let mut inner = self.inner.lock();
        self.count(&inner, -(inner.waiting.len() as i64));
        inner.is_dead = true;
        inner.waker = None;
        inner.woken = true;
        self.health.restarts.fetch_add(1, Ordering::Relaxed);
        self.health.forget_actor();
    }

    /// The endpoint is gone: what waits is cancelled, and so is whatever comes later.
    pub fn close(&self) {
        let (waiting, stored) = {
            let mut inner = self.inner.lock();
            inner.closed = true;
            inner.wake_if_running();
            (self.empty(&mut inner), std::mem::take(&mut inner.stored))
        };
        Receipt::settle_all(waiting, Settlement::Cancelled);
        Receipt::settle_all(stored, Settlement::Cancelled);
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    /// Tells the actor, if one runs, that the process stops.
    pub fn drain(&self, drain: Drain) {
        if let Some(waker) = &self.inner.lock().waker {
            waker.drain(drain);
        }
    }

    /// Takes the number of its rows in the backlog: a lagging endpoint may have caught up.
    pub fn show_backlog_rows(&self, count: RowCount) {
        if self.is_lagging() {
            *self.backlog_rows.lock() = Some(count);
            self.nudge();
        }
    }

    /// Rows that wait in the backlog, if that is news.
    #[must_use]
    pub fn take_backlog_rows(&self) -> Option<RowCount> {
        self.is_lagging().then(|| self.backlog_rows.lock().take()).flatten()
    }

    /// The actor says whether the endpoint keeps up. True when that is news.
    pub fn show_lagging(&self, is_lagging: bool) -> bool {
        self.is_lagging() != is_lagging && self.lagging.swap(is_lagging, Ordering::Relaxed) != is_lagging
    }

    /// True if it cannot keep up.
    #[must_use]
    pub fn is_lagging(&self) -> bool {
        self.lagging.load(Ordering::Relaxed)
    }

    /// The part of the stored events that the endpoint takes now.
    #[must_use]
    pub fn takes_stored(&self, now: Instant) -> StoredTake {
        let health = &self.health;
        if self.settings().state != EndpointState::Enabled
            || health.off.load(Ordering::Relaxed)
            || health.silent_until.lock().is_some_and(|until| until > now)
        {
            return StoredTake::Nothing;
        }
        if health.breaker_word() != "closed" || health.stalled.load(Ordering::Relaxed) {
            StoredTake::UpTo(PROBE_EVENTS)
        } else if self.is_lagging() {
            StoredTake::UpTo(health.stored_wanted_events.load(Ordering::Relaxed).max(PROBE_EVENTS))
        } else {
            StoredTake::Many
        }
    }

    /// Bytes that wait here, and that its actor holds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.waiting_bytes.load(Ordering::Relaxed) + self.health.queued_bytes.load(Ordering::Relaxed)
    }

    /// Wakes the actor, if one runs, without giving it events: a command or new settings are there to be seen.
    pub fn nudge(&self) {
        self.inner.lock().wake_if_running();
    }

    /// The endpoint has just taken something that was no event: an open breaker need not wait for its time.
    pub fn want_probe(&self) {
        self.health.probe_wanted.store(true, Ordering::Relaxed);
        self.nudge();
    }

    #[must_use]
    pub fn waiting_events(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// Receipts that wait here or are with the actor, whatever they came from.
    #[must_use]
    pub fn held_receipts(&self) -> usize {
        let inner = self.inner.lock();
        inner.waiting.len() + inner.stored.len() + self.health.held_events.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn has_actor(&self) -> bool {
        self.inner.lock().waker.is_some()
    }
}

/// Stored events in memory while the breaker is not closed: one event is the probe, and the ramp begins with a few more.
const PROBE_EVENTS: usize = 8;

impl Inner {
    fn wake(&mut self) -> Pushed {
        if self.woken {
            return Pushed::Awake;
        }
        self.woken = true;
        match &self.waker {
            Some(waker) => {
                waker.wake();
                Pushed::Awake
            }
            None => Pushed::NeedsActor,
        }
    }

    fn wake_if_running(&mut self) {
        if self.waker.is_some() {
            let _ = self.wake();
        }
    }
}

impl fmt::Debug for EndpointQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointQueue").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
