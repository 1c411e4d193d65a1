//! ○ The assigned partitions that have something to do and do not move, since when, and why: the one place that knows.
//!
//! Readiness, actors, metrics, operator events and the overview all tell what stands here.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{model::pause::PauseReason, offsets::begin::Hold};

/// The reason why a partition is stalled. Closed: each is documented in `docs/operating.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartitionStallReason {
    /// No broker answers.
    Broker,
    /// There is no such topic any more.
    TopicMissing,
    /// No broker leads the partition.
    NoLeader,
    /// The broker does not let this client read it.
    NotAuthorized,
    /// A subscription to its topic cannot be read: nobody knows who should get its events.
    SettingsUnreadable,
    /// The group's commit is not known.
    CommitUnknown,
    /// The offset to go on from is not in the log, and `kafka.offset_lost` is `stop`.
    OffsetLost,
    /// A record or a batch cannot be read: it is broken, or larger than the client takes.
    Unreadable,
    /// The next records belong to a transaction that is still open.
    OpenTransaction,
    /// This instance has paused it.
    Paused,
    /// Records that were read neither leave nor can be stored.
    Unsettled,
    /// The client does not fetch it, and says nothing of why.
    NotFetched,
}

impl PartitionStallReason {
    pub const ALL: [PartitionStallReason; 12] = [
        PartitionStallReason::Broker,
        PartitionStallReason::TopicMissing,
        PartitionStallReason::NoLeader,
        PartitionStallReason::NotAuthorized,
        PartitionStallReason::SettingsUnreadable,
        PartitionStallReason::CommitUnknown,
        PartitionStallReason::OffsetLost,
        PartitionStallReason::Unreadable,
        PartitionStallReason::OpenTransaction,
        PartitionStallReason::Paused,
        PartitionStallReason::Unsettled,
        PartitionStallReason::NotFetched,
    ];

    /// The word in metrics, events and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PartitionStallReason::Broker => "broker",
            PartitionStallReason::TopicMissing => "topic_missing",
            PartitionStallReason::NoLeader => "no_leader",
            PartitionStallReason::NotAuthorized => "not_authorized",
            PartitionStallReason::SettingsUnreadable => "settings_unreadable",
            PartitionStallReason::CommitUnknown => "commit_unknown",
            PartitionStallReason::OffsetLost => "offset_lost",
            PartitionStallReason::Unreadable => "unreadable",
            PartitionStallReason::OpenTransaction => "open_transaction",
            PartitionStallReason::Paused => "paused",
            PartitionStallReason::Unsettled => "unsettled",
            PartitionStallReason::NotFetched => "not_fetched",
        }
    }
}

/// A partition at one look.
#[derive(Debug, Clone, Default)]
pub struct PartitionObservation {
    pub epoch: u64,
    pub lag: Option<i64>,
    pub received: u64,
    pub outstanding: u64,
    pub committable: Option<i64>,
    pub held: Option<Hold>,
    /// Its topic is not read for now.
    pub topic_held: bool,
    pub paused: Option<PauseReason>,
    pub topic: TopicSeen,
    /// The offset to go on from lies outside of the log.
    pub out_of_log: bool,
    pub waits_for_transaction: bool,
    /// The answer to another client that tried to read it.
    pub tried: Option<(PartitionStallReason, String)>,
}

/// The cluster's answer about the partition's topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TopicSeen {
    #[default]
    Led,
    NotLed,
    Absent,
    Refused(String),
    /// Nobody answers, in the client's words.
    Unknown(String),
}

/// A partition that is stalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StalledPartition {
    pub topic: Arc<str>,
    pub partition: i32,
    pub since: Instant,
    pub why: PartitionStallReason,
    /// The broker's own words, where it has said any.
    pub words: String,
    pub lag: Option<i64>,
}

impl StalledPartition {
    #[must_use]
    pub fn is_of(&self, topic: &str, partition: i32) -> bool {
        self.partition == partition && *self.topic == *topic
    }

    /// The word, and what was said.
    #[must_use]
    pub fn explained(&self) -> String {
        format!("{}: {}", self.why.as_str(), self.words)
    }
}

/// Partitions of one topic that are stalled for one reason, as they are told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStallGroup {
    pub topic: Arc<str>,
    pub why: PartitionStallReason,
    pub words: String,
    pub since: Instant,
    pub partitions: Vec<i32>,
    pub lag: i64,
}

/// Groups, in the order of their topics.
#[must_use]
pub fn groups(standing: &[StalledPartition]) -> Vec<PartitionStallGroup> {
    let mut groups: Vec<PartitionStallGroup> = Vec::new();
    for one in standing {
        let lag = one.lag.unwrap_or(0);
        match groups.iter_mut().find(|group| group.topic == one.topic && group.why == one.why) {
            Some(group) => {
                group.partitions.push(one.partition);
                group.since = group.since.min(one.since);
                group.lag += lag;
            }
            None => groups.push(PartitionStallGroup {
                topic: Arc::clone(&one.topic),
                why: one.why,
                words: one.words.clone(),
                since: one.since,
                partitions: vec![one.partition],
                lag,
            }),
        }
    }
    groups
}

/// A topic and a partition of it.
pub type PartitionName = (Arc<str>, i32);

