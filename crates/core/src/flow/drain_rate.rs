//! ○ The number of backlog rows that may be read a second: what live events leave, without a fixed ceiling.
//!
//! The rate grows by a part while it is used up and live events reach their endpoints on time, and shrinks by a part when
//! more of them are late than usual. Near the rate that was too much last time it grows slowly, so that it stays there and
//! does not swing. Live events come first; but while rows are due the backlog never gets less than a fifth of what the
//! machine does, or what has waited longest would wait for ever.
//!
//! The share that is late without the backlog changes with whatever else the machine does (a checkpoint of PostgreSQL, a
//! neighbour), so before the rate shrinks the backlog rests for a moment, as BBR does to learn a path's own delay: events
//! that are late then are late for another reason.

use std::time::{Duration, Instant};

use super::{counters::LiveWaits, late_share::LateShare, rate::Rate};

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
    /// Waits of live events.
    pub live_waits: LiveWaits,
    /// Events of Kafka that ended, ever.
    pub live_ever: u64,
    /// Rows that ended, ever.
    pub drained_ever: u64,
    /// As many events wait as may: reading is held back.
    pub window_is_full: bool,
}

/// See the module's page.
#[derive(Debug)]
pub struct DrainRate {
    options: DrainRateOptions,
    per_second: f64,
    /// The rate that was too much last time.
    limit: f64,
    live: Rate,
    drained: Rate,
    late: LateShare,
    seen: Load,
    decided_at: Instant,
    shrank_at: Option<Instant>,
    rest: Option<Rest>,
    rested_at: Option<Instant>,
    /// Rows were due that the rate did not allow, since the last decision.
    was_short: bool,
}

impl DrainRate {
    #[must_use]
    pub fn new(options: DrainRateOptions, now: Instant) -> Self {
        DrainRate {
            options,
            per_second: f64::from(options.per_second_min),
            limit: f64::INFINITY,
            live: Rate::new(now),
            drained: Rate::new(now),
            late: LateShare::default(),
            seen: Load::default(),
            decided_at: now,
            shrank_at: None,
            rest: None,
            rested_at: None,
            was_short: false,
        }
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
        let (live, drained) = (self.live.per_second(now), self.drained.per_second(now));
        self.late.observe(load.live_waits.since(self.seen.live_waits), drained < live * UNDISTURBED);
        self.seen = load;
        let was_short = std::mem::take(&mut self.was_short);
        if self.rest.is_some() && !self.ends_rest(load.live_waits, now) {
            return;
        }
        // Where nothing comes from Kafka, nobody notices a late core but the backlog itself.
        let is_alone = live < LIVE_MIN_PER_SECOND;
        let is_too_much = if is_alone { load.core_lag > LAG_MAX_ALONE } else { self.late.is_too_much() };
        let is_in_doubt = !is_alone && was_short && (is_too_much || self.late.allows_more_than_most());
        if is_in_doubt && self.begins_rest(load.live_waits, now) {
            return;
        }
        if load.window_is_full || is_too_much {
            self.shrink(now);
        } else if was_short {
            self.grow(is_alone);
        }
        let share = (live + drained) * SHARE_MIN;
        let min = f64::from(self.options.per_second_min).max(share);
        let max = self.options.per_second_max.map_or(PER_SECOND_MAX, f64::from);
        self.per_second = self.per_second.max(min).min(max);
    }

    /// Rows that may be read a second; short rests are passed over.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Rows that may be read a second at this moment: none during a rest.
    #[must_use]
    pub fn readable_per_second(&self) -> f64 {
        if self.rest.is_some() { 0.0 } else { self.per_second }
    }

    /// The part of the live events, of the last moments, that were late.
    #[must_use]
    pub fn late_share(&self) -> f64 {
        self.late.share()
    }

    /// True if the backlog rests from now on; not again within [`RESTS_EVERY`].
    fn begins_rest(&mut self, live_waits: LiveWaits, now: Instant) -> bool {
        if self.rested_at.is_some_and(|at| now.saturating_duration_since(at) < RESTS_EVERY) {
            return false;
        }
        self.rested_at = Some(now);
        self.rest = Some(Rest { began_at: now, from: live_waits });
        true
    }

    /// True if it is over: the events that were late meanwhile are the usual ones.
    fn ends_rest(&mut self, live_waits: LiveWaits, now: Instant) -> bool {
        let Some(rest) = &mut self.rest else { return true };
        let rested = now.saturating_duration_since(rest.began_at);
        if rested < REST_SETTLES {
            rest.from = live_waits; // what was read before still makes them wait
        }
        if rested < REST {
            return false;
        }
        self.late.learn_from(live_waits.since(rest.from));
        self.rest = None;
        true
    }

    /// Once for one trouble: the next decisions still see the lateness that the last one has ended.
    fn shrink(&mut self, now: Instant) {
        if self.shrank_at.is_some_and(|at| now.saturating_duration_since(at) < SHRINKS_EVERY) {
            return;
        }
        self.shrank_at = Some(now);
        self.limit = self.per_second;
        self.per_second *= SHRINKS_TO;
    }

    fn grow(&mut self, is_alone: bool) {
        let by = match self.per_second < self.limit * NEAR_LIMIT {
            _ if is_alone => GROWS_TO_ALONE,
            true => GROWS_TO,
            false => GROWS_TO_NEAR_LIMIT,
        };
        self.per_second = self.per_second * by + f64::from(self.options.per_second_min) / 10.0;
        self.limit *= LIMIT_GROWS_TO;
    }
}

