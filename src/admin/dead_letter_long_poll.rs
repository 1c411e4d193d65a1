//! ● Long polls for dead letters: one statement now and then asks for all of them, and none is asked while nobody
//! waits.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::problem::Problem;
use crate::{
    clock,
    fair_share::{
        shares::Holder,
        turns::{FairTurn, Turns},
    },
    store::{
        Pool,
        dead_letter_read::{self, DeadLetterPosition},
    },
};

/// Long polls that wait. Cheap to clone.
#[derive(Clone)]
pub(super) struct DeadLetterLongPolls {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    waiting: Mutex<Waiting>,
    next: AtomicU64,
    places: Turns,
}

#[derive(Default)]
struct Waiting {
    waiters: HashMap<u64, Waiter>,
    /// Waiters for time to pass. Dropped when the server stops.
    resting: HashMap<u64, oneshot::Sender<()>>,
    /// Somebody asks Postgres for all of them.
    asked_for: bool,
    closed: bool,
}

struct Waiter {
    endpoint_id: String,
    after: DeadLetterPosition,
    found: oneshot::Sender<DeadLetterPosition>,
}

impl DeadLetterLongPolls {
    /// No more wait than half of the connections: the others are for whoever wants an answer now, probes among them.
    #[must_use]
    pub(super) fn new(pool: Pool, connections_max: usize) -> Self {
        let waiters_max = WAITERS_MAX.min(connections_max / 2);
        let places = Turns::new("long_polls", waiters_max, 0);
        DeadLetterLongPolls {
            shared: Arc::new(Shared { pool, waiting: Mutex::default(), next: AtomicU64::new(0), places }),
        }
    }

    /// A place to wait, among those of one holder.
    ///
    /// # Errors
    /// 429 when as many of the same key wait as may; 503 when there is no place at all.
    pub(super) fn place(&self, holder: &Holder) -> Result<FairTurn, Problem> {
        self.shared.places.take(holder).map_err(|refused| Problem::no_share(refused, "long polls"))
    }

    /// Position of the endpoint's newest letter, once there is one after `after`. `None` at the deadline, and at once
    /// when the server stops. A waiter that goes away is forgotten.
    pub(super) async fn newer(
        &self,
        endpoint_id: &str,
        after: &DeadLetterPosition,
        deadline: Instant,
    ) -> Option<DeadLetterPosition> {
        let (found, arrived) = oneshot::channel();
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut waiting = self.shared.waiting.lock();
            if waiting.closed {
                return None;
            }
            let waiter = Waiter { endpoint_id: endpoint_id.to_owned(), after: after.clone(), found };
            waiting.waiters.insert(number, waiter);
            if !std::mem::replace(&mut waiting.asked_for, true) {
                actix_rt::spawn(Arc::clone(&self.shared).ask());
            }
        }
        let _registration = Registration { shared: &self.shared, number };
        let wait = deadline.saturating_duration_since(clock::now());
        tokio::time::timeout(wait, arrived).await.ok()?.ok()
    }

    /// True after that time; false when the server stops.
    pub(super) async fn rest_until(&self, until: Instant) -> bool {
        let (resting, stopped) = oneshot::channel::<()>();
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut waiting = self.shared.waiting.lock();
            if waiting.closed {
                return false;
            }
            waiting.resting.insert(number, resting);
        }
        let _registration = Registration { shared: &self.shared, number };
        tokio::time::timeout(until.saturating_duration_since(clock::now()), stopped).await.is_err()
    }

    /// Nobody waits any longer: the server stops.
    pub(super) fn close(&self) {
        let mut waiting = self.shared.waiting.lock();
        waiting.closed = true;
        waiting.waiters.clear();
        waiting.resting.clear();
    }
}

impl std::fmt::Debug for DeadLetterLongPolls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrivals").field("waiting", &self.shared.waiting.lock().waiters.len()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Until nobody waits.
    async fn ask(self: Arc<Self>) {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let (numbers, (endpoints, after)): (Vec<u64>, (Vec<String>, Vec<DeadLetterPosition>)) = {
                let mut waiting = self.waiting.lock();
                if waiting.waiters.is_empty() {
                    waiting.asked_for = false;
                    return;
                }
                let of =
                    |(number, waiter): (&u64, &Waiter)| (*number, (waiter.endpoint_id.clone(), waiter.after.clone()));
                waiting.waiters.iter().map(of).unzip()
            };
            let found = match dead_letter_read::newest(&self.pool, &endpoints, &after).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::debug!(%error, "new dead letters cannot be looked up; it is tried again");
                    continue;
                }
            };
            let mut waiting = self.waiting.lock();
            for (place, newest) in found {
                if let Some(waiter) = numbers.get(place).and_then(|number| waiting.waiters.remove(number)) {
                    let _ = waiter.found.send(newest);
                }
            }
        }
    }
}

/// A waiter's place, given back when its client goes.
struct Registration<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let mut waiting = self.shared.waiting.lock();
        waiting.waiters.remove(&self.number);
        waiting.resting.remove(&self.number);
    }
}

const ASK_EVERY: Duration = Duration::from_millis(500);
/// Requests of all keys together that wait.
const WAITERS_MAX: usize = 500;
