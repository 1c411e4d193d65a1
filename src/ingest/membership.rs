//! ○ An instance's membership of its group: the group's word, and whether there is a topic to read at all. Written by the
//! poll thread and the watch of the logs, read by all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::ArcSwap;

use super::chosen::Chosen;

/// See the module's page.
#[derive(Debug)]
pub struct Membership {
    /// The group has told this instance what it has to do, be it nothing.
    joined: AtomicBool,
    /// The group's newest word holds …
    in_group: AtomicBool,
    /// … but for what was taken away since then: by the group, or because the topics are gone.
    has_lost: AtomicBool,
    /// The newest answer about the chosen topics.
    chosen: ArcSwap<Chosen>,
    /// Until then there is nothing to read, in nanoseconds since `started`.
    topicless_until_ns: AtomicU64,
    started: Instant,
}

impl Membership {
    pub(super) fn new(now: Instant) -> Self {
        Membership {
            joined: AtomicBool::new(false),
            in_group: AtomicBool::new(false),
            has_lost: AtomicBool::new(false),
            chosen: ArcSwap::default(),
            topicless_until_ns: AtomicU64::new(0),
            started: now,
        }
    }

    /// The group has assigned partitions to this instance, or said that there are none for it.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.joined.load(Relaxed)
    }

    /// True while what the group assigned last, be it nothing, is still this instance's.
    #[must_use]
    pub fn is_in_group(&self) -> bool {
        self.in_group.load(Relaxed)
    }

    /// The chosen topics as the cluster answered last.
    #[must_use]
    pub fn chosen(&self) -> Arc<Chosen> {
        self.chosen.load_full()
    }

    /// True when there was nothing to read when the cluster was last asked, or until a moment ago.
    #[must_use]
    pub fn is_topicless(&self, now: Instant) -> bool {
        self.nanos(now) < self.topicless_until_ns.load(Relaxed)
    }

    pub(super) fn join(&self) {
        self.joined.store(true, Relaxed);
        self.has_lost.store(false, Relaxed);
        self.in_group.store(true, Relaxed);
    }

    /// Everything that this instance had, or some of it, was taken away. Whether it is out, or there is nothing to read any more, the next answer
    /// about the topics tells.
    pub(super) fn lose(&self) {
        self.has_lost.store(true, Relaxed);
    }

    /// Its group may have no word for it that holds: which topics there are is to be asked soon.
    pub(super) fn is_in_doubt(&self) -> bool {
        !self.is_in_group() || self.has_lost.load(Relaxed) || self.chosen.load().absent.is_some()
    }

    /// An answer about the chosen topics, or none. Where there is no topic, that holds until `until`: the group needs its
    /// time to assign one that comes.
    pub(super) fn asked(&self, chosen: Option<Chosen>, until: Instant) {
        if let Some(chosen) = chosen {
            if chosen.is_nothing() {
                self.topicless_until_ns.store(self.nanos(until), Relaxed);
            }
            self.chosen.store(Arc::new(chosen));
        }
        if self.has_lost.load(Relaxed) {
            self.in_group.store(false, Relaxed);
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ingest::chosen::Absent;

    fn nothing() -> Option<Chosen> {
        Some(Chosen { absent: Some(Absent::Pattern("orders".to_owned())), refused: Vec::new() })
    }

    #[test]
    fn while_a_topic_that_came_is_being_assigned_an_instance_that_had_none_stays_what_it_was() {
        let now = Instant::now();
        let until = |seconds| now + Duration::from_secs(seconds);
        let membership = Membership::new(now);
        assert!(!membership.is_topicless(now) && membership.is_in_doubt());
        membership.asked(nothing(), until(60));
        membership.asked(Some(Chosen::default()), until(62));
        assert!(membership.is_topicless(until(59)), "it is not assigned yet");
        assert!(!membership.is_topicless(until(60)), "it should have been");
        assert!(membership.chosen().absent.is_none());
    }

    #[test]
    fn who_loses_what_it_had_is_out_unless_its_topics_are_gone() {
        let now = Instant::now();
        let membership = Membership::new(now);
        membership.join();
        assert!(!membership.is_in_doubt());
        membership.lose();
        assert!(membership.is_in_group() && membership.is_in_doubt(), "nobody has looked why");
        membership.asked(None, now);
        assert!(!membership.is_in_group(), "Kafka does not answer");
        membership.join();
        membership.lose();
        membership.asked(nothing(), now + Duration::from_secs(60));
        assert!(!membership.is_in_group() && membership.is_topicless(now));
    }
}
