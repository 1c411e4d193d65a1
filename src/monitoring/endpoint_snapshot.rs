//! ○ State of one endpoint, added up over the instances that deliver to it, and in one word.

use serde::{Deserialize, Serialize};

use super::{latencies::LatencyCounts, sampler::Rates};
use crate::{
    api::endpoint_health::{BreakerStatus, EndpointStatus},
    model::settings::EndpointState,
    store::queue_depths::StoredCounts,
};

/// Counts of one instance about an endpoint since it started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointPart {
    pub id: String,
    /// 0 closed, 1 half open, 2 open: the worst is the highest.
    pub breaker: u8,
    pub is_lagging: bool,
    /// Its stored form, or its secrets, cannot be read: nothing is sent, and what comes waits.
    #[serde(default)]
    pub is_unreadable: bool,
    pub queue_events: u64,
    pub queue_bytes: u64,
    pub in_flight: u64,
    #[serde(default)]
    pub in_flight_limit: u64,
    pub delivered: u64,
    pub failed_attempts: u64,
    pub delivered_rates: Rates,
    pub failed_rates: Rates,
    /// Attempts by their class: see [`AttemptNote`](crate::model::outcome::AttemptNote).
    pub by_class: Vec<(String, u64)>,
    /// From sending to the answer, of the last five to ten minutes.
    pub took: LatencyCounts,
    pub last_success_ms: Option<i64>,
    pub last_error: Option<ErrorPart>,
    /// It is left alone for so many milliseconds more.
    #[serde(default)]
    pub silent_for_ms: Option<u64>,
    #[serde(default)]
    pub standing: Option<EndpointStanding>,
}

/// It has something to do, and nothing ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointStanding {
    pub why: String,
    pub words: String,
    pub for_ms: u64,
    /// Details about the receiver: the class of its newest failure, and its answer.
    pub class: Option<String>,
    pub excerpt: Option<String>,
}

/// The newest failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPart {
    pub at_ms: i64,
    pub class: String,
    pub status: Option<u16>,
    pub excerpt: String,
}

impl EndpointPart {
    pub fn add(&mut self, other: EndpointPart) {
        self.breaker = self.breaker.max(other.breaker);
        self.is_lagging |= other.is_lagging;
        self.is_unreadable |= other.is_unreadable;
        self.queue_events += other.queue_events;
        self.queue_bytes += other.queue_bytes;
        self.in_flight += other.in_flight;
        self.in_flight_limit += other.in_flight_limit;
        self.delivered += other.delivered;
        self.failed_attempts += other.failed_attempts;
        self.delivered_rates.add(other.delivered_rates);
        self.failed_rates.add(other.failed_rates);
        for (class, count) in other.by_class {
            match self.by_class.iter_mut().find(|(known, _)| *known == class) {
                Some((_, known)) => *known += count,
                None => self.by_class.push((class, count)),
            }
        }
        self.by_class.sort_unstable();
        self.took.add(&other.took);
        self.silent_for_ms = self.silent_for_ms.max(other.silent_for_ms);
        let stands = |standing: &Option<EndpointStanding>| standing.as_ref().map(|standing| standing.for_ms);
        if stands(&other.standing) > stands(&self.standing) {
            self.standing = other.standing;
        }
        self.last_success_ms = self.last_success_ms.max(other.last_success_ms);
        if other.last_error.as_ref().map(|error| error.at_ms) > self.last_error.as_ref().map(|error| error.at_ms) {
            self.last_error = other.last_error;
        }
    }

    #[must_use]
    pub fn breaker_state(&self) -> BreakerStatus {
        match self.breaker {
            0 => BreakerStatus::Closed,
            1 => BreakerStatus::HalfOpen,
            _ => BreakerStatus::Open,
        }
    }

    /// The endpoint in one word: what an operator would say of it first.
    #[must_use]
    pub fn status(&self, state: EndpointState, stored: StoredCounts, now_ms: i64) -> EndpointStatus {
        let failed_last = self.last_error.as_ref().is_some_and(|error| {
            let is_recent = now_ms.saturating_sub(error.at_ms) < FAILING_MS;
            // Events that were given up stay a reason to look as long as they are there.
            Some(error.at_ms) > self.last_success_ms && (is_recent || stored.dead_letters > 0)
        });
        let (delivered, failed) = (self.delivered_rates.last_minute, self.failed_rates.last_minute);
        let waits_long = stored.backlog_oldest_ms.is_some_and(|oldest| now_ms.saturating_sub(oldest) > LAGGING_MS);
        match (state, self.breaker) {
            (EndpointState::Disabled, _) => EndpointStatus::Disabled,
            _ if self.is_unreadable => EndpointStatus::Unreadable,
            (EndpointState::Paused, _) => EndpointStatus::Paused,
            (EndpointState::Enabled, 2..) => EndpointStatus::Open,
            (EndpointState::Enabled, 1) => EndpointStatus::HalfOpen,
            (EndpointState::Enabled, 0) if failed_last || failed > delivered => EndpointStatus::Failing,
            (EndpointState::Enabled, 0) if self.is_lagging || waits_long => EndpointStatus::Lagging,
            (EndpointState::Enabled, 0) if self.is_silent() && stored.backlog_events == 0 => EndpointStatus::Idle,
            (EndpointState::Enabled, 0) => EndpointStatus::Healthy,
        }
    }

