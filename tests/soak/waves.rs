//! ○ Load as the world has it: it swells and ebbs, and once in each wave there is a spike.

use std::{f64::consts::TAU, ops::Range};

use rand::{Rng as _, rngs::SmallRng};

/// Waves of a run.
pub const WAVES: u32 = 10;
/// A wave's height, as a part of the mean.
const HEIGHT: f64 = 0.5;
/// A spike's part of its wave's time, and how much more comes meanwhile.
const SPIKE_PART: f64 = 0.05;
const SPIKE: f64 = 3.0;

/// Events a second, by the time since the start in seconds.
pub struct Waves {
    mean: f64,
    period: f64,
    spikes: Vec<Range<f64>>,
}

impl Waves {
    pub fn new(mean: f64, lasting: f64, dice: &mut SmallRng) -> Self {
        let period = lasting / f64::from(WAVES);
        let spike = |wave: u32| {
            let from = (f64::from(wave) + dice.random_range(0.0..1.0 - SPIKE_PART)) * period;
            from..from + SPIKE_PART * period
        };
        Waves { mean, period, spikes: (0..WAVES).map(spike).collect() }
    }

    pub fn rate(&self, at: f64) -> f64 {
        let spike = if self.spikes.iter().any(|spike| spike.contains(&at)) { SPIKE } else { 1.0 };
        self.mean * (1.0 + HEIGHT * (TAU * at / self.period).sin()) * spike
    }
}
