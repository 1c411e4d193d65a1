//! ○ The canary's state: told when one is sent and when one arrives, it says when one is late.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::notifications::OperatorEvent;

/// Sent and not back yet; the oldest is forgotten first.
const UNDER_WAY_MAX: usize = 100;

/// The payload that travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryPayload {
    /// Sender of the canary.
    pub instance: String,
    pub number: u64,
}

/// One an instance. Times are milliseconds since 1970.
#[derive(Debug)]
pub struct CanaryWatch {
    late_after_ms: i64,
    next: u64,
    under_way: VecDeque<(u64, i64)>,
    /// Time at which the newest arrived, or watching began.
    arrived_ms: i64,
    late_since_ms: Option<i64>,
}

/// State of the canary.
#[derive(Debug, Default, PartialEq)]
pub struct Look {
    pub is_late: bool,
    /// Since the newest one arrived, or watching began.
    pub age_ms: u64,
    pub news: Option<OperatorEvent>,
}

impl CanaryWatch {
    #[must_use]
    pub fn new(late_after_ms: u64, now_ms: i64) -> Self {
        let late_after_ms = i64::try_from(late_after_ms).unwrap_or(i64::MAX);
        CanaryWatch { late_after_ms, next: 0, under_way: VecDeque::new(), arrived_ms: now_ms, late_since_ms: None }
    }

    /// The number of the next one, which is sent now.
    pub fn send(&mut self, now_ms: i64) -> u64 {
        self.next += 1;
        if self.under_way.len() == UNDER_WAY_MAX {
            self.under_way.pop_front();
        }
        self.under_way.push_back((self.next, now_ms));
        self.next
    }

    /// One has arrived: how long it took. Those before it count as arrived too: they may have been delivered twice, or
    /// never, but the path is open. `None` for one that came before.
    pub fn arrive(&mut self, number: u64, now_ms: i64) -> Option<u64> {
        let (_, sent_ms) = *self.under_way.iter().find(|(sent, _)| *sent == number)?;
        self.under_way.retain(|(sent, _)| *sent > number);
        self.arrived_ms = self.arrived_ms.max(now_ms);
        Some(now_ms.saturating_sub(sent_ms).max(0).unsigned_abs())
    }

    pub fn poll(&mut self, now_ms: i64) -> Look {
        let oldest = self.under_way.front().map(|(_, sent_ms)| now_ms.saturating_sub(*sent_ms));
        let is_late = oldest.is_some_and(|age_ms| age_ms > self.late_after_ms);
        let news = match (is_late, self.late_since_ms) {
            (true, None) => {
                self.late_since_ms = Some(now_ms);
                let age_ms = oldest.unwrap_or(0).max(0).unsigned_abs();
                Some(OperatorEvent::CanaryLate { age_ms })
            }
            (false, Some(since)) => {
                self.late_since_ms = None;
                Some(OperatorEvent::CanaryBack { late_for_ms: now_ms.saturating_sub(since).max(0).unsigned_abs() })
            }
            _ => None,
        };
        Look { is_late, age_ms: now_ms.saturating_sub(self.arrived_ms).max(0).unsigned_abs(), news }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_comes_back_in_time_is_no_news() {
        let mut watch = CanaryWatch::new(30_000, 0);
        let number = watch.send(1_000);
        assert_eq!(watch.poll(20_000), Look { is_late: false, age_ms: 20_000, news: None });
        assert_eq!(watch.arrive(number, 21_000), Some(20_000));
        assert_eq!(watch.arrive(number, 22_000), None, "a duplicate");
        assert_eq!(watch.poll(60_000), Look { is_late: false, age_ms: 39_000, news: None });
    }

    #[test]
    fn one_that_is_late_is_told_once_and_so_is_that_they_come_again() {
        let mut watch = CanaryWatch::new(30_000, 0);
        watch.send(0);
        assert_eq!(watch.poll(31_000).news, Some(OperatorEvent::CanaryLate { age_ms: 31_000 }));
        assert_eq!(watch.poll(32_000), Look { is_late: true, age_ms: 32_000, news: None });
        let second = watch.send(60_000);
        watch.arrive(second, 61_000);
        let back = watch.poll(62_000);
        assert_eq!((back.is_late, back.news), (false, Some(OperatorEvent::CanaryBack { late_for_ms: 31_000 })));
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let mut watch = CanaryWatch::new(30_000, 0);
        for n in 0..1_000 {
            watch.send(n);
        }
        assert_eq!(watch.under_way.len(), UNDER_WAY_MAX);
        assert_eq!(watch.arrive(1, 2_000), None);
    }
}
