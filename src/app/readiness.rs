//! ● The report of `/readyz`, and the parts of the process for those who look at them.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{actor_views::Parts, settings_loader::Progress};
use crate::{
    admin::health::Readiness,
    clock,
    ingest::standing::{Group, groups},
    router::table::RoutingTable,
};

/// A poll thread that has not polled for this long is in trouble: its group will put it out.
const POLL_GAP_MAX: Duration = Duration::from_secs(10);

/// Named one by one, at most.
const NAMED_MAX: usize = 20;

/// State of the parts; written by them, read by REST.
pub struct Health {
    table: Arc<RoutingTable>,
    settings: Arc<Progress>,
    parts: OnceLock<Parts>,
    stopping: AtomicBool,
    instance: String,
}

impl Health {
    #[must_use]
    pub fn new(table: Arc<RoutingTable>, settings: Arc<Progress>, instance: String) -> Self {
        Health { table, settings, parts: OnceLock::new(), stopping: AtomicBool::new(false), instance }
    }

    /// The consumer runs from now on, and whatever else there is to look at.
    pub fn consuming(&self, parts: Parts) {
        let _ = self.parts.set(parts);
    }

    pub(super) fn parts(&self) -> Option<&Parts> {
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
                let gap = consumer.poll_gap(now);
                if gap > POLL_GAP_MAX {
                    reasons.push(format!("Kafka was last polled {} s ago", gap.as_secs()));
                }
                let trouble = consumer.trouble();
                if !trouble.is_empty() && consumer.assigned().is_empty() {
                    reasons.push(format!("Kafka: {trouble}"));
                } else if !consumer.has_joined() {
                    reasons.push("waiting for Kafka: the group has not assigned partitions yet".to_owned());
                }
            }
        }
        reasons
    }
}

impl Readiness for Health {
    fn reasons(&self) -> Vec<String> {
        self.not_ready()
    }

    fn details(&self) -> Vec<String> {
        let Some(parts) = self.parts.get() else { return Vec::new() };
        let (now, standing) = (clock::now(), parts.consumer.standing());
        let detail = |group: Group| {
            let Group { topic, why, words, since, partitions, .. } = group;
            let seconds = now.saturating_duration_since(since).as_secs();
            let numbers: Vec<String> = partitions.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = if partitions.len() > NAMED_MAX { ", …" } else { "" };
            let (numbers, why) = (numbers.join(", "), why.as_str());
            format!("partitions {numbers}{more} of {topic} have not moved for {seconds} s: {why}: {words}")
        };
        groups(&standing).into_iter().take(NAMED_MAX).map(detail).collect()
    }
}
