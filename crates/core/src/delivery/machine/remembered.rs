//! ○ Memory of an endpoint when its actor retires for want of work, for the next one: its failures, whether it is left alone,
//! and the requests that it bears. Without it, the failures of an endpoint with few events would never add up.

use std::time::Instant;

use super::{Delivery, refusals::Refusals};
use crate::delivery::{
    breaker::{BreakerState, CircuitBreaker},
    concurrency::ConcurrencyLimit,
};

/// See the module's page. Not for an actor that died: no state of one is used again.
#[derive(Debug)]
pub struct Remembered {
    breaker: CircuitBreaker,
    refusals: Refusals,
    concurrency: Option<Box<ConcurrencyLimit>>,
    /// Version of the settings that this was found out with.
    version: i64,
}

impl Remembered {
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }
}

impl Delivery {
    /// Memory for the next machine of this endpoint; `None` for one of which nothing is known that a new one would not assume.
    #[must_use]
    pub fn remember(&self) -> Option<Remembered> {
        let Delivery { breaker, refusals, concurrency, settings, .. } = self;
        let is_worth_it = !(breaker.is_untroubled() && refusals.is_empty() && concurrency.is_none());
        is_worth_it.then(|| Remembered {
            breaker: breaker.clone(),
            refusals: refusals.clone(),
            concurrency: concurrency.clone(),
            version: settings.version,
        })
    }

    /// Goes on where the one before retired. Settings that are newer may have ended its trouble: one probe tells.
    #[must_use]
    pub fn remembering(mut self, remembered: Remembered, now: Instant) -> Self {
        let Remembered { breaker, refusals, concurrency, version } = remembered;
        self.breaker = breaker;
        if self.settings.version > version {
            let change = self.breaker.probe_now();
            self.report(change);
        } else {
            self.refusals = refusals;
            if let Some(mut concurrency) = concurrency {
                concurrency.resume(now);
                self.concurrency = Some(concurrency);
            }
        }
        self.advance(now);
        self
    }
}
