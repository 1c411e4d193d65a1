//! ○ Stalled endpoints: they have something to do and nothing ends for them; since when, and why. The one place that knows.
//!
//! Actors, an endpoint's health and stats, and metrics all tell what stands here.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::model::{event::EndpointKey, settings::EndpointState};

/// An obstacle that keeps the events that an endpoint's machine holds from being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    LocalOutage,
    Off,
    Silent,
    Breaker,
    Answer,
    RateLimit,
    Retry,
    Order,
}

impl Obstacle {
    pub const ALL: [Obstacle; 8] = [
        Obstacle::LocalOutage,
        Obstacle::Off,
        Obstacle::Silent,
        Obstacle::Breaker,
        Obstacle::Answer,
        Obstacle::RateLimit,
        Obstacle::Retry,
        Obstacle::Order,
    ];
}

/// The reason why an endpoint is stalled. Closed: each is documented in `docs/operating.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointStallReason {
    /// Its stored form, or its secrets, cannot be read.
    Unreadable,
    Disabled,
    Paused,
    /// Nobody can be reached: the trouble is ours.
    LocalOutage,
    /// It answered 410, and its settings are not changed yet.
    Gone,
    /// It asked to be left alone (`Retry-After`).
    Silent,
    /// Its name leads to no address that requests may go to.
    Name,
    /// Its breaker is open.
    Breaker,
    /// Its requests are under way and it does not answer.
    NoAnswer,
    RateLimit,
    /// Its attempts fail, and the next one is not due.
    Failing,
    /// Events of ours wait for a permit or a place among all requests.
    Permits,
    /// An earlier event of the same order has not ended.
    Order,
    /// Its backlog cannot be read: PostgreSQL is away.
    Storage,
    /// Its backlog was not read yet: others come first, or none of it is due.
    Backlog,
}

impl EndpointStallReason {
    pub const ALL: [EndpointStallReason; 15] = [
        EndpointStallReason::Unreadable,
        EndpointStallReason::Disabled,
        EndpointStallReason::Paused,
        EndpointStallReason::LocalOutage,
        EndpointStallReason::Gone,
        EndpointStallReason::Silent,
        EndpointStallReason::Name,
        EndpointStallReason::Breaker,
        EndpointStallReason::NoAnswer,
        EndpointStallReason::RateLimit,
        EndpointStallReason::Failing,
        EndpointStallReason::Permits,
        EndpointStallReason::Order,
        EndpointStallReason::Storage,
        EndpointStallReason::Backlog,
    ];

    /// The word in metrics and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointStallReason::Unreadable => "unreadable",
            EndpointStallReason::Disabled => "disabled",
            EndpointStallReason::Paused => "paused",
            EndpointStallReason::LocalOutage => "own_trouble",
            EndpointStallReason::Gone => "gone",
            EndpointStallReason::Silent => "silent",
            EndpointStallReason::Name => "name",
            EndpointStallReason::Breaker => "breaker",
            EndpointStallReason::NoAnswer => "no_answer",
            EndpointStallReason::RateLimit => "rate_limit",
            EndpointStallReason::Failing => "failing",
            EndpointStallReason::Permits => "permits",
            EndpointStallReason::Order => "order",
            EndpointStallReason::Storage => "storage",
            EndpointStallReason::Backlog => "backlog",
        }
    }

    /// The same in a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            EndpointStallReason::Unreadable => "its settings or secrets cannot be read; the log says why",
            EndpointStallReason::Disabled => "it is disabled",
            EndpointStallReason::Paused => "it is paused",
            EndpointStallReason::LocalOutage => "nobody can be reached",
            EndpointStallReason::Gone => "it answered 410 Gone",
            EndpointStallReason::Silent => "it asked to be left alone (Retry-After)",
            EndpointStallReason::Name => "its name leads to no address that requests may go to",
            EndpointStallReason::Breaker => "its breaker is open",
            EndpointStallReason::NoAnswer => "its requests are under way and are not answered",
            EndpointStallReason::RateLimit => "its rate limit is used up",
            EndpointStallReason::Failing => "its attempts fail",
            EndpointStallReason::Permits => "other requests of its customer, or of all, take what may be under way",
            EndpointStallReason::Order => "an earlier event of the same order has not ended",
            EndpointStallReason::Storage => "its backlog cannot be read while PostgreSQL is away",
            EndpointStallReason::Backlog => "its backlog waits for its turn, or until it is due",
        }
    }
}

