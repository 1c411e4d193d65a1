//! ○ Bytes that may come on a connection that many requests share: their answers, and a little beside them.
//!
//! A server may send frames that nobody asked for (PINGs, SETTINGS, windows, heads of no answer), each of them work for whoever
//! reads. What is allowed of them grows with the requests and with time, so that they cost no more than honest answers do.

use std::time::Instant;

/// The bytes that may still come.
#[derive(Debug)]
pub struct Allowance {
    bytes: u64,
    /// Requests under way.
    requests: u64,
    grown: Instant,
}

impl Allowance {
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Allowance { bytes: BESIDE_REQUESTS, requests: 0, grown: now }
    }

    /// A request with so long a body begins: the head of its answer may come, and windows for its body.
    pub fn begin_request(&mut self, body_bytes: u64) {
        self.requests += 1;
        self.bytes = self.bytes.saturating_add(OF_A_REQUEST + body_bytes / WINDOWS_OF_A_BODY);
    }

    /// It has ended; whatever its answer did not need is not kept for others.
    pub fn end_request(&mut self) {
        self.requests = self.requests.saturating_sub(1);
        self.bytes = self.bytes.min(BESIDE_REQUESTS + OF_A_REQUEST * self.requests);
    }

    /// Gives back bytes of answers that were read, or that may still come of one that is not read to its end.
    pub fn give_back(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Takes bytes that came. False when they are more than may come.
    #[must_use]
    pub fn take(&mut self, bytes: u64, now: Instant) -> bool {
        self.grow(now);
        let (left, lacks) = self.bytes.overflowing_sub(bytes);
        self.bytes = if lacks { 0 } else { left };
        !lacks
    }

    /// Up to what may come beside requests: more than that is theirs.
    fn grow(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.grown).as_millis();
        let grown = u64::try_from(since).unwrap_or(u64::MAX).saturating_mul(A_SECOND) / 1_000;
        if grown > 0 {
            self.grown = now;
            self.bytes = self.bytes.max(self.bytes.saturating_add(grown).min(BESIDE_REQUESTS));
        }
    }
}

/// More than a connection's windows allow of bodies that nobody has read yet.
pub const BESIDE_REQUESTS: u64 = 512 << 10;
/// A longer head than most, and the frames of a body.
const OF_A_REQUEST: u64 = 16 << 10;
/// One byte of windows for so many of a request's body.
const WINDOWS_OF_A_BODY: u64 = 16;
/// A thousand PINGs.
const A_SECOND: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_nobody_asked_for_runs_out_and_comes_back_slowly() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert!(allowance.take(BESIDE_REQUESTS, start));
        assert!(!allowance.take(1, start));
        assert!(allowance.take(A_SECOND, start + SECOND));
        assert!(!allowance.take(1, start + SECOND));
        assert!(!allowance.take(BESIDE_REQUESTS + 1, start + 1_000 * SECOND), "no more than at the beginning");
    }

    #[test]
    fn answers_that_are_read_cost_nothing_however_many() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        for _ in 0..10_000 {
            allowance.begin_request(100);
            assert!(allowance.take(40_000, start));
            allowance.give_back(39_000);
            allowance.end_request();
        }
    }

    #[test]
    fn each_request_under_way_may_have_its_answer() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert!(allowance.take(BESIDE_REQUESTS, start));
        (0..1_000).for_each(|_| allowance.begin_request(0));
        assert!(allowance.take(1_000 * OF_A_REQUEST, start));
        assert!(!allowance.take(1, start));
    }

    #[test]
    fn quiet_requests_do_not_save_for_a_flood() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        for _ in 0..10_000 {
            allowance.begin_request(1_000_000);
            allowance.end_request();
        }
        assert!(!allowance.take(BESIDE_REQUESTS + 1, start));
    }

    #[test]
    fn windows_of_a_large_body_may_come() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert!(allowance.take(BESIDE_REQUESTS, start));
        allowance.begin_request(16 << 20);
        assert!(allowance.take(1 << 20, start));
    }
}
