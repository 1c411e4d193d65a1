//! The customers' endpoints of the simulation, and their moods.

use std::time::Duration;

use postrider::model::outcome::Outcome;
use rand::{Rng, rngs::SmallRng};

use crate::books::Key;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    Slow,
    /// 500.
    Failing,
    /// Never answers; the client gives up at its deadline.
    Hanging,
    /// 503 with `Retry-After`.
    Busy(u64),
    /// Takes the events, and the connection breaks before the answer.
    Breaking,
    /// Closes kept-alive connections now and then.
    Closing,
    /// Something of ours is broken.
    LocalFault,
    /// 410.
    Gone,
}

pub struct Reaction {
    /// The events have reached their receiver.
    pub accepted: bool,
    pub after: Duration,
    pub outcome: Outcome,
}

impl Mood {
    pub fn any(rng: &mut SmallRng) -> Mood {
        match rng.random_range(0..20) {
            0..9 => Mood::Well,
            9 | 10 => Mood::Slow,
            11 | 12 => Mood::Failing,
            13 | 14 => Mood::Hanging,
            15 => Mood::Busy(rng.random_range(0..12)),
            16 => Mood::Breaking,
            17 => Mood::Closing,
            18 => Mood::LocalFault,
            _ if rng.random_bool(0.1) => Mood::Gone,
            _ => Mood::Well,
        }
    }

    /// What comes of a request with these events.
    pub fn react(self, events: &[Key], timeout: Duration, rng: &mut SmallRng) -> Reaction {
        let quick = Duration::from_micros(rng.random_range(500..20_000));
        let failed = |retry_after| Outcome::Failed { retry_after };
        let (accepted, after, outcome) = match self {
            Mood::Well | Mood::Slow | Mood::Closing if events.iter().any(Key::is_poison) => {
                (false, quick, Outcome::Rejected)
            }
            Mood::Closing if rng.random_bool(0.3) => (rng.random_bool(0.5), quick, Outcome::Disconnected),
            Mood::Well | Mood::Closing => (true, quick, Outcome::Delivered),
            Mood::Slow => (true, Duration::from_millis(rng.random_range(300..2_500)), Outcome::Delivered),
            Mood::Failing => (false, quick, failed(None)),
            // It may have taken them all the same.
            Mood::Hanging => (rng.random_bool(0.3), timeout, failed(None)),
            Mood::Busy(secs) => (false, quick, failed(Some(Duration::from_secs(secs)))),
            Mood::Breaking => (rng.random_bool(0.7), quick, failed(None)),
            Mood::LocalFault => (false, quick, Outcome::LocalFault),
            Mood::Gone => (false, quick, Outcome::Gone),
        };
        Reaction { accepted, after, outcome }
    }
}
