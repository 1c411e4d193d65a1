//! ● Turns at a resource: waited for, and given back whatever becomes of the request.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    shares::{Holder, Refused},
    waiting::{TurnAnswer, Waiting},
};
use crate::telemetry::names;

/// A resource whose units are lent for a while. Cheap to clone.
#[derive(Clone)]
pub struct Turns {
    shared: Arc<Shared>,
}

struct Shared {
    /// In metrics.
    resource: &'static str,
    waiting: Mutex<Waiting>,
    called: Mutex<HashMap<u64, oneshot::Sender<FairTurn>>>,
    next: AtomicU64,
}

/// A unit of the resource, given back when dropped.
pub struct FairTurn {
    shared: Arc<Shared>,
    holder: Holder,
}

tokio::task_local! {
    static HOLDER: Holder;
}

/// Runs `work` for a holder: what it takes of any resource is that holder's.
pub async fn on_behalf_of<F: Future>(holder: Holder, work: F) -> F::Output {
    HOLDER.scope(holder, work).await
}

/// The holder that this task works for. All work for nobody in particular shares one, without a name.
#[must_use]
pub fn holder() -> Holder {
    HOLDER.try_with(Arc::clone).unwrap_or_else(|_| "".into())
}

impl Turns {
    /// `capacity` at once; of each holder so many wait.
    #[must_use]
    pub fn new(resource: &'static str, capacity: usize, holder_waiting_max: usize) -> Self {
        let waiting = Mutex::new(Waiting::new(capacity.max(1), holder_waiting_max));
        Turns { shared: Arc::new(Shared { resource, waiting, called: Mutex::default(), next: AtomicU64::new(0) }) }
    }

    /// A turn at once, or none.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn take(&self, holder: &Holder) -> Result<FairTurn, Refused> {
        let taken = self.shared.waiting.lock().take(holder);
        match taken {
            Ok(()) => Ok(self.shared.turn_of(holder)),
            Err(refused) => Err(self.shared.count(refused)),
        }
    }

    /// A turn, waited for no longer than `patience`.
    ///
    /// # Errors
    /// The reason why there is none.
    pub async fn wait(&self, holder: &Holder, patience: Duration) -> Result<FairTurn, Refused> {
        let ticket = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (call, called) = oneshot::channel();
        self.shared.called.lock().insert(ticket, call);
        let _waiter = Waiter { shared: &self.shared, holder, ticket };
        let asked = self.shared.waiting.lock().ask(holder, ticket);
        match asked {
            TurnAnswer::Granted => Ok(self.shared.turn_of(holder)),
            TurnAnswer::Refused => Err(self.shared.count(Refused::BeyondShare)),
            TurnAnswer::Queued => match tokio::time::timeout(patience, called).await {
                Ok(Ok(turn)) => Ok(turn),
                _ => Err(self.shared.count(Refused::UsedUp)),
            },
        }
    }
}

impl Shared {
    fn turn_of(self: &Arc<Self>, holder: &Holder) -> FairTurn {
        FairTurn { shared: Arc::clone(self), holder: Arc::clone(holder) }
    }

    fn count(&self, refused: Refused) -> Refused {
        let reason = refused.as_str();
        metrics::counter!(names::API_SHARES_REFUSED, "resource" => self.resource, "reason" => reason).increment(1);
        refused
    }
}

impl Drop for FairTurn {
    fn drop(&mut self) {
        let granted = self.shared.waiting.lock().give_back(&self.holder);
        for (holder, ticket) in granted {
            let turn = self.shared.turn_of(&holder);
            let call = self.shared.called.lock().remove(&ticket);
            // One whose request has gone comes back at once.
            drop(call.map(|call| call.send(turn)));
        }
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("resource", &self.shared.resource).finish_non_exhaustive()
    }
}

/// A request's place in the queue, left when the request goes.
struct Waiter<'a> {
    shared: &'a Shared,
    holder: &'a Holder,
    ticket: u64,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        // One lock after the other: a turn that is granted in between finds nobody, and comes back.
        self.shared.waiting.lock().forget(self.holder, self.ticket);
        self.shared.called.lock().remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn one_holders_crowd_leaves_a_turn_for_another() {
        let turns = Turns::new("tests", 2, 10);
        let (greedy, modest): (Holder, Holder) = ("greedy".into(), "modest".into());
        let held = turns.wait(&greedy, PATIENCE).await.expect("the first");
        assert!(matches!(turns.take(&greedy), Err(Refused::BeyondShare)));
        assert!(turns.wait(&greedy, Duration::ZERO).await.is_err(), "it waits, and in vain");
        let other = turns.wait(&modest, PATIENCE).await.expect("another's");
        let mut waiting = Box::pin(turns.wait(&greedy, PATIENCE));
        assert!((&mut waiting).now_or_never().is_none());
        drop(held);
        assert!(waiting.await.is_ok(), "what comes back is given on");
        drop(other);
    }

    #[tokio::test]
    async fn a_turn_that_nobody_waits_for_any_more_comes_back() {
        let turns = Turns::new("tests", 1, 10);
        let (one, other): (Holder, Holder) = ("one".into(), "other".into());
        let held = turns.wait(&one, PATIENCE).await.expect("the first");
        let mut gone = Box::pin(turns.wait(&other, PATIENCE));
        assert!((&mut gone).now_or_never().is_none());
        drop(held);
        // It was granted its turn, and goes before it hears of it.
        drop(gone);
        assert!(turns.take(&one).is_ok());
        assert!(turns.shared.called.lock().is_empty());
    }

    #[tokio::test]
    async fn a_task_knows_for_whom_it_works() {
        assert_eq!(&*holder(), "");
        assert_eq!(&*on_behalf_of("cus_1".into(), async { holder() }).await, "cus_1");
    }
}
