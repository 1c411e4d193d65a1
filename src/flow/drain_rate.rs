//! ○ The number of backlog rows that may be read a second: what live events leave, without a fixed ceiling.
//!
//! The rate grows by a part while it is used up and nobody is late, and shrinks by a part when cores are late or live
//! events wait longer than the target. Live events come first; but while rows are due the backlog never gets less than a
//! fifth of what the machine does, or what has waited longest would wait for ever.

use std::time::{Duration, Instant};

use super::rate::Rate;

#[derive(Clone, Copy, Debug)]
pub struct DrainRateOptions {
    /// The operator's ceiling in rows a second; `None` for none.
    pub per_second_max: Option<u32>,
    /// Rows a second that are always allowed.
    pub per_second_min: u32,
}

/// The machine a moment ago.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Lag of the latest core.
    pub core_lag: Duration,
    /// Events of Kafka that ended, ever.
    pub live_ever: u64,
    /// Rows that ended, ever.
    pub drained_ever: u64,
    /// Live events wait longer than the target: reading is held back.
    pub live_waits: bool,
}

/// See the module's page.
#[derive(Debug)]
pub struct DrainRate {
    options: DrainRateOptions,
    per_second: f64,
    live: Rate,
    drained: Rate,
    seen: Load,
    decided_at: Instant,
    /// Rows were due that the rate did not allow, since the last decision.
    was_short: bool,
}

impl DrainRate {
    #[must_use]
    pub fn new(options: DrainRateOptions, now: Instant) -> Self {
        let (live, drained) = (Rate::new(now), Rate::new(now));
        let per_second = f64::from(options.per_second_min);
        DrainRate { options, per_second, live, drained, seen: Load::default(), decided_at: now, was_short: false }
    }

    /// More rows were due than might be read.
    pub fn was_short(&mut self) {
        self.was_short = true;
    }

    /// The load by now. Decides at most every [`DECISION`].
    pub fn observe(&mut self, load: Load, now: Instant) {
        if now.saturating_duration_since(self.decided_at) < DECISION {
            return;
        }
        self.decided_at = now;
        self.live.add(load.live_ever.saturating_sub(self.seen.live_ever), now);
        self.drained.add(load.drained_ever.saturating_sub(self.seen.drained_ever), now);
        self.seen = load;
        let was_short = std::mem::take(&mut self.was_short);
        let live = self.live.per_second(now);
        // Where nothing comes from Kafka, nobody notices a late core but the backlog itself.
        let (lag_max, grows_to) =
            if live < LIVE_MIN_PER_SECOND { (LAG_MAX_ALONE, GROWS_TO_ALONE) } else { (LAG_MAX, GROWS_TO) };
        if load.core_lag > lag_max || load.live_waits {
            self.per_second *= SHRINKS_TO;
        } else if was_short {
            self.per_second = self.per_second * grows_to + f64::from(self.options.per_second_min) / 10.0;
        }
        let share = (live + self.drained.per_second(now)) * SHARE_MIN;
        let min = f64::from(self.options.per_second_min).max(share);
        let max = self.options.per_second_max.map_or(PER_SECOND_MAX, f64::from);
        self.per_second = self.per_second.max(min).min(max);
    }

    /// Rows that may be read a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.per_second
    }
}

/// The cores say how late they were this often.
const DECISION: Duration = Duration::from_millis(100);
/// A core that is later than this has live events wait for it; a quiet one is late by the millisecond of its timer.
/// Measured by `bench --only drain` beside 2,000 live events a second, on two cores with everything on them: with 2.5 ms
/// 11,800 rows went a second and the others' p99 was 41 ms in place of 5, with 2 ms 1,100 to 2,800 and 1.0 times, with
/// 1.5 ms 500. Others come first.
const LAG_MAX: Duration = Duration::from_millis(2);
const LAG_MAX_ALONE: Duration = Duration::from_millis(50);
const LIVE_MIN_PER_SECOND: f64 = 20.0;
const SHRINKS_TO: f64 = 0.85;
/// Ten times within three seconds …
const GROWS_TO: f64 = 1.08;
/// … and within one where it disturbs nobody.
const GROWS_TO_ALONE: f64 = 1.25;
/// Of what the machine does, while rows are due.
const SHARE_MIN: f64 = 0.2;
/// Beyond what any machine does.
const PER_SECOND_MAX: f64 = 1_000_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: DrainRateOptions = DrainRateOptions { per_second_max: None, per_second_min: 500 };

    struct World {
        rate: DrainRate,
        load: Load,
        now: Instant,
    }

    impl World {
        fn new(options: DrainRateOptions) -> Self {
            let now = Instant::now();
            World { rate: DrainRate::new(options, now), load: Load::default(), now }
        }

        /// Rows are due all the time, and the machine does `machine` events a second, live ones first.
        fn run(&mut self, seconds: u32, live: f64, machine: f64) -> f64 {
            for _ in 0..seconds * 10 {
                self.now += DECISION;
                let wanted = live + self.rate.per_second();
                let drained = self.rate.per_second().min((machine - live).max(machine * SHARE_MIN));
                self.load.live_ever += (live / 10.0) as u64;
                self.load.drained_ever += (drained / 10.0) as u64;
                self.load.core_lag = Duration::from_millis(if wanted > machine { 20 } else { 1 });
                self.rate.was_short();
                self.rate.observe(self.load, self.now);
            }
            self.rate.per_second()
        }
    }

    #[test]
    fn it_grows_to_what_live_events_leave() {
        let mut world = World::new(OPTIONS);
        let rate = world.run(20, 2_000.0, 10_000.0);
        assert!((6_000.0..=9_000.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_fifth_of_the_machine_is_always_the_backlogs() {
        let mut world = World::new(OPTIONS);
        let rate = world.run(20, 10_000.0, 10_000.0);
        assert!((2_000.0..=3_000.0).contains(&rate), "{rate}");
    }

    #[test]
    fn it_gives_way_within_seconds_when_live_events_come() {
        let mut world = World::new(OPTIONS);
        let before = world.run(20, 100.0, 10_000.0);
        let after = world.run(3, 8_000.0, 10_000.0);
        assert!(before > 8_000.0 && after < 4_000.0, "{before} {after}");
    }

    #[test]
    fn the_operators_ceiling_holds() {
        let mut world = World::new(DrainRateOptions { per_second_max: Some(1_200), ..OPTIONS });
        assert!((world.run(20, 0.0, 10_000.0) - 1_200.0).abs() < f64::EPSILON);
    }

    #[test]
    fn it_does_not_grow_while_nothing_is_due() {
        let (start, options) = (Instant::now(), OPTIONS);
        let mut rate = DrainRate::new(options, start);
        (1..200).for_each(|tenths| rate.observe(Load::default(), start + DECISION * tenths));
        assert!((rate.per_second() - 500.0).abs() < f64::EPSILON);
    }
}
