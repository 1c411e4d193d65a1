//! ○ The core that an endpoint's actor starts on: the one with the least to do, its partitions' reading counted.
//!
//! The ingest actors and the router of a partition share one core. A partition with one busy endpoint beside it would
//! use that core alone, so what a core routes weighs as much as actors do.

use std::time::Instant;

/// Cores of the endpoint actors.
#[derive(Debug)]
pub struct Placement {
    /// Endpoint actors on each core.
    actors: Vec<usize>,
    /// Events that each core has routed, when last asked.
    routed: Vec<u64>,
    /// Recent load of each core: events of a second ago count half.
    recent: Vec<f64>,
    asked_at: Instant,
}

/// Events routed lately that weigh as one actor.
const EVENTS_PER_ACTOR: f64 = 1_000.0;

impl Placement {
    #[must_use]
    pub fn new(cores: usize, now: Instant) -> Self {
        Placement { actors: vec![0; cores], routed: vec![0; cores], recent: vec![0.0; cores], asked_at: now }
    }

    /// The core for one more actor. `routed` is what each core has routed, ever.
    pub fn place(&mut self, routed: impl Iterator<Item = u64>, now: Instant) -> usize {
        let fading = 0.5_f64.powf(now.saturating_duration_since(self.asked_at).as_secs_f64());
        self.asked_at = now;
        for ((known, recent), routed) in self.routed.iter_mut().zip(&mut self.recent).zip(routed) {
            *recent = *recent * fading + routed.saturating_sub(*known) as f64;
            *known = routed;
        }
        let load = |core: &usize| self.actors[*core] as f64 + self.recent[*core] / EVENTS_PER_ACTOR;
        let core = (0..self.actors.len()).min_by(|a, b| load(a).total_cmp(&load(b))).unwrap_or(0);
        self.actors[core] += 1;
        core
    }

    /// An actor of this core has ended.
    pub fn ended(&mut self, core: usize) {
        self.actors[core] = self.actors[core].saturating_sub(1);
    }

    /// All of them.
    #[must_use]
    pub fn actors(&self) -> usize {
        self.actors.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn actors_are_spread_evenly_over_cores_that_route_alike() {
        let now = Instant::now();
        let mut placement = Placement::new(3, now);
        let placed: Vec<_> = (0..6).map(|_| placement.place([500, 500, 500].into_iter(), now)).collect();
        assert_eq!(placed, [0, 1, 2, 0, 1, 2]);
        placement.ended(1);
        assert_eq!(placement.place([500, 500, 500].into_iter(), now), 1);
        assert_eq!(placement.actors(), 6);
    }

    #[test]
    fn the_endpoint_of_one_partition_does_not_share_its_core() {
        let now = Instant::now();
        let mut placement = Placement::new(2, now);
        assert_eq!(placement.place([300, 0].into_iter(), now), 1, "with the first chunk already");
        let busy = [40_000, 0];
        let placed: Vec<_> = (0..10).map(|_| placement.place(busy.into_iter(), now)).collect();
        assert_eq!(placed, [1; 10]);
        let many: usize = (0..90).map(|_| placement.place(busy.into_iter(), now)).filter(|core| *core == 0).count();
        assert!((20..40).contains(&many), "many endpoints use both: {many}");
    }

    #[test]
    fn what_was_routed_long_ago_does_not_count() {
        let start = Instant::now();
        let mut placement = Placement::new(2, start);
        assert_eq!(placement.place([1_000_000, 0].into_iter(), start), 1);
        let later = start + Duration::from_secs(60);
        assert_eq!(placement.place([1_000_000, 0].into_iter(), later), 0);
    }
}