/// An endpoint at one look.
#[derive(Debug, Clone)]
pub struct EndpointObservation {
    pub state: EndpointState,
    pub is_unreadable: bool,
    /// Events in memory, for its actor or with it.
    pub held: u64,
    /// Rows of this instance's partitions.
    pub rows: u64,
    /// Events that ended for it, ever: delivered or given up.
    pub ended: u64,
    pub obstacle: Option<Obstacle>,
    pub is_off: bool,
    pub is_breaker_closed: bool,
    pub is_silent: bool,
    pub local_outage: bool,
    pub storage_away: bool,
    /// Its newest failure since it took something: the class, and what the receiver or the network said.
    pub failure: Option<(&'static str, String)>,
}

/// An endpoint that is stalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StalledEndpoint {
    pub since: Instant,
    pub why: EndpointStallReason,
    /// Details about the receiver: the class of its newest failure, and its or the network's words.
    pub said: Option<(&'static str, String)>,
}

impl StalledEndpoint {
    /// The word and what it means, without anybody's own words.
    #[must_use]
    pub fn explained(&self) -> String {
        format!("{}: {}", self.why.as_str(), self.why.words())
    }
}

/// Endpoints with something to do, over time.
#[derive(Debug, Default)]
pub struct EndpointStalls {
    tracks: HashMap<EndpointKey, Track>,
    generation: u64,
}

#[derive(Debug, Clone, Copy)]
struct Track {
    ended: u64,
    moved_at: Instant,
    generation: u64,
}

impl EndpointStalls {
    /// State of the endpoint, if it has something to do and nothing has ended for `after`.
    pub fn observe(
        &mut self,
        key: EndpointKey,
        seen: &EndpointObservation,
        after: Duration,
        now: Instant,
    ) -> Option<StalledEndpoint> {
        if seen.held + seen.rows == 0 {
            self.tracks.remove(&key);
            return None;
        }
        let known = self.tracks.get(&key).filter(|track| track.ended == seen.ended);
        let moved_at = known.map_or(now, |track| track.moved_at);
        self.tracks.insert(key, Track { ended: seen.ended, moved_at, generation: self.generation });
        (now.saturating_duration_since(moved_at) >= after).then(|| {
            let (why, said) = reason(seen);
            StalledEndpoint { since: moved_at, why, said }
        })
    }

