//! ○ A cache of names: their addresses for as long as their records say, failures for some seconds, and old addresses
//! while new ones cannot be had.

use std::{
    net::IpAddr,
    num::NonZeroUsize,
    rc::Rc,
    time::{Duration, Instant},
};

use lru::LruCache;

/// Lifetimes of results.
#[derive(Debug, Clone, Copy)]
pub struct NameLimits {
    /// Addresses are looked up again after this long, or earlier where their records say so.
    pub fresh_max: Duration,
    /// Addresses that are no longer fresh serve for so much longer while no look-up brings new ones.
    pub stale_max: Duration,
    /// A name that failed is not looked up again for so long.
    pub failure: Duration,
    /// The name used longest ago is forgotten beyond so many.
    pub names_max: usize,
}

/// Addresses of a name, in the order in which they are tried.
pub type ResolvedAddresses = Rc<[IpAddr]>;

/// The reason why a name has no address now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameFailure {
    #[error("{0}")]
    NotFound(Rc<str>),
    #[error("name lookup timed out")]
    TimedOut,
    /// A name server said so, or could not be reached.
    #[error("{0}")]
    Unavailable(Rc<str>),
    /// A failure of this machine.
    #[error("{0}")]
    Local(Rc<str>),
}

/// Result of a look-up.
#[derive(Debug, Clone)]
pub struct Found {
    pub addresses: Vec<IpAddr>,
    /// For so long the records may be used.
    pub ttl: Duration,
}

/// The state of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameState {
    Addresses(ResolvedAddresses),
    /// These, and they should be looked up again soon.
    Ageing(ResolvedAddresses),
    /// It failed a moment ago.
    Failed(NameFailure),
    /// It has to be looked up.
    No,
}

pub struct NameCache {
    limits: NameLimits,
    entries: LruCache<Box<str>, Entry>,
}

#[derive(Default)]
struct Entry {
    found: Option<Kept>,
    /// Until then it is not looked up again.
    failed: Option<(Instant, NameFailure)>,
}

struct Kept {
    addresses: ResolvedAddresses,
    ageing_at: Instant,
    fresh_until: Instant,
    stale_until: Instant,
}

impl NameCache {
    #[must_use]
    pub fn new(limits: NameLimits) -> Self {
        let names_max = NonZeroUsize::new(limits.names_max).unwrap_or(NonZeroUsize::MIN);
        NameCache { limits, entries: LruCache::new(names_max) }
    }

    /// Looks a name up in the cache. Counts as a use.
    pub fn lookup(&mut self, name: &str, now: Instant) -> NameState {
        let Some(entry) = self.entries.get(name) else { return NameState::No };
        let failed = entry.failed.as_ref().filter(|(until, _)| now < *until);
        match (&entry.found, failed) {
            (Some(found), None) if now < found.ageing_at => NameState::Addresses(Rc::clone(&found.addresses)),
            (Some(found), None) if now < found.fresh_until => NameState::Ageing(Rc::clone(&found.addresses)),
            (Some(found), Some(_)) if now < found.stale_until => NameState::Addresses(Rc::clone(&found.addresses)),
            (_, Some((_, failure))) => NameState::Failed(failure.clone()),
            (_, None) => NameState::No,
        }
    }

    /// A look-up found addresses.
    pub fn found(&mut self, name: &str, found: Found, now: Instant) -> Result<ResolvedAddresses, NameFailure> {
        if found.addresses.is_empty() {
            return self.failed(name, NameFailure::NotFound("name has no address".into()), now);
        }
        let addresses: ResolvedAddresses = found.addresses.into();
        let fresh = found.ttl.max(TTL_MIN).min(self.limits.fresh_max);
        let kept = Kept {
            addresses: Rc::clone(&addresses),
            ageing_at: now + fresh.mul_f64(AGEING),
            fresh_until: now + fresh,
            stale_until: now + fresh + self.limits.stale_max,
        };
        self.entries.put(name.into(), Entry { found: Some(kept), failed: None });
        Ok(addresses)
    }

    /// A look-up failed: old addresses serve instead, where there are some and nobody said that there are none.
    ///
    /// # Errors
    /// When nothing can serve instead.
    pub fn failed(&mut self, name: &str, failure: NameFailure, now: Instant) -> Result<ResolvedAddresses, NameFailure> {
        let until = now + self.limits.failure;
        let entry = self.entries.get_or_insert_mut(name.into(), Entry::default);
        if matches!(failure, NameFailure::NotFound(_)) {
            entry.found = None;
        }
        let stale = entry.found.as_ref().filter(|found| now < found.stale_until);
        let stale = stale.map(|found| Rc::clone(&found.addresses));
        // What this machine lacks says nothing of the name.
        if !matches!(failure, NameFailure::Local(_)) {
            entry.failed = Some((until, failure.clone()));
        }
        stale.ok_or(failure)
    }
}

