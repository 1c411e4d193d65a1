//! ○ An endpoint that takes nothing for days is disabled, and operators hear of it before.

use std::time::Duration;

/// The next step with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisableStep {
    Nothing,
    /// Operators hear that this share (in percent) of the time is over.
    Warn(u8),
    Disable,
    /// It takes events again: the next warning is a first one. That it recovered is told where it was told to fail.
    Forget,
}

/// The time after which endpoints are disabled.
#[derive(Debug, Clone, Copy)]
pub struct DisableAfter {
    /// [`Duration::ZERO`] for never.
    pub time: Duration,
    /// Within this time every instance that reaches PostgreSQL has told of a success: until it is over, one within `time` may still
    /// be untold.
    pub told_within: Duration,
    /// For so long every look of the instance that decides has succeeded. After a look that failed for want of Postgres, those
    /// of the others have failed too: what they had to tell comes with their next ones.
    pub looks_well_for: Duration,
}

/// `failing` is how long the endpoint has taken nothing, as far as instances have told; `None` when it takes events.
/// `warned_percent` is the share that operators were told of.
#[must_use]
pub fn step(failing: Option<Duration>, warned_percent: u8, after: DisableAfter) -> DisableStep {
    let DisableAfter { time: disable_after, told_within, looks_well_for } = after;
    if disable_after.is_zero() {
        return DisableStep::Nothing;
    }
    let failing = failing.unwrap_or_default();
    if failing >= disable_after + told_within && looks_well_for >= told_within {
        return DisableStep::Disable;
    }
    let reached = WARNINGS.into_iter().rev().find(|percent| failing >= disable_after * u32::from(*percent) / 100);
    match reached {
        Some(percent) if percent > warned_percent => DisableStep::Warn(percent),
        None if warned_percent > 0 => DisableStep::Forget,
        _ => DisableStep::Nothing,
    }
}

/// Half of it leaves days to mend something, the rest of the second one is a last call.
const WARNINGS: [u8; 2] = [50, 90];

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: DisableAfter = DisableAfter {
        time: Duration::from_secs(100),
        told_within: Duration::from_secs(3),
        looks_well_for: Duration::from_secs(3),
    };

    fn at(seconds: u64, warned: u8) -> DisableStep {
        step(Some(Duration::from_secs(seconds)), warned, AFTER)
    }

    #[test]
    fn operators_hear_once_at_half_and_once_at_nine_tenths_of_the_time_before_it_is_disabled() {
        assert_eq!(
            (at(49, 0), at(50, 0), at(51, 50)),
            (DisableStep::Nothing, DisableStep::Warn(50), DisableStep::Nothing)
        );
        assert_eq!(
            (at(90, 50), at(99, 90), at(103, 90)),
            (DisableStep::Warn(90), DisableStep::Nothing, DisableStep::Disable)
        );
        assert_eq!(at(95, 0), DisableStep::Warn(90), "who looks late hears the last of them");
    }

    #[test]
    fn it_is_disabled_once_every_instance_has_told_of_what_it_took_within_the_time() {
        assert_eq!((at(100, 90), at(102, 90)), (DisableStep::Nothing, DisableStep::Nothing));
        assert_eq!(at(103, 90), DisableStep::Disable);
    }

    #[test]
    fn after_an_outage_of_postgres_it_is_disabled_once_the_others_have_looked_again() {
        let failing = Some(Duration::from_secs(500));
        let after = |seconds| DisableAfter { looks_well_for: Duration::from_secs(seconds), ..AFTER };
        assert_eq!(step(failing, 90, after(2)), DisableStep::Nothing);
        assert_eq!(step(failing, 0, after(2)), DisableStep::Warn(90), "operators hear of it meanwhile");
        assert_eq!(step(failing, 90, after(3)), DisableStep::Disable);
    }

    #[test]
    fn one_that_takes_something_again_is_left_alone_and_warned_of_anew_the_next_time() {
        assert_eq!((step(None, 0, AFTER), step(None, 50, AFTER)), (DisableStep::Nothing, DisableStep::Forget));
        assert_eq!(at(3, 90), DisableStep::Forget, "it took something 3 seconds ago");
    }

    #[test]
    fn zero_never_disables() {
        let never = DisableAfter { time: Duration::ZERO, ..AFTER };
        assert_eq!(step(Some(AFTER.time * 1_000), 0, never), DisableStep::Nothing);
    }
}
