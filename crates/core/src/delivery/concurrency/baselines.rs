//! ○ Latencies of requests that do not queue, as logarithms, by the number of their events.

/// Running means of logarithms of latencies, one for each class of requests: up to 1, 3, 7, 15 … events.
#[derive(Debug, Clone, Default)]
pub(super) struct Baselines([Baseline; CLASSES]);

#[derive(Debug, Clone, Copy, Default)]
struct Baseline {
    mean: f32,
    requests: u32,
}

impl Baselines {
    /// `None` where nothing is known.
    pub(super) fn of(&self, events: usize) -> Option<f64> {
        let baseline = self.0[class(events)];
        (baseline.requests > 0).then(|| f64::from(baseline.mean))
    }

    /// Too little is known of such requests to compare with.
    pub(super) fn is_new(&self, events: usize) -> bool {
        self.0[class(events)].requests < NEW_REQUESTS
    }

    pub(super) fn learn(&mut self, events: usize, latency: f64) {
        let Baseline { mean, requests } = &mut self.0[class(events)];
        *requests = requests.saturating_add(1);
        *mean += (latency as f32 - *mean) / (*requests).min(REMEMBERED_REQUESTS) as f32;
    }

    pub(super) fn requests(&self) -> u32 {
        self.0.iter().map(|baseline| baseline.requests).sum()
    }

    /// Replaces what was known by what was measured, the more of it the more was measured. Returns the difference, on average.
    pub(super) fn replace_by(&mut self, measured: &Baselines) -> f64 {
        let mut difference = 0.0;
        for (known, measured) in self.0.iter_mut().zip(measured.0).filter(|(_, measured)| measured.requests > 0) {
            if known.requests == 0 {
                *known = measured;
                continue;
            }
            let step = measured.mean - known.mean;
            difference += f64::from(step) * f64::from(measured.requests);
            known.mean += step * measured.requests as f32 / (measured.requests + 1) as f32;
        }
        difference / f64::from(measured.requests().max(1))
    }
}

fn class(events: usize) -> usize {
    (events.max(1).ilog2() as usize).min(CLASSES - 1)
}

/// The last class has the batches of 8,192 events and more.
const CLASSES: usize = 14;
/// The first requests are the baseline, whatever they are.
const NEW_REQUESTS: u32 = 8;
/// A mean follows its latencies as one of so many.
const REMEMBERED_REQUESTS: u32 = 16;
