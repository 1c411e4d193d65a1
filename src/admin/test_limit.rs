//! ○ Rate limit of tests of an endpoint: enough for somebody who fixes it, too little to be of use to anybody else.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::fair_share::shares::{BoundedShares, Holder, Refused};

/// Tests of all endpoints in the last minute. So many endpoints are remembered, and no holder's take up all of that.
#[derive(Debug)]
pub(super) struct TestLimit {
    by_endpoint: HashMap<String, EndpointTests>,
    endpoints: BoundedShares,
}

#[derive(Debug)]
struct EndpointTests {
    times: VecDeque<Instant>,
    /// The first one that tested it: the place is its.
    holder: Holder,
}

/// The limit that a test is beyond, and after how long it may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TestRefusal {
    Endpoint(Duration),
    /// It has tested its share of endpoints.
    Holder(Duration),
    /// Others have tested so many endpoints that there is no place for one more.
    All(Duration),
}

impl Default for TestLimit {
    fn default() -> Self {
        TestLimit { by_endpoint: HashMap::new(), endpoints: BoundedShares::new(ENDPOINTS_MAX) }
    }
}

impl TestLimit {
    /// Counts a test, or refuses it.
    ///
    /// # Errors
    /// The limit.
    pub(super) fn take(&mut self, holder: &Holder, endpoint_id: &str, now: Instant) -> Result<(), TestRefusal> {
        if let Some(tests) = self.by_endpoint.get_mut(endpoint_id) {
            while tests.times.front().is_some_and(|at| left(*at, now).is_zero()) {
                tests.times.pop_front();
            }
            return match tests.times.front() {
                Some(first) if tests.times.len() >= TESTS_MAX => Err(TestRefusal::Endpoint(left(*first, now))),
                _ => {
                    tests.times.push_back(now);
                    Ok(())
                }
            };
        }
        if self.endpoints.take(holder, 1).is_err() {
            self.forget_old(now);
            self.endpoints.take(holder, 1).map_err(|refused| self.refusal(refused, holder, now))?;
        }
        let tests = EndpointTests { times: VecDeque::from([now]), holder: holder.clone() };
        self.by_endpoint.insert(endpoint_id.to_owned(), tests);
        Ok(())
    }

    fn forget_old(&mut self, now: Instant) {
        let endpoints = &mut self.endpoints;
        self.by_endpoint.retain(|_, tests| {
            let is_new = tests.times.back().is_some_and(|last| !left(*last, now).is_zero());
            if !is_new {
                endpoints.give_back(&tests.holder, 1);
            }
            is_new
        });
    }

    fn refusal(&self, refused: Refused, holder: &Holder, now: Instant) -> TestRefusal {
        let first = |of_holder: bool| {
            let tests = self.by_endpoint.values().filter(|tests| !of_holder || tests.holder == *holder);
            tests.filter_map(|tests| tests.times.back()).map(|last| left(*last, now)).min().unwrap_or(WINDOW)
        };
        match refused {
            Refused::BeyondShare => TestRefusal::Holder(first(true)),
            Refused::UsedUp => TestRefusal::All(first(false)),
        }
    }
}

/// The time until a test is over that was counted then.
fn left(counted_at: Instant, now: Instant) -> Duration {
    WINDOW.saturating_sub(now.saturating_duration_since(counted_at))
}

/// In each minute.
const TESTS_MAX: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Tested within one minute.
const ENDPOINTS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str) -> Holder {
        name.into()
    }

    #[test]
    fn the_eleventh_test_of_a_minute_has_to_wait_for_the_first_to_be_over() {
        let (mut limit, begun, acme) = (TestLimit::default(), Instant::now(), holder("acme"));
        let at = |seconds| begun + Duration::from_secs(seconds);
        for second in 0..10 {
            assert_eq!(limit.take(&acme, "ep_1", at(second)), Ok(()));
        }
        let waits = |seconds| Err(TestRefusal::Endpoint(Duration::from_secs(seconds)));
        assert_eq!(limit.take(&acme, "ep_1", at(20)), waits(40));
        assert_eq!(limit.take(&holder("operator"), "ep_1", at(20)), waits(40), "whoever tests it");
        assert_eq!(limit.take(&acme, "ep_2", at(20)), Ok(()));
        assert_eq!(limit.take(&acme, "ep_1", at(60)), Ok(()));
        assert_eq!(limit.take(&acme, "ep_1", at(60)), waits(1));
    }

    #[test]
    fn one_that_tests_all_it_can_leaves_tests_to_others_and_has_to_wait_for_its_own() {
        let (mut limit, begun, greedy, modest) =
            (TestLimit::default(), Instant::now(), holder("greedy"), holder("modest"));
        let later = begun + Duration::from_secs(20);
        for number in 0..ENDPOINTS_MAX / 2 {
            assert_eq!(limit.take(&greedy, &format!("ep_{number}"), begun), Ok(()));
        }
        let refused = Err(TestRefusal::Holder(Duration::from_secs(40)));
        assert_eq!(limit.take(&greedy, "ep_more", later), refused);
        assert_eq!(limit.take(&greedy, "ep_0", later), Ok(()), "one that has a place");
        for number in 0..100 {
            assert_eq!(limit.take(&modest, &format!("ep_other_{number}"), later), Ok(()));
        }
        // What is remembered is bounded and forgotten.
        assert_eq!(limit.take(&greedy, "ep_more", begun + WINDOW), Ok(()));
        assert_eq!((limit.by_endpoint.len(), limit.endpoints.taken()), (102, 102));
    }

    #[test]
    fn one_that_finds_no_place_left_is_told_that_others_have_them() {
        let (mut limit, begun) = (TestLimit::default(), Instant::now());
        for number in 0..ENDPOINTS_MAX {
            assert_eq!(limit.take(&holder(&format!("cus_{number}")), &format!("ep_{number}"), begun), Ok(()));
        }
        assert_eq!(limit.take(&holder("late"), "ep_late", begun), Err(TestRefusal::All(WINDOW)));
    }
}
