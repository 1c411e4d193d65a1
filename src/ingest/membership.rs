//! ○ An instance's membership of its group: the group's word, and whether there is a topic to read at all. Written by the
//! poll thread and the watch of the logs, read by all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
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
    /// The time of that answer, in nanoseconds since `started`.
    answered_ns: AtomicU64,
    /// The end of the last round of a rebalance, in nanoseconds since `started`; 0 before the first.
    round_ended_ns: AtomicU64,
    started: Instant,
}

/// An answer about the chosen topics says nothing any more after so long without another one, however seldom Kafka's client
/// looks for topics: it is asked for every half a minute.
const ANSWER_HOLDS: Duration = Duration::from_secs(60);

/// A cooperative rebalance has two rounds or more; without one for so long, it is over. Members hear of a round by their
/// heartbeats, and join it about a tenth of a second later.
const ROUNDS_APART_MAX: Duration = Duration::from_millis(500);

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
    /// The share was taken away, and it is known not to be for want of topics, or Kafka does not say.
    Out,
}

impl Membership {
    pub(super) fn new(now: Instant) -> Self {
        Membership {
            state: AtomicU8::new(State::New as u8),
            chosen: ArcSwap::default(),
            topicless_until_ns: AtomicU64::new(0),
            answered_ns: AtomicU64::new(0),
            round_ended_ns: AtomicU64::new(0),
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

    /// True when there was nothing to read when the cluster last answered, or until a moment ago.
    #[must_use]
    pub fn is_topicless(&self, now: Instant) -> bool {
        let age_ns = self.nanos(now).saturating_sub(self.answered_ns.load(Relaxed));
        self.nanos(now) < self.topicless_until_ns.load(Relaxed) && u128::from(age_ns) < ANSWER_HOLDS.as_nanos()
    }

    /// True while another round of a rebalance may follow. Who leaves then begins one more, and what is between two owners
    /// waits for it.
    #[must_use]
    pub fn is_rebalancing(&self, now: Instant) -> bool {
        let ended_ns = self.round_ended_ns.load(Relaxed);
        ended_ns > 0 && u128::from(self.nanos(now).saturating_sub(ended_ns)) < ROUNDS_APART_MAX.as_nanos()
    }

    /// A round of a rebalance has ended for this instance.
    pub(super) fn round_ended(&self, now: Instant) {
        self.round_ended_ns.store(self.nanos(now), Relaxed);
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

    /// An answer about the chosen topics, or none. Where there is no topic, that holds for `assigned_within`: the group needs
    /// its time to assign one that comes.
    pub(super) fn asked(&self, chosen: Option<Chosen>, now: Instant, assigned_within: Duration) {
        if let Some(chosen) = chosen {
            self.answered_ns.store(self.nanos(now), Relaxed);
            if chosen.is_nothing() {
                self.topicless_until_ns.store(self.nanos(now + assigned_within), Relaxed);
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
    use super::*;
    use crate::ingest::chosen::Absent;

    const MINUTE: Duration = Duration::from_secs(60);

    fn nothing() -> Option<Chosen> {
        Some(Chosen { absent: Some(Absent::Pattern("orders".to_owned())), refused: Vec::new() })
    }

    #[test]
    fn while_a_topic_that_came_is_being_assigned_an_instance_that_had_none_stays_what_it_was() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let membership = Membership::new(now);
        assert!(!membership.is_topicless(now) && membership.is_in_doubt());
        membership.asked(nothing(), now, MINUTE);
        membership.asked(Some(Chosen::default()), after(2), MINUTE);
        assert!(membership.is_topicless(after(59)), "it is not assigned yet");
        assert!(!membership.is_topicless(after(60)), "it should have been");
        assert!(membership.chosen().absent.is_none());
    }

    #[test]
    fn an_instance_without_topics_whose_kafka_answers_no_more_is_not_ready_for_long_however_seldom_topics_are_looked_for()
     {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let membership = Membership::new(now);
        membership.asked(nothing(), now, 60 * MINUTE);
        membership.asked(None, after(30), 60 * MINUTE);
        assert!(membership.is_topicless(after(59)), "a blip");
        assert!(!membership.is_topicless(after(61)), "nobody knows any more whether there is something to read");
        membership.asked(Some(Chosen::default()), after(90), 60 * MINUTE);
        assert!(membership.is_topicless(after(91)), "a topic has come, and Kafka's client looks for it once an hour");
    }

    #[test]
    fn a_rebalance_is_over_when_no_round_of_it_follows() {
        let now = Instant::now();
        let after = |ms| now + Duration::from_millis(ms);
        let membership = Membership::new(now);
        assert!(!membership.is_rebalancing(after(10_000)), "there was none");
        membership.round_ended(after(10_000));
        assert!(membership.is_rebalancing(after(10_300)));
        membership.round_ended(after(10_300));
        assert!(membership.is_rebalancing(after(10_700)), "each round may have another one");
        assert!(!membership.is_rebalancing(after(10_800)));
    }

    #[test]
    fn who_loses_what_it_had_is_out_unless_its_topics_are_gone() {
        let now = Instant::now();
        let membership = Membership::new(now);
        membership.join();
        assert!(!membership.is_in_doubt());
        membership.lose();
        assert!(membership.is_in_group() && membership.is_in_doubt(), "nobody has looked why");
        membership.asked(None, now, MINUTE);
        assert!(!membership.is_in_group(), "Kafka does not answer");
        membership.join();
        membership.lose();
        membership.asked(nothing(), now, MINUTE);
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
        membership.asked(None, now, MINUTE);
        assert!(membership.is_in_group() && !membership.is_in_doubt());
    }
}
