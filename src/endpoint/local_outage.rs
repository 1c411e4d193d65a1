//! ● Detection of a local outage, shared by all cores: when nobody at all can be reached the trouble is ours, and no endpoint is to blame.
//!
//! An endpoint without a connection (no route, no answer to connecting, no address for its name, no file handle left
//! for it) is in trouble by itself. But when that happens to several customers at several sites, and nobody was reached
//! meanwhile, our own network or name server is the likelier cause. A refused connection counts on neither side: it
//! comes from the endpoint's host, or from a firewall of ours.
//!
//! Once enough of them have failed since the last contact it is in doubt, and nobody is blamed any more: no attempt is
//! used up, no breaker opens. When nobody was reached for [`QUIET`](postrider_core::outage::QUIET), the trouble is ours: endpoints
//! hold what they have, nothing is sent, parked or given up, and partitions pause. A few trials a second go out, and
//! the first contact ends it.
//!
//! What the first few were blamed for is put right where it is cheap: breakers that are open by then let a probe
//! through when it is over. Their attempts stay used up, and what they parked by then is delivered from the backlog.
//!
//! The guess may be wrong: a few dead endpoints, and nobody else has anything to do. That must harm nobody, so
//! partitions are still read a little, and endpoints that were not tried yet are tried first: whoever can be reached
//! shows it within a moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

pub use postrider_core::outage::{OutageChange, TickResult};
use postrider_core::outage::{OutageDetector, UnreachedAttempt};

use crate::model::{event::EndpointKey, settings::Settings};

/// Shared state of all cores. Told of every attempt's end, so contacts cost one look at the common case.
pub struct LocalOutage {
    /// Times are kept as microseconds since then.
    started: Instant,
    /// Time at which somebody was reached last, exact to [`COARSE`]; 0 never.
    reached_us: AtomicU64,
    /// Enough have failed since the last contact.
    in_doubt: AtomicBool,
    is_on: AtomicBool,
    detector: Mutex<OutageDetector>,
}

/// Between two notes of a contact: with thousands a second, most only read.
const COARSE: Duration = Duration::from_millis(50);

impl LocalOutage {
    /// `customers_min`: fewer customers in trouble than this are in trouble themselves; 0 turns the whole thing off.
    #[must_use]
    pub fn new(customers_min: usize, now: Instant) -> Self {
        LocalOutage {
            started: now,
            reached_us: AtomicU64::new(0),
            in_doubt: AtomicBool::new(false),
            is_on: AtomicBool::new(false),
            detector: Mutex::new(OutageDetector::new(customers_min, now)),
        }
    }

    /// The trouble is ours. Changes in [`handle_tick`](LocalOutage::handle_tick) only.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// Somebody was reached.
    pub fn reached(&self, now: Instant) {
        let at = self.us(now);
        let in_doubt = self.in_doubt.load(Relaxed);
        if in_doubt || at > self.reached_us.load(Relaxed) + COARSE.as_micros() as u64 {
            self.reached_us.fetch_max(at, Relaxed);
        }
        if in_doubt {
            self.in_doubt.store(false, Relaxed);
        }
    }

    /// This endpoint could not even be connected to. True when it may well not be the endpoint's fault.
    #[must_use]
    pub fn failed(&self, endpoint: EndpointKey, settings: &Settings, now: Instant) -> bool {
        if self.in_doubt.load(Relaxed) {
            return true;
        }
        let customer = Arc::clone(&settings.customer_id);
        let failure = UnreachedAttempt { endpoint, customer, site: settings.url.site(), at: now };
        let in_doubt = self.detector.lock().failed(failure, self.reached_at());
        self.in_doubt.store(in_doubt, Relaxed);
        in_doubt
    }

    /// This endpoint has something to send, and could be tried while the trouble is ours.
    pub fn wants_trial(&self, endpoint: EndpointKey) {
        self.detector.lock().wants_trial(endpoint);
    }

    /// True once when it is this endpoint's turn to be tried.
    #[must_use]
    pub fn takes_trial(&self, endpoint: EndpointKey) -> bool {
        self.detector.lock().takes_trial(endpoint)
    }

    /// To be called every [`TICK`]: what has changed, and what is to be done.
    pub fn handle_tick(&self, now: Instant) -> TickResult {
        let mut detector = self.detector.lock();
        let tick = detector.handle_tick(now, self.reached_at());
        self.is_on.store(detector.is_on(), Relaxed);
        self.in_doubt.store(detector.is_in_doubt(), Relaxed);
        tick
    }

    fn reached_at(&self) -> Option<Instant> {
        match self.reached_us.load(Relaxed) {
            0 => None,
            at => Some(self.started + Duration::from_micros(at)),
        }
    }

    /// Never 0.
    fn us(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

/// Interval of the judgement.
pub const TICK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
