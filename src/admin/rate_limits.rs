//! ○ Rate limits of keys, and of addresses with wrong keys. Told the time; never waits.

use std::{
    cell::Cell,
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use governor::{Quota, clock::Clock, middleware::NoOpMiddleware, nanos::Nanos, state::keyed::HashMapStateStore};

use super::client_address::site;

/// A limit for each of many callers (GCRA). Callers beyond `callers_max` share one.
pub(super) struct CallLimits<K: Hash + Eq + Clone> {
    governor: governor::RateLimiter<Option<K>, HashMapStateStore<Option<K>>, Told, NoOpMiddleware<Nanos>>,
    started: Instant,
    callers_max: usize,
}

impl<K: Hash + Eq + Clone> CallLimits<K> {
    /// `per_second` calls in the long run, `burst` at once.
    #[must_use]
    pub(super) fn new(per_second: NonZeroU32, burst: NonZeroU32, callers_max: usize, now: Instant) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let governor = governor::RateLimiter::new(quota, HashMapStateStore::default(), Told::default());
        CallLimits { governor, started: now, callers_max }
    }

    /// Counts a call, or says how long to wait before the next one has a chance.
    ///
    /// # Errors
    /// The wait.
    pub(super) fn take(&self, caller: &K, now: Instant) -> Result<(), Duration> {
        self.governor.clock().set(Nanos::from(now.saturating_duration_since(self.started)));
        let mut caller = Some(caller.clone());
        if self.governor.len() >= self.callers_max {
            // Those that have their whole burst again are as if they had never called.
            self.governor.retain_recent();
            caller = caller.filter(|_| self.governor.len() < self.callers_max);
        }
        let until = |refused: governor::NotUntil<Nanos>| {
            let at = self.started + Duration::from(refused.earliest_possible());
            at.saturating_duration_since(now).max(Duration::from_millis(1))
        };
        self.governor.check_key(&caller).map_err(until)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.governor.len()
    }
}

/// The time as it was told last.
#[derive(Default)]
struct Told(Cell<Nanos>);

impl Told {
    fn set(&self, now: Nanos) {
        self.0.set(now);
    }
}

impl Clock for Told {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

/// Addresses that came with too many wrong keys, and until when nothing is looked up for them.
pub(super) struct WrongKeys {
    limits: CallLimits<IpAddr>,
    blocked: HashMap<IpAddr, Instant>,
}

impl WrongKeys {
    /// An address may be wrong `per_second` times a second.
    #[must_use]
    pub(super) fn new(per_second: NonZeroU32, now: Instant) -> Self {
        let burst = per_second.saturating_mul(BURST_SECONDS);
        WrongKeys { limits: CallLimits::new(per_second, burst, ADDRESSES_MAX, now), blocked: HashMap::new() }
    }

    /// For how long this address has to wait.
    #[must_use]
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let until = self.blocked.get(&site(address)).filter(|until| **until > now)?;
        Some(until.saturating_duration_since(now))
    }

    /// Notes a wrong key; true when the address is refused from now on.
    pub(super) fn record(&mut self, address: IpAddr, now: Instant) -> bool {
        let site = site(address);
        let Err(wait) = self.limits.take(&site, now) else { return false };
        if self.blocked.len() >= ADDRESSES_MAX {
            self.blocked.retain(|_, until| *until > now);
        }
        if self.blocked.len() < ADDRESSES_MAX {
            self.blocked.insert(site, now + wait);
        }
        true
    }
}

const BURST_SECONDS: NonZeroU32 = NonZeroU32::new(4).expect("not zero");
const ADDRESSES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn some(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    #[test]
    fn each_caller_has_its_own_burst_and_then_its_rate() {
        let start = clock::now();
        let limits = CallLimits::new(some(10), some(3), 100, start);
        for _ in 0..3 {
            assert_eq!(limits.take(&"one", start), Ok(()));
        }
        let wait = limits.take(&"one", start).expect_err("the burst is over");
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(limits.take(&"other", start), Ok(()));
        assert_eq!(limits.take(&"one", start + wait), Ok(()));
    }

    #[test]
    fn callers_without_number_share_one_limit_and_no_memory() {
        let start = clock::now();
        let limits = CallLimits::new(some(1), some(2), 10, start);
        let passed = (0..1_000).filter(|caller| limits.take(caller, start).is_ok()).count();
        assert!(passed <= 12 && limits.len() <= 11, "{passed} {}", limits.len());
        let later = start + Duration::from_secs(10);
        assert_eq!(limits.take(&5_000, later), Ok(()));
    }

    #[test]
    fn an_address_with_too_many_wrong_keys_waits_and_no_other_does() {
        let start = clock::now();
        let mut wrong = WrongKeys::new(some(5), start);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
        let refused_at = (0..100).position(|_| wrong.record(one, start));
        assert_eq!(refused_at, Some(20));
        let wait = wrong.wait(one, start).expect("it waits");
        assert!(wait <= Duration::from_millis(200), "{wait:?}");
        assert_eq!((wrong.wait(other, start), wrong.wait(one, start + wait)), (None, None));
    }
}
