//! ○ Time that an attempt waits for something of ours: it counts against nobody's deadline.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

#[derive(Debug, Default)]
pub struct Waits {
    ended: Cell<Duration>,
    since: Cell<Option<Instant>>,
}

impl Waits {
    /// It begins to wait.
    pub fn begin(&self, now: Instant) {
        self.since.set(Some(now));
    }

    /// It goes on.
    pub fn end(&self, now: Instant) {
        self.ended.set(self.so_far(now));
        self.since.set(None);
    }

    #[must_use]
    pub fn so_far(&self, now: Instant) -> Duration {
        self.ended.get() + self.since.get().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_add_up_and_one_that_goes_on_counts_too() {
        let (waits, start) = (Waits::default(), crate::clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(waits.so_far(at(5)), Duration::ZERO);
        waits.begin(at(1));
        assert_eq!(waits.so_far(at(3)), Duration::from_secs(2));
        waits.end(at(4));
        waits.begin(at(10));
        assert_eq!(waits.so_far(at(11)), Duration::from_secs(4));
        waits.end(at(12));
        assert_eq!(waits.so_far(at(100)), Duration::from_secs(5));
    }
}
