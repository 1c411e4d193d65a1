//! ● The report of `/readyz`, and the parts of the process for those who look at them.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{actor_views::ObservedParts, settings_loader::LoadProgress};
use crate::{
    admin::health::Readiness,
    clock,
    ingest::stalls::{PartitionStallGroup, groups},
    router::table::RoutingTable,
};

/// A poll thread that has not polled for this long is in trouble: its group will put it out.
const POLL_GAP_MAX: Duration = Duration::from_secs(10);

/// Named one by one, at most.
const NAMED_MAX: usize = 20;

/// State of the parts; written by them, read by REST.
pub struct Health {
    table: Arc<RoutingTable>,
    settings: Arc<LoadProgress>,
    parts: OnceLock<ObservedParts>,
    stopping: AtomicBool,
    instance: String,
}

impl Health {
    #[must_use]
    pub fn new(table: Arc<RoutingTable>, settings: Arc<LoadProgress>, instance: String) -> Self {
        Health { table, settings, parts: OnceLock::new(), stopping: AtomicBool::new(false), instance }
    }

    /// The consumer runs from now on, and whatever else there is to look at.
    pub fn consuming(&self, parts: ObservedParts) {
        let _ = self.parts.set(parts);
    }

    pub(super) fn parts(&self) -> Option<&ObservedParts> {
        self.parts.get()
    }

    pub(super) fn table(&self) -> &RoutingTable {
        &self.table
    }

    /// The name of this instance.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// The drain has begun.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// The reason why this instance should not be counted on; empty when it is ready. Postgres being away alone is no reason, or
    /// a blip of the database would take every instance out at once.
    fn not_ready(&self) -> Vec<String> {
        let now = clock::now();
        let mut reasons = Vec::new();
        if self.stopping.load(Ordering::Acquire) {
            reasons.push("draining before exit".to_owned());
        }
        if self.settings.age(now).is_none() {
            reasons.push("waiting for Postgres: settings are not loaded yet".to_owned());
        }
        match self.parts.get().map(|parts| &parts.consumer) {
            None => reasons.push("waiting for Kafka: not consuming yet".to_owned()),
            Some(consumer) => {
                let (trouble, membership) = (consumer.trouble(), consumer.membership());
                let chosen = membership.chosen();
                reasons.extend(why_not_consuming(&Consuming {
                    poll_gap: consumer.poll_gap(now),
                    trouble: &trouble,
                    refused: &chosen.refused,
                    has_partitions: !consumer.assigned().is_empty(),
                    has_joined: membership.has_joined(),
                    is_in_group: membership.is_in_group(),
                    is_topicless: membership.is_topicless(now),
                }));
            }
        }
        reasons
    }
}

/// The consumer as readiness sees it.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Consuming<'a> {
    poll_gap: Duration,
    /// The client's newest complaint; empty when all is well.
    trouble: &'a str,
    /// Topics that the cluster refuses, and its words.
    refused: &'a [(String, String)],
    has_partitions: bool,
    /// The group has told it what to do, be it nothing, at some time.
    has_joined: bool,
    /// The group has not put it out since.
    is_in_group: bool,
    /// There is no topic to read yet, so there is nothing that the group could tell it.
    is_topicless: bool,
}

/// Reasons for which nothing is consumed although something should be. An instance that has nothing to read is ready for it: a rollout
/// that waited for the first topic would wait for ever.
fn why_not_consuming(seen: &Consuming<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if seen.poll_gap > POLL_GAP_MAX {
        reasons.push(format!("Kafka was last polled {} s ago", seen.poll_gap.as_secs()));
    }
    if seen.has_partitions || seen.is_in_group || seen.is_topicless {
        return reasons;
    }
    if !seen.trouble.is_empty() {
        reasons.push(format!("Kafka: {}", seen.trouble));
    } else if let Some((topic, words)) = seen.refused.first() {
        reasons.push(format!("Kafka refuses topic `{topic}`: {words}"));
    } else if !seen.has_joined {
        reasons.push("waiting for Kafka: the group has not assigned partitions yet".to_owned());
    }
    reasons
}

impl Readiness for Health {
    fn reasons(&self) -> Vec<String> {
        self.not_ready()
    }

    fn details(&self) -> Vec<String> {
        let Some(parts) = self.parts.get() else { return Vec::new() };
        let (now, standing) = (clock::now(), parts.consumer.standing());
        let detail = |group: PartitionStallGroup| {
            let PartitionStallGroup { topic, why, words, since, partitions, .. } = group;
            let seconds = now.saturating_duration_since(since).as_secs();
            let numbers: Vec<String> = partitions.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = if partitions.len() > NAMED_MAX { ", …" } else { "" };
            let (numbers, why) = (numbers.join(", "), why.as_str());
            format!("partitions {numbers}{more} of {topic} have not moved for {seconds} s: {why}: {words}")
        };
        let absent = parts.consumer.membership().chosen().absent.as_ref().map(ToString::to_string);
        absent.into_iter().chain(groups(&standing).into_iter().take(NAMED_MAX).map(detail)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOINING: Consuming<'_> = Consuming {
        poll_gap: Duration::ZERO,
        trouble: "",
        refused: &[],
        has_partitions: false,
        has_joined: false,
        is_in_group: false,
        is_topicless: false,
    };
    const IN_GROUP: Consuming<'_> = Consuming { has_joined: true, is_in_group: true, ..JOINING };

    #[track_caller]
    fn is_ready(seen: &Consuming<'_>) {
        assert_eq!(why_not_consuming(seen), Vec::<String>::new(), "{seen:?}");
    }

    #[track_caller]
    fn says(seen: &Consuming<'_>, wanted: &str) {
        let reasons = why_not_consuming(seen);
        assert!(reasons.len() == 1 && reasons[0].contains(wanted), "{seen:?}: {reasons:?}");
    }

    #[test]
    fn an_instance_that_its_group_has_nothing_for_is_ready() {
        is_ready(&IN_GROUP);
        is_ready(&Consuming { trouble: "1/3 brokers are down", ..IN_GROUP });
    }

    #[test]
    fn before_there_is_a_topic_to_read_an_instance_is_ready() {
        let unknown = "Subscribed topic not available: Unknown topic or partition";
        is_ready(&Consuming { is_topicless: true, trouble: unknown, ..JOINING });
        is_ready(&Consuming { is_topicless: true, has_joined: true, trouble: unknown, ..JOINING });
    }

    #[test]
    fn who_has_not_joined_says_what_the_cluster_says() {
        says(&JOINING, "has not assigned");
        says(&Consuming { trouble: "1/1 brokers are down", ..JOINING }, "brokers are down");
        let refused = [("orders".to_owned(), "Topic authorization failed".to_owned())];
        says(&Consuming { refused: &refused, ..JOINING }, "`orders`: Topic authorization failed");
    }

    #[test]
    fn who_was_put_out_of_the_group_while_kafka_is_away_is_not_ready() {
        says(&Consuming { is_in_group: false, trouble: "1/1 brokers are down", ..IN_GROUP }, "brokers are down");
    }

    #[test]
    fn whatever_it_has_a_thread_that_does_not_poll_is_in_trouble() {
        let gap = POLL_GAP_MAX + Duration::from_secs(1);
        says(&Consuming { poll_gap: gap, has_partitions: true, ..IN_GROUP }, "polled 11 s ago");
        says(&Consuming { poll_gap: gap, is_topicless: true, ..JOINING }, "polled 11 s ago");
    }
}
