//! ○ Sliding windows: counts of the last minute, in steps of five seconds, and of the last minutes.

/// Steps are numbered from 1970, so that all instances' steps are the same ones.
pub const STEP_MS: i64 = 5_000;
const STEPS: usize = 12;
const MINUTES: usize = 16;

/// The step that a time falls into.
#[must_use]
pub fn step_of(wall_ms: i64) -> i64 {
    wall_ms.div_euclid(STEP_MS)
}

/// Counts of one thing. 120 bytes, so only those that count get one.
#[derive(Clone, Debug, Default)]
pub struct Window {
    steps: [u32; STEPS],
    minutes: [u32; MINUTES],
    /// The newest step that was counted in.
    at: i64,
}

impl Window {
    /// Steps only grow; an older one counts as the newest.
    pub fn add(&mut self, step: i64, count: u64) {
        self.advance(step);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let (step, minute) = (place(self.at, STEPS), place(minute_of(self.at), MINUTES));
        self.steps[step] = self.steps[step].saturating_add(count);
        self.minutes[minute] = self.minutes[minute].saturating_add(count);
    }

    /// Within the minute that ends with this step.
    #[must_use]
    pub fn last_minute(&self, step: i64) -> u64 {
        let gone = usize::try_from(step.saturating_sub(self.at)).unwrap_or(0).min(STEPS);
        let kept = (0..(STEPS - gone) as i64).map(|back| self.steps[place(self.at - back, STEPS)]);
        kept.map(u64::from).sum()
    }

    /// Events a minute over the last `minutes` (at most 15), the one under way with its share.
    #[must_use]
    pub fn per_minute(&self, minutes: u32, step: i64) -> f64 {
        let minutes = i64::from(minutes).min(MINUTES as i64 - 1);
        let (now, newest) = (minute_of(step), minute_of(self.at));
        let within = (now - minutes..=now).filter(|minute| (newest - minutes..=newest).contains(minute));
        let counted: u64 = within.map(|minute| u64::from(self.minutes[place(minute, MINUTES)])).sum();
        let under_way = (step.rem_euclid(STEPS as i64) + 1) as f64 / STEPS as f64;
        counted as f64 / (minutes as f64 + under_way)
    }

    fn advance(&mut self, step: i64) {
        if step <= self.at {
            return;
        }
        for new in (self.at + 1..=step).rev().take(STEPS) {
            self.steps[place(new, STEPS)] = 0;
        }
        for new in (minute_of(self.at) + 1..=minute_of(step)).rev().take(MINUTES) {
            self.minutes[place(new, MINUTES)] = 0;
        }
        self.at = step;
    }
}

fn minute_of(step: i64) -> i64 {
    step.div_euclid(STEPS as i64)
}

fn place(number: i64, places: usize) -> usize {
    number.rem_euclid(places as i64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_older_than_a_minute_no_longer_counts_for_it() {
        let mut window = Window::default();
        window.add(120, 7);
        window.add(126, 1);
        assert_eq!((window.last_minute(126), window.last_minute(131), window.last_minute(132)), (8, 8, 1));
        assert_eq!(window.last_minute(138), 0);
    }

    #[test]
    fn a_steady_stream_has_the_same_rate_however_far_one_looks_back() {
        let mut window = Window::default();
        (0..=12 * 30).for_each(|step| window.add(step, 10));
        for minutes in [1, 5, 15] {
            let rate = window.per_minute(minutes, 360);
            assert!((rate - 120.0).abs() < 1e-9, "{minutes}: {rate}");
        }
    }

    proptest! {
        /// Against a list of everything that was ever counted.
        #[test]
        fn a_window_agrees_with_a_list(adds in proptest::collection::vec((0_i64..40, 0_u64..100), 0..60), later in 0_i64..250) {
            let (mut window, mut list, mut step) = (Window::default(), Vec::new(), 1_000);
            for (steps, count) in adds {
                step += steps;
                window.add(step, count);
                list.push((step, count));
            }
            step += later;
            let since = |first: i64| list.iter().filter(|(at, _)| *at >= first).map(|(_, count)| count).sum::<u64>();
            prop_assert_eq!(window.last_minute(step), since(step - 11));
            let first = (minute_of(step) - 5) * 12;
            let span = 5.0 + (step % 12 + 1) as f64 / 12.0;
            prop_assert!((window.per_minute(5, step) * span - since(first) as f64).abs() < 1e-6);
        }
    }
}
