//! ○ All instances at one glance: their parts, added up step by step.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    latencies::LatencyCounts,
    rolling_rate::STEP_MS,
    sampler::{NOW_STEPS, STEPS_MAX, SampleStep},
};
use crate::{
    api::overview::{
        BacklogOverview, BreakerCounts, DeadLetterTotal, EventLatencies, OverviewTotals, RatePoint, StandingPart,
        TopicOverview,
    },
    flow::counters::FlowView,
    model::settings::EndpointStateCounts,
};

/// The overview of one instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OverviewPart {
    pub instance: String,
    pub topics: Vec<TopicPart>,
    pub breakers: Breakers,
    /// Older instances do not say.
    #[serde(default)]
    pub flow: FlowView,
    pub history: Vec<SampleStep>,
    /// Partitions that do not move; none from an instance of an older version.
    #[serde(default)]
    pub standing: Vec<StandingPart>,
}

/// Ids of endpoints whose breaker is not closed at this instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Breakers {
    pub open: Vec<String>,
    pub half_open: Vec<String>,
}

/// A topic, as far as its partitions are this instance's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopicPart {
    pub topic: String,
    pub partitions: u32,
    /// Events of the last [`NOW_STEPS`] steps.
    pub in_recently: u64,
    pub lag: i64,
    pub oldest_uncommitted_ms: u64,
}

/// Facts that are known without asking anybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct OverviewFacts {
    pub endpoints: EndpointStateCounts,
    /// `None` while Postgres is away.
    pub backlog: Option<BacklogFacts>,
}

/// The backlog of all partitions.
#[derive(Clone, Copy, Debug)]
pub struct BacklogFacts {
    pub events: i64,
    pub bytes: i64,
    /// Age of its oldest event.
    pub age_ms: Option<i64>,
}

impl TopicPart {
    #[must_use]
    pub fn of(topic: &str) -> Self {
        TopicPart { topic: topic.to_owned(), partitions: 0, in_recently: 0, lag: 0, oldest_uncommitted_ms: 0 }
    }
}

/// The parts of all instances that answered, added up.
#[must_use]
pub fn totals(parts: &[OverviewPart], known: OverviewFacts) -> OverviewTotals {
    let steps = merged(parts);
    let newest = &steps[steps.len().saturating_sub(NOW_STEPS)..];
    let rate = |count: fn(&SampleStep) -> u64| per_second(newest.iter().map(count).sum(), newest.len());
    let last_minute = &steps[steps.len().saturating_sub(STEPS_A_MINUTE)..];
    let ages = last_minute.iter().fold(LatencyCounts::default(), |mut sum, step| {
        sum.add(&step.ages);
        sum
    });
    let own_events = steps.last().map_or(0, |step| step.backlog_events);
    let dead_letters = steps.last().and_then(|step| step.dead_letters);
    OverviewTotals {
        events_in_per_second: rate(|step| step.events_in),
        delivered_per_second: rate(|step| step.delivered),
        failed_attempts_per_second: rate(|step| step.failed_attempts),
        latency_ms: EventLatencies { p50: ages.percentile_ms(0.5), p99: ages.percentile_ms(0.99) },
        flow: parts.iter().fold(FlowView::default(), |mut sum, part| {
            sum.add(&part.flow);
            sum
        }),
        topics: topics(parts),
        standing: parts.iter().flat_map(|part| part.standing.iter().cloned()).collect(),
        breakers: breakers(parts, known.endpoints.total()),
        endpoints: known.endpoints,
        backlog: BacklogOverview {
            events: known.backlog.map_or(own_events, |backlog| backlog.events),
            bytes: known.backlog.map(|backlog| backlog.bytes),
            oldest_ms: known.backlog.and_then(|backlog| backlog.age_ms),
            change_per_minute: change(&steps, |step| Some(step.backlog_events)),
        },
        dead_letters: DeadLetterTotal {
            total: dead_letters,
            change_per_minute: change(&steps, |step| step.dead_letters.map(|letters| letters as i64)),
        },
        history: steps.iter().map(point).collect(),
    }
}

/// One list of steps: what is counted of one's own adds up, what all know is known by whoever knows most. An instance
/// that is late with its newest step does not make the whole dip: the step is left out until all have it.
fn merged(parts: &[OverviewPart]) -> Vec<SampleStep> {
    let complete = parts.iter().filter_map(|part| part.history.last()).map(|step| step.step).min().unwrap_or(0);
    let mut steps: BTreeMap<i64, SampleStep> = BTreeMap::new();
    for step in parts.iter().flat_map(|part| &part.history).filter(|step| step.step <= complete) {
        let sum = steps.entry(step.step).or_insert_with(|| SampleStep { step: step.step, ..SampleStep::default() });
        sum.events_in += step.events_in;
        sum.delivered += step.delivered;
        sum.failed_attempts += step.failed_attempts;
        sum.ages.add(&step.ages);
        sum.backlog_events += step.backlog_events;
        sum.lag += step.lag;
        sum.dead_letters = sum.dead_letters.max(step.dead_letters);
    }
    let superfluous = steps.len().saturating_sub(STEPS_MAX);
    steps.into_values().skip(superfluous).collect()
}

