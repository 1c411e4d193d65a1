//! The customers' endpoints of the simulation, and their modes.

use std::time::Duration;

use postrider::model::outcome::Outcome;
use rand::{Rng, rngs::SmallRng};

use crate::audit::Key;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverMode {
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

impl ReceiverMode {
    pub fn any(rng: &mut SmallRng) -> ReceiverMode {
        match rng.random_range(0..20) {
            0..9 => ReceiverMode::Well,
            9 | 10 => ReceiverMode::Slow,
            11 | 12 => ReceiverMode::Failing,
            13 | 14 => ReceiverMode::Hanging,
            15 => ReceiverMode::Busy(rng.random_range(0..12)),
            16 => ReceiverMode::Breaking,
            17 => ReceiverMode::Closing,
            18 => ReceiverMode::LocalFault,
            _ if rng.random_bool(0.1) => ReceiverMode::Gone,
            _ => ReceiverMode::Well,
        }
    }

    /// What comes of a request with these events.
    pub fn react(self, events: &[Key], timeout: Duration, rng: &mut SmallRng) -> Reaction {
        let quick = Duration::from_micros(rng.random_range(500..20_000));
        let failed = |retry_after| Outcome::Failed { retry_after };
        let (accepted, after, outcome) = match self {
            ReceiverMode::Well | ReceiverMode::Slow | ReceiverMode::Closing if events.iter().any(Key::is_poison) => {
                (false, quick, Outcome::Rejected)
            }
            ReceiverMode::Closing if rng.random_bool(0.3) => (rng.random_bool(0.5), quick, Outcome::Disconnected),
            ReceiverMode::Well | ReceiverMode::Closing => (true, quick, Outcome::Delivered),
            ReceiverMode::Slow => (true, Duration::from_millis(rng.random_range(300..2_500)), Outcome::Delivered),
            ReceiverMode::Failing => (false, quick, failed(None)),
            // It may have taken them all the same.
            ReceiverMode::Hanging => (rng.random_bool(0.3), timeout, failed(None)),
            ReceiverMode::Busy(secs) => (false, quick, failed(Some(Duration::from_secs(secs)))),
            ReceiverMode::Breaking => (rng.random_bool(0.7), quick, failed(None)),
            ReceiverMode::LocalFault => (false, quick, Outcome::LocalFault),
            ReceiverMode::Gone => (false, quick, Outcome::Gone),
        };
        Reaction { accepted, after, outcome }
    }
}
