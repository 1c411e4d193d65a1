//! ○ Histogram of durations: two buckets for each doubling, from 64 µs to a day and a half.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub const BUCKETS: usize = 64;
const LOWEST_US: u64 = 64;

/// Counted by one, read by others; counts wrap around.
pub struct LatencyCounters([AtomicU32; BUCKETS]);

/// Counts by bucket, those above zero alone: (bucket, count).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyCounts(Vec<(u8, u64)>);

impl Default for LatencyCounters {
    fn default() -> Self {
        LatencyCounters([const { AtomicU32::new(0) }; BUCKETS])
    }
}

impl LatencyCounters {
    pub fn add(&self, took: Duration, times: u32) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0[bucket(us)].fetch_add(times, Relaxed);
    }

    /// As it is now: to be subtracted from a later one.
    #[must_use]
    pub fn snapshot(&self) -> [u32; BUCKETS] {
        self.0.each_ref().map(|count| count.load(Relaxed))
    }
}

impl fmt::Debug for LatencyCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Latencies").field(&self.snapshot().iter().sum::<u32>()).finish()
    }
}

impl LatencyCounts {
    /// Counts between two snapshots.
    #[must_use]
    pub fn between(earlier: &[u32; BUCKETS], later: &[u32; BUCKETS]) -> Self {
        let new = earlier.iter().zip(later).map(|(earlier, later)| u64::from(later.wrapping_sub(*earlier)));
        LatencyCounts((0..).zip(new).filter(|(_, count)| *count > 0).collect())
    }

    pub fn add(&mut self, other: &LatencyCounts) {
        for (bucket, count) in &other.0 {
            match self.0.iter_mut().find(|(known, _)| known == bucket) {
                Some((_, known)) => *known += count,
                None => self.0.push((*bucket, *count)),
            }
        }
        self.0.sort_unstable();
    }

    /// In milliseconds, exact to a quarter of itself; `None` of nothing. `share` is 0.5 for the median.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> Option<f64> {
        let all: u64 = self.0.iter().map(|(_, count)| count).sum();
        let wanted = share * all as f64;
        let mut before = 0.0;
        for (bucket, count) in &self.0 {
            let with = before + *count as f64;
            if with >= wanted && *count > 0 {
                let (low, high) = (lowest_us(usize::from(*bucket)), lowest_us(usize::from(*bucket) + 1));
                let us = low + (high - low) * ((wanted - before) / *count as f64);
                return Some((us / 10.0).round() / 100.0);
            }
            before = with;
        }
        None
    }
}

fn bucket(us: u64) -> usize {
    if us < LOWEST_US {
        return 0;
    }
    let octave = us.ilog2();
    let half = (us >> (octave - 1)) & 1;
    (1 + 2 * (octave - LOWEST_US.ilog2()) as usize + half as usize).min(BUCKETS - 1)
}

/// Lower bound of a bucket.
fn lowest_us(bucket: usize) -> f64 {
    let Some(above) = bucket.checked_sub(1) else { return 0.0 };
    let base = LOWEST_US as f64 * 2_f64.powi(i32::try_from(above / 2).unwrap_or(0));
    if above.is_multiple_of(2) { base } else { base * 1.5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_falls_into_the_bucket_that_spans_it() {
        for us in (0..40).map(|n| 1_u64 << n).flat_map(|us| [us - 1, us, us + us / 2]) {
            let bucket = bucket(us);
            assert!(lowest_us(bucket) <= us as f64, "{us}");
            assert!(bucket == BUCKETS - 1 || (us as f64) < lowest_us(bucket + 1), "{us}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_percentile_lies_near_the_value_it_stands_for() {
        let latencies = LatencyCounters::default();
        let before = latencies.snapshot();
        for ms in 1..=100 {
            latencies.add(Duration::from_millis(ms), 1);
        }
        let counts = LatencyCounts::between(&before, &latencies.snapshot());
        for (share, ms) in [(0.5, 50.0), (0.99, 99.0)] {
            let found = counts.percentile_ms(share).unwrap();
            assert!((found - ms).abs() <= ms / 4.0, "{share}: {found}");
        }
        assert_eq!(LatencyCounts::default().percentile_ms(0.5), None);
    }

    #[test]
    fn what_two_instances_counted_adds_up() {
        let of = |ms: &[u64]| {
            let latencies = LatencyCounters::default();
            ms.iter().for_each(|ms| latencies.add(Duration::from_millis(*ms), 1));
            LatencyCounts::between(&[0; BUCKETS], &latencies.snapshot())
        };
        let mut sum = of(&[1, 5, 900]);
        sum.add(&of(&[2, 5]));
        assert_eq!(sum, of(&[1, 2, 5, 5, 900]));
    }

    #[test]
    fn a_count_that_wrapped_around_is_still_told_apart() {
        let (mut earlier, mut later) = ([0; BUCKETS], [0; BUCKETS]);
        (earlier[3], later[3]) = (u32::MAX, 4);
        assert_eq!(LatencyCounts::between(&earlier, &later), LatencyCounts(vec![(3, 5)]));
    }
}