fn topics(parts: &[OverviewPart]) -> Vec<TopicOverview> {
    let mut sums: BTreeMap<&str, TopicPart> = BTreeMap::new();
    for part in parts.iter().flat_map(|part| &part.topics) {
        let sum = sums.entry(&part.topic).or_insert_with(|| TopicPart::of(&part.topic));
        sum.partitions += part.partitions;
        sum.in_recently += part.in_recently;
        sum.lag += part.lag;
        sum.oldest_uncommitted_ms = sum.oldest_uncommitted_ms.max(part.oldest_uncommitted_ms);
    }
    let topic = |sum: TopicPart| TopicOverview {
        in_per_second: per_second(sum.in_recently, NOW_STEPS),
        topic: sum.topic,
        partitions: sum.partitions,
        lag: sum.lag,
        oldest_uncommitted_ms: sum.oldest_uncommitted_ms,
    };
    sums.into_values().map(topic).collect()
}

/// An endpoint counts by the worst of its breakers, one at each instance.
fn breakers(parts: &[OverviewPart], endpoints: usize) -> BreakerCounts {
    let open: BTreeSet<&String> = parts.iter().flat_map(|part| &part.breakers.open).collect();
    let half: BTreeSet<&String> = parts.iter().flat_map(|part| &part.breakers.half_open).collect();
    let half_open = half.difference(&open).count();
    BreakerCounts { closed: endpoints.saturating_sub(open.len() + half_open), open: open.len(), half_open }
}

fn point(step: &SampleStep) -> RatePoint {
    RatePoint {
        at: (step.step + 1) * STEP_MS,
        events_in_per_second: per_second(step.events_in, 1),
        delivered_per_second: per_second(step.delivered, 1),
        failed_attempts_per_second: per_second(step.failed_attempts, 1),
        latency_p50_ms: step.ages.percentile_ms(0.5),
        latency_p99_ms: step.ages.percentile_ms(0.99),
        backlog_events: step.backlog_events,
        dead_letters: step.dead_letters,
        lag: step.lag,
    }
}

/// Over the last minute, or what there is of it; nothing where the beginning or the end is not known.
fn change(steps: &[SampleStep], value: impl Fn(&SampleStep) -> Option<i64>) -> i64 {
    let last = steps.len().saturating_sub(STEPS_A_MINUTE + 1);
    let ends = steps.last().and_then(&value).zip(steps.get(last).and_then(&value));
    ends.map_or(0, |(now, before)| now - before)
}

fn per_second(count: u64, steps: usize) -> f64 {
    if steps == 0 {
        return 0.0;
    }
    let seconds = steps as f64 * STEP_MS as f64 / 1_000.0;
    (count as f64 / seconds * 100.0).round() / 100.0
}

const STEPS_A_MINUTE: usize = (60_000 / STEP_MS) as usize;

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: i64, events_in: u64, backlog_events: i64) -> SampleStep {
        SampleStep {
            step,
            events_in,
            delivered: events_in,
            backlog_events,
            dead_letters: Some(9),
            lag: 1,
            ..SampleStep::default()
        }
    }

    fn part(instance: &str, history: Vec<SampleStep>) -> OverviewPart {
        let topic = TopicPart { in_recently: 100, lag: 5, partitions: 2, ..TopicPart::of("orders") };
        let breakers = Breakers { open: vec!["ep_1".to_owned()], half_open: vec![format!("ep_{instance}")] };
        let flow = FlowView { waiting_events: 3, is_held_back: instance == "2", ..FlowView::default() };
        let (instance, topics, standing) = (instance.to_owned(), vec![topic], vec![]);
        OverviewPart { instance, topics, breakers, flow, history, standing }
    }

    fn enabled(enabled: usize) -> OverviewFacts {
        OverviewFacts { endpoints: EndpointStateCounts { enabled, ..Default::default() }, backlog: None }
    }

    #[test]
    fn instances_add_up_step_by_step() {
        let parts = [
            part("1", (0..20).map(|n| step(n, 10, 100)).collect()),
            part("2", (5..20).map(|n| step(n, 40, n)).collect()),
        ];
        let seen = totals(&parts, enabled(10));
        assert_eq!((seen.events_in_per_second, seen.history[0].events_in_per_second), (10.0, 2.0));
        assert_eq!((seen.history[5].events_in_per_second, seen.history[5].lag), (10.0, 2));
        assert_eq!((seen.topics[0].partitions, seen.topics[0].in_per_second, seen.topics[0].lag), (4, 20.0, 10));
        assert_eq!((seen.flow.waiting_events, seen.flow.is_held_back), (6, true));
        assert_eq!((seen.backlog.events, seen.backlog.change_per_minute), (119, 12));
        assert_eq!((seen.dead_letters.total, seen.dead_letters.change_per_minute), (Some(9), 0), "not added up");
    }

    #[test]
    fn a_step_that_not_all_have_taken_is_left_out() {
        let parts = [part("1", vec![step(1, 10, 0), step(2, 10, 0)]), part("2", vec![step(1, 10, 0)])];
        let seen = totals(&parts, OverviewFacts::default());
        assert_eq!(seen.history.iter().map(|point| point.at).collect::<Vec<_>>(), [2 * STEP_MS]);
    }

    #[test]
    fn an_endpoint_counts_by_the_worst_of_its_breakers() {
        let seen = totals(&[part("1", vec![]), part("2", vec![])], enabled(3));
        let BreakerCounts { closed, open, half_open } = seen.breakers;
        assert_eq!((closed, open, half_open), (1, 1, 1), "ep_1 is open at one of them and half open at the other");
    }

    #[test]
    fn before_anything_was_sampled_there_is_nothing_to_say() {
        let seen = totals(&[], OverviewFacts::default());
        assert_eq!((seen.events_in_per_second, seen.history.len(), seen.latency_ms.p50), (0.0, 0, None));
    }
}