/// A moment without the backlog.
#[derive(Clone, Copy, Debug)]
struct Rest {
    began_at: Instant,
    /// Waits of live events by then.
    from: LiveWaits,
}

const DECISION: Duration = Duration::from_millis(100);
/// Rows a live event, at most, that say nothing of how late these are without them.
const UNDISTURBED: f64 = 0.1;
/// A twentieth of the time at most.
const REST: Duration = Duration::from_millis(500);
const REST_SETTLES: Duration = Duration::from_millis(200);
const RESTS_EVERY: Duration = Duration::from_secs(10);
const LAG_MAX_ALONE: Duration = Duration::from_millis(50);
const LIVE_MIN_PER_SECOND: f64 = 20.0;
const SHRINKS_TO: f64 = 0.8;
const SHRINKS_EVERY: Duration = Duration::from_millis(300);
/// Growth at each step: ten times within three seconds.
const GROWS_TO: f64 = 1.08;
/// Growth where it disturbs nobody: ten times within one second.
const GROWS_TO_ALONE: f64 = 1.25;
/// Growth where it was too much before: by a fifth in a second and a half.
const GROWS_TO_NEAR_LIMIT: f64 = 1.012;
const NEAR_LIMIT: f64 = 0.85;
/// The limit is forgotten: twice as much within fourteen seconds.
const LIMIT_GROWS_TO: f64 = 1.005;
/// Part of what the machine does that the backlog gets at least, while rows are due.
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
        /// The part of the live events that is late whatever the backlog does.
        usual: f64,
    }

    impl World {
        fn new(options: DrainRateOptions) -> Self {
            let now = Instant::now();
            World { rate: DrainRate::new(options, now), load: Load::default(), now, usual: 0.0 }
        }

        fn learn_without_rows(&mut self, seconds: u32, live: f64) {
            for _ in 0..seconds * 10 {
                self.now += DECISION;
                self.load.live_ever += (live / 10.0) as u64;
                self.load.live_waits.taken += (live / 10.0) as u64;
                self.load.live_waits.late += (live / 10.0 * self.usual).round() as u64;
                self.rate.observe(self.load, self.now);
            }
        }

        fn run(&mut self, seconds: u32, live: f64, machine: f64) -> f64 {
            (0..seconds * 10).for_each(|_| self.decide(live, machine));
            self.rate.per_second()
        }

        /// Rows are due all the time, and the machine does `machine` events a second, live ones first.
        fn decide(&mut self, live: f64, machine: f64) {
            self.now += DECISION;
            let read = self.rate.readable_per_second();
            let wanted = live + read;
            let drained = read.min((machine - live).max(machine * SHARE_MIN));
            self.load.live_ever += (live / 10.0) as u64;
            self.load.drained_ever += (drained / 10.0) as u64;
            self.load.core_lag = Duration::from_millis(if wanted > machine { 60 } else { 1 });
            // The nearer to what the machine does, the more are late, as in any queue; and all that it cannot do.
            let share = (wanted / machine).powi(20).min(1.0) * 0.05 + (1.0 - machine / wanted).max(0.0);
            self.load.live_waits.taken += (live / 10.0) as u64;
            self.load.live_waits.late += (live / 10.0 * (self.usual + share).min(1.0)).round() as u64;
            self.rate.was_short();
            self.rate.observe(self.load, self.now);
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
    fn it_stays_within_a_quarter_of_what_it_may() {
        let mut world = World::new(OPTIONS);
        world.run(20, 2_000.0, 10_000.0);
        let rates: Vec<f64> = (0..20).map(|_| world.run(1, 2_000.0, 10_000.0)).collect();
        let (min, max) = rates.iter().fold((f64::MAX, 0.0_f64), |(min, max), rate| (min.min(*rate), max.max(*rate)));
        assert!(min > max * 0.75, "{rates:?}");
    }

    #[test]
    fn live_events_that_are_late_anyway_do_not_keep_the_backlog_waiting() {
        let mut world = World { usual: 0.04, ..World::new(OPTIONS) };
        world.learn_without_rows(30, 2_000.0);
        let rate = world.run(20, 2_000.0, 10_000.0);
        assert!((5_000.0..=9_500.0).contains(&rate), "{rate}");
    }

    #[test]
    fn live_events_that_become_late_for_another_reason_do_not_keep_the_backlog_waiting() {
        let mut world = World::new(OPTIONS);
        let before = world.run(20, 2_000.0, 10_000.0);
        world.usual = 0.04; // a checkpoint of PostgreSQL, say
        world.run(20, 2_000.0, 10_000.0);
        let rates: Vec<f64> = (0..20).map(|_| world.run(1, 2_000.0, 10_000.0)).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        assert!(mean > before * 0.75, "{before} {rates:?}");
        world.usual = 0.0;
        let after = world.run(60, 2_000.0, 10_000.0);
        assert!(after < before * 1.25, "what was usual is forgotten: {before} {after}");
    }

    #[test]
    fn it_rests_a_twentieth_of_the_time_at_most() {
        let mut world = World { usual: 0.5, ..World::new(OPTIONS) };
        let rests = (0..600).filter(|_| {
            world.decide(2_000.0, 10_000.0);
            world.rate.rest.is_some()
        });
        let rests = rests.count();
        assert!((10..=30).contains(&rests), "{rests} of 600");
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
