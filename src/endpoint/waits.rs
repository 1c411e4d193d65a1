//! ○ The waits of an attempt, which count against no exchange's deadline: for something of ours, and for a place at an endpoint
//! whose server takes so many requests at once. The second is the endpoint's own limit, as `in_flight_max` is.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

#[derive(Debug, Default)]
pub struct Waits {
    ours: Wait,
    for_stream: Wait,
}

#[derive(Debug, Default)]
struct Wait {
    ended: Cell<Duration>,
    since: Cell<Option<Instant>>,
}

impl Waits {
    /// It begins to wait for something of ours.
    pub fn begin(&self, now: Instant) {
        self.ours.begin(now);
    }

    /// It goes on.
    pub fn end(&self, now: Instant) {
        self.ours.end(now);
    }

    /// The time of ours.
    #[must_use]
    pub fn so_far(&self, now: Instant) -> Duration {
        self.ours.so_far(now)
    }

    /// It begins to wait for one of the streams that its endpoint's server allows.
    pub fn begin_for_stream(&self, now: Instant) {
        self.for_stream.begin(now);
    }

    pub fn end_for_stream(&self, now: Instant) {
        self.for_stream.end(now);
    }

    /// The time for which it has waited for a stream, if it waits for one now.
    #[must_use]
    pub fn for_stream(&self, now: Instant) -> Option<Duration> {
        self.for_stream.since.get().map(|_| self.for_stream.so_far(now))
    }

    /// Time that is no part of what the exchange takes.
    #[must_use]
    pub fn beside_exchange(&self, now: Instant) -> Duration {
        self.ours.so_far(now) + self.for_stream.so_far(now)
    }
}

impl Wait {
    fn begin(&self, now: Instant) {
        self.since.set(Some(now));
    }

    fn end(&self, now: Instant) {
        self.ended.set(self.so_far(now));
        self.since.set(None);
    }

    fn so_far(&self, now: Instant) -> Duration {
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

    #[test]
    fn a_stream_is_waited_for_beside_the_exchange_and_is_nothing_of_ours() {
        let (waits, start) = (Waits::default(), crate::clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        waits.begin_for_stream(at(1));
        assert_eq!(waits.for_stream(at(3)), Some(Duration::from_secs(2)));
        waits.end_for_stream(at(3));
        assert_eq!(waits.for_stream(at(4)), None);
        waits.begin(at(4));
        waits.begin_for_stream(at(5));
        assert_eq!(waits.for_stream(at(5)), Some(Duration::from_secs(2)), "all of it");
        assert_eq!((waits.so_far(at(6)), waits.beside_exchange(at(6))), (at(6) - at(4), at(6) - at(1)));
    }
}
