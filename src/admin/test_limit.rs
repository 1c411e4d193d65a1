//! ○ Rate limit of tests of an endpoint: enough for somebody who fixes it, too little to be of use to anybody else.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// Tests of all endpoints in the last minute.
#[derive(Debug, Default)]
pub(super) struct TestLimit {
    by_endpoint: HashMap<String, VecDeque<Instant>>,
}

impl TestLimit {
    /// Counts a test, or says after how long there may be another.
    ///
    /// # Errors
    /// The wait.
    pub(super) fn take(&mut self, endpoint_id: &str, now: Instant) -> Result<(), Duration> {
        let is_over = |at: &Instant| now.saturating_duration_since(*at) >= WINDOW;
        if self.by_endpoint.len() >= ENDPOINTS_MAX {
            self.by_endpoint.retain(|_, times| times.back().is_some_and(|last| !is_over(last)));
        }
        let full = self.by_endpoint.len() >= ENDPOINTS_MAX && !self.by_endpoint.contains_key(endpoint_id);
        if full {
            return Err(WINDOW);
        }
        let times = self.by_endpoint.entry(endpoint_id.to_owned()).or_default();
        while times.front().is_some_and(is_over) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= TESTS_MAX => Err(WINDOW - now.saturating_duration_since(*first)),
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }
}

/// In each minute.
const TESTS_MAX: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Tested within one minute.
const ENDPOINTS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_test_of_a_minute_has_to_wait_for_the_first_to_be_over() {
        let (mut limit, begun) = (TestLimit::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        for second in 0..10 {
            assert_eq!(limit.take("ep_1", at(second)), Ok(()));
        }
        assert_eq!(limit.take("ep_1", at(20)), Err(Duration::from_secs(40)));
        assert_eq!(limit.take("ep_2", at(20)), Ok(()));
        assert_eq!(limit.take("ep_1", at(60)), Ok(()));
        assert_eq!(limit.take("ep_1", at(60)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let (mut limit, begun) = (TestLimit::default(), Instant::now());
        for number in 0..ENDPOINTS_MAX {
            assert_eq!(limit.take(&format!("ep_{number}"), begun), Ok(()));
        }
        assert!(limit.take("ep_more", begun).is_err());
        assert_eq!(limit.take("ep_0", begun), Ok(()));
        assert_eq!(limit.take("ep_more", begun + WINDOW), Ok(()));
        assert_eq!(limit.by_endpoint.len(), 1);
    }
}