    /// All were looked at: what was not is gone.
    pub fn looked_at_all(&mut self) {
        let generation = self.generation;
        self.tracks.retain(|_, track| track.generation == generation);
        self.generation += 1;
    }
}

/// The outermost obstacle first. The receiver's words belong to what it does.
fn reason(seen: &EndpointObservation) -> (EndpointStallReason, Option<(&'static str, String)>) {
    let why = match seen {
        EndpointObservation { is_unreadable: true, .. } => EndpointStallReason::Unreadable,
        EndpointObservation { state: EndpointState::Disabled, .. } => EndpointStallReason::Disabled,
        EndpointObservation { state: EndpointState::Paused, .. } => EndpointStallReason::Paused,
        EndpointObservation { local_outage: true, .. }
        | EndpointObservation { obstacle: Some(Obstacle::LocalOutage), .. } => EndpointStallReason::LocalOutage,
        EndpointObservation { is_off: true, .. } | EndpointObservation { obstacle: Some(Obstacle::Off), .. } => {
            EndpointStallReason::Gone
        }
        EndpointObservation { obstacle: Some(Obstacle::Silent), .. } => EndpointStallReason::Silent,
        EndpointObservation { failure: Some(("resolve" | "blocked", _)), .. } => EndpointStallReason::Name,
        EndpointObservation { obstacle: Some(Obstacle::Breaker), .. }
        | EndpointObservation { is_breaker_closed: false, .. } => EndpointStallReason::Breaker,
        EndpointObservation { is_silent: true, .. } => EndpointStallReason::Silent,
        EndpointObservation { obstacle: Some(Obstacle::Answer), .. } => EndpointStallReason::NoAnswer,
        EndpointObservation { obstacle: Some(Obstacle::RateLimit), .. } => EndpointStallReason::RateLimit,
        EndpointObservation { obstacle: Some(Obstacle::Retry), .. } => EndpointStallReason::Failing,
        EndpointObservation { obstacle: Some(Obstacle::Order), .. } => EndpointStallReason::Order,
        EndpointObservation { held: 1.., obstacle: None, .. } => EndpointStallReason::Permits,
        EndpointObservation { storage_away: true, .. } => EndpointStallReason::Storage,
        EndpointObservation { failure: Some(_), .. } => EndpointStallReason::Failing,
        _ => EndpointStallReason::Backlog,
    };
    let receivers = matches!(
        why,
        EndpointStallReason::Gone
            | EndpointStallReason::Silent
            | EndpointStallReason::Name
            | EndpointStallReason::Breaker
            | EndpointStallReason::NoAnswer
            | EndpointStallReason::Failing
    );
    (why, seen.failure.clone().filter(|_| receivers))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(30);
    const KEY: EndpointKey = EndpointKey(1);

    fn seen(ended: u64) -> EndpointObservation {
        EndpointObservation {
            state: EndpointState::Enabled,
            is_unreadable: false,
            held: 0,
            rows: 3,
            ended,
            obstacle: None,
            is_off: false,
            is_breaker_closed: true,
            is_silent: false,
            local_outage: false,
            storage_away: false,
            failure: None,
        }
    }

    #[test]
    fn who_has_something_to_do_and_for_whom_nothing_ends_stands_since_something_last_did() {
        let (mut standings, begin) = (EndpointStalls::default(), Instant::now());
        let at = |secs: u64| begin + Duration::from_secs(secs);
        assert_eq!(standings.observe(KEY, &seen(7), AFTER, at(0)), None);
        assert_eq!(standings.observe(KEY, &seen(8), AFTER, at(20)), None, "it moves");
        assert_eq!(standings.observe(KEY, &seen(8), AFTER, at(49)), None);
        let standing = standings.observe(KEY, &seen(8), AFTER, at(50)).expect("it stands");
        assert_eq!((standing.since, standing.why), (at(20), EndpointStallReason::Backlog));
        assert_eq!(
            standings.observe(KEY, &EndpointObservation { rows: 0, ..seen(8) }, AFTER, at(90)),
            None,
            "there is nothing to do"
        );
        assert_eq!(standings.observe(KEY, &seen(8), AFTER, at(91)), None, "it was idle until now");
    }

    #[test]
    fn endpoints_that_are_gone_are_not_remembered() {
        let (mut standings, now) = (EndpointStalls::default(), Instant::now());
        let _ = standings.observe(KEY, &seen(0), AFTER, now);
        standings.looked_at_all();
        assert_eq!(standings.tracks.len(), 1);
        standings.looked_at_all();
        assert!(standings.tracks.is_empty());
    }

    #[track_caller]
    fn check(seen: EndpointObservation, why: EndpointStallReason, says: bool) {
        let (found, said) = reason(&seen);
        assert_eq!((found, said.is_some()), (why, says));
    }

    #[test]
    fn the_outermost_reason_is_named_and_the_receivers_words_where_they_belong_to_it() {
        let failure = Some(("http_5xx", "upstream is down".to_owned()));
        check(
            EndpointObservation { state: EndpointState::Paused, failure: failure.clone(), ..seen(0) },
            EndpointStallReason::Paused,
            false,
        );
        check(
            EndpointObservation { is_breaker_closed: false, failure: failure.clone(), ..seen(0) },
            EndpointStallReason::Breaker,
            true,
        );
        check(
            EndpointObservation { is_silent: true, failure: failure.clone(), ..seen(0) },
            EndpointStallReason::Silent,
            true,
        );
        for class in ["resolve", "blocked"] {
            let name = Some((class, "no such host".to_owned()));
            check(
                EndpointObservation { is_breaker_closed: false, failure: name, ..seen(0) },
                EndpointStallReason::Name,
                true,
            );
        }
        check(
            EndpointObservation { held: 4, obstacle: Some(Obstacle::Answer), ..seen(0) },
            EndpointStallReason::NoAnswer,
            false,
        );
        check(EndpointObservation { storage_away: true, ..seen(0) }, EndpointStallReason::Storage, false);
        check(
            EndpointObservation { held: 1, obstacle: Some(Obstacle::RateLimit), ..seen(0) },
            EndpointStallReason::RateLimit,
            false,
        );
        check(EndpointObservation { held: 1, ..seen(0) }, EndpointStallReason::Permits, false);
        check(
            EndpointObservation { local_outage: true, is_breaker_closed: false, ..seen(0) },
            EndpointStallReason::LocalOutage,
            false,
        );
        check(
            EndpointObservation { is_unreadable: true, state: EndpointState::Paused, ..seen(0) },
            EndpointStallReason::Unreadable,
            false,
        );
        check(EndpointObservation { failure, ..seen(0) }, EndpointStallReason::Failing, true);
        check(seen(0), EndpointStallReason::Backlog, false);
    }

    #[test]
    fn each_reason_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = EndpointStallReason::ALL.iter().map(|why| why.as_str()).collect();
        assert_eq!(words.len(), EndpointStallReason::ALL.len());
    }
}
