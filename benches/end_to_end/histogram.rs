//! ○ Latencies in microseconds, in buckets of at most 1/64 of their value.

/// Counts by value; recording is an addition.
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Histogram { buckets: vec![0; bucket(MICROS_MAX) + 1], count: 0 }
    }

    pub fn record(&mut self, micros: u64) {
        self.buckets[bucket(micros.min(MICROS_MAX))] += 1;
        self.count += 1;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value below which this share (0–1) of what was recorded lies, in milliseconds; 0 when nothing was.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut passed = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            passed += count;
            if passed >= rank && *count > 0 {
                return upper_end(index) as f64 / 1000.0;
            }
        }
        0.0
    }
}

/// Ten minutes; whatever took longer counts as this.
const MICROS_MAX: u64 = 600_000_000;
const STEPS_BITS: u32 = 6;
const STEPS: u64 = 1 << STEPS_BITS;

/// Values below 64 have a bucket each; above, every doubling is cut into 64.
fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEPS_BITS;
    ((u64::from(shift) + 1) * STEPS + (value >> shift) - STEPS) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS + 1) << shift) - 1
}
