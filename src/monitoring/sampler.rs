//! ○ The last quarter of an hour of one instance, in steps of five seconds: differences of what the rooms count.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    core_counters::FlowTotals,
    latencies::{BUCKETS, LatencyCounts},
    overview::{Breakers, OverviewPart, TopicPart},
    rolling_rate::{STEP_MS, Window},
};
use crate::flow::counters::FlowView;

/// Steps that are kept: 15 minutes.
pub const STEPS_MAX: usize = 180;
/// Rates "now" are over so many steps: steady enough to read, fresh enough to watch.
pub const NOW_STEPS: usize = 2;

/// Counters of the rooms by now.
#[derive(Debug)]
pub struct SampledCounters {
    /// The step that ends now.
    pub step: i64,
    pub flow: FlowTotals,
    pub partitions: Vec<PartitionSeen>,
    pub routed: Vec<u64>,
    /// Events of the backlog, as far as the partitions are this instance's.
    pub backlog_events: i64,
    /// Dead letters of all instances; `None` while Postgres does not say.
    pub dead_letters: Option<u64>,
    pub endpoints: Vec<EndpointSeen>,
}

/// A partition this instance owns.
#[derive(Clone, Debug)]
pub struct PartitionSeen {
    pub topic: Arc<str>,
    pub partition: i32,
    /// Epoch of its assignment: with another one counting starts again.
    pub epoch: u64,
    pub received: u64,
    pub lag: Option<i64>,
    pub uncommitted_age_ms: u64,
}

/// An endpoint, whether it has an actor or not.
#[derive(Clone, Copy, Debug)]
pub struct EndpointSeen {
    pub key: u32,
    pub delivered: u64,
    pub failed_attempts: u64,
    pub took: [u32; BUCKETS],
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleStep {
    /// Its number since 1970: see [`STEP_MS`].
    pub step: i64,
    pub events_in: u64,
    pub delivered: u64,
    pub failed_attempts: u64,
    pub ages: LatencyCounts,
    pub backlog_events: i64,
    pub lag: i64,
    pub dead_letters: Option<u64>,
}

/// One an instance.
#[derive(Default)]
pub struct Sampler {
    history: VecDeque<SampleStep>,
    flow: FlowTotals,
    partitions: HashMap<(Arc<str>, i32), Partition>,
    routed: Vec<(u64, Window)>,
    endpoints: HashMap<u32, Endpoint>,
    step: i64,
}

struct Partition {
    seen: PartitionSeen,
    window: Window,
    recent: [u64; NOW_STEPS],
}

struct Endpoint {
    delivered_total: u64,
    failed_total: u64,
    delivered: Window,
    failed: Window,
    /// As it was up to ten minutes ago, and up to five.
    took: Box<[[u32; BUCKETS]; 2]>,
}

/// Events of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    pub last_minute: u64,
    pub per_minute_5: f64,
    pub per_minute_15: f64,
}

impl Sampler {
    pub fn sample(&mut self, seen: SampledCounters) {
        self.step = seen.step;
        let before = std::mem::replace(&mut self.flow, seen.flow.clone());
        let mut step = SampleStep {
            step: seen.step,
            delivered: seen.flow.delivered - before.delivered,
            failed_attempts: seen.flow.failed_attempts - before.failed_attempts,
            ages: LatencyCounts::between(&before.ages, &seen.flow.ages),
            backlog_events: seen.backlog_events,
            dead_letters: seen.dead_letters,
            lag: seen.partitions.iter().filter_map(|partition| partition.lag).sum(),
            ..SampleStep::default()
        };
        step.events_in = self.partitions(seen.partitions, seen.step);
        self.routers(&seen.routed, seen.step);
        self.endpoints(&seen.endpoints, seen.step);
        if self.history.len() == STEPS_MAX {
            self.history.pop_front();
        }
        self.history.push_back(step);
    }