/// All assigned partitions over time.
#[derive(Debug, Default)]
pub struct PartitionStalls {
    seen: HashMap<PartitionName, Track>,
}

#[derive(Debug)]
struct Track {
    mark: (u64, u64, Option<i64>),
    moved_at: Instant,
    standing: Option<StalledPartition>,
}

/// Changes since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StallChanges {
    pub began: Vec<StalledPartition>,
    /// They move again, or are not ours any more.
    pub ended: Vec<StalledPartition>,
}

impl PartitionStalls {
    /// Looks at everything that is assigned now. Who has something to do and has not moved for `after` stands.
    pub fn observe(
        &mut self,
        partitions: Vec<(PartitionName, PartitionObservation)>,
        after: Duration,
        now: Instant,
    ) -> StallChanges {
        let mut changes = StallChanges::default();
        let mut before = std::mem::take(&mut self.seen);
        for (name, seen) in partitions {
            let mark = (seen.epoch, seen.received, seen.committable);
            let known = before.remove(&name);
            let was = known.as_ref().and_then(|track| track.standing.clone());
            let moved_at =
                known.filter(|track| track.mark == mark && has_to_move(&seen)).map_or(now, |track| track.moved_at);
            let stands = now.saturating_duration_since(moved_at) >= after;
            let standing = stands.then(|| standing(&name, &seen, moved_at));
            match (&was, &standing) {
                (None, Some(began)) => changes.began.push(began.clone()),
                (Some(ended), None) => changes.ended.push(ended.clone()),
                // Another reason is news.
                (Some(was), Some(is)) if was.why != is.why => {
                    changes.ended.push(was.clone());
                    changes.began.push(is.clone());
                }
                _ => {}
            }
            self.seen.insert(name, Track { mark, moved_at, standing });
        }
        changes.ended.extend(before.into_values().filter_map(|track| track.standing));
        changes
    }

    /// Partitions that are stalled now.
    #[must_use]
    pub fn standing(&self) -> Vec<StalledPartition> {
        let mut all: Vec<StalledPartition> = self.seen.values().filter_map(|track| track.standing.clone()).collect();
        all.sort_unstable_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        all
    }

    /// Nobody has said yet why these do not move, or the broker was in the way: they are worth a try with another client.
    #[must_use]
    pub fn unexplained(&self) -> Vec<PartitionName> {
        let is_unexplained = |standing: &StalledPartition| {
            matches!(standing.why, PartitionStallReason::NotFetched | PartitionStallReason::Broker)
        };
        self.standing().into_iter().filter(is_unexplained).map(|one| (one.topic, one.partition)).collect()
    }
}

fn has_to_move(seen: &PartitionObservation) -> bool {
    seen.lag.is_some_and(|lag| lag > 0) || seen.outstanding > 0 || seen.held.is_some() || seen.out_of_log
}

fn standing((topic, partition): &PartitionName, seen: &PartitionObservation, since: Instant) -> StalledPartition {
    let (why, words) = reason(seen);
    StalledPartition { topic: Arc::clone(topic), partition: *partition, since, why, words, lag: seen.lag }
}

/// The outermost obstacle first: what is in the way of asking explains more than what was not answered.
fn reason(seen: &PartitionObservation) -> (PartitionStallReason, String) {
    let plain = |why, words: &str| (why, words.to_owned());
    match &seen.topic {
        TopicSeen::Unknown(words) => return (PartitionStallReason::Broker, words.clone()),
        TopicSeen::Absent => return plain(PartitionStallReason::TopicMissing, "the cluster knows no such topic"),
        TopicSeen::Refused(words) => return (PartitionStallReason::NotAuthorized, words.clone()),
        TopicSeen::NotLed => return plain(PartitionStallReason::NoLeader, "no broker leads the partition"),
        TopicSeen::Led => {}
    }
    match seen {
        PartitionObservation { topic_held: true, .. } => plain(
            PartitionStallReason::SettingsUnreadable,
            "a subscription to the topic is of another version and cannot be read",
        ),
        PartitionObservation { held: Some(Hold::Commit), .. } => {
            plain(PartitionStallReason::CommitUnknown, "the group's commits cannot be read")
        }
        PartitionObservation { held: Some(Hold::NoLeader), .. } => {
            plain(PartitionStallReason::NoLeader, "where it begins must be asked of its leader")
        }
        PartitionObservation { held: Some(Hold::Broker), .. } => {
            plain(PartitionStallReason::Broker, "the broker does not say where it begins")
        }
        PartitionObservation { paused: Some(reason), .. } => plain(PartitionStallReason::Paused, reason.as_str()),
        PartitionObservation { outstanding: 1.., .. } => {
            plain(PartitionStallReason::Unsettled, "what was read neither leaves nor can be stored")
        }
        PartitionObservation { out_of_log: true, .. } => {
            plain(PartitionStallReason::OffsetLost, "the offset to go on from is not in the log")
        }
        PartitionObservation { tried: Some((why, words)), .. } => (*why, words.clone()),
        PartitionObservation { waits_for_transaction: true, .. } => {
            plain(PartitionStallReason::OpenTransaction, "a transaction is open")
        }
        _ => plain(PartitionStallReason::NotFetched, "Kafka's client does not fetch it"),
    }
}

#[cfg(test)]
mod tests;
