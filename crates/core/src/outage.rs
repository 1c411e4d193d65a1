//! ○ Evidence for trouble of our own, and the endpoints to try while it lasts.
//!
//! **Invariant:** it never begins within [`QUIET`] after a contact, nor with fewer customers or sites than it takes.
//! **Invariant:** a contact ends it with the next tick.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::model::event::EndpointKey;

/// An attempt that found nobody.
#[derive(Debug, Clone)]
pub struct UnreachedAttempt {
    pub endpoint: EndpointKey,
    pub customer: Arc<str>,
    /// See [`EndpointUrl::site`](crate::model::url::EndpointUrl::site).
    pub site: Box<str>,
    pub at: Instant,
}

/// Result of a tick.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TickResult {
    pub change: Option<OutageChange>,
    /// This endpoint may be tried.
    pub trial: Option<EndpointKey>,
    /// While the trouble is ours: so many events each partition may read since it began.
    pub events_max: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutageChange {
    Began,
    Ended { lasted: Duration },
}

#[derive(Debug)]
pub struct OutageDetector {
    customers_min: usize,
    started: Instant,
    /// The newest failure of each endpoint since somebody was reached.
    failures: HashMap<EndpointKey, UnreachedAttempt>,
    /// The first one of them.
    since: Option<Instant>,
    /// Their customers.
    customers: HashSet<Arc<str>>,
    sites: HashSet<Box<str>>,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    trial_at: Instant,
    /// Endpoints that could be tried, the next one first. At most every endpoint once.
    waiting: VecDeque<EndpointKey>,
    is_waiting: HashSet<EndpointKey>,
    tried: HashSet<EndpointKey>,
    granted: HashSet<EndpointKey>,
}

impl OutageDetector {
    #[must_use]
    pub fn new(customers_min: usize, now: Instant) -> Self {
        OutageDetector {
            customers_min,
            started: now,
            failures: HashMap::new(),
            since: None,
            customers: HashSet::new(),
            sites: HashSet::new(),
            trouble: None,
        }
    }

    #[must_use]
    pub fn is_on(&self) -> bool {
        self.trouble.is_some()
    }

    /// Enough have failed since the last contact, or it is on.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        let enough = self.customers.len().min(self.sites.len()) >= self.customers_min;
        self.is_on() || self.customers_min > 0 && enough
    }

    /// True when it is in doubt from now on.
    pub fn failed(&mut self, failure: UnreachedAttempt, reached_at: Option<Instant>) -> bool {
        if !self.is_on() {
            self.forget_before(reached_at);
        }
        if self.customers_min > 0 && !self.is_in_doubt() {
            self.since.get_or_insert(failure.at);
            self.customers.insert(Arc::clone(&failure.customer));
            self.sites.insert(failure.site.clone());
            // More endpoints prove nothing more.
            if self.failures.len() < FAILURES_MAX || self.failures.contains_key(&failure.endpoint) {
                self.failures.insert(failure.endpoint, failure);
            }
        }
        self.is_in_doubt()
    }

    pub fn wants_trial(&mut self, endpoint: EndpointKey) {
        let Some(trouble) = &mut self.trouble else { return };
        if !trouble.is_waiting.insert(endpoint) {
            return;
        }
        if trouble.tried.contains(&endpoint) {
            trouble.waiting.push_back(endpoint);
        } else {
            trouble.waiting.push_front(endpoint);
        }
    }

    pub fn takes_trial(&mut self, endpoint: EndpointKey) -> bool {
        self.trouble.as_mut().is_some_and(|trouble| trouble.granted.remove(&endpoint))
    }

    pub fn handle_tick(&mut self, now: Instant, reached_at: Option<Instant>) -> TickResult {
        self.forget_before(reached_at);
        // A doubt is decided soon, by a contact or by none.
        if !self.is_in_doubt() {
            self.forget_old(now);
        }
        let change = match &self.trouble {
            None => self.begins(now, reached_at),
            Some(trouble) => self.ends(trouble.since, now, reached_at),
        };
        match &mut self.trouble {
            None => TickResult { change, ..TickResult::default() },
            Some(trouble) => {
                let lasts = now.saturating_duration_since(trouble.since);
                let events_max = TRICKLE_EVENTS * (1 + lasts.as_secs() / TRICKLE_EVERY.as_secs());
                TickResult { change, trial: trouble.next_trial(now), events_max: Some(events_max) }
            }
        }
    }

    fn begins(&mut self, now: Instant, reached_at: Option<Instant>) -> Option<OutageChange> {
        let quiet_since = reached_at.unwrap_or(self.started);
        if !self.is_in_doubt() || now.saturating_duration_since(quiet_since) < QUIET {
            return None;
        }
        self.forget();
        self.trouble = Some(Trouble {
            since: now,
            trial_at: now,
            waiting: VecDeque::new(),
            is_waiting: HashSet::new(),
            tried: HashSet::new(),
            granted: HashSet::new(),
        });
        Some(OutageChange::Began)
    }

    fn ends(&mut self, since: Instant, now: Instant, reached_at: Option<Instant>) -> Option<OutageChange> {
        if reached_at? < since {
            return None;
        }
        self.trouble = None;
        Some(OutageChange::Ended { lasted: now.saturating_duration_since(since) })
    }

    /// A contact clears everybody who failed before it.
    fn forget_before(&mut self, reached_at: Option<Instant>) {
        if self.since.zip(reached_at).is_some_and(|(since, reached)| reached >= since) {
            self.forget();
        }
    }

    fn forget_old(&mut self, now: Instant) {
        let before = self.failures.len();
        self.failures.retain(|_, failure| now.saturating_duration_since(failure.at) < FORGOTTEN_AFTER);
        if self.failures.len() == before {
            return;
        }
        if self.failures.is_empty() {
            return self.forget();
        }
        self.customers = self.failures.values().map(|failure| Arc::clone(&failure.customer)).collect();
        self.sites = self.failures.values().map(|failure| failure.site.clone()).collect();
    }

    fn forget(&mut self) {
        self.failures.clear();
        self.customers.clear();
        self.sites.clear();
        self.since = None;
    }
}

impl Trouble {
    fn next_trial(&mut self, now: Instant) -> Option<EndpointKey> {
        if now < self.trial_at {
            return None;
        }
        let endpoint = self.waiting.pop_front()?;
        self.trial_at = now + TRIAL_SPACING;
        self.is_waiting.remove(&endpoint);
        self.tried.insert(endpoint);
        self.granted.insert(endpoint);
        Some(endpoint)
    }
}

/// Time without anybody reached after which the trouble is ours. Well below `park_after`, and with any load at all an age.
pub const QUIET: Duration = Duration::from_secs(1);
/// A failure says nothing about the present after this.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// Endpoints that are kept in mind: one customer may have thousands of dead ones.
const FAILURES_MAX: usize = 1_000;
/// Between two trials.
pub const TRIAL_SPACING: Duration = Duration::from_millis(250);
/// Events that a partition may read although the trouble is ours: so many at once, and as many again in each such time.
const TRICKLE_EVENTS: u64 = 100;
const TRICKLE_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
