//! ○ The retry schedule.

use std::time::Duration;

use rand::Rng;

use crate::model::settings::Schedule;

/// Wait after the `failures`-th failure (counted from 1) of a batch.
///
/// Exponential waits have full jitter (anything from nothing to the whole step): an endpoint that failed for
/// everyone at one moment must not get everyone back at one moment. An explicit schedule is somebody's promise, so it
/// is kept within 20 %.
#[must_use]
pub fn wait(schedule: &Schedule, failures: u32, rng: &mut impl Rng) -> Duration {
    let step = failures.saturating_sub(1);
    match schedule {
        Schedule::Exponential { base, max } => {
            let ceiling = base.saturating_mul(1_u32.checked_shl(step).unwrap_or(u32::MAX)).min(*max);
            ceiling.mul_f64(rng.random_range(0.0..=1.0))
        }
        Schedule::Explicit(waits) => {
            let planned = waits.get(step as usize).or(waits.last()).copied().unwrap_or_default();
            spread(planned, rng)
        }
    }
}

/// The wait ± 20 %.
pub(super) fn spread(wait: Duration, rng: &mut impl Rng) -> Duration {
    wait.mul_f64(rng.random_range(0.8..=1.2))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn many(schedule: &Schedule, failures: u32) -> (Duration, Duration) {
        let mut rng = SmallRng::seed_from_u64(7);
        let waits: Vec<_> = (0..2_000).map(|_| wait(schedule, failures, &mut rng)).collect();
        (*waits.iter().min().unwrap(), *waits.iter().max().unwrap())
    }

    #[track_caller]
    fn check_exponential(failures: u32, ceiling: Duration) {
        let (least, most) = many(&Schedule::Exponential { base: secs(1), max: secs(60) }, failures);
        assert!(most <= ceiling, "{most:?} is over {ceiling:?}");
        assert!(most > ceiling.mul_f64(0.95), "{most:?} never comes near {ceiling:?}");
        assert!(least < ceiling.mul_f64(0.05), "full jitter reaches down to nothing, not to {least:?}");
    }

    #[test]
    fn an_exponential_wait_doubles_with_every_failure_up_to_its_maximum() {
        check_exponential(1, secs(1));
        check_exponential(2, secs(2));
        check_exponential(6, secs(32));
        check_exponential(7, secs(60));
        check_exponential(33, secs(60));
        check_exponential(u32::MAX, secs(60));
    }

    #[test]
    fn an_explicit_schedule_is_kept_within_a_fifth_and_its_last_wait_repeats() {
        let schedule = Schedule::Explicit(vec![secs(5), secs(300)]);
        for (failures, planned) in [(1, secs(5)), (2, secs(300)), (3, secs(300)), (40, secs(300))] {
            let (least, most) = many(&schedule, failures);
            assert!(least >= planned.mul_f64(0.8) && most <= planned.mul_f64(1.2), "{failures}: {least:?}..{most:?}");
            assert!(least < planned && most > planned, "{failures}: spread to both sides");
        }
    }

    #[test]
    fn an_empty_schedule_repeats_at_once() {
        let mut rng = SmallRng::seed_from_u64(1);
        assert_eq!(wait(&Schedule::Explicit(Vec::new()), 1, &mut rng), Duration::ZERO);
    }
}
