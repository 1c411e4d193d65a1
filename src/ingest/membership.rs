//! ○ An instance's membership of its group: the group's word, and whether there is a topic to read at all. Written by the
//! poll thread and the watch of the logs, read by all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use arc_swap::ArcSwap;

use super::chosen::Chosen;

/// See the module's page.
#[derive(Debug)]
pub struct Membership {
    /// A [`State`].
    state: AtomicU8,
    /// The newest answer about the chosen topics.
    chosen: ArcSwap<Chosen>,
    /// Until then there is nothing to read, in nanoseconds since `started`.
    topicless_until_ns: AtomicU64,
    started: Instant,
}

/// The group's word for this instance.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum State {
    /// None yet.
    New,
    /// Its share of the partitions, be it nothing.
    In,
    /// The share was taken away: by the group, or because the topics are gone.
    Lost,
    /// … and it is known not to be for want of topics, or Kafka does not say.
    Out,
}

impl Membership {
    pub(super) fn new(now: Instant) -> Self {
        Membership {
            state: AtomicU8::new(State::New as u8),
            chosen: ArcSwap::default(),
            topicless_until_ns: AtomicU64::new(0),
            started: now,
        }
    }

    /// The group has assigned partitions to this instance, or said that there are none for it.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.state.load(Relaxed) != State::New as u8
    }

    /// True while what the group assigned last, be it nothing, is still this instance's.
    #[must_use]
    pub fn is_in_group(&self) -> bool {
        [State::In as u8, State::Lost as u8].contains(&self.state.load(Relaxed))
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
        self.state.store(State::In as u8, Relaxed);
    }

    /// The share was taken away. The next answer about the topics tells if this instance is out, or there is nothing to read
    /// any more.
    pub(super) fn lose(&self) {
        self.change(State::In, State::Lost);
    }

    /// Its group may have no word for it that holds: which topics there are is to be asked soon.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.state.load(Relaxed) != State::In as u8 || self.chosen.load().absent.is_some()
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
        // Unless it has joined again meanwhile.
        self.change(State::Lost, State::Out);
    }

    fn change(&self, from: State, to: State) {
        let _ = self.state.compare_exchange(from as u8, to as u8, Relaxed, Relaxed);
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

    #[test]
    fn who_has_joined_again_by_the_time_of_the_answer_is_in_and_who_never_has_loses_nothing() {
        let now = Instant::now();
        let membership = Membership::new(now);
        membership.lose();
        assert!(!membership.has_joined());
        membership.join();
        membership.lose();
        membership.join();
        membership.asked(None, now);
        assert!(membership.is_in_group() && !membership.is_in_doubt());
    }
}
