//! ● Units of a resource that customers share fairly, awaited. Who gets one next is decided in `fair_share.rs`.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

use tokio::sync::oneshot;

use super::fair_share::{FairShare, HandedUnit};
use crate::{clock, telemetry::handles::ShareMetrics};

/// A resource of one core. Cheap to clone.
#[derive(Clone)]
pub struct CoreShares {
    inner: Rc<Inner>,
}

struct Inner {
    state: RefCell<FairShare<Arc<str>, Arc<str>, oneshot::Sender<Unit>>>,
    metrics: ShareMetrics,
}

/// A unit of it, until it is dropped.
pub struct Unit(Option<Holder>);

struct Holder {
    inner: Rc<Inner>,
    customer: Arc<str>,
    member: Arc<str>,
}

impl CoreShares {
    #[must_use]
    pub fn new(units: usize, metrics: ShareMetrics) -> Self {
        CoreShares { inner: Rc::new(Inner { state: RefCell::new(FairShare::new(units)), metrics }) }
    }

    /// A unit for a customer's member, if it may have one now.
    #[must_use]
    pub fn try_unit(&self, customer: &Arc<str>, member: &Arc<str>) -> Option<Unit> {
        let taken = self.inner.state.borrow_mut().try_take(customer, member);
        taken.then(|| self.inner.unit(Arc::clone(customer), Arc::clone(member)))
    }

    /// Number of units that a customer's member could take now, and whether it is its own doing when that is less than
    /// `max`.
    #[must_use]
    pub fn obtainable(&self, customer: &Arc<str>, member: &Arc<str>, max: usize) -> (usize, bool) {
        let state = self.inner.state.borrow();
        let free = state.obtainable(customer, member, max);
        (free, free < max && state.has_share(customer, member))
    }

    /// A unit for a customer's member, as soon as its share allows it.
    pub async fn unit(&self, customer: &Arc<str>, member: &Arc<str>) -> Unit {
        loop {
            if let Some(unit) = self.try_unit(customer, member) {
                return unit;
            }
            let (sender, receiver) = oneshot::channel();
            self.inner.state.borrow_mut().wait(customer, member, sender);
            self.inner.metrics.waiting.increment(1.0);
            let waiting = Waiting(&self.inner, clock::now());
            let handed = receiver.await;
            drop(waiting);
            // Nobody forgets one who waits; if it were so, it would ask again.
            if let Ok(unit) = handed {
                return unit;
            }
        }
    }

    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.inner.state.borrow().free()
    }
}

/// Counted as waiting, whether it goes away or gets its unit.
struct Waiting<'a>(&'a Inner, Instant);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.metrics.waiting.decrement(1.0);
        self.0.metrics.waited(clock::now().saturating_duration_since(self.1));
    }
}

impl Inner {
    fn unit(self: &Rc<Self>, customer: Arc<str>, member: Arc<str>) -> Unit {
        Unit(Some(Holder { inner: Rc::clone(self), customer, member }))
    }

    fn give_back(self: &Rc<Self>, customer: &Arc<str>, member: &Arc<str>) {
        self.state.borrow_mut().give_back(customer, member);
        loop {
            let Some(HandedUnit { customer, member, waiter }) = self.state.borrow_mut().hand_out() else { return };
            // One who waited may have gone. Its unit does not end by itself then: that would come back here.
            if let Err(mut unit) = waiter.send(self.unit(customer, member))
                && let Some(Holder { customer, member, .. }) = unit.0.take()
            {
                self.state.borrow_mut().give_back(&customer, &member);
            }
        }
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        if let Some(Holder { inner, customer, member }) = self.0.take() {
            inner.give_back(&customer, &member);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn shares(units: usize) -> CoreShares {
        CoreShares::new(units, ShareMetrics::of_requests())
    }

    #[actix_rt::test]
    async fn a_unit_that_is_dropped_goes_to_one_who_waits() {
        let (shares, customer, member) = (shares(1), Arc::from("cus_1"), Arc::from("ep_1"));
        let held = shares.unit(&customer, &member).await;
        let mut waiting = Box::pin(shares.unit(&customer, &member));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        let handed = waiting.now_or_never().expect("it was handed on");
        assert_eq!(shares.free(), 0);
        drop(handed);
        assert_eq!(shares.free(), 1);
    }

    #[actix_rt::test]
    async fn the_unit_of_one_who_has_gone_goes_on_to_the_next() {
        let (shares, customer, member) = (shares(1), Arc::from("cus_1"), Arc::from("ep_1"));
        let held = shares.unit(&customer, &member).await;
        let mut gone: Vec<_> = (0..3).map(|_| Box::pin(shares.unit(&customer, &member))).collect();
        gone.iter_mut().for_each(|waiting| assert!(waiting.as_mut().now_or_never().is_none()));
        let mut waiting = Box::pin(shares.unit(&customer, &member));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(gone);
        drop(held);
        assert!(waiting.now_or_never().is_some());
        assert_eq!(shares.free(), 1);
    }

    #[actix_rt::test]
    async fn a_unit_that_was_handed_over_and_never_taken_comes_back() {
        let (shares, customer, member) = (shares(1), Arc::from("cus_1"), Arc::from("ep_1"));
        let held = shares.unit(&customer, &member).await;
        let mut waiting = Box::pin(shares.unit(&customer, &member));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        drop(waiting);
        assert_eq!(shares.free(), 1);
    }
}