    /// Returns how many events came in.
    fn partitions(&mut self, seen: Vec<PartitionSeen>, step: i64) -> u64 {
        let mut known = std::mem::take(&mut self.partitions);
        let mut events_in = 0;
        for seen in seen {
            let key = (Arc::clone(&seen.topic), seen.partition);
            let (new, mut window, mut recent) = match known.remove(&key) {
                Some(known) if known.seen.epoch == seen.epoch => {
                    (seen.received.saturating_sub(known.seen.received), known.window, known.recent)
                }
                Some(known) => (seen.received, known.window, known.recent),
                None => (seen.received, Window::default(), [0; NOW_STEPS]),
            };
            window.add(step, new);
            recent.rotate_left(1);
            recent[NOW_STEPS - 1] = new;
            events_in += new;
            self.partitions.insert(key, Partition { seen, window, recent });
        }
        events_in
    }

    fn routers(&mut self, routed: &[u64], step: i64) {
        self.routed.resize_with(routed.len(), Default::default);
        for ((before, window), now) in self.routed.iter_mut().zip(routed) {
            window.add(step, now.saturating_sub(*before));
            *before = *now;
        }
    }

    /// Samples the endpoints; those that did nothing for a quarter of an hour cost nothing.
    fn endpoints(&mut self, seen: &[EndpointSeen], step: i64) {
        for seen in seen {
            if seen.delivered == 0 && seen.failed_attempts == 0 {
                continue;
            }
            let known = self.endpoints.entry(seen.key).or_insert_with(Endpoint::new);
            let delivered = seen.delivered.saturating_sub(known.delivered_total);
            let failed = seen.failed_attempts.saturating_sub(known.failed_total);
            (known.delivered_total, known.failed_total) = (seen.delivered, seen.failed_attempts);
            if delivered > 0 {
                known.delivered.add(step, delivered);
            }
            if failed > 0 {
                known.failed.add(step, failed);
            }
            if step.rem_euclid(TOOK_STEPS) == 0 {
                known.took.rotate_left(1);
                known.took[1] = seen.took;
            }
        }
    }

    /// Forgets endpoints that are gone.
    pub fn keep_endpoints(&mut self, exists: impl Fn(u32) -> bool) {
        self.endpoints.retain(|key, _| exists(*key));
    }

    /// Delivered events and failed attempts of an endpoint.
    #[must_use]
    pub fn endpoint_rates(&self, key: u32) -> (Rates, Rates) {
        self.endpoints.get(&key).map_or_else(Default::default, |endpoint| {
            (rates(&endpoint.delivered, self.step), rates(&endpoint.failed, self.step))
        })
    }

    /// Durations of its requests within the last five to ten minutes; `now` is all there ever were.
    #[must_use]
    pub fn endpoint_took(&self, key: u32, now: &[u32; BUCKETS]) -> LatencyCounts {
        let before = self.endpoints.get(&key).map_or(&[0; BUCKETS], |endpoint| &endpoint.took[0]);
        LatencyCounts::between(before, now)
    }

    /// Events that came in of a partition within the last minute.
    #[must_use]
    pub fn partition_per_minute(&self, topic: &Arc<str>, partition: i32) -> u64 {
        let known = self.partitions.get(&(Arc::clone(topic), partition));
        known.map_or(0, |partition| partition.window.last_minute(self.step))
    }

    /// Events that a core has routed within the last minute.
    #[must_use]
    pub fn routed_per_minute(&self, core: usize) -> u64 {
        self.routed.get(core).map_or(0, |(_, window)| window.last_minute(self.step))
    }

    /// Dead letters, all instances together, that came within the last minute; and how many there are.
    #[must_use]
    pub fn dead_letters(&self) -> Option<(i64, u64)> {
        let now = self.history.back()?.dead_letters?;
        let before = self.history.iter().rev().nth(STEPS_A_MINUTE)?.dead_letters?;
        Some((now as i64 - before as i64, now))
    }

    /// This instance's part of the overview.
    #[must_use]
    pub fn part(&self, instance: &str, breakers: Breakers, flow: FlowView) -> OverviewPart {
        let mut topics: BTreeMap<&Arc<str>, TopicPart> = BTreeMap::new();
        for partition in self.partitions.values() {
            let seen = &partition.seen;
            let topic = topics.entry(&seen.topic).or_insert_with(|| TopicPart::of(&seen.topic));
            topic.partitions += 1;
            topic.in_recently += partition.recent.iter().sum::<u64>();
            topic.lag += seen.lag.unwrap_or(0);
            topic.oldest_uncommitted_ms = topic.oldest_uncommitted_ms.max(seen.uncommitted_age_ms);
        }
        OverviewPart {
            instance: instance.to_owned(),
            topics: topics.into_values().collect(),
            breakers,
            flow,
            history: self.history.iter().cloned().collect(),
            standing: Vec::new(),
        }
    }
}