    /// Nothing went to it for a quarter of an hour, and nothing waits in memory.
    fn is_silent(&self) -> bool {
        self.delivered_rates.per_minute_15 == 0.0 && self.failed_rates.per_minute_15 == 0.0 && self.queue_events == 0
    }
}

impl Rates {
    fn add(&mut self, other: Rates) {
        self.last_minute += other.last_minute;
        self.per_minute_5 += other.per_minute_5;
        self.per_minute_15 += other.per_minute_15;
    }
}

/// A failure this long ago, with nothing after it and nothing given up, says nothing of today.
const FAILING_MS: i64 = 15 * 60_000;
/// The age above which rows of the backlog do not go out as they come in.
const LAGGING_MS: i64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600_000;

    fn part(breaker: u8, delivered: u64, failed: u64) -> EndpointPart {
        let rates = |last_minute| Rates { last_minute, per_minute_5: 0.0, per_minute_15: last_minute as f64 / 15.0 };
        EndpointPart {
            breaker,
            delivered,
            delivered_rates: rates(delivered),
            failed_rates: rates(failed),
            by_class: vec![("http_2xx".to_owned(), delivered)],
            ..EndpointPart::default()
        }
    }

    fn error(at_ms: i64) -> ErrorPart {
        ErrorPart { at_ms, class: "timeout".to_owned(), status: None, excerpt: String::new() }
    }

    #[track_caller]
    fn check(part: &EndpointPart, state: EndpointState, stored: StoredCounts, word: EndpointStatus) {
        assert_eq!(part.status(state, stored, NOW), word);
    }

    #[test]
    fn an_endpoint_is_what_an_operator_would_say_of_it_first() {
        let nothing = StoredCounts::default();
        check(&part(2, 0, 9), EndpointState::Paused, nothing, EndpointStatus::Paused);
        check(&part(2, 0, 9), EndpointState::Disabled, nothing, EndpointStatus::Disabled);
        check(&part(2, 50, 9), EndpointState::Enabled, nothing, EndpointStatus::Open);
        check(&part(1, 50, 9), EndpointState::Enabled, nothing, EndpointStatus::HalfOpen);
        check(&part(0, 50, 9), EndpointState::Enabled, nothing, EndpointStatus::Healthy);
        check(&part(0, 5, 9), EndpointState::Enabled, nothing, EndpointStatus::Failing);
        check(&part(0, 0, 0), EndpointState::Enabled, nothing, EndpointStatus::Idle);
        let waits = |ms| StoredCounts { backlog_events: 3, backlog_oldest_ms: Some(NOW - ms), dead_letters: 0 };
        check(&part(0, 50, 0), EndpointState::Enabled, waits(120_000), EndpointStatus::Lagging);
        check(&part(0, 0, 0), EndpointState::Enabled, waits(1_000), EndpointStatus::Healthy);
        let lagging = EndpointPart { is_lagging: true, ..part(0, 50, 0) };
        check(&lagging, EndpointState::Enabled, nothing, EndpointStatus::Lagging);
    }

    #[test]
    fn one_whose_secrets_cannot_be_read_at_any_instance_says_so() {
        let mut sum = part(0, 50, 0);
        sum.add(EndpointPart { is_unreadable: true, ..part(0, 0, 0) });
        check(&sum, EndpointState::Enabled, StoredCounts::default(), EndpointStatus::Unreadable);
        check(&sum, EndpointState::Disabled, StoredCounts::default(), EndpointStatus::Disabled);
    }

    #[test]
    fn a_failure_counts_until_something_was_delivered_or_it_is_long_ago() {
        let failed = EndpointPart { last_error: Some(error(NOW - 1_000)), ..part(0, 50, 1) };
        check(&failed, EndpointState::Enabled, StoredCounts::default(), EndpointStatus::Failing);
        let well_again = EndpointPart { last_success_ms: Some(NOW - 500), ..failed.clone() };
        check(&well_again, EndpointState::Enabled, StoredCounts::default(), EndpointStatus::Healthy);
        let long_ago = EndpointPart { last_error: Some(error(NOW - 3_600_000)), ..part(0, 0, 0) };
        check(&long_ago, EndpointState::Enabled, StoredCounts::default(), EndpointStatus::Idle);
        let given_up = StoredCounts { dead_letters: 1, ..StoredCounts::default() };
        check(&long_ago, EndpointState::Enabled, given_up, EndpointStatus::Failing);
        let well_again = EndpointPart { last_success_ms: Some(NOW - 3_500_000), ..long_ago };
        check(&well_again, EndpointState::Enabled, given_up, EndpointStatus::Idle);
    }

    #[test]
    fn instances_add_up_and_the_worst_breaker_and_the_newest_error_stand() {
        let mut sum = EndpointPart { last_error: Some(error(5)), ..part(0, 10, 0) };
        sum.add(EndpointPart { last_error: Some(error(9)), last_success_ms: Some(3), ..part(2, 4, 1) });
        sum.add(part(1, 1, 0));
        assert_eq!(
            (sum.breaker_state(), sum.delivered, sum.delivered_rates.last_minute),
            (BreakerStatus::Open, 15, 15)
        );
        assert_eq!((sum.last_error, sum.last_success_ms), (Some(error(9)), Some(3)));
        assert_eq!(sum.by_class, [("http_2xx".to_owned(), 15)]);
    }
}