/// Records that must not be kept at all are kept for one burst of connections.
const TTL_MIN: Duration = Duration::from_secs(1);
/// At this part of their time, addresses that are used are looked up again.
const AGEING: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: NameLimits = NameLimits {
        fresh_max: Duration::from_secs(30),
        stale_max: Duration::from_secs(600),
        failure: Duration::from_secs(5),
        names_max: 2,
    };

    fn addresses(last: u8) -> Vec<IpAddr> {
        vec![IpAddr::from([192, 0, 2, last])]
    }

    fn found(names: &mut NameCache, name: &str, last: u8, ttl: u64, now: Instant) {
        let found = Found { addresses: addresses(last), ttl: Duration::from_secs(ttl) };
        assert!(names.found(name, found, now).is_ok());
    }

    fn known(last: u8) -> NameState {
        NameState::Addresses(addresses(last).into())
    }

    fn ageing(last: u8) -> NameState {
        NameState::Ageing(addresses(last).into())
    }

    struct Clock(Instant);

    impl Clock {
        fn at(&self, seconds: f64) -> Instant {
            self.0 + Duration::from_secs_f64(seconds)
        }
    }

    fn start() -> (NameCache, Clock) {
        (NameCache::new(LIMITS), Clock(Instant::now()))
    }

    #[test]
    fn addresses_are_used_for_as_long_as_their_records_say_and_looked_up_again_before() {
        let (mut names, clock) = start();
        assert_eq!(names.lookup("a", clock.at(0.0)), NameState::No);
        found(&mut names, "a", 1, 10, clock.at(0.0));
        assert_eq!(names.lookup("a", clock.at(7.9)), known(1));
        assert_eq!(names.lookup("a", clock.at(8.1)), ageing(1));
        assert_eq!(names.lookup("a", clock.at(10.0)), NameState::No, "whoever wants it now waits for the look-up");
    }

    #[test]
    fn records_are_used_for_no_longer_than_the_setting_says_and_for_a_second_at_least() {
        let (mut names, clock) = start();
        found(&mut names, "long", 1, 86_400, clock.at(0.0));
        assert_eq!(names.lookup("long", clock.at(30.0)), NameState::No);
        found(&mut names, "none", 2, 0, clock.at(0.0));
        assert_eq!(names.lookup("none", clock.at(0.9)), ageing(2));
        assert_eq!(names.lookup("none", clock.at(1.0)), NameState::No);
    }

    #[test]
    fn a_failure_is_remembered_for_some_seconds() {
        let (mut names, clock) = start();
        assert_eq!(names.failed("a", NameFailure::TimedOut, clock.at(0.0)), Err(NameFailure::TimedOut));
        assert_eq!(names.lookup("a", clock.at(4.9)), NameState::Failed(NameFailure::TimedOut));
        assert_eq!(names.lookup("a", clock.at(5.0)), NameState::No);
    }

    #[test]
    fn old_addresses_serve_while_new_ones_cannot_be_had() {
        let (mut names, clock) = start();
        found(&mut names, "a", 1, 10, clock.at(0.0));
        let failure = || NameFailure::Unavailable("refused".into());
        assert_eq!(names.failed("a", failure(), clock.at(20.0)), Ok(addresses(1).into()));
        assert_eq!(names.lookup("a", clock.at(24.0)), known(1), "nobody asks again at once");
        assert_eq!(names.lookup("a", clock.at(26.0)), NameState::No, "then somebody does");
        assert_eq!(names.failed("a", failure(), clock.at(609.0)), Ok(addresses(1).into()));
        assert_eq!(names.lookup("a", clock.at(611.0)), NameState::Failed(failure()), "not for ever");
        assert_eq!(names.failed("a", failure(), clock.at(620.0)), Err(failure()));
    }

    #[test]
    fn a_name_that_is_gone_has_no_old_addresses() {
        let (mut names, clock) = start();
        found(&mut names, "a", 1, 10, clock.at(0.0));
        let gone = NameFailure::NotFound("no such name".into());
        assert_eq!(names.failed("a", gone.clone(), clock.at(11.0)), Err(gone));
        assert!(names.failed("a", NameFailure::TimedOut, clock.at(20.0)).is_err());
    }

    #[test]
    fn what_this_machine_lacks_is_not_remembered_of_a_name() {
        let (mut names, clock) = start();
        let lacking = NameFailure::Local("no file handles".into());
        assert_eq!(names.failed("a", lacking.clone(), clock.at(0.0)), Err(lacking));
        assert_eq!(names.lookup("a", clock.at(0.1)), NameState::No);
    }

    #[test]
    fn beyond_the_bound_the_name_used_longest_ago_is_forgotten() {
        let (mut names, clock) = start();
        found(&mut names, "a", 1, 10, clock.at(0.0));
        found(&mut names, "b", 2, 10, clock.at(0.0));
        assert_eq!(names.lookup("a", clock.at(1.0)), known(1));
        found(&mut names, "c", 3, 10, clock.at(1.0));
        assert_eq!(names.lookup("b", clock.at(1.0)), NameState::No);
        assert_eq!(names.lookup("a", clock.at(1.0)), known(1));
    }
}