impl Endpoint {
    fn new() -> Self {
        Endpoint {
            delivered_total: 0,
            failed_total: 0,
            delivered: Window::default(),
            failed: Window::default(),
            took: Box::new([[0; BUCKETS]; 2]),
        }
    }
}

fn rates(window: &Window, step: i64) -> Rates {
    let round = |rate: f64| (rate * 10.0).round() / 10.0;
    Rates {
        last_minute: window.last_minute(step),
        per_minute_5: round(window.per_minute(5, step)),
        per_minute_15: round(window.per_minute(15, step)),
    }
}

/// Five minutes.
const TOOK_STEPS: i64 = 300_000 / STEP_MS;
const STEPS_A_MINUTE: usize = (60_000 / STEP_MS) as usize;

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(step: i64, delivered: u64, partition: (u64, u64)) -> SampledCounters {
        let (epoch, received) = partition;
        SampledCounters {
            step,
            flow: FlowTotals { delivered, failed_attempts: 0, ages: [0; BUCKETS] },
            partitions: vec![PartitionSeen {
                topic: "orders".into(),
                partition: 0,
                epoch,
                received,
                lag: Some(3),
                uncommitted_age_ms: 40,
            }],
            routed: vec![received],
            backlog_events: 5,
            dead_letters: Some(step as u64),
            endpoints: vec![EndpointSeen { key: 7, delivered, failed_attempts: 1, took: [delivered as u32; BUCKETS] }],
        }
    }

    #[test]
    fn a_step_holds_what_came_since_the_one_before() {
        let mut sampler = Sampler::default();
        sampler.sample(seen(100, 1_000, (1, 50)));
        sampler.sample(seen(101, 1_030, (1, 70)));
        let part = sampler.part("in_1", Breakers::default(), FlowView::default());
        let steps: Vec<_> = part.history.iter().map(|step| (step.step, step.events_in, step.delivered)).collect();
        assert_eq!(steps, [(100, 50, 1_000), (101, 20, 30)]);
        assert_eq!((part.topics[0].in_recently, part.topics[0].lag), (70, 3));
    }

    #[test]
    fn a_new_assignment_of_a_partition_counts_from_zero() {
        let mut sampler = Sampler::default();
        sampler.sample(seen(100, 0, (1, 500)));
        sampler.sample(seen(101, 0, (2, 8)));
        assert_eq!(sampler.history[1].events_in, 8);
        assert_eq!(sampler.partition_per_minute(&"orders".into(), 0), 508);
    }

    #[test]
    fn the_history_is_bounded() {
        let mut sampler = Sampler::default();
        (0..400).for_each(|step| sampler.sample(seen(step, 0, (1, 0))));
        assert_eq!((sampler.history.len(), sampler.history[0].step), (STEPS_MAX, 400 - STEPS_MAX as i64));
        assert_eq!(sampler.dead_letters(), Some((12, 399)));
    }

    #[test]
    fn an_endpoints_rates_are_its_own_and_go_with_it() {
        let mut sampler = Sampler::default();
        sampler.sample(seen(100, 10, (1, 0)));
        sampler.sample(seen(101, 25, (1, 0)));
        let (delivered, failed) = sampler.endpoint_rates(7);
        assert_eq!((delivered.last_minute, failed.last_minute), (25, 1));
        assert_eq!(sampler.endpoint_rates(8), (Rates::default(), Rates::default()));
        assert_eq!(sampler.endpoint_took(7, &[25; BUCKETS]), LatencyCounts::between(&[0; BUCKETS], &[25; BUCKETS]));
        (120..=181).for_each(|step| sampler.sample(seen(step, 25, (1, 0))));
        assert_eq!(sampler.endpoint_took(7, &[25; BUCKETS]), LatencyCounts::default(), "ten minutes ago");
        sampler.keep_endpoints(|_| false);
        assert_eq!(sampler.endpoint_rates(7).0, Rates::default());
    }
}
