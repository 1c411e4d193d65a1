//! ○ Stalled endpoints: they have something to do and nothing ends for them; since when, and why. The one place that knows.
//!
//! Actors, an endpoint's health and stats, and metrics all tell what stands here.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::model::{event::EndpointKey, settings::State};

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
pub enum Why {
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

impl Why {
    pub const ALL: [Why; 15] = [
        Why::Unreadable,
        Why::Disabled,
        Why::Paused,
        Why::LocalOutage,
        Why::Gone,
        Why::Silent,
        Why::Name,
        Why::Breaker,
        Why::NoAnswer,
        Why::RateLimit,
        Why::Failing,
        Why::Permits,
        Why::Order,
        Why::Storage,
        Why::Backlog,
    ];

    /// The word in metrics and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Unreadable => "unreadable",
            Why::Disabled => "disabled",
            Why::Paused => "paused",
            Why::LocalOutage => "own_trouble",
            Why::Gone => "gone",
            Why::Silent => "silent",
            Why::Name => "name",
            Why::Breaker => "breaker",
            Why::NoAnswer => "no_answer",
            Why::RateLimit => "rate_limit",
            Why::Failing => "failing",
            Why::Permits => "permits",
            Why::Order => "order",
            Why::Storage => "storage",
            Why::Backlog => "backlog",
        }
    }

    /// The same in a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Why::Unreadable => "its settings or secrets cannot be read; the log says why",
            Why::Disabled => "it is disabled",
            Why::Paused => "it is paused",
            Why::LocalOutage => "nobody can be reached",
            Why::Gone => "it answered 410 Gone",
            Why::Silent => "it asked to be left alone (Retry-After)",
            Why::Name => "its name leads to no address that requests may go to",
            Why::Breaker => "its breaker is open",
            Why::NoAnswer => "its requests are under way and are not answered",
            Why::RateLimit => "its rate limit is used up",
            Why::Failing => "its attempts fail",
            Why::Permits => "other requests of its customer, or of all, take what may be under way",
            Why::Order => "an earlier event of the same order has not ended",
            Why::Storage => "its backlog cannot be read while PostgreSQL is away",
            Why::Backlog => "its backlog waits for its turn, or until it is due",
        }
    }
}

/// An endpoint at one look.
#[derive(Debug, Clone)]
pub struct Seen {
    pub state: State,
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
    pub why: Why,
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
    pub fn observe(&mut self, key: EndpointKey, seen: &Seen, after: Duration, now: Instant) -> Option<StalledEndpoint> {
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
fn reason(seen: &Seen) -> (Why, Option<(&'static str, String)>) {
    let why = match seen {
        Seen { is_unreadable: true, .. } => Why::Unreadable,
        Seen { state: State::Disabled, .. } => Why::Disabled,
        Seen { state: State::Paused, .. } => Why::Paused,
        Seen { local_outage: true, .. } | Seen { obstacle: Some(Obstacle::LocalOutage), .. } => Why::LocalOutage,
        Seen { is_off: true, .. } | Seen { obstacle: Some(Obstacle::Off), .. } => Why::Gone,
        Seen { obstacle: Some(Obstacle::Silent), .. } => Why::Silent,
        Seen { failure: Some(("resolve" | "blocked", _)), .. } => Why::Name,
        Seen { obstacle: Some(Obstacle::Breaker), .. } | Seen { is_breaker_closed: false, .. } => Why::Breaker,
        Seen { is_silent: true, .. } => Why::Silent,
        Seen { obstacle: Some(Obstacle::Answer), .. } => Why::NoAnswer,
        Seen { obstacle: Some(Obstacle::RateLimit), .. } => Why::RateLimit,
        Seen { obstacle: Some(Obstacle::Retry), .. } => Why::Failing,
        Seen { obstacle: Some(Obstacle::Order), .. } => Why::Order,
        Seen { held: 1.., obstacle: None, .. } => Why::Permits,
        Seen { storage_away: true, .. } => Why::Storage,
        Seen { failure: Some(_), .. } => Why::Failing,
        _ => Why::Backlog,
    };
    let receivers = matches!(why, Why::Gone | Why::Silent | Why::Name | Why::Breaker | Why::NoAnswer | Why::Failing);
    (why, seen.failure.clone().filter(|_| receivers))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(30);
    const KEY: EndpointKey = EndpointKey(1);

    fn seen(ended: u64) -> Seen {
        Seen {
            state: State::Enabled,
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
        assert_eq!((standing.since, standing.why), (at(20), Why::Backlog));
        assert_eq!(standings.observe(KEY, &Seen { rows: 0, ..seen(8) }, AFTER, at(90)), None, "there is nothing to do");
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
    fn check(seen: Seen, why: Why, says: bool) {
        let (found, said) = reason(&seen);
        assert_eq!((found, said.is_some()), (why, says));
    }

    #[test]
    fn the_outermost_reason_is_named_and_the_receivers_words_where_they_belong_to_it() {
        let failure = Some(("http_5xx", "upstream is down".to_owned()));
        check(Seen { state: State::Paused, failure: failure.clone(), ..seen(0) }, Why::Paused, false);
        check(Seen { is_breaker_closed: false, failure: failure.clone(), ..seen(0) }, Why::Breaker, true);
        check(Seen { is_silent: true, failure: failure.clone(), ..seen(0) }, Why::Silent, true);
        for class in ["resolve", "blocked"] {
            let name = Some((class, "no such host".to_owned()));
            check(Seen { is_breaker_closed: false, failure: name, ..seen(0) }, Why::Name, true);
        }
        check(Seen { held: 4, obstacle: Some(Obstacle::Answer), ..seen(0) }, Why::NoAnswer, false);
        check(Seen { storage_away: true, ..seen(0) }, Why::Storage, false);
        check(Seen { held: 1, obstacle: Some(Obstacle::RateLimit), ..seen(0) }, Why::RateLimit, false);
        check(Seen { held: 1, ..seen(0) }, Why::Permits, false);
        check(Seen { local_outage: true, is_breaker_closed: false, ..seen(0) }, Why::LocalOutage, false);
        check(Seen { is_unreadable: true, state: State::Paused, ..seen(0) }, Why::Unreadable, false);
        check(Seen { failure, ..seen(0) }, Why::Failing, true);
        check(seen(0), Why::Backlog, false);
    }

    #[test]
    fn each_reason_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = Why::ALL.iter().map(|why| why.as_str()).collect();
        assert_eq!(words.len(), Why::ALL.len());
    }
}
